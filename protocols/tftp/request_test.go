package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rrq is a read request of NUL-terminated strings: name, mode, options.
func rrq(parts ...string) []byte { return request(opRRQ, parts...) }

func request(op byte, parts ...string) []byte {
	b := []byte{0, op}
	for _, p := range parts {
		b = append(append(b, p...), 0)
	}
	return b
}

// Requests as firmware sends them.
var (
	edk2Probe    = rrq("t/ipxe.efi", "octet", "tsize", "0", "blksize", "1468")
	edk2Read     = rrq("t/ipxe.efi", "octet", "blksize", "1468", "windowsize", "4")
	ipxeRead     = rrq("undionly.kpxe", "octet", "blksize", "1432", "tsize", "0")
	shimRead     = rrq("//grubx64.efi", "octet", "blksize", "512", "windowsize", "4")
	plainRead    = rrq("pxelinux.0", "octet")
	ubootRead    = rrq("C0000201.img", "octet", "timeout", "5", "blksize", "1468")
	garbageRead  = rrq("undionly.kpxe\xff\xff", "octet")
	paddedRead   = append(rrq("a", "octet", "tsize", "0"), 0, 0, 0, 'x')
	netasciiRead = rrq("motd", "NetASCII", "tsize", "0")
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want RRQ
	}{
		{"without options", plainRead, RRQ{Path: "pxelinux.0"}},
		{"mode in any case", rrq("a", "OcTeT"), RRQ{Path: "a"}},
		{"netascii", netasciiRead, RRQ{Path: "motd", NetASCII: true, Options: []Option{{"tsize", "0"}}}},
		{"options in their order", edk2Read, RRQ{Path: "t/ipxe.efi", Options: []Option{{"blksize", "1468"}, {"windowsize", "4"}}}},
		{"slashes in front", shimRead, RRQ{Path: "grubx64.efi", Options: []Option{{"blksize", "512"}, {"windowsize", "4"}}}},
		{"0xFF behind", garbageRead, RRQ{Path: "undionly.kpxe"}},
		{"U+FFFD and control bytes behind", rrq("a b\ufffd\r\n\x7f", "octet"), RRQ{Path: "a b"}},
		{"other text stays", rrq(`/..\..//é/`, "octet"), RRQ{Path: `..\..//é/`}},
		{"padding", paddedRead, RRQ{Path: "a", Options: []Option{{"tsize", "0"}, {"", ""}}}},
		{"option without value", rrq("a", "octet", "tsize"), RRQ{Path: "a"}},
		{"unterminated option", append(rrq("a", "octet", "tsize"), '0'), RRQ{Path: "a"}},
		{"longest path", rrq(strings.Repeat("a", maxPath), "octet"), RRQ{Path: strings.Repeat("a", maxPath)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRequest(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("options beyond the bound", func(t *testing.T) {
		got, err := ParseRequest(append(plainRead, bytes.Repeat([]byte("x\x00y\x00"), 100)...))
		if err != nil || len(got.Options) != maxOptions {
			t.Errorf("%d options, %v; want %d", len(got.Options), err, maxOptions)
		}
	})
}

func TestParseRequestRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want uint16
	}{
		{"a write", request(opWRQ, "a", "octet"), codeDenied},
		{"a write that is malformed", []byte{0, opWRQ}, codeDenied},
		{"mode mail", rrq("a", "mail"), codeIllegal},
		{"no mode", rrq("a"), codeIllegal},
		{"an unterminated mode", []byte("\x00\x01a\x00octet"), codeIllegal},
		{"nothing", []byte{0, opRRQ}, codeIllegal},
		{"no name", rrq("", "octet"), codeNotFound},
		{"a name of slashes and garbage", rrq("//\xff", "octet"), codeNotFound},
		{"a path too long", rrq(strings.Repeat("a", maxPath+1), "octet"), codeUndefined},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRequest(tt.in)
			var got *refusal
			if !errors.As(err, &got) || got.code != tt.want {
				t.Errorf("got %v, want a refusal of code %d", err, tt.want)
			}
		})
	}
}

// TestParseRequestIgnores is about what two servers could begin to talk about.
func TestParseRequestIgnores(t *testing.T) {
	for _, in := range []string{"", "\x00", "\x00\x00", "\x00\x03\x00\x01data", "\x00\x04\x00\x00", "\x00\x05\x00\x00no\x00", "\x00\x06", "\x00\x07", "\x01\x01a\x00octet\x00", "\xff\xff"} {
		if _, err := ParseRequest([]byte(in)); !errors.Is(err, errNotRequest) {
			t.Errorf("%q: got %v, want %v", in, err, errNotRequest)
		}
	}
}

func TestErrorTextIsOneShortLineOfASCII(t *testing.T) {
	got := (&refusal{codeNotFound, "é \x1b[2J\r\n" + strings.Repeat("x", 200)}).packet()
	want := append([]byte("\x00\x05\x00\x01? ?[2J??"), append(bytes.Repeat([]byte("x"), maxText-8), 0)...)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzRequest goes from a request's bytes to the first answer, and reads that as
// the client would.
func FuzzRequest(f *testing.F) {
	for _, b := range [][]byte{
		edk2Probe, edk2Read, ipxeRead, shimRead, plainRead, ubootRead, garbageRead, paddedRead, netasciiRead,
		rrq("a", "octet", "blksize", "65465", "windowsize", "65535", "timeout", "255", "blksize", "8"),
		request(opWRQ, "a", "octet"), {0, 5, 0, 0}, {},
	} {
		f.Add(b, int64(1<<20), 1500, false)
	}
	f.Fuzz(func(t *testing.T, in []byte, size int64, mtu int, v6 bool) {
		if len(in) > maxRequest || size < 0 {
			t.Skip()
		}
		r, err := ParseRequest(in)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			p := refused.packet()
			if binary.BigEndian.Uint16(p) != opERROR || len(p) > 4+maxText+1 || bytes.IndexByte(p[4:], 0) != len(p)-5 {
				t.Fatalf("ERROR %q", p)
			}
			return
		}
		if err != nil {
			return
		}
		if r.Path == "" || len(r.Path) > maxPath || r.Path[0] == '/' || len(r.Options) > maxOptions {
			t.Fatalf("request %+v", r)
		}
		limit := largestBlock(mtu, v6)
		terms := negotiate(r.Options, size, limit)
		if terms.blockSize < minBlock || terms.blockSize > max(limit, defaultBlock) || terms.windowSize < 1 || terms.windowSize > maxWindow {
			t.Fatalf("terms %+v", terms)
		}
		if terms.windowSize > 1 && terms.windowSize*terms.blockSize > maxWindowBytes {
			t.Fatalf("window of %d bytes", terms.windowSize*terms.blockSize)
		}
		if terms.oack == nil {
			return
		}
		// RFC 2347: only what was asked for, each once, no option without an OACK.
		if got := factor(len(in), len(terms.oack)); got > maxFactor {
			t.Fatalf("an OACK of %d bytes for %d: factor %.1f", len(terms.oack), len(in), got)
		}
		answered := make(map[string]bool)
		for name, value := range parseOACK(t, terms.oack) {
			if answered[strings.ToLower(name)] || !strings.Contains(string(in), name) || value == "" && !strings.EqualFold(name, "tsize") {
				t.Fatalf("OACK %q for %q", terms.oack, in)
			}
			answered[strings.ToLower(name)] = true
		}
		if len(answered) == 0 {
			t.Fatal("an empty OACK")
		}
	})
}

// maxFactor bounds the bytes that a forged request makes us send, for each byte of
// it, where it has options.
const maxFactor = 6

// factor is that of an answer sent once and maxFirstRetries times again, with the
// headers of IPv4 and UDP.
func factor(request, answer int) float64 {
	return float64((1+maxFirstRetries)*(28+answer)) / float64(28+request)
}

func parseOACK(t testing.TB, p []byte) map[string]string {
	t.Helper()
	if len(p) < 3 || binary.BigEndian.Uint16(p) != opOACK || p[len(p)-1] != 0 {
		t.Fatalf("not an OACK: %q", p)
	}
	fields := strings.Split(string(p[2:len(p)-1]), "\x00")
	if len(fields)%2 != 0 {
		t.Fatalf("an OACK of %d strings: %q", len(fields), p)
	}
	options := make(map[string]string)
	for i := 0; i < len(fields); i += 2 {
		options[fields[i]] = fields[i+1]
	}
	if len(options) != len(fields)/2 {
		t.Fatalf("an option twice: %q", p)
	}
	return options
}
