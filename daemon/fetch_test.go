package daemon

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
)

// A mirror is an upstream server that counts its requests.
func mirror(t *testing.T, body string) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// kernel reads the kernel that everybody boots.
func kernel(d *Daemon) (string, error) {
	b := d.swap.Current().Booter
	spec, err := boot.SpecFor(context.Background(), b, boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64})
	if err != nil {
		return "", err
	}
	f, _, err := b.ReadBootFile(spec.Kernel)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	return string(content), err
}

func everybodyBoots(url string) string {
	return fmt.Sprintf("boot \"b\" {\n  kernel = %q\n}\nrule \"all\" {\n  boot = boot.b\n}\n", url)
}

func TestTheCacheIsWhereTheFileSays(t *testing.T) {
	url, asked := mirror(t, "kernel")
	dir := t.TempDir()
	path := filepath.Join(dir, "pixiecore.hcl")
	boots := everybodyBoots(url)
	o := options(t, file(t, path, boots))
	o.Path, o.CacheDir = "", filepath.Join(dir, "usual") // no watching: each reload is this test's
	d := run(t, o)
	tiny := "cache {\n  dir      = \"tiny\"\n  max_size = %q\n}\n"
	for _, step := range []struct {
		block string
		fetch int32 // how often the kernel is fetched for three machines
	}{
		{"", 3},
		{"cache {}\n", 1},
		{"cache { dir = \"other\" }\n", 1},
		{"cache {}\n", 0},
		{fmt.Sprintf(tiny, "5B"), 6}, // it does not fit, and nobody is kept from booting
		{fmt.Sprintf(tiny, "1MiB"), 1},
		{"", 3},
	} {
		asked.Store(0)
		file(t, path, boots+step.block)
		if err := d.Reload(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got, err := kernel(d); got != "kernel" || err != nil {
				t.Fatalf("%q: got %q, %v", step.block, got, err)
			}
		}
		if n := asked.Load(); n != step.fetch {
			t.Errorf("%q: fetched %d times, want %d", step.block, n, step.fetch)
		}
	}
	for _, name := range []string{"usual", "other", "tiny"} {
		if _, err := os.Stat(filepath.Join(dir, name, "blobs")); err != nil {
			t.Error(err)
		}
	}
}

func TestACacheThatCannotBeMadeRefusesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pixiecore.hcl")
	o := options(t, file(t, path, everyLocal))
	o.Path = ""
	d := run(t, o)
	for block, want := range map[string]string{
		"cache {}\n":                          "cache: it has no directory; write dir",
		"cache { dir = \"pixiecore.hcl\" }\n": "another is named by dir in the cache block",
	} {
		file(t, path, everyLocal+block)
		if err := d.Reload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", block, err, want)
		}
	}
	if gen := d.swap.Current().Gen; gen != 1 {
		t.Errorf("generation %d, want 1", gen)
	}
}

// A mirror of one's own, whose certificate nobody else trusts, and which serves
// only who shows one.
func TestServersAreVerifiedAsTheFileSays(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	in := func(name string) string { return filepath.Join(dir, name) }
	certify(t, in("server.pem"), in("server-key.pem"), 1, now.Add(-time.Hour), now.Add(time.Hour))
	certify(t, in("client.pem"), in("client-key.pem"), 2, now.Add(-time.Hour), now.Add(time.Hour))
	pair, err := tls.LoadX509KeyPair(in("server.pem"), in("server-key.pem"))
	must(t, err)
	var shown atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			http.Error(w, "show who you are", http.StatusForbidden)
			return
		}
		shown.Store(r.TLS.PeerCertificates[0].SerialNumber.Int64())
		io.WriteString(w, "kernel")
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)

	path := in("pixiecore.hcl")
	o := options(t, file(t, path, everybodyBoots(srv.URL)))
	o.Path = ""
	d := run(t, o)
	if got, err := kernel(d); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("without a fetch block: got %q, %v", got, err)
	}
	for _, step := range []struct{ block, want string }{
		{"fetch { ca = \"server.pem\" }\n", "403 Forbidden"},
		{"fetch {\n  ca   = \"server.pem\"\n  cert = \"client.pem\"\n  key  = \"client-key.pem\"\n}\n", ""},
	} {
		file(t, path, everybodyBoots(srv.URL)+step.block)
		if err := d.Reload(); err != nil {
			t.Fatal(err)
		}
		got, err := kernel(d)
		if step.want == "" && (got != "kernel" || err != nil) || step.want != "" && (err == nil || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("%s: got %q, %v, want %q", step.block, got, err, step.want)
		}
	}
	if n := shown.Load(); n != 2 {
		t.Errorf("the certificate %d was shown, want 2", n)
	}
	for block, want := range map[string]string{
		"fetch { ca = \"none.pem\" }\n":                                      "fetch: ca: open",
		"fetch { ca = \"server-key.pem\" }\n":                                "holds no certificate; it is a PEM file",
		"fetch {\n  cert = \"client.pem\"\n  key  = \"server-key.pem\"\n}\n": "does not match",
	} {
		file(t, path, everyLocal+block)
		if err := d.Reload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", block, err, want)
		}
	}
}

// A machine whose kernel is not what it must be is told so on its screen, before
// it has fetched anything, and gets no byte of it.
func TestAMachineIsToldOfAFileWithAnotherDigest(t *testing.T) {
	url, _ := mirror(t, "kernel")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vmlinuz"), "kernel")
	const wrong = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("kernel")))
	for _, tt := range []struct {
		name, at, sha256 string
		screen           bool // whether the script says it
		status           int  // of the kernel
	}{
		{"a local file", "vmlinuz", sum, false, 200},
		{"another local file", "vmlinuz", wrong, true, 403},
		{"a remote file", url, sum, false, 200},
		{"another remote file", url, wrong, false, 403}, // known when it is fetched
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, filepath.Join(dir, "pixiecore.hcl"), fmt.Sprintf("boot \"b\" {\n  kernel = { url = %q, sha256 = %q }\n}\nrule \"all\" {\n  boot = boot.b\n}\n", tt.at, tt.sha256))
			d := run(t, options(t, path))
			web := "http://" + service[*httpboot.Server](t, d).Listener.Addr().String()
			_, script := get(t, web+"/_/ipxe?facts=1&platform=efi&buildarch=x86_64&mac=52:54:00:aa:00:01")
			if got := strings.Contains(script, "and must have "+wrong); got != tt.screen {
				t.Errorf("the script is %s", script)
			}
			spec, err := boot.SpecFor(t.Context(), d.swap.Current().Booter, boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64})
			if err != nil {
				t.Fatal(err)
			}
			status, body := get(t, bootfiles.FileURL(web, spec.Kernel)+"&type=kernel&mac=52:54:00:aa:00:01")
			if status != tt.status || (body == "kernel") != (status == 200) || status == 403 && (!strings.Contains(body, wrong) || !strings.Contains(body, sum)) {
				t.Errorf("the kernel: %d %q, want %d", status, body, tt.status)
			}
			if tt.status == 200 {
				return
			}
			for _, m := range d.events.Machines() {
				for _, e := range m.Events() {
					if e.Kind == events.Failed && strings.Contains(e.Detail, sum[:12]) {
						return
					}
				}
			}
			t.Errorf("no event says so: %+v", d.events.Machines())
		})
	}
}
