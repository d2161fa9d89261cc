package booters

import (
	"math/rand/v2"
	"net"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func mac(s string) net.HardwareAddr {
	hw, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return hw
}

func pattern(t testing.TB, s string) MACPattern {
	t.Helper()
	p, err := ParseMACPattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func patterns(t testing.TB, list ...string) (all []MACPattern) {
	t.Helper()
	for _, s := range list {
		all = append(all, pattern(t, s))
	}
	return all
}

func TestMACPatternSpellings(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"52:54:00:aa:00:01", "52:54:00:aa:00:01"},
		{"52-54-00-AA-00-01", "52:54:00:aa:00:01"},
		{"5254.00aa.0001", "52:54:00:aa:00:01"},
		{"525400AA0001", "52:54:00:aa:00:01"},
		{"00:00:00:00:00:00", "00:00:00:00:00:00"},

		{"*", "*"},
		{"52:*", "52:*"},
		{"52:54:00:*", "52:54:00:*"},
		{"52-54-00-*", "52:54:00:*"},
		{"5254.00*", "52:54:00:*"},
		{"5254.*", "52:54:*"},
		{"525400*", "52:54:00:*"},
		{"52:54:00*", "52:54:00:*"},
		{"52:54:0*", "52:54:0?:*"},
		{"52540*", "52:54:0?:*"},
		{"52:54:00:aa:00:*", "52:54:00:aa:00:*"},
		{"52:54:00:aa:00:0*", "52:54:00:aa:00:0?"},

		{"52:*:00:*", "52:*:00:*"},
		{"5254.*.0001", "52:54:*:*:00:01"},
		{"*:*:*:*:00:01", "*:*:*:*:00:01"},
		{"52:54:*:*", "52:54:*"},

		{"52:54:00:aa:00:0?", "52:54:00:aa:00:0?"},
		{"52:54:00:aa:00:??", "52:54:00:aa:00:*"},
		{"52:54:?0:aa:00:01", "52:54:?0:aa:00:01"},
		{"????????????", "*"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			if got := pattern(t, tt.in).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMACPatternErrorsSayTheWayOut(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", `it is empty; write "*" for every MAC`},
		{"52:54:00", `fewer than the six octets of a MAC; write "52:54:00:*"`},
		{"525400", `write "525400*"`},
		{"5254.00aa", `write "5254.00aa.*"`},
		{"*:00:01", `write "*:00:01:*"`},
		{"52:54:00:aa:00:01:02", "more than the six octets"},
		{"52:54:00:aa:00:01:*", `nothing is left for the "*"`},
		{"52:54:00:aa:00:01*", `nothing is left for the "*"`},
		{"525400aa0001ff", "more than the twelve digits"},
		{"525400aa0001f*", "more than the twelve digits"},
		{"52:5*:00:aa:00:01", `write "?" for one digit`},
		{"52:*4:00:aa:00:01", `write "?" for one digit`},
		{"52:**", `write "?" for one digit`},
		{"52*00", `write "?" for one digit`},
		{"52:54:0:aa:00:01", `"0" is not 2 digits`},
		{"52:54::*", `"" is not 2 digits`},
		{"52:54:00:aa:00:", `"" is not 2 digits`},
		{"52.54.00.aa.00.01", `"52" is not 4 digits`},
		{"52:54-00:aa:00:01", `"54-00" is not 2 digits`},
		{"52:54:0g:*", "something other than hexadecimal digits"},
		{"52:54:00:aa:00:0 ", "something other than hexadecimal digits"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			p, err := ParseMACPattern(tt.in)
			if err == nil {
				t.Fatalf("got %s, want an error", p)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "MAC pattern") {
				t.Errorf("got %q, want it to contain %q", err, tt.want)
			}
		})
	}
}

func TestMACPatternMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, mac string
		want         bool
	}{
		{"52:54:00:aa:00:01", "52:54:00:aa:00:01", true},
		{"52:54:00:AA:00:01", "52:54:00:aa:00:01", true},
		{"52:54:00:aa:00:01", "52:54:00:aa:00:02", false},
		{"52:54:00:*", "52:54:00:ff:ff:ff", true},
		{"52:54:00:*", "52:54:01:00:00:00", false},
		{"52:*:00:*", "52:99:00:01:02:03", true},
		{"52:*:00:*", "52:99:01:01:02:03", false},
		{"52:54:0?:*", "52:54:0f:01:02:03", true},
		{"52:54:0?:*", "52:54:1f:01:02:03", false},
		{"*", "01:02:03:04:05:06", true},
		// Broken firmware sends zeros for "none".
		{"*", "00:00:00:00:00:00", false},
		{"00:*", "00:00:00:00:00:00", false},
		{"00:*", "00:00:00:00:00:01", true},
		{"00:00:00:00:00:0?", "00:00:00:00:00:00", false},
		{"00:00:00:00:00:00", "00:00:00:00:00:00", true},
		// Other lengths: EUI-64, InfiniBand.
		{"*", "02:00:5e:10:00:00:00:01", false},
	} {
		if got := pattern(t, tt.pattern).Match(mac(tt.mac)); got != tt.want {
			t.Errorf("%s matches %s: got %v, want %v", tt.pattern, tt.mac, got, tt.want)
		}
	}
	if (MACPattern{}).Match(nil) {
		t.Error("* matches a machine without a MAC")
	}
}

func TestMACPatternCovers(t *testing.T) {
	for _, tt := range []struct {
		p, q string
		want bool
	}{
		{"*", "52:54:00:*", true},
		{"52:54:00:*", "*", false},
		{"52:54:00:*", "52:54:00:aa:00:01", true},
		{"52:54:00:*", "52:54:01:aa:00:01", false},
		{"52:*", "52:*:00:*", true},
		{"52:*:00:*", "52:54:00:*", true},
		{"52:54:*", "52:*:00:*", false},
		{"52:54:0?:*", "52:54:00:*", true},
		{"52:54:00:aa:00:01", "52:54:00:aa:00:01", true},
		{"*", "00:00:00:00:00:00", false},
		{"00:00:00:00:00:00", "00:00:00:00:00:00", true},
		{"00:00:00:00:00:00", "00:00:00:00:00:0?", false},
	} {
		if got := pattern(t, tt.p).Covers(pattern(t, tt.q)); got != tt.want {
			t.Errorf("%s covers %s: got %v, want %v", tt.p, tt.q, got, tt.want)
		}
	}
}

// Covers is held against its definition, over the few MACs that patterns of
// two free digits can tell apart.
func TestMACPatternCoversIsExact(t *testing.T) {
	var all []MACPattern
	for _, first := range "?01" {
		for _, last := range "?01" {
			all = append(all, pattern(t, "0"+string(first)+":00:00:00:00:0"+string(last)))
		}
	}
	matched := func(p MACPattern) map[string]bool {
		set := make(map[string]bool)
		for a := range 16 {
			for b := range 16 {
				if hw := (net.HardwareAddr{byte(a), 0, 0, 0, 0, byte(b)}); p.Match(hw) {
					set[hw.String()] = true
				}
			}
		}
		return set
	}
	for _, p := range all {
		for _, q := range all {
			of, want := matched(p), true
			for hw := range matched(q) {
				want = want && of[hw]
			}
			if got := p.Covers(q); got != want {
				t.Errorf("%s covers %s: got %v, want %v", p, q, got, want)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	var (
		bios  = boot.Machine{MAC: mac("52:54:00:aa:00:01")}
		ia32  = boot.Machine{MAC: bios.MAC, Probed: true}
		x64   = boot.Machine{MAC: bios.MAC, Arch: boot.ArchX64, Probed: true}
		efi64 = boot.Machine{MAC: bios.MAC, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
		efi32 = boot.Machine{MAC: bios.MAC, Arch: boot.ArchIA32, Firmware: boot.FirmwareEFI32}
	)
	archs := func(a ...boot.Architecture) Match { return Match{Archs: a} }
	type result struct {
		Truth  Truth
		Failed string
	}
	for _, tt := range []struct {
		name    string
		match   Match
		machine boot.Machine
		want    result
	}{
		{"no condition is every machine", Match{}, bios, result{True, ""}},
		{"a BIOS is one of both x86", archs(boot.ArchIA32, boot.ArchX64), bios, result{True, ""}},
		{"a BIOS may be x64", archs(boot.ArchX64), bios, result{Unknown, "arch"}},
		{"a BIOS may be ia32", archs(boot.ArchIA32, boot.ArchARM64), bios, result{Unknown, "arch"}},
		{"a BIOS is no ARM", archs(boot.ArchARM64), bios, result{False, "arch"}},
		{"a probed BIOS is what its CPU says", archs(boot.ArchX64), x64, result{True, ""}},
		{"a probed BIOS of 32 bits", archs(boot.ArchX64), ia32, result{False, "arch"}},
		{"UEFI is sure of itself", archs(boot.ArchX64), efi64, result{True, ""}},
		{"UEFI of 32 bits too", archs(boot.ArchX64), efi32, result{False, "arch"}},
		{"firmware is known at once", Match{Firmwares: []boot.Firmware{boot.FirmwareEFI64}}, bios, result{False, "firmware"}},
		{"false AND unknown is false", Match{Archs: []boot.Architecture{boot.ArchX64}, Firmwares: []boot.Firmware{boot.FirmwareEFI64}}, bios, result{False, "firmware"}},
		{"the MAC comes first", Match{MACs: patterns(t, "00:80:77:*"), Archs: []boot.Architecture{boot.ArchARM64}}, bios, result{False, "mac"}},
		{"one MAC of several is enough", Match{MACs: patterns(t, "00:80:77:*", "52:*")}, bios, result{True, ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got result
			s, _ := newSubject(&tt.machine, nil)
			got.Truth, got.Failed = tt.match.eval(&s)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTruthIsPrinted(t *testing.T) {
	got := []string{False.String(), Unknown.String(), True.String()}
	if diff := cmp.Diff([]string{"false", "unknown", "true"}, got); diff != "" {
		t.Error(diff)
	}
}

// The reference is path.Match, whose "*" does not cross a "/" either: octets
// stand for path elements, and a "*" at the end is spelled out.
func referenceMatch(glob string, hw net.HardwareAddr) bool {
	digits := strings.ReplaceAll(hw.String(), ":", "")
	width := 12
	if strings.ContainsAny(glob, ":-") {
		width = 2
	} else if strings.Contains(glob, ".") {
		width = 4
	}
	var name []string
	for i := 0; i < 12; i += width {
		name = append(name, digits[i:i+width])
	}
	elems := strings.FieldsFunc(strings.ToLower(glob), func(r rune) bool { return strings.ContainsRune(":-.", r) })
	for len(elems) < len(name) {
		elems = append(elems, "*")
	}
	ok, err := path.Match(strings.Join(elems, "/"), strings.Join(name, "/"))
	if err != nil {
		panic(err)
	}
	if strings.Trim(digits, "0") == "" {
		return ok && !strings.ContainsAny(glob, "*?")
	}
	return ok
}

func FuzzMACPattern(f *testing.F) {
	for _, s := range []string{
		"52:54:00:aa:00:01", "52-54-00-AA-*", "5254.*.0001", "525400*", "*", "52:*:0?:*", "00:00:00:00:00:00", "52:5*:", "**", "",
	} {
		f.Add(s, uint64(0x525400aa0001))
	}
	f.Add("*", uint64(0))
	f.Fuzz(func(t *testing.T, s string, seed uint64) {
		p, err := ParseMACPattern(s)
		if err != nil {
			return
		}
		again, err := ParseMACPattern(p.String())
		if err != nil || again != p {
			t.Fatalf("%q is printed as %s, which is read as %s, %v", s, p, again, err)
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		for _, v := range []uint64{
			seed, 0, p.value, p.value | rnd.Uint64()&^p.mask, // inside the pattern
			p.value ^ 1<<rnd.IntN(macBits), // mostly just outside
		} {
			hw := hwOf(v)
			if got, want := p.Match(hw), referenceMatch(s, hw); got != want {
				t.Fatalf("%q (%s) matches %s: got %v, want %v", s, p, hw, got, want)
			}
			if got, want := p.Covers(MACPattern{v & exactMask, exactMask}), p.Match(hw); got != want {
				t.Fatalf("%s covers %s: got %v, want %v", p, hw, got, want)
			}
		}
	})
}

// hwOf is the inverse of macValue.
func hwOf(v uint64) net.HardwareAddr {
	hw := make(net.HardwareAddr, 6)
	for i := range hw {
		hw[i] = byte(v >> (40 - 8*i))
	}
	return hw
}
