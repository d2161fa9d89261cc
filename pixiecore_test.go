package pixiecore_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore"
)

// shelf is a Booter with files of its own, as a program has one.
type shelf struct {
	mu      sync.Mutex
	written map[pixiecore.ID]string
}

func (*shelf) BootSpec(m pixiecore.Machine) (*pixiecore.Spec, error) {
	if m.MAC[5] == 9 {
		return nil, nil
	}
	return &pixiecore.Spec{Kernel: "linux", Initrd: []pixiecore.ID{"a b"}, Cmdline: `arch=` + m.Arch.String() + ` log={{ ID "log" }}`, Message: "hello"}, nil
}

func (*shelf) ReadBootFile(id pixiecore.ID) (io.ReadCloser, int64, error) {
	if id == "unknown" {
		return nil, 0, os.ErrNotExist
	}
	return io.NopCloser(strings.NewReader("bytes of " + string(id))), -1, nil
}

func (s *shelf) WriteBootFile(id pixiecore.ID, body io.Reader) error {
	b, err := io.ReadAll(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[id] = string(b)
	return err
}

// free are ports that nobody has, of UDP and TCP alike.
func free(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// A lines collects the log of a Server.
type lines struct {
	mu       sync.Mutex
	all      []string
	listened chan struct{} // closed when HTTP listens
}

func (l *lines) log(subsystem, msg string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf("[%s] %s", subsystem, msg))
	if strings.HasPrefix(msg, `listening listener="http `) {
		close(l.listened)
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// serve runs a Server with ports of its own until the test ends, and returns the
// address of its HTTP server.
func serve(t *testing.T, s *pixiecore.Server, l *lines) string {
	t.Helper()
	p := free(t, 4)
	s.Address, s.HTTPPort, s.DHCPPort, s.TFTPPort, s.PXEPort = "127.0.0.1", p[0], p[1], p[2], p[3]
	if s.HTTPStatusPort == -1 {
		s.HTTPStatusPort = p[0]
	}
	l.listened = make(chan struct{})
	s.Log = l.log
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		s.Shutdown()
		if err := <-done; err != nil {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("log:\n%s", l)
		}
	})
	select {
	case <-l.listened:
	case err := <-done:
		done <- err
		t.Fatalf("not served: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("not served within 20 s")
	}
	return fmt.Sprintf("http://127.0.0.1:%d", p[0])
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// The HTTP server that machines see is the original's, with the Booter's own IDs.
func TestAServerServesABooterOfTheProgram(t *testing.T) {
	booter, log := &shelf{written: make(map[pixiecore.ID]string)}, &lines{}
	web := serve(t, &pixiecore.Server{Booter: booter, HTTPStatusPort: -1, Ipxe: map[pixiecore.Firmware][]byte{pixiecore.FirmwareX86PC: []byte("own loader")}}, log)

	_, script := get(t, web+"/_/ipxe?mac=52:54:00:00:00:01&arch=1&facts=1")
	want := strings.ReplaceAll(`#!ipxe
echo hello
kernel --name kernel WEB/_/file?name=linux&type=kernel&mac=52%3A54%3A00%3A00%3A00%3A01
initrd --name initrd0 WEB/_/file?name=a+b&type=initrd&mac=52%3A54%3A00%3A00%3A00%3A01
imgfetch --name ready WEB/_/booting?mac=52%3A54%3A00%3A00%3A00%3A01 ||
imgfree ready ||
boot kernel initrd=initrd0 arch=X64 log=WEB/_/file?name=log
`, "WEB", web)
	if diff := cmp.Diff(want, script); diff != "" {
		t.Errorf("script (-want +got):\n%s", diff)
	}
	if _, body := get(t, web+"/_/file?name=a+b&type=initrd"); body != "bytes of a b" {
		t.Errorf("file: %q", body)
	}
	if code, _ := get(t, web+"/_/file?name=unknown"); code/100 == 2 {
		t.Errorf("an ID that the Booter does not know: %d", code)
	}
	if _, body := get(t, web+"/_/ipxe?mac=52:54:00:00:00:09&arch=0&facts=1"); !strings.Contains(body, "exit") || strings.Contains(body, "kernel") {
		t.Errorf("a machine that does not boot: %s", body)
	}
	if _, body := get(t, web+"/undionly.kpxe"); body != "own loader" {
		t.Errorf("loader: %q", body)
	}
	if code, _ := get(t, web+"/snponly.efi"); code == 200 {
		t.Error("a loader that the program does not have is served")
	}
	resp, err := http.Post(web+"/_/file?name=log", "application/octet-stream", strings.NewReader("installed"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	booter.mu.Lock()
	if diff := cmp.Diff(map[pixiecore.ID]string{"log": "installed"}, booter.written); diff != "" || resp.StatusCode != http.StatusNoContent {
		t.Errorf("written, with %s: %s", resp.Status, diff)
	}
	booter.mu.Unlock()
	// The status is told at the same port, to this host.
	if code, body := get(t, web+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	for _, line := range []string{"[HTTP] Sending ipxe boot script to 127.0.0.1:", `[HTTP] Sent file "initrd" to 127.0.0.1:`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log has no line %q", line)
		}
	}
}

// The original's two booters, used by themselves, give out the original's IDs.
func TestTheOriginalsIDs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "linux")
	if err := os.WriteFile(path, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := pixiecore.ID(path)
	b, err := pixiecore.StaticBooter(&pixiecore.Spec{Kernel: file, Initrd: []pixiecore.ID{file, file}, Cmdline: fmt.Sprintf("a={{ ID %q }}", path)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.BootSpec(pixiecore.Machine{})
	want := &pixiecore.Spec{Kernel: "kernel", Initrd: []pixiecore.ID{"initrd-0", "initrd-1"}, Cmdline: `a={{ ID "other-0" }}`}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	web := serve(t, &pixiecore.Server{Booter: b}, &lines{})
	if code, body := get(t, web+"/_/file?name=kernel"); code != 200 || body != "kernel" {
		t.Errorf("kernel: %d %q", code, body)
	}
	if code, _ := get(t, web+"/_/file?name=/etc/passwd"); code != http.StatusNotFound {
		t.Errorf("a path: %d", code)
	}
	// Nothing asks for the status, and nobody is told it.
	if code, _ := get(t, web+"/healthz"); code != http.StatusNotFound {
		t.Errorf("healthz: %d", code)
	}
}

func TestShutdown(t *testing.T) {
	b, err := pixiecore.StaticBooter(&pixiecore.Spec{IpxeScript: "#!ipxe\nshell\n"})
	if err != nil {
		t.Fatal(err)
	}
	early := &pixiecore.Server{Booter: b}
	early.Shutdown()
	early.Shutdown()
	if err := early.Serve(); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	s := &pixiecore.Server{Booter: b}
	serve(t, s, &lines{}) // whose end is a Shutdown that Serve obeys
	if err := s.Serve(); err == nil || !strings.Contains(err.Error(), "second time") {
		t.Errorf("served twice: %v", err)
	}
}

func TestWhatCannotBeServedIsSaid(t *testing.T) {
	b, err := pixiecore.StaticBooter(&pixiecore.Spec{IpxeScript: "#!ipxe\n"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := free(t, 3)
	for want, s := range map[string]*pixiecore.Server{
		"Server.Booter is nil":                  {},
		`"localhost" is not an IPv4 address`:    {Booter: b, Address: "localhost"},
		"Server.TFTPPort: 70000 is no port":     {Booter: b, TFTPPort: 70000},
		" has the port: stop it":                {Booter: b, Address: "127.0.0.1", HTTPPort: l.Addr().(*net.TCPAddr).Port, DHCPPort: p[0], TFTPPort: p[1], PXEPort: p[2]},
		"no interface of this host has that ad": {Booter: b, Address: "192.0.2.77", HTTPPort: p[0], DHCPPort: p[0], TFTPPort: p[1], PXEPort: p[2]},
	} {
		if err := s.Serve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestAnAPIBooterAsksAsTheOriginalDid(t *testing.T) {
	asked := make(chan string, 10)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/linux" {
			io.Copy(w, bytes.NewReader([]byte("kernel")))
			return
		}
		asked <- r.RequestURI
		io.WriteString(w, `{"kernel": "/linux", "message": "hello"}`)
	})}
	go srv.Serve(l)
	defer srv.Close()
	b, err := pixiecore.APIBooter("http://"+l.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := b.BootSpec(pixiecore.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}})
	if err != nil || spec.Message != "hello" {
		t.Fatalf("%+v, %v", spec, err)
	}
	if got := <-asked; got != "/v1/boot/52:54:00:00:00:01" {
		t.Errorf("asked %s", got)
	}
	f, size, err := b.ReadBootFile(spec.Kernel)
	if err != nil || size != 6 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	defer f.Close()
	if _, err := pixiecore.APIBooter("gopher://x", time.Second); err == nil {
		t.Error("an API by gopher")
	}
}
