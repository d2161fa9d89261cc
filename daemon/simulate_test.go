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
			got, err := c.Boot(t.Context())
			if o := got.Outcome; err != nil || o.Action != pxeclient.ActionBoot || o.Kernel == nil || len(o.Initrds) != 1 || len(got.Doubts) > 0 {
				t.Errorf("%v: %+v\ndoubts: %q\ndaemon: %q", err, o, got.Doubts, sim.Said())
			}
			if board := p.Becomes == ""; !board && len(got.Find(pxeclient.StepLink)) != 1 {
				t.Errorf("the file that the command line names was not fetched: %+v", got.Outcome.Cmdline)
			}
			for _, s := range got.Steps {
				if s.Start < 0 || s.Took < 0 || s.Kind == pxeclient.StepFetch && s.Err == "" && (s.Took == 0 || s.Size == 0) {
					t.Errorf("step without its time: %+v", s)
				}
			}
			cancel()
			must(t, <-ended)
		})
	}
}
