//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A program that has the server in it boots a machine by a Booter of its own.
func TestLibrary(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	need(t, "staged iPXE binaries", "../booters/loaders/firmware/SHA256SUMS")
	bin := filepath.Join(t.TempDir(), "library")
	if err := goBuild(bin, "../examples/library", "-tags", "embed_ipxe"); err != nil {
		t.Fatal(err)
	}
	bios, want := machine{bootCase: bootCase{machine: "BIOS", platform: seabios}, mac: "52:54:00:00:00:08"}, nonce()
	d := &daemon{process: start(t, l.server, exec.Command(bin, l.files+"/x64/linux", l.files+"/x64/initrd", "console=ttyS0 quiet panic=-1 nonce="+want))}
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
