//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A program that has the server in it boots a machine by a Booter of its own.
func TestLibrary(t *testing.T) {
	l := newLab(t)
	need(t, "staged iPXE binaries", "../booters/loaders/firmware/SHA256SUMS")
	bin := filepath.Join(t.TempDir(), "library")
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-tags", "embed_ipxe", "-o", bin, "../examples/library")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	bios, want := machine{mac: "52:54:00:00:00:08"}, nonce()
	d := &daemon{process: start(t, l.server, exec.Command(bin, l.kernel, l.initrd, "console=ttyS0 quiet panic=-1 nonce="+want))}
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
