package daemon

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// program is what begins as an EFI program for a machine type does; with linux it is
// a kernel that has one at its beginning.
func program(machine uint16, linux bool) []byte {
	b := make([]byte, 4096)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	if linux {
		copy(b[0x202:], "HdrS\x0f\x02")
		if machine != 0x14c {
			b[0x236] = 1
		}
	}
	return b
}

// Every kind of machine that boots comes to a kernel that it can start, by a
// configuration that gives each its own.
func TestEveryKindOfMachineBoots(t *testing.T) {
	dir := t.TempDir()
	for arch, machine := range map[string]uint16{"ia32": 0x14c, "x64": 0x8664, "arm64": 0xaa64, "riscv64": 0x5064} {
		must(t, os.WriteFile(filepath.Join(dir, "kernel-"+arch), program(machine, arch == "ia32" || arch == "x64"), 0o644),
			os.WriteFile(filepath.Join(dir, "loader-"+arch), program(machine, false), 0o644))
	}
	must(t, os.WriteFile(filepath.Join(dir, "undionly"), []byte("undionly"), 0o644), os.WriteFile(filepath.Join(dir, "initrd"), []byte("070701"), 0o644),
		os.Mkdir(filepath.Join(dir, "rpi"), 0o755), os.WriteFile(filepath.Join(dir, "rpi", "start4.elf"), []byte("start4"), 0o644),
		os.WriteFile(filepath.Join(dir, "rpi", "start.elf"), []byte("start"), 0o644))
	src := strings.ReplaceAll(`
listener "dhcp" {}
listener "pxe" {}
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }
listener "dhcp6" {}
boot "linux" {
  kernel  = "DIR/kernel-${machine.arch}"
  initrd  = ["DIR/initrd"]
  cmdline = "seed=${url(file.seed)}"
  rpi     = "DIR/rpi"
  file "seed" {
    content = machine.name
  }
}
rule "everybody" { boot = boot.linux }
ipxe {
  bios    = "DIR/undionly"
  efi32   = "DIR/loader-ia32"
  efi64   = "DIR/loader-x64"
  arm64   = "DIR/loader-arm64"
  riscv64 = "DIR/loader-riscv64"
}
`, "DIR", dir)
	cfg, report := config.Parse("pixiecore.hcl", []byte(src))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range pxeclient.Profiles() {
		if !p.PowersOn() {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			got, said, err := bootOne(t, cfg, p)
			if p.Secure {
				if err == nil || !strings.Contains(err.Error(), "access denied: it is not signed") {
					t.Errorf("Secure Boot started an unsigned iPXE: %v", err)
				}
				return
			}
			if o := got.Outcome; err != nil || o.Action != pxeclient.ActionBoot || o.Kernel == nil || len(o.Initrds) != 1 || len(got.Doubts) > 0 {
				t.Errorf("%v: %+v\ndoubts: %q\ndaemon: %q", err, o, got.Doubts, said)
			}
			if board := p.Becomes == ""; !board && len(got.Find(pxeclient.StepLink)) != 1 {
				t.Errorf("the file that the command line names was not fetched: %+v", got.Outcome.Cmdline)
			}
			for _, s := range got.Steps {
				if s.Start < 0 || s.Took < 0 || s.Kind == pxeclient.StepFetch && s.Err == "" && (s.Took == 0 || s.Size == 0) {
					t.Errorf("step without its time: %+v", s)
				}
			}
		})
	}
}

// bootOne boots a machine of a kind by a daemon of its own.
func bootOne(t *testing.T, cfg *config.Config, p pxeclient.Profile) (got pxeclient.Transcript, said []string, err error) {
	t.Helper()
	sim, err := Simulate(cfg, p.IPv6)
	if err != nil && p.IPv6 {
		t.Skip(err) // a host without IPv6
	}
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	c := pxeclient.Client{Profile: p, MAC: append(slices.Clone(p.Vendor[:]), 0, 0, 1), LongMode: true, Links: true, Wait: patience}
	if p.Vendor == [3]byte{} {
		c.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	}
	sim.Place(&c)
	got, err = c.Boot(t.Context())
	said = sim.Said()
	cancel()
	must(t, <-ended)
	return got, said, err
}

// A shim, GRUB and its configuration, as firmware with Secure Boot goes through them
// and as one without does; and a program that is started by itself.
func TestBootsByOtherLoadersThanIPXE(t *testing.T) {
	dir := t.TempDir()
	signed := func(b []byte) []byte {
		binary.LittleEndian.PutUint16(b[0x80+24:], 0x20b)
		binary.LittleEndian.PutUint32(b[0x80+24+112+4*8+4:], 1000)
		return b
	}
	for name, data := range map[string][]byte{
		"shim": signed(program(0x8664, false)), "grub": signed(program(0x8664, false)), "kernel": signed(program(0x8664, true)), "unsigned": program(0x8664, true),
		"initrd": []byte("070701"),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	parsed := func(kernel string) *config.Config {
		cfg, report := config.Parse("pixiecore.hcl", []byte(strings.NewReplacer("DIR", dir, "KERNEL", kernel).Replace(`
listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
secure_boot {
  shim = "DIR/shim"
  grub = "DIR/grub"
}
boot "linux" {
  kernel  = "DIR/KERNEL"
  initrd  = ["DIR/initrd"]
  cmdline = "a=\"b c\" seed=${url(file.seed)}"
  message = "Hello; it's me"
  file "seed" { content = machine.name }
}
boot "uki" { efi = "DIR/kernel" }
rule "by-http" {
  match { transport = "http" }
  boot = boot.uki
}
rule "everybody" { boot = boot.linux }
ipxe { efi64 = "DIR/grub" }
`)))
		must(t, report.Err())
		return cfg
	}
	kind := func(name string) pxeclient.Profile {
		p, err := pxeclient.ProfileByName(name)
		must(t, err)
		return p
	}
	for _, name := range []string{"efi-x64-secure", "efi-x64"} {
		got, said, err := bootOne(t, parsed("kernel"), kind(name))
		o := got.Outcome
		if err != nil || o.Action != pxeclient.ActionBoot || len(o.Initrds) != 1 || len(got.Doubts) > 0 || !strings.HasPrefix(o.Cmdline, `"a=b c" seed=http://`) ||
			!slices.Contains(o.Messages, "Hello; it's me") || len(got.Find(pxeclient.StepLink)) != 1 {
			t.Errorf("%s: %v: %+v\ndoubts %q, daemon %q", name, err, o, got.Doubts, said)
		}
		var programs []string
		for _, s := range got.Find(pxeclient.StepStage) {
			programs = append(programs, s.Profile)
		}
		if !slices.Equal(programs, []string{"shim", "grub"}) {
			t.Errorf("%s: programs %q", name, programs)
		}
	}
	got, _, err := bootOne(t, parsed("unsigned"), kind("efi-x64-secure"))
	if o := got.Outcome; err != nil || o.Action != pxeclient.ActionReboot || !strings.Contains(strings.Join(o.Messages, "\n"), "access denied") {
		t.Errorf("an unsigned kernel: %v, %+v", err, o)
	}
	got, said, err := bootOne(t, parsed("kernel"), kind("http-x64-secure"))
	if o := got.Outcome; err != nil || o.Action != pxeclient.ActionImage || o.Kernel.Name != "bootx64.efi" {
		t.Errorf("an EFI program: %v, %+v, daemon %q", err, o, said)
	}
}
