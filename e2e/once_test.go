//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A machine that is armed installs once, phones home, and boots its disk from then on.
// One that is reset before it has phoned home waits.
func TestOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	socket := filepath.Join(t.TempDir(), "control.sock")
	installs, breaksOff := nonce(), nonce()
	bios := machine{bootCase: bootCase{machine: "BIOS", platform: seabios, end: disk}, mac: "52:54:00:00:00:08", nonce: nonce()}
	config := func(said, does string) string {
		return fmt.Sprintf(`%s
listener "tftp" { address = "[::]:69" }
listener "http" { address = "[::]:80" }
machine "db1" { mac = %q }
boot "installer" {
  installs = true
  script   = "#!ipxe\necho %s\n%s\nreboot\n"
}
rule "databases" {
  match { machine = "db1" }
  boot = boot.installer
  once { timeout = "1h" }
}
`, settings[0].listeners, bios.mac, said, does)
	}
	d := l.serve(t, config(breaksOff, "sleep 1"), "--control", socket)
	pixiecore := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(daemonBinary(t), append(args, "--control", socket)...).CombinedOutput()
		if err != nil {
			t.Fatalf("pixiecore %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	// boots switches the machine on and waits for what it prints.
	boots := func(what, prints string) {
		t.Run(what, func(t *testing.T) {
			r := l.powerOn(t, d, bios)
			r.await(t, what, regexp.MustCompile("("+regexp.QuoteMeta(prints)+")"))
			if prints != installs && prints != breaksOff {
				return
			}
			select {
			case <-r.exited: // by its own reboot
			case <-time.After(bootLimit):
				t.Fatal("it does not reboot")
			}
		})
	}
	pixiecore("arm", "db1")
	boots("an installer that breaks off", breaksOff)
	boots("a screen that waits", "began to boot installer")
	d.save(t, config(installs, "imgfetch --name done ${phone_home()} || sleep 60"))
	pixiecore("arm", "db1")
	boots("the installer", installs)
	if got := pixiecore("status"); !regexp.MustCompile(`db1 +spent`).MatchString(got) {
		t.Errorf("after it has phoned home:\n%s", got)
	}
	boots("the disk", bios.nonce)
	boots("the disk again", bios.nonce)
}
