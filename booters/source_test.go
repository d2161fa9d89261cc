package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestALocalFileCanBeServedInParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "linux")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, size, err := NewSources().Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, ok := r.(*os.File)
	if !ok || size != 10 {
		t.Fatalf("got a %T of %d bytes, want an *os.File of 10", r, size)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, f)
	}))
	defer srv.Close()
	req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=3-5")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "345" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		dir:         "it is a directory, not a regular file",
		fifo:        "it is a FIFO, not a regular file",
		"/dev/null": "it is a device or socket, not a regular file",
	} {
		_, _, err := NewSources().Open(t.Context(), source)
		if want := fmt.Sprintf("open %q: %s", source, want); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, _, err := NewSources().Open(t.Context(), dir+"/none")
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, boot.ErrNotFound) {
		t.Errorf("got %v, want fs.ErrNotExist: the ID was right", err)
	}
}

func TestWhatIsNoSource(t *testing.T) {
	for source, want := range map[string]string{
		"":                              "no path or URL is given",
		"linux":                         `"linux" is neither an absolute path nor an http or https URL`,
		"./linux":                       "neither an absolute path",
		"file:///etc/passwd":            `the scheme "file" is neither http nor https`,
		"http:///linux":                 "it names no host",
		"http://host:port/":             "invalid port",
		"/" + strings.Repeat("x", 2048): "a path or URL of 2049 bytes is longer than 2048",
		"http://169.254.169.254/latest": "169.254.169.254 is a link-local address, where clouds keep credentials",
		"http://[fe80::1%25eth0]/":      "fe80::1%eth0 is a link-local address",
		"http://[::ffff:169.254.0.1]/x": "is a link-local address",
		"http://2852039166/latest":      `URL "http://2852039166/latest": 2852039166 is no name, and no address as those are usually written: write four numbers, like 192.0.2.1`,
		"http://0xa9fea9fe/latest":      "0xa9fea9fe is no name, and no address",
		"http://0xA9.0xfe.43518/latest": "is no name, and no address",
		"http://169.254.169.254./":      "is no name, and no address",
		"http://169.254.0xa9fe/":        "is no name, and no address",
	} {
		_, _, err := NewSources().Open(t.Context(), source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", source, err, want)
		}
	}
}

// A name may lead to where an address may not.
func TestLinkLocalIsRefusedAtTheDial(t *testing.T) {
	for address, refused := range map[string]bool{
		"169.254.169.254:80":          true,
		"[fd00:ec2::254]:80":          true,
		"100.100.100.200:80":          true,
		"[::ffff:168.63.129.16]:80":   true,
		"[64:ff9b::a9fe:a9fe]:80":     true,
		"[64:ff9b::c000:201]:80":      false,
		"[64:ff9b:1::a9fe:a9fe]:80":   true,
		"[2002:a9fe:a9fe::1]:80":      true,
		"[2002:c000:201::1]:80":       false,
		"[::169.254.169.254]:80":      true,
		"[::1]:80":                    false,
		"[fd00:ec2::254%eth0]:80":     true,
		"[fd00:ec2::23]:80":           true,
		"[fd00:42::42]:80":            true,
		"[fd00:43::42]:80":            false,
		"192.0.0.192:80":              true,
		"[fd20:ce::254]:80":           true,
		"[fe80::1%eth0]:80":           true,
		"[febf::1]:443":               true,
		"[::ffff:169.254.169.254]:80": true,
		"127.0.0.1:80":                false,
		"192.0.2.1:80":                false,
		"[2001:db8::1]:80":            false,
	} {
		if err := refuseLinkLocal("tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: got %v, want refused %v", address, err, refused)
		}
	}
	// And it is in place: a Control that is not called refuses nothing.
	tr := NewSources().client.Transport.(*http.Transport)
	if _, err := tr.DialContext(t.Context(), "tcp", "169.254.169.254:80"); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("dial: got %v", err)
	}
}

func TestAURLIsStreamed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/linux":
			if enc := r.Header.Get("Accept-Encoding"); enc != "" {
				t.Errorf("Accept-Encoding: got %q: a compressed file has no known length", enc)
			}
			io.WriteString(w, "kernel")
		case "/chunked":
			w.(http.Flusher).Flush()
			io.WriteString(w, "kernel")
		case "/moved":
			http.Redirect(w, r, "/linux", http.StatusFound)
		}
	}))
	defer srv.Close()
	for path, size := range map[string]int64{"/linux": 6, "/chunked": -1, "/moved": 6} {
		r, got, err := NewSources().Open(t.Context(), srv.URL+path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		b, err := io.ReadAll(r)
		if string(b) != "kernel" || err != nil || got != size {
			t.Errorf("%s: got %q, %v, size %d, want size %d", path, b, err, got, size)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnErrorNamesTheURLButNoCredentials(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/to-file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/to-metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop?"+r.URL.RawQuery, http.StatusFound)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "kernel")
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	dead := closedPort(t)
	for _, tt := range []struct{ host, path, want string }{
		{host, "/private", "the server answers 403 Forbidden"},
		{host, "/to-file", `the scheme "file" is neither http nor https`},
		{host, "/to-metadata", "169.254.169.254 is a link-local address"},
		{host, "/loop", "more than 5 redirects"},
		{host, "/cut", "unexpected EOF"},
		{dead, "/", "connection refused"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			r, _, err := NewSources().Open(t.Context(), "http://user:hunter2@"+tt.host+tt.path+"?token=hunter2")
			if err == nil {
				_, err = io.ReadAll(r)
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if shown := fmt.Sprintf(`et "http://redacted@%s%s?redacted": `, tt.host, tt.path); tt.path != "/cut" && !strings.Contains(err.Error(), shown) {
				t.Errorf("%v does not name the URL", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v shows a secret", err)
			}
		})
	}
}

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAFetchEndsWithItsContext(t *testing.T) {
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ker")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := NewSources().Open(ctx, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	<-gone // the connection was closed with it
}

// upstream makes Sources whose only server is the other end of a pipe.
func upstream(serve func(net.Conn)) *Sources {
	s := NewSources()
	tr := s.client.Transport.(*http.Transport)
	tr.Proxy = nil
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			// The request, which ends at an empty line; one Read has it all.
			if _, err := server.Read(make([]byte, 4096)); err == nil {
				serve(server)
			}
		}()
		return client, nil
	}
	return s
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream(func(c net.Conn) { c.Read(make([]byte, 1)) })
		for source, limit := range map[string]time.Duration{
			"http://example.com/linux":  headerTimeout,
			"https://example.com/linux": tlsTimeout,
		} {
			start := time.Now()
			_, _, err := s.Open(t.Context(), source)
			if got := time.Since(start); err == nil || got != limit {
				t.Errorf("%s: got %v after %v, want an error after %v", source, err, got, limit)
			}
		}
	})
}

func TestAStallEndsTheReadButASlowReaderDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nker")
			time.Sleep(stallTimeout - time.Second)
			io.WriteString(c, "nel")
			c.Read(make([]byte, 1)) // and no more, until the client is gone
		})
		r, _, err := s.Open(t.Context(), "http://example.com/linux")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b := make([]byte, 3)
		if _, err := io.ReadFull(r, b); string(b) != "ker" || err != nil {
			t.Fatalf("got %q, %v", b, err)
		}
		if _, err := io.ReadFull(r, b); string(b) != "nel" || err != nil {
			t.Errorf("a byte within the limit: got %q, %v", b, err)
		}
		time.Sleep(2 * stallTimeout) // the machine is slow
		start := time.Now()
		_, err = r.Read(b)
		if want := `read "http://example.com/linux": no byte for 30s`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if got := time.Since(start); got != stallTimeout {
			t.Errorf("given up after %v, want %v", got, stallTimeout)
		}
	})
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.com/linux":           "https://example.com/linux",
		"https://u:p@example.com/linux?sig=x": "https://redacted@example.com/linux?redacted",
		"https://token@example.com/":          "https://redacted@example.com/",
		"http://u:p@host:port/":               "(not a URL)",
	} {
		if got := redact(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	u := &url.URL{Scheme: "http", Host: "h", User: url.UserPassword("u", "p")}
	if redactURL(u); u.User.String() != "u:p" {
		t.Error("the URL itself was changed")
	}
}
