package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

// A pantry is a Booter with files: those of IDs, and those in the directory "pi".
type pantry struct {
	verdict *boot.Verdict
	files   map[boot.ID]string
	pi      map[string]string
	made    map[boot.ID]boot.Link // initrds
}

func (p pantry) Current() *boot.Snapshot { return &boot.Snapshot{Gen: 3, Booter: p} }

func (p pantry) Decide(context.Context, boot.Machine) (*boot.Verdict, error) { return p.verdict, nil }
func (pantry) BootSpec(boot.Machine) (*boot.Spec, error)                     { return nil, nil }
func (pantry) WriteBootFile(boot.ID, io.Reader) error                        { return boot.ErrNotFound }

func (p pantry) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) { return open(p.files[id]) }

func (p pantry) OpenLink(id boot.ID, name string) (boot.Link, error) {
	if l, ok := p.made[id]; ok {
		return l, nil
	}
	return boot.Link{Open: func(context.Context, boot.Machine, string) (io.ReadCloser, int64, error) {
		if id != "pi" || p.pi[name] == "" {
			return nil, 0, boot.ErrNotFound
		}
		return open(p.pi[name])
	}}, nil
}

func open(s string) (io.ReadCloser, int64, error) {
	if s == "" {
		return nil, 0, boot.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(s)), int64(len(s)), nil
}

func stocked() pantry {
	return pantry{
		verdict: &boot.Verdict{Action: boot.Boot, Rule: "boards", Boot: "node", Spec: &boot.Spec{
			Kernel: "k", Initrd: []boot.ID{"i", "j"}, Cmdline: `ip=dhcp image={{ ID "x" }}`, Message: "Hello,\n\x1b[31mboard\n", RPi: "pi",
		}},
		files: map[boot.ID]string{"k": "the kernel", "i": "first", "j": "second"},
		pi:    map[string]string{"start4.elf": "firmware", "overlays/x.dtbo": "overlay", "config.txt": "dtparam=audio=off"},
	}
}

func pantryTree(t testing.TB, p pantry) Tree {
	t.Helper()
	key, err := boot.NewTokenKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return Tree{Boots: &boots.Memory{Source: p}, Tokens: key}
}

// content is a file, or its error.
func content(t testing.TB, tr Tree, name string) (string, error) {
	t.Helper()
	f, err := tr.Open(t.Context(), name, asker, base)
	if err != nil || f.Body == nil {
		return string(f.Data), err
	}
	defer f.Body.Close()
	b, err := io.ReadAll(f.Body)
	if err == nil && int64(len(b)) != f.Size {
		err = fmt.Errorf("%d bytes, and not %d", len(b), f.Size)
	}
	return string(b), err
}

var (
	pi4   = boots.MAC{0xdc, 0xa6, 0x32, 0x2e, 0xf8, 0xed}
	pi3   = boots.MAC{0xb8, 0x27, 0xeb, 0xfe, 0xfd, 0xef}
	uboot = boots.MAC{2, 0, 0, 0, 0, 0x16}
)

func heardOf(tr Tree, mac boots.MAC, typ boot.ArchType, serial string) {
	f := &boot.Facts{Known: boot.DHCPFacts}
	if serial != "" {
		f.Known |= boot.FactSerial
		f.Serial = serial
	}
	tr.Boots.Heard(boots.Request{MAC: mac, Discover: true, Facts: f, Type: typ}, time.Now())
}

func TestARaspberryPisDirectory(t *testing.T) {
	tr := pantryTree(t, stocked())
	heardOf(tr, pi4, 0x29, "5b154510")
	heardOf(tr, pi3, 0x29, "")
	const config = "arm_64bit=1\n\ndtparam=audio=off\n\n[all]\nkernel=boot.kernel\ncmdline=cmdline.txt\ninitramfs boot.initrd followkernel\n"
	for name, want := range map[string]string{
		"5b154510/start4.elf":          "firmware",
		"/5B154510//start4.elf":        "firmware", // path tolerance, as everywhere
		"5b154510/config.txt":          config,
		"5b154510/cmdline.txt":         "ip=dhcp image=" + base + "/_/file?name=x\n",
		"5b154510/boot.kernel":         "the kernel",
		"5b154510/boot.initrd":         "first\x00\x00\x00second\x00\x00", // each at a multiple of four
		"5b154510/overlays/x.dtbo":     "overlay",
		"dc-a6-32-2e-f8-ed/start4.elf": "firmware", // TFTP_PREFIX=2
		"9ffefdef/config.txt":          config,     // of a 3, whose MAC address ends so
		"28-cd-c1-00-00-01/config.txt": config,     // of one that DHCP has not told of
		"5b154510/start.elf":           "",
		"5b154510/recovery.elf":        "",
		"5b154510/":                    "",
		"00000000/start4.elf":          "", // a serial number that nobody has
		"9f000001/start4.elf":          "", // a 3 that nobody has heard of
		"DC-A6-32-2E-F8-ED/start4.elf": "", // not as they ask
	} {
		got, err := content(t, tr, name)
		if got != want || (want == "") != errors.Is(err, boot.ErrNotFound) || want != "" && err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestUBootsDirectory(t *testing.T) {
	tr := pantryTree(t, stocked())
	heardOf(tr, uboot, 0x15, "")
	token := tr.Tokens.Seal(boot.Token{MAC: uboot, Type: 0x16, Time: time.Unix(1700000000, 0)})
	config := func(dir string) string {
		return "default pixiecore\nprompt 0\nlabel pixiecore\n  say Hello,\n  say [31mboard\n  kernel /" + dir + "/boot.kernel\n  initrd /" + dir + "/boot.initrd\n  append ip=dhcp image=" + base + "/_/file?name=x\n"
	}
	for name, want := range map[string]string{
		token + "/extlinux.conf":                     config(token),
		token + "/pxelinux.cfg/01-02-00-00-00-00-16": config(token),
		token + "/boot.kernel":                       "the kernel",
		"02-00-00-00-00-16/boot.kernel":              "the kernel",
		"pxelinux.cfg/01-02-00-00-00-00-16":          config("02-00-00-00-00-16"), // where another DHCP server names this host
		"pxelinux.cfg/01-02-00-00-00-00-17":          config("02-00-00-00-00-17"), // of one that DHCP has not told of
		token + "/pxelinux.cfg/default-arm":          "",
		token + "/start4.elf":                        "",
		token + "/ipxe.efi":                          "",
		"pxelinux.cfg/default":                       "",
		"pxelinux.cfg/C0A80001":                      "",
	} {
		got, err := content(t, tr, name)
		if got != want || (want == "") != errors.Is(err, boot.ErrNotFound) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	// A PC's files are not to be had by its MAC address.
	heardOf(tr, boots.MAC(mac), 0x07, "")
	if got, err := content(t, tr, "pxelinux.cfg/01-"+dashed(mac)); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("a PC: got %q, %v", got, err)
	}
}

func TestWhatABoardCannotBoot(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		change     func(*boot.Verdict)
		want       string
	}{
		{"a script", "config.txt", func(v *boot.Verdict) { v.Spec = &boot.Spec{IpxeScript: "#!ipxe\n"} }, `boot node: it is a script of iPXE, which firmware "rpi" does not run`},
		{"no firmware", "config.txt", func(v *boot.Verdict) { v.Spec = &boot.Spec{Kernel: "k"} }, `boot node: it has no rpi = "DIR"`},
		{"words of iPXE", "cmdline.txt", func(v *boot.Verdict) { v.Spec.Cmdline = "BOOTIF=${net0/mac}" }, `only iPXE knows what ${…} means`},
		{"its own disk", "config.txt", func(v *boot.Verdict) { v.Action = boot.Local }, "boots its own disk"},
		{"nothing: it is ignored", "config.txt", func(v *boot.Verdict) { v.Action = boot.Ignore }, "refused"},
	} {
		p := stocked()
		tc.change(p.verdict)
		tr := pantryTree(t, p)
		if got, err := content(t, tr, "dc-a6-32-2e-f8-ed/"+tc.file); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
	p := stocked()
	p.verdict.Action = boot.Local
	if got, err := content(t, pantryTree(t, p), "pxelinux.cfg/01-02-00-00-00-00-16"); !strings.Contains(got, "localboot") {
		t.Errorf("U-Boot's own disk: got %q, %v", got, err)
	}
}

func TestWhoseAFileOfTheTreeIs(t *testing.T) {
	tr := pantryTree(t, stocked())
	heardOf(tr, pi4, 0x29, "5b154510")
	for name, want := range map[string]string{
		"5b154510/config.txt":               "dc:a6:32:2e:f8:ed 3",
		"5b154510/boot.kernel":              "dc:a6:32:2e:f8:ed 4",
		"5b154510/start4.elf":               "dc:a6:32:2e:f8:ed 6",
		"pxelinux.cfg/01-02-00-00-00-00-16": "02:00:00:00:00:16 3",
		"ipxe-x64.efi":                      "nobody's",
	} {
		mac, kind, ok := tr.Whose(name)
		got := fmt.Sprint(net.HardwareAddr(mac), " ", int(kind))
		if !ok {
			got = "nobody's"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// An initrd that is made for a machine goes to it by TFTP, too; one with a secret only to
// whoever has a token.
func TestAnInitrdThatIsMadeForAMachine(t *testing.T) {
	p := stocked()
	archive := func(secret bool) boot.Link {
		return boot.Link{Name: "initrd[1]", Made: true, Secret: secret, Machine: &boot.Machine{MAC: uboot[:], Arch: boot.ArchARM64, Firmware: boot.FirmwareUBoot},
			Open: func(_ context.Context, m boot.Machine, base string) (io.ReadCloser, int64, error) {
				return open(m.MAC.String() + " " + base)
			}}
	}
	p.made = map[boot.ID]boot.Link{"j": archive(false)}
	tr := pantryTree(t, p)
	heardOf(tr, uboot, 0x16, "")
	byMAC := dashed(uboot[:]) + "/boot.initrd"
	token := tr.Tokens.Seal(boot.Token{MAC: uboot, Type: 0x16, Time: time.Now()}) + "/boot.initrd"
	want := "first\x00\x00\x0002:00:00:00:00:16 " + base
	want += strings.Repeat("\x00", (4-len(want)%4)%4)
	for _, name := range []string{byMAC, token} {
		if got, err := content(t, tr, name); got != want || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	p.made["j"] = archive(true)
	if got, err := content(t, tr, token); got != want || err != nil {
		t.Errorf("a secret, by its token: %q, %v", got, err)
	}
	if got, err := content(t, tr, byMAC); err == nil || !strings.Contains(err.Error(), "initrd[1] has a secret in it") {
		t.Errorf("a secret, by the MAC address: %q, %v", got, err)
	}
}
