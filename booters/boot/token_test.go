package boot

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func key(t testing.TB, b byte) TokenKey {
	t.Helper()
	k, err := NewTokenKey(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestATokenOpensAsItWasSealed(t *testing.T) {
	k := key(t, 1)
	want := Token{MAC: [6]byte{0x52, 0x54, 0, 1, 2, 3}, Type: 7, Time: time.Unix(1700000000, 0)}
	s := k.Seal(want)
	if len(s) != TokenLen || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("token %q: not %d characters that need no quoting", s, TokenLen)
	}
	for _, spelling := range []string{s, strings.ToUpper(s)} {
		got, err := k.Open(spelling)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	m := want.Machine()
	if m.MAC.String() != "52:54:00:01:02:03" || m.Arch != ArchX64 || m.Firmware != FirmwareEFI64 || m.Probed {
		t.Errorf("machine: %+v", m)
	}
}

func TestATokenOfAnotherKeyOrAChangedOneDoesNotOpen(t *testing.T) {
	k := key(t, 1)
	s := k.Seal(Token{Type: 7, Time: time.Unix(1700000000, 0)})
	if _, err := key(t, 2).Open(s); !errors.Is(err, ErrToken) {
		t.Errorf("another key: got %v", err)
	}
	for i := range s {
		b := []byte(s)
		b[i] ^= 1
		if got, err := k.Open(string(b)); err == nil {
			t.Errorf("character %d changed: opens as %+v", i, got)
		}
	}
	for _, bad := range []string{"", "a", s[:TokenLen-1], s + "a", strings.Repeat("!", TokenLen), strings.Repeat("é", TokenLen/2)} {
		if _, err := k.Open(bad); !errors.Is(err, ErrToken) {
			t.Errorf("%q: got %v, want %v", bad, err, ErrToken)
		}
	}
}

func TestAShortSecretIsRefused(t *testing.T) {
	if _, err := NewTokenKey(make([]byte, 15)); err == nil {
		t.Error("15 bytes make a key")
	}
}

// lineBreaks is as long as a token, and base32 passes over the end of it.
var lineBreaks = strings.Repeat("2", 19) + strings.Repeat("\r", 7) + strings.Repeat("\n", TokenLen-26)

func TestLineBreaksMakeNoToken(t *testing.T) {
	k := key(t, 1)
	good := k.Seal(Token{Type: 7})
	for _, s := range []string{lineBreaks, good[:TokenLen-2] + "\r\n", "\n" + good[:TokenLen-1], strings.Repeat("\n", TokenLen)} {
		if got, err := k.Open(s); err != ErrToken {
			t.Errorf("%q: got %+v, %v; want ErrToken", s, got, err)
		}
	}
}

func FuzzOpenToken(f *testing.F) {
	k := key(f, 1)
	f.Add(k.Seal(Token{Type: 7, Time: time.Unix(1700000000, 0)}))
	f.Add(strings.Repeat("a", TokenLen))
	f.Add(lineBreaks)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := k.Open(s)
		if err == nil && k.Seal(got) != strings.ToLower(s) {
			t.Errorf("%q opens as %+v, which is sealed otherwise", s, got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, err := NewTokenKey(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	t := Token{MAC: [6]byte{2}, Type: 7, Time: time.Unix(1, 0)}
	b.ReportAllocs()
	for b.Loop() {
		k.Seal(t)
	}
}
