package boot

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestDigestsHaveOneSpelling(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	for _, text := range []string{abc, strings.ToUpper(abc)} {
		d, err := ParseDigest(text)
		if err != nil || d != sha256.Sum256([]byte("abc")) || d.String() != abc {
			t.Errorf("%s: got %s, %v", text, d, err)
		}
	}
	for text, want := range map[string]string{
		"":                      "64 hexadecimal digits, and this has 0 characters",
		abc[1:]:                 "this has 63 characters",
		"sha256:" + abc:         "this has 71 characters",
		"g" + abc[1:]:           "hexadecimal digits only",
		strings.Repeat("0", 64): "that of no file",
	} {
		if d, err := ParseDigest(text); err == nil || !strings.Contains(err.Error(), want) || !d.IsZero() {
			t.Errorf("%q: got %s, %v, want %q", text, d, err, want)
		}
	}
}

func TestADigestErrorSaysBothDigests(t *testing.T) {
	e := &DigestError{File: `"/srv/linux"`, Want: sha256.Sum256([]byte("a")), Got: sha256.Sum256([]byte("b"))}
	for _, part := range []string{e.File, e.Want.String(), e.Got.String()} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("%q lacks %q", e, part)
		}
	}
	if got, want := e.Brief(), `SHA-256 is 3e23e8160039…, must be ca978112ca1b…: "/srv/linux"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
