package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

var update = flag.Bool("update", false, "write testdata/*.ipxe anew")

var mac = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

const (
	base  = "http://192.0.2.1:80"
	token = "abcdefghijklmnopqrstuvwxyz234567"
)

// asker is where a machine asks from.
var asker = netip.MustParseAddr("192.0.2.50")

// What the original served for the same spec, of which machines and programs
// may depend on every byte.
func TestBootScriptIsTheOriginals(t *testing.T) {
	got, err := Boot("http://localhost:1234", &boot.Spec{
		Kernel: "k/1", Initrd: []boot.ID{"0 1", "2"}, Cmdline: `thing={{ ID "f00" }} foo=bar`,
	}, Machine{MAC: mac}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := `#!ipxe
kernel --name kernel http://localhost:1234/_/file?name=k%2F1&type=kernel&mac=52%3A54%3A00%3A12%3A34%3A56
initrd --name initrd0 http://localhost:1234/_/file?name=0+1&type=initrd&mac=52%3A54%3A00%3A12%3A34%3A56
initrd --name initrd1 http://localhost:1234/_/file?name=2&type=initrd&mac=52%3A54%3A00%3A12%3A34%3A56
imgfetch --name ready http://localhost:1234/_/booting?mac=52%3A54%3A00%3A12%3A34%3A56 ||
imgfree ready ||
boot kernel initrd=initrd0 initrd=initrd1 thing=http://localhost:1234/_/file?name=f00 foo=bar
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAScriptOfTheOperatorIsServedAsItIs(t *testing.T) {
	const script = "#!ipxe\necho ${net0/mac} || shell\n"
	got, err := Boot(base, &boot.Spec{IpxeScript: script, Kernel: "k", Message: "m"}, Machine{MAC: mac}, "n")
	if err != nil || got != script {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBootScriptRefuses(t *testing.T) {
	for name, spec := range map[string]boot.Spec{
		"nothing to boot":     {Cmdline: "x"},
		"a broken template":   {Kernel: "k", Cmdline: "{{ ID }"},
		"an unknown function": {Kernel: "k", Cmdline: `{{ Nope "x" }}`},
		"a newline":           {Kernel: "k", Cmdline: "a\nb"},
	} {
		if s, err := Boot(base, &spec, Machine{MAC: mac}, ""); err == nil {
			t.Errorf("%s: got %q", name, s)
		}
	}
}

// unwords does with a line what iPXE does: it splits at white space, ends the
// command at a word of its syntax, and only then expands settings.
func unwords(line string, settings map[string]string) (string, bool) {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })
	for i, w := range words {
		if w == "||" || w == "&&" || w == ";" || w[0] == '#' {
			return "", false
		}
		for name, value := range settings {
			w = strings.ReplaceAll(w, "${"+name+":string}", value)
		}
		words[i] = w
	}
	return strings.Join(words, " "), true
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{
		"console=ttyS0 quiet", "a || b", "a && b ; c", "#not-a-comment", "ds=nocloud;s=http://x/ #x", "two  spaces   three", "x ;", "tab\t#b", "\xee", "##", "init=/bin/sh -- -c 'a;b'",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "${}") {
			return // iPXE's own
		}
		var s script
		settings := map[string]string{}
		s.putWords(text)
		line := strings.TrimPrefix(s.lines.String(), magic)
		for _, set := range s.sets {
			settings[set.name] = map[string]string{"20": " ", "7c": "|", "26": "&", "3b": ";", "23": "#"}[set.hex]
		}
		got, ok := unwords(line, settings)
		if want := strings.TrimRight(whiteSpace.Replace(text), " "); !ok || got != want {
			t.Errorf("%q is written %q, which iPXE reads as %q (%t)", text, line, got, ok)
		}
	})
}

// A script is made while a machine waits, and a rack of them at once.
func BenchmarkScripts(b *testing.B) {
	spec := &boot.Spec{Kernel: "a2VybmVs", Initrd: []boot.ID{"aW5pdHJk"}, Cmdline: "console=ttyS0 root=/dev/ram0 hostname=db1"}
	who := Machine{MAC: mac, Token: token}
	b.Run("stub", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Stub(base, who)
		}
	})
	b.Run("boot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Boot(base, spec, who, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestScriptsForIPXE(t *testing.T) {
	bootScript, err := Boot(base, &boot.Spec{
		Kernel: "k", Cmdline: "a  b || c ds=nocloud;s=x #d ${net0/mac}", Message: "-e Hello, \x1b[31mworld\n\n  # two || ;",
	}, Machine{MAC: mac, Token: token}, "this iPXE cannot ask the CPU")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"autoexec":       Autoexec(base, token, mac),
		"autoexec-fixed": Autoexec(base, "", nil),
		"stub":           Stub(base, Machine{Token: token}),
		"stub-fixed":     Stub(base, Machine{}),
		"stub-original":  Stub(base, Machine{MAC: mac, Arch: "1"}),
		"boot":           bootScript,
		"local-bios":     LocalDisk(boot.FirmwareX86PC),
		"local-uefi":     LocalDisk(boot.FirmwareEFI64),
		"leave":          Leave(`the rule "printers" ignores 52:54:00:12:34:56`),
		"screen":         Screen(base, Machine{Token: token}, "open /srv/linux: no such file; mend it"),
	} {
		path := filepath.Join("testdata", name+".ipxe")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s -want +got (write it anew by -update)\n%s", path, diff)
		}
	}
}

// verdicts is a Source whose Booter gives everybody the same verdict.
type verdicts struct {
	*boot.Verdict
	err error
}

func (v verdicts) Current() *boot.Snapshot {
	return &boot.Snapshot{Gen: 3, Booter: v, Loaders: map[boot.Firmware][]byte{boot.FirmwareX86PC: []byte("undionly"), boot.FirmwareEFI64: []byte("snponly")}}
}
func (v verdicts) Decide(context.Context, boot.Machine) (*boot.Verdict, error) {
	return v.Verdict, v.err
}
func (verdicts) BootSpec(boot.Machine) (*boot.Spec, error)          { return nil, nil }
func (verdicts) WriteBootFile(boot.ID, io.Reader) error             { return boot.ErrNotFound }
func (verdicts) ReadBootFile(boot.ID) (io.ReadCloser, int64, error) { return nil, 0, boot.ErrNotFound }

func tree(t testing.TB, v verdicts) Tree {
	t.Helper()
	key, err := boot.NewTokenKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return Tree{Boots: &boots.Memory{Source: v}, Tokens: key}
}

func TestTree(t *testing.T) {
	lab := tree(t, verdicts{Verdict: &boot.Verdict{Action: boot.Boot, Rule: "lab"}})
	held := tree(t, verdicts{Verdict: &boot.Verdict{Action: boot.Boot}})
	held.Boots.Held = func(string) string { return "rain" }
	tok := func(typ boot.ArchType) string {
		return lab.Tokens.Seal(boot.Token{MAC: [6]byte(mac), Type: typ, Time: time.Unix(1700000000, 0)})
	}
	for _, tc := range []struct {
		name, path string
		tree       Tree
		want       string // the beginning of the file
		err        error
	}{
		{"a UEFI machine's loader", tok(7) + "/ipxe.efi", lab, "snponly", nil},
		{"with a slash, as GRUB and shim ask", "/" + tok(7) + "/ipxe.efi", lab, "snponly", nil},
		{"with two", "//" + tok(7) + "//ipxe.efi", lab, "snponly", nil},
		{"in upper case, as a DOS-minded ROM asks", strings.ToUpper(tok(7)) + "/ipxe.efi", lab, "snponly", nil},
		{"a BIOS machine's loader", tok(0) + "/undionly.kpxe", lab, "undionly", nil},
		{"the other kind's name", tok(0) + "/ipxe.efi", lab, "", boot.ErrNotFound},
		{"the screen of an iPXE that cannot go on", ScreenPath(tok(0)), lab, "#!ipxe\necho\necho pixiecore: this iPXE cannot load by HTTP", nil},
		{"its autoexec", tok(7) + "/autoexec.ipxe", lab, "#!ipxe\nset user-class pixiecore\n", nil},
		{"a loader that is missing", tok(0x0b) + "/ipxe.efi", lab, "", boot.ErrNotFound},
		{"shim's probe", tok(7) + "/revocations_sbat.efi", lab, "", boot.ErrNotFound},
		{"a forged token", strings.Repeat("a", boot.TokenLen) + "/ipxe.efi", lab, "", boot.ErrNotFound},
		{"out of the tree", tok(7) + "/../../etc/passwd", lab, "", boot.ErrNotFound},
		{"a fixed name", "ipxe-x64.efi", lab, "snponly", nil},
		{"a fixed name without a loader", "ipxe-riscv64.efi", lab, "", boot.ErrNotFound},
		{"autoexec beside a fixed name", "autoexec.ipxe", lab, "#!ipxe\nset user-class pixiecore\n", nil},
		{"the script under a fixed name", "/boot.ipxe", lab, "#!ipxe\niseq ${platform}", nil},
		{"nothing", "", lab, "", boot.ErrNotFound},
		{"anything else", "vmlinuz", lab, "", boot.ErrNotFound},
		{"a fixed name, and everything is on hold", "ipxe-x64.efi", held, "", ErrRefused},
		{"the script under a fixed name, which leads to one that says so", "boot.ipxe", held, "#!ipxe\niseq ${platform}", nil},
		{"a machine on hold", tok(7) + "/ipxe.efi", held, "", ErrRefused},
		{"a machine that is ignored by now", tok(7) + "/ipxe.efi", tree(t, verdicts{}), "", ErrRefused},
		{"its autoexec as well", tok(7) + "/autoexec.ipxe", tree(t, verdicts{}), "", ErrRefused},
		{"a booter that fails", tok(7) + "/ipxe.efi", tree(t, verdicts{err: io.ErrUnexpectedEOF}), "", io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := tc.tree.Open(t.Context(), tc.path, asker, base)
			if !errors.Is(err, tc.err) || !strings.HasPrefix(string(f.Data), tc.want) {
				t.Errorf("got %q, %v; want %q, %v", f.Data, err, tc.want, tc.err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

func TestEveryFixedNameIsAFileOfTheTree(t *testing.T) {
	full := tree(t, verdicts{})
	for name, fw := range FixedNames() {
		f, err := full.Open(t.Context(), name, asker, base)
		if f.Machine.Firmware != fw && err == nil || err != nil && !errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%s: got %v, %v", name, f.Machine.Firmware, err)
		}
	}
}

func TestBase(t *testing.T) {
	local := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		web   Web
		local netip.Addr
		want  string
	}{
		{Web{Port: 80}, local, "http://192.0.2.1:80"},
		{Web{Port: 8080}, netip.MustParseAddr("2001:db8::1"), "http://[2001:db8::1]:8080"},
		{Web{Port: 80}, netip.MustParseAddr("fe80::1%eth0"), "http://[fe80::1]:80"},
		{Web{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}, local, "http://10.0.0.1:80"},
	} {
		if got := tc.web.Base(tc.local); got != tc.want {
			t.Errorf("%v at %s: got %s, want %s", tc.web, tc.local, got, tc.want)
		}
	}
}

// Whatever name a client asks for, with a token that it was given or one that it made up,
// it gets a file or an error.
func FuzzOpen(f *testing.F) {
	tr := tree(f, verdicts{Verdict: &boot.Verdict{Action: boot.Boot}})
	tr.Boots.Source = stocked()
	for _, p := range []string{
		"autoexec.ipxe", "boot.ipxe", "undionly.kpxe", token + "/ipxe.efi", "../x", "\x00", "//",
		"pxelinux.cfg/01-02-00-00-00-00-16", "dc-a6-32-00-00-01/config.txt", "dc-a6-32-00-00-01/overlays/../../x", "5b154510/start4.elf", "grub/x64-efi/grub.cfg", "grub//02-00-00-00-00-01/x",
		strings.Repeat("2", 19) + strings.Repeat("\r", 13) + "/ipxe.efi", // as long as a token, for whoever passes over line breaks
		"TOKEN/ipxe.efi", "TOKEN/autoexec.ipxe", "TOKEN//initrd0", "TOKEN/grub.cfg", "TOKEN/config.txt", "TOKEN/extlinux/extlinux.conf", "token/TOKEN", "TOKEN\r/x",
	} {
		f.Add(p, uint16(7))
		f.Add(p, uint16(0x29))
	}
	f.Fuzz(func(t *testing.T, path string, typ uint16) {
		path = strings.ReplaceAll(path, "TOKEN", tr.Tokens.Seal(boot.Token{MAC: [6]byte{2}, Type: boot.ArchType(typ)}))
		file, err := tr.Open(t.Context(), path, asker, base)
		if err == nil && len(file.Data) == 0 && file.Body == nil {
			t.Errorf("%q: neither a file nor an error", path)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: an error that is not one line of text: %q", path, err)
		}
		if file.Body != nil {
			if _, err := io.Copy(io.Discard, file.Body); err != nil {
				t.Errorf("%q: %v", path, err)
			}
			file.Body.Close()
		}
		tr.Whose(path)
	})
}

// A machine has an address that it asks from if it asks by a token of the boot that it
// is in: an older one may be anybody's by now, and a MAC address always is.
func TestThePeerOfAMachine(t *testing.T) {
	tr := tree(t, verdicts{})
	began := time.Now()
	tr.Boots.Heard(boots.Request{MAC: boots.MAC(mac), Discover: true, Facts: &boot.Facts{}}, began)
	for _, tc := range []struct {
		name   string
		issued time.Time
		want   netip.Addr
	}{
		{"by a token of this boot", began, asker},
		{"by one to the second", time.Unix(began.Unix(), 0), asker},
		{"by one of the boot before", began.Add(-time.Minute), netip.Addr{}},
		{"without one", time.Time{}, netip.Addr{}},
	} {
		if got := tr.PeerOf(boot.Machine{MAC: mac, Issued: tc.issued}, netip.AddrFrom16(asker.As16())); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}
