//go:build e2e

package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A machine that `pixiecore quick` serves comes as far as the first question of
// Debian's installer, which a mirror of the lab's own has.
func TestQuick(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	// A mirror's layout, of what the package has.
	mirror := t.TempDir()
	dir := filepath.Join(mirror, "debian/dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"linux", "initrd.gz"} {
		file := need(t, "Debian's installer", cached("installer", name))
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var listener net.Listener
	var err error
	l.Host("mirror", "192.0.2.50/24").Do(func() { listener, err = net.Listen("tcp", "192.0.2.50:80") })
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.FileServer(http.Dir(mirror))}
	done := make(chan struct{})
	go func() {
		srv.Serve(listener)
		close(done)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})

	want := nonce()
	d := l.run(t, "quick", "debian", "bookworm", "--mirror", "http://192.0.2.50/debian",
		"--cmdline", "console=ttyS0 no_timer_check DEBIAN_FRONTEND=text nonce="+want, "--bootmsg", "Debian at once")
	r := l.powerOn(t, d, machine{bootCase: bootCase{machine: "BIOS", platform: seabios}, mac: "52:54:00:00:00:08"})
	r.await(t, "kernel", regexp.MustCompile(`Command line: .*(nonce=`+want+`)`))
	// It asks in which language to go on, or, with the memory of the lab's machines,
	// says first why it goes on in English.
	r.await(t, "installer", regexp.MustCompile(`(Select a language|Choose language|Entering low memory mode)`))
}
