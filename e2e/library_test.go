//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A program that has the server in it boots a machine by a Booter of its own: the
// example, and one that says every name of the original's godoc.
func TestLibrary(t *testing.T) {
	t.Parallel()
	loader := need(t, "staged iPXE binaries", "../booters/loaders/firmware/undionly.kpxe")
	t.Run("the example", func(t *testing.T) {
		t.Parallel()
		boots(t, "../examples/library")
	})
	t.Run("every name", func(t *testing.T) {
		t.Parallel()
		boots(t, "./library", loader)
	})
}

// boots has a machine with a BIOS boot by a program, which is given a kernel, its
// initrd, its command line, and more.
func boots(t *testing.T, program string, more ...string) {
	l := newLab(t)
	bin := filepath.Join(t.TempDir(), "library")
	if err := goBuild(bin, program, "-tags", "embed_ipxe"); err != nil {
		t.Fatal(err)
	}
	bios, want := machine{bootCase: bootCase{machine: "BIOS", platform: seabios}, mac: "52:54:00:00:00:08"}, nonce()
	args := append([]string{l.files + "/x64/linux", l.files + "/x64/initrd", "console=ttyS0 quiet panic=-1 no_timer_check nonce=" + want}, more...)
	d := &daemon{process: start(t, l.server, exec.Command(bin, args...))}
	for begun := time.Now(); !strings.Contains(d.String(), `listening listener="http `); {
		if time.Since(begun) > startLimit {
			t.Fatalf("the program does not serve:\n%s", d)
		}
		time.Sleep(50 * time.Millisecond)
	}
	r := l.powerOn(t, d, bios)
	if got := r.nonce(t); got != want {
		t.Errorf("booted with nonce %q, want %q", got, want)
	}
	for _, line := range []string{"[DHCP] Offering to boot " + bios.mac, "[HTTP] Sending ipxe boot script to ", `[HTTP] Sent file "kernel" to `} {
		if !strings.Contains(d.String(), line) {
			t.Errorf("the log has no line %q:\n%s", line, d)
		}
	}
}
