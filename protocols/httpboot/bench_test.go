package httpboot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const scriptQuery = "mac=52:54:00:12:34:56&facts=1&cpu=x64&platform=pcbios&buildarch=x86_64&ip=192.0.2.50"

// rendering boots every machine with something that hangs on it.
func rendering(boot.Machine) (*boot.Verdict, error) {
	return &boot.Verdict{Action: boot.Boot, Rule: "all", Boot: "live", Render: func(m boot.Machine, _ string) (*boot.Spec, error) {
		return &boot.Spec{Kernel: "a2VybmVs", Initrd: []boot.ID{"aW5pdHJk"}, Cmdline: "console=ttyS0 root=/dev/ram0 mac=" + m.MAC.String()}, nil
	}}, nil
}

// maxScriptAllocs bounds what the handler allocates for one script, net/http aside:
// two or three each for who asks, its facts, the verdict and the script itself, and
// one for each header.
const maxScriptAllocs = 18

func TestAScriptTakesFewAllocations(t *testing.T) {
	s := newServer(t, booter{verdict: rendering})
	r := httptest.NewRequest("GET", "http://192.0.2.1/_/ipxe?"+scriptQuery, nil)
	w := &discard{header: http.Header{}}
	got := testing.AllocsPerRun(100, func() { s.ServeHTTP(w, r) })
	if w.n == 0 || got > maxScriptAllocs {
		t.Errorf("%d bytes, %g allocations, want at most %d", w.n, got, maxScriptAllocs)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header               { return d.header }
func (d *discard) WriteHeader(int)                   {}
func (d *discard) Write(b []byte) (int, error)       { d.n = len(b); return len(b), nil }
func (d *discard) WriteString(b string) (int, error) { d.n = len(b); return len(b), nil }

// benchServe asks for path again and again, on one connection to what serve serves.
func benchServe(b *testing.B, serve func(ctx context.Context, l net.Listener) error, path string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	defer func() {
		stop()
		l.Close()
		<-done
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ask := []byte("GET " + path + " HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: iPXE/1.21.1\r\n\r\n")
	if _, err := c.Write(ask); err != nil {
		b.Fatal(err)
	}
	size := answerSize(b, c)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			b.Fatal(err)
		}
	}
}

// answerSize reads an answer, and returns how long it is with its header, so that those
// to come are only counted, and the client costs next to nothing.
func answerSize(b *testing.B, c net.Conn) int64 {
	b.Helper()
	all := &counting{Reader: c}
	resp, err := http.ReadResponse(bufio.NewReader(all), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	return all.n.Load()
}

// minimal is the ceiling of net/http: a handler that does nothing.
func minimal(text string) func(context.Context, net.Listener) error {
	return func(_ context.Context, l net.Listener) error {
		return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
	}
}

// ours serves as the daemon does.
func ours(b *testing.B, s *Server) func(context.Context, net.Listener) error {
	return func(ctx context.Context, l net.Listener) error {
		s.Listener = Listener(l)
		return s.Run(ctx)
	}
}

// BenchmarkScript asks for one script after the other.
func BenchmarkScript(b *testing.B) {
	b.Run("script", func(b *testing.B) {
		benchServe(b, ours(b, newServer(b, booter{verdict: rendering})), "/_/ipxe?"+scriptQuery)
	})
	b.Run("stub", func(b *testing.B) {
		benchServe(b, ours(b, newServer(b, booter{verdict: rendering})), "/_/ipxe?"+strings.Replace(scriptQuery, "facts=1&", "", 1))
	})
	b.Run("minimal", func(b *testing.B) { benchServe(b, minimal(strings.Repeat("x", 500)), "/_/ipxe?"+scriptQuery) })
	b.Run("handler", func(b *testing.B) { // without net/http
		s, w := newServer(b, booter{verdict: rendering}), &discard{header: http.Header{}}
		r := httptest.NewRequest("GET", "http://192.0.2.1/_/ipxe?"+scriptQuery, nil)
		b.ReportAllocs()
		for b.Loop() {
			s.ServeHTTP(w, r)
		}
	})
}

// BenchmarkFile asks for a kernel of 64 MiB again and again.
func BenchmarkFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "kernel")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	s := newServer(b, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){"kernel": func() (io.ReadCloser, int64, error) {
		f, err := os.Open(path)
		return f, 64 << 20, err
	}}})
	b.Run("file", func(b *testing.B) { benchServe(b, ours(b, s), "/_/file?name=kernel&type=kernel&mac=52:54:00:12:34:56") })
	b.Run("minimal", func(b *testing.B) {
		benchServe(b, func(_ context.Context, l net.Listener) error {
			return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
		}, fmt.Sprintf("/_/file?name=%s", "kernel"))
	})
}
