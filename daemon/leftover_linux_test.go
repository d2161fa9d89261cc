package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// opened is what this process has open: files, sockets, watches.
func opened(t testing.TB) map[string]string {
	t.Helper()
	const dir = "/proc/self/fd"
	list, err := os.ReadDir(dir)
	must(t, err)
	all := make(map[string]string, len(list))
	for _, e := range list {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // but for that of the list
			all[e.Name()] = to
		}
	}
	return all
}

// closes waits until no more is open than before.
func closes(t testing.TB, before map[string]string) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	var now map[string]string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if now = opened(t); len(now) <= len(before) {
			return
		}
	}
	t.Errorf("open are %v\nand were %v", now, before)
}

// Whatever reloads open and close, and those that are refused half-way, a thousand of
// them leave as much open as none.
func TestAThousandReloadsLeaveNothingOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pixiecore.hcl")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	extra, other := free(t), free(t)
	always := listen("http", "127.0.0.1:0") + listen("tftp", "127.0.0.1:0") + listen("pxe", "127.0.0.1:0") + everyLocal
	more := always + listen("http", extra) + listen("tftp", extra) + listen("pxe", other) + listen("status", other) +
		fmt.Sprintf("cache {\n  dir = %q\n}\nuploads {\n  dir = %q\n}\n", filepath.Join(dir, "cache"), filepath.Join(dir, "uploads"))
	configurations := []struct {
		src string
		ok  bool
	}{{always, true}, {more, true}, {more + listen("http", taken.Addr().String()), false}, {always + "rule", false}}
	write(t, path, always)
	o := options(t, path)
	o.Path, o.StateDir = "", "" // the reloads are this test's, and wait for no disk
	d := run(t, o)
	var before map[string]string
	for i := range 1001 {
		c := configurations[i%len(configurations)]
		write(t, path, c.src)
		if err := d.Reload(); (err == nil) != c.ok {
			t.Fatalf("reload %d: %v", i, err)
		}
		if i == len(configurations) { // each was there, and the first is again
			before = opened(t)
		}
	}
	closes(t, before)
}

// A thousand downloads that break, by the machine's fault or by that of the server which
// the file comes from, leave as much open as none.
func TestAThousandBrokenDownloadsLeaveNothingOpen(t *testing.T) {
	dir := t.TempDir()
	must(t, put(dir, string(make([]byte, 8<<20)), "kernel"), put(dir, string(make([]byte, 100<<10)), "loader"))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pinned" {
			io.WriteString(w, "something else")
			return
		}
		w.Header().Set("Content-Length", "1000000")
		w.Write(make([]byte, 100_000))
		panic(http.ErrAbortHandler)
	}))
	defer upstream.Close()
	path := filepath.Join(dir, "pixiecore.hcl")
	write(t, path, listen("http", "127.0.0.1:0")+listen("tftp", "127.0.0.1:0")+fmt.Sprintf(`
boot "b" {
  kernel = "kernel"
  initrd = ["%s/initrd", { url = "%s/pinned", sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }]
}
rule "all" { boot = boot.b }
ipxe { efi64 = "loader" }
`, upstream.URL, upstream.URL))
	o := options(t, path)
	o.Path = ""
	d := run(t, o)
	m := boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	spec, err := d.swap.Current().Booter.BootSpec(m)
	must(t, err)
	web := service[*httpboot.Server](t, d).Listener.Addr().String()
	files := net.UDPAddrFromAddrPort(service[*tftp.Server](t, d).Conn.LocalAddr())

	breaks := map[string]func() error{
		"HTTP, a machine that goes away": func() error {
			c, err := net.Dial("tcp", web)
			if err != nil {
				return err
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /_/file?name=%s HTTP/1.1\r\nHost: x\r\n\r\n", spec.Kernel)
			_, err = io.ReadFull(c, make([]byte, 100))
			return errors.Join(err, c.(*net.TCPConn).SetLinger(0))
		},
		"TFTP, a machine that goes away": func() error {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.WriteTo([]byte("\x00\x01ipxe-x64.efi\x00octet\x00"), files); err != nil {
				return err
			}
			c.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 1500)
			n, from, err := c.ReadFrom(b)
			if err != nil || n < 4 || binary.BigEndian.Uint16(b) != 3 {
				return fmt.Errorf("%q, %w", b[:n], err)
			}
			_, err = c.WriteTo([]byte("\x00\x05\x00\x00gone\x00"), from)
			return err
		},
	}
	breaks["HTTP, a server that breaks off"] = func() error {
		resp, err := http.Get("http://" + web + "/_/file?name=" + string(spec.Initrd[0]))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err = io.Copy(io.Discard, resp.Body); err == nil {
			return errors.New("the file is whole")
		}
		return nil
	}
	breaks["HTTP, a file with another digest"] = func() error {
		resp, err := http.Get("http://" + web + "/_/file?name=" + string(spec.Initrd[1]))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode == http.StatusOK {
			return errors.New("the file is served")
		}
		return err
	}
	for name, broken := range breaks {
		must(t, broken())
		upstream.CloseClientConnections()
		http.DefaultClient.CloseIdleConnections()
		before := opened(t)
		for range 1000 / len(breaks) {
			if err := broken(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		upstream.CloseClientConnections() // those that are kept for the next file
		closes(t, before)
	}
}

// A daemon that stops takes no configuration any more: what a reload would open, nobody
// would serve, or close.
func TestAReloadAfterTheStopOpensNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, listen("http", "127.0.0.1:0")+everyLocal)
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	must(t, d.Run(ctx))
	before := opened(t)
	write(t, path, listen("http", "127.0.0.1:0")+listen("http", free(t))+everyLocal)
	if err := d.Reload(); !errors.Is(err, errEnded) {
		t.Errorf("got %v, want %v", err, errEnded)
	}
	closes(t, before)
}

// Whichever of a reload and a stop is first: all that the one opens, the other closes.
func TestAReloadBesideTheStopLeavesNothingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	few := listen("http", "127.0.0.1:0") + everyLocal
	more := listen("http", free(t)) + listen("tftp", "127.0.0.1:0") + few
	before := opened(t)
	for i := range 30 {
		write(t, path, few)
		o := options(t, path)
		o.Path = ""
		d, err := New(o)
		must(t, err)
		write(t, path, more)
		ctx, stop := context.WithCancel(t.Context())
		ran, reloaded := make(chan error, 1), make(chan error, 1)
		go func() { ran <- d.Run(ctx) }()
		go func() { reloaded <- d.Reload() }()
		if i%2 == 0 {
			must(t, <-reloaded)
		}
		stop()
		must(t, <-ran)
		if i%2 == 1 {
			if err := <-reloaded; err != nil && !errors.Is(err, errEnded) {
				t.Error(err)
			}
		}
	}
	closes(t, before)
}

// What New has opened when it fails is closed again, whatever it fails at.
func TestANewThatFailsLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	const pinned = "boot \"b\" {\n  kernel = { url = \"http://127.0.0.1:1/k\", sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\" }\n}\nrule \"all\" {\n  boot = boot.b\n}\n"
	must(t, put(dir, "no socket", "control.sock"))
	for name, tc := range map[string]struct {
		src     string
		control string
	}{
		"a control socket that is none": {listen("http", "127.0.0.1:0") + pinned, filepath.Join(dir, "control.sock")},
		"a port that is taken":          {listen("tftp", "127.0.0.1:0") + listen("http", taken.Addr().String()) + pinned, filepath.Join(dir, "free.sock")},
		"a key that is none":            {listen("http", "127.0.0.1:0") + pinned + fmt.Sprintf("url_key {\n  file = %q\n}\n", filepath.Join(dir, "none")), ""},
		"a syntax error":                {"rule", ""},
	} {
		for _, state := range []string{"", filepath.Join(dir, "state")} {
			path := filepath.Join(dir, "pixiecore.hcl")
			write(t, path, tc.src)
			o := options(t, path)
			o.StateDir, o.Control = state, tc.control
			before := opened(t)
			if d, err := New(o); err == nil {
				d.Close()
				t.Errorf("%s: no error", name)
			}
			closes(t, before)
			if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
				t.Errorf("%s: %v is left", name, left)
			}
		}
	}
}
