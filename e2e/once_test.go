//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A machine with an empty disk that is armed is installed once, by a Linux which writes
// the disk and phones home, and boots that disk from then on.
func TestOnce(t *testing.T) {
	t.Parallel()
	need(t, "drivers of an installer", cached("x64", "modules", "9-virtio_blk.ko"))
	// Its machines are on one after the other. They have a place of their own from the
	// beginning, so that they are not on when all others have ended.
	busy <- struct{}{}
	t.Cleanup(func() { <-busy })
	l := newLab(t)
	l.places = make(chan struct{}, 1)
	dir, err := os.MkdirTemp(made.dir, "once") // a name without commas, which QEMU's options end at
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "control.sock")
	machines := map[string]*machine{
		"bios": {bootCase: bootCase{machine: "BIOS", platform: seabios, end: disk}, mac: "52:54:00:00:00:08"},
		"uefi": {bootCase: bootCase{machine: "UEFI x64", platform: ovmf, off: noPXEv6, end: disk}, mac: "52:54:00:00:00:18"},
	}
	blocks := ""
	for name, m := range machines {
		m.nonce, m.disk = nonce(), filepath.Join(dir, name+".disk")
		for path, data := range map[string][]byte{m.disk: make([]byte, diskSize), filepath.Join(dir, name): diskImage(t, m.platform, m.nonce)} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		blocks += fmt.Sprintf("machine %q { mac = %q }\n", name, m.mac)
	}
	installed, done := nonce(), `done=${phone_home()}`
	config := func(done string) string {
		return fmt.Sprintf(`%s
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }
%s
boot "installer" {
  installs = true
  kernel   = "%[3]s/x64/linux"
  initrd   = ["%[3]s/x64/installer"]
  cmdline  = "%[4]s ip=${machine.ip} image=${url("%[5]s/${machine.name}")} %[6]s"
}
rule "databases" {
  match { machine = ["bios", "uefi"] }
  boot = boot.installer
  once { timeout = "1h" }
}
`, settings[0].listeners, blocks, l.files, cmdline("ttyS0", installed), dir, done)
	}
	d := l.serve(t, config(""), "--control", socket)
	pixiecore := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(daemonBinary(t), append(args, "--control", socket)...).CombinedOutput()
		if err != nil {
			t.Fatalf("pixiecore %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	// boots switches a machine on and waits for what it prints, and, of an installer, that
	// it starts the machine anew.
	boots := func(name, what, prints string, restarts bool) {
		t.Run(machines[name].machine+", "+what, func(t *testing.T) {
			r := l.powerOn(t, d, *machines[name])
			r.await(t, what, regexp.MustCompile("("+regexp.QuoteMeta(prints)+")"))
			if !restarts {
				return
			}
			select {
			case <-r.exited: // QEMU ends instead (-no-reboot)
			case <-time.After(bootLimit):
				t.Fatal("it does not start anew")
			}
		})
	}
	wrote := fmt.Sprintf("bytes, %s", installed)
	pixiecore("arm", "bios")
	boots("bios", "an installer that breaks off", wrote, true)
	boots("bios", "a screen that waits", "began to boot installer", false)
	d.save(t, config(done))
	pixiecore("arm", "bios", "uefi")
	for _, name := range []string{"bios", "uefi"} {
		boots(name, "the installer", "PIXIECORE-DONE "+installed, true)
		if got := pixiecore("status"); !regexp.MustCompile(name + ` +spent`).MatchString(got) {
			t.Errorf("after it has phoned home:\n%s", got)
		}
		boots(name, "the disk that it wrote", machines[name].nonce, false)
	}
	boots("bios", "the disk again", machines["bios"].nonce, false)
}
