package checksums

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func digest(of string) boot.Digest { return sha256.Sum256([]byte(of)) }

func TestParse(t *testing.T) {
	a, b := digest("a").String(), digest("b").String()
	for name, tt := range map[string]struct {
		text string
		want Sums
	}{
		"coreutils, text and binary": {a + "  linux\n" + b + " *initrd.gz\n", Sums{"linux": digest("a"), "initrd.gz": digest("b")}},
		"a path from here":           {a + "  ./netboot/linux\n", Sums{"netboot/linux": digest("a")}},
		"escaped":                    {`\` + a + `  a\\b\nc` + "\n", Sums{"a\\b\nc": digest("a")}},
		"one blank, no last newline": {strings.ToUpper(a) + " linux", Sums{"linux": digest("a")}},
		"CRLF":                       {a + "  linux\r\n", Sums{"linux": digest("a")}},
		"BSD":                        {"# linux: 12 bytes\nSHA256 (a (1).iso) = " + a + "\nMD5 (x) = 0\n", Sums{"a (1).iso": digest("a")}},
		"other digests beside it":    {strings.Repeat("ab", 64) + "  sha512\n" + a + "  linux\n", Sums{"linux": digest("a")}},
		"twice the same":             {a + "  linux\n" + a + "  ./linux\n", Sums{"linux": digest("a")}},
	} {
		got, err := Parse([]byte(tt.text))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for text, want := range map[string]string{
		"":                                   "no SHA-256 in it",
		"<html>not found</html>":             "no SHA-256 in it",
		a + "  linux\n" + b + "  linux\n":    "two digests",
		`\` + a + `  a\x` + "\n":             "no SHA-256 in it",
		strings.Repeat("0", 64) + "  linux":  "no SHA-256 in it",
		strings.Repeat("x", MaxSums) + "   ": "more than",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

func TestFind(t *testing.T) {
	sums := Sums{
		"netboot/amd64/linux": digest("amd64"), "netboot/gtk/linux": digest("gtk"), "mini.iso": digest("mini"),
		"a/same": digest("same"), "b/same": digest("same"),
	}
	for name, tt := range map[string]struct {
		below, base, want string
	}{
		"by its path":                  {"netboot/gtk/linux", "linux", "gtk"},
		"by its path, with a dot":      {"./netboot/gtk/linux", "linux", "gtk"},
		"by its name":                  {"", "mini.iso", "mini"},
		"in another folder, by name":   {"current/mini.iso", "mini.iso", "mini"},
		"several of one content alike": {"", "same", "same"},
	} {
		if got, err := sums.Find(tt.below, tt.base); got != digest(tt.want) || err != nil {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	for name, tt := range map[string]struct{ below, base, want string }{
		"several":        {"", "linux", `no line for "linux", and several for a file of that name: "netboot/amd64/linux", "netboot/gtk/linux"`},
		"several, below": {"netboot/xen/linux", "linux", `no line for "netboot/xen/linux", and several`},
		"none":           {"", "initrd.gz", `no line for "initrd.gz", but for "a/same"`},
	} {
		if _, err := sums.Find(tt.below, tt.base); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// made is when all keys of these tests were made.
var made = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func config(at time.Time, life time.Duration) *packet.Config {
	return &packet.Config{Time: func() time.Time { return at }, Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: uint32(life / time.Second)}
}

// signer is a key that lives for a while; 0: for ever.
func signer(t testing.TB, life time.Duration) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("release", "", "release@example.org", config(made, life))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func public(t testing.TB, armored bool, all ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range all {
		var one bytes.Buffer
		if err := e.Serialize(&one); err != nil {
			t.Fatal(err)
		}
		if !armored {
			b.Write(one.Bytes())
			continue
		}
		w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(one.Bytes())
		w.Close()
		b.WriteString("\n")
	}
	return b.Bytes()
}

func sign(t testing.TB, text []byte, armored bool, hash crypto.Hash, all ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	c := config(made.Add(time.Hour), 0)
	c.DefaultHash = hash
	for _, e := range all {
		do := openpgp.DetachSign
		if armored {
			do = openpgp.ArmoredDetachSign
		}
		if err := do(&b, e, bytes.NewReader(text), c); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func clearsigned(t testing.TB, text []byte, e *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, e.PrivateKey, config(made.Add(time.Hour), 0))
	if err != nil {
		t.Fatal(err)
	}
	w.Write(text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVerify(t *testing.T) {
	const day = 24 * time.Hour
	ours, theirs, brief := signer(t, 0), signer(t, 0), signer(t, day)
	revoked := signer(t, 0)
	text := []byte(digest("a").String() + "  linux\n")
	now := made.Add(2 * day)
	signedByRevoked := sign(t, text, false, crypto.SHA256, revoked)
	if err := revoked.RevokeKey(packet.KeyCompromised, "", config(made.Add(time.Hour), 0)); err != nil {
		t.Fatal(err)
	}
	private := new(bytes.Buffer)
	if err := ours.SerializePrivate(private, nil); err != nil {
		t.Fatal(err)
	}
	inline := clearsigned(t, text, ours)
	for name, tt := range map[string]struct {
		text, signature, keys []byte
		want                  string // in the error; empty: it is good
	}{
		"binary":                         {text, sign(t, text, false, crypto.SHA256, ours), public(t, false, ours), ""},
		"armored":                        {text, sign(t, text, true, crypto.SHA512, ours), public(t, true, ours), ""},
		"one of several keys":            {text, sign(t, text, false, crypto.SHA256, ours), public(t, true, theirs, ours), ""},
		"one of several signatures":      {text, sign(t, text, false, crypto.SHA256, theirs, brief, ours), public(t, true, brief, ours), ""},
		"in the file itself":             {inline, nil, public(t, true, ours), ""},
		"what stands around it is no":    {append([]byte(digest("b").String()+"  linux\n"), inline...), nil, public(t, true, ours), ""},
		"no key is asked for":            {text, nil, nil, ""},
		"clearsigned, no key asked for":  {inline, nil, nil, ""},
		"not signed":                     {text, nil, public(t, true, ours), "it is not signed: name the file with its signature"},
		"by another key":                 {text, sign(t, text, false, crypto.SHA256, theirs), public(t, true, ours), "not signed by one of the keys in the key file, but by"},
		"of another text":                {append([]byte("#\n"), text...), sign(t, text, false, crypto.SHA256, ours), public(t, true, ours), "its signature does not fit it"},
		"an inline one of another text":  {bytes.Replace(inline, []byte("linux"), []byte("worse"), 1), nil, public(t, true, ours), "its signature does not fit it"},
		"by a key that has expired":      {text, sign(t, text, false, crypto.SHA256, brief), public(t, true, brief), "that signed it has expired"},
		"by a key that is revoked":       {text, signedByRevoked, public(t, true, revoked), "that signed it is revoked"},
		"no signature at all":            {text, []byte("<html>"), public(t, true, ours), "its signature"},
		"empty":                          {text, []byte{}, public(t, true, ours), "its signature is none"},
		"a key in place of a signature":  {text, public(t, true, ours), public(t, true, ours), "its signature is none: it is armored and has no PGP SIGNATURE"},
		"too long":                       {text, make([]byte, MaxSignature+1), public(t, true, ours), "more than"},
		"nothing in it, and a signature": {nil, sign(t, nil, false, crypto.SHA256, ours), public(t, true, ours), "no SHA-256 in it"},
	} {
		t.Run(name, func(t *testing.T) {
			var keys *Keys
			if tt.keys != nil {
				var err error
				if keys, err = ParseKeys(tt.keys); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Verify(tt.text, tt.signature, keys, now)
			if tt.want == "" {
				if diff := cmp.Diff(Sums{"linux": digest("a")}, got); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("got %v, %v, want %q", got, err, tt.want)
			}
		})
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"nothing":        {nil, "no OpenPGP public key"},
		"something else": {[]byte("hello"), "no OpenPGP public key"},
		"a signature":    {sign(t, text, true, crypto.SHA256, ours), "no PGP PUBLIC KEY"},
		"a private key":  {private.Bytes(), "it has a private key"},
	} {
		if _, err := ParseKeys(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		keys []byte
		want string
	}{
		"one good": {public(t, true, brief, ours), ""},
		"expired":  {public(t, true, brief), "has expired"},
		"revoked":  {public(t, true, revoked), "is revoked"},
	} {
		keys, err := ParseKeys(tt.keys)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Expired(now); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// emptySubpacket is a signature of version 4 with a subpacket without a value, in which
// go-crypto 1.4.1 looked for one: whether the certification can be exported (RFC 9580
// §5.2.3.19).
var emptySubpacket = []byte{4, 0, 1, 8, 0, 2, 1, 4, 0, 0, 0, 0}

// packetOf is an OpenPGP packet (RFC 9580 §4.2).
func packetOf(tag byte, body []byte) []byte {
	return append([]byte{0xc0 | tag, byte(len(body))}, body...)
}

// A mirror can put into a signature what it likes: that is an error, whatever becomes of
// the library that reads it.
func TestDamagedOpenPGPIsAnError(t *testing.T) {
	text := []byte(digest("a").String() + "  linux\n")
	keys, err := ParseKeys(public(t, true, signer(t, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if sums, err := Verify(text, packetOf(2, emptySubpacket), keys, made); err == nil {
		t.Errorf("verified: %v", sums)
	}
	if _, err := ParseKeys(packetOf(2, emptySubpacket)); err == nil {
		t.Error("keys without a key")
	}
	panicking := func() (err error) {
		defer survive(&err)
		panic("index out of range")
	}
	if err := panicking(); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("of a panic: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	text := []byte(digest("a").String() + "  linux\n")
	e := signer(f, 0)
	f.Add(text, sign(f, text, true, crypto.SHA256, e), public(f, true, e))
	f.Add(clearsigned(f, text, e), []byte(nil), public(f, false, e))
	f.Add([]byte(`\SHA256 (a\\b) = x`), []byte("x"), []byte("-----BEGIN PGP "))
	f.Add(text, packetOf(2, emptySubpacket), packetOf(2, emptySubpacket))
	f.Fuzz(func(t *testing.T, text, signature, key []byte) {
		keys, err := ParseKeys(key)
		if err != nil {
			keys = nil
		}
		sums, err := Verify(text, signature, keys, made.Add(time.Hour))
		if (err == nil) != (len(sums) > 0) {
			t.Errorf("%v, %v", sums, err)
		}
		for name := range sums {
			if _, err := sums.Find(name, name); err != nil {
				t.Errorf("%q is not found: %v", name, err)
			}
		}
	})
}
