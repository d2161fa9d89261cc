package booters

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
)

func newCache(t testing.TB, size int64) *cache.Cache {
	t.Helper()
	c, err := cache.New(t.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// readAll opens a source and reads it to its end.
func readAll(s *Sources, source string) (content []byte, note string, err error) {
	r, _, err := s.Open(context.Background(), source)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	if n, ok := r.(boot.Noted); ok {
		note = n.Note()
	}
	content, err = io.ReadAll(r)
	return content, note, err
}

func TestARemoteFileIsFetchedOnce(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(w, "kernel")
	}))
	defer srv.Close()
	s := NewSources().With(SourceOptions{Cache: newCache(t, 1<<20)})
	for range 3 {
		if b, note, err := readAll(s, srv.URL); string(b) != "kernel" || note != "" || err != nil {
			t.Errorf("got %q, %q, %v", b, note, err)
		}
	}
	srv.Close()
	if b, _, err := readAll(s, srv.URL); string(b) != "kernel" || err != nil {
		t.Errorf("with upstream down: got %q, %v", b, err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("fetched %d times, want 1", n)
	}
}

// Without a cache block, what has a digest needs a spool.
func TestARemoteFileWithADigestIsVerifiedFirst(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "kernel") }))
	defer srv.Close()
	source := Source{At: srv.URL + "/linux?token=hunter2", SHA256: sha256.Sum256([]byte("kernel"))}
	wrong := Source{At: source.At, SHA256: boot.Digest{1}}
	spool := newCache(t, 1<<20)
	small := newCache(t, 3)
	for name, o := range map[string]SourceOptions{
		"cache": {Cache: newCache(t, 1<<20)},
		"spool": {Spool: func() (*cache.Cache, error) { return spool, nil }},
	} {
		s := NewSources().With(o)
		r, size, err := s.Open(t.Context(), source.String())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := r.(*os.File); !ok || size != 6 {
			t.Errorf("%s: got a %T of %d bytes, want an *os.File of 6", name, r, size)
		}
		r.Close()
		var digest *boot.DigestError
		_, _, err = s.Open(t.Context(), wrong.String())
		if !errors.As(err, &digest) || digest.File != srv.URL+"/linux?redacted" || digest.Got != source.SHA256 {
			t.Errorf("%s: got %v, want a *boot.DigestError that names the URL without the token", name, err)
		}
	}
	for want, o := range map[string]SourceOptions{
		"there is no directory for that":               {},
		"write a cache block with a larger max_size":   {Spool: func() (*cache.Cache, error) { return small, nil }},
		"raise max_size of the cache":                  {Cache: small},
		"get \"" + srv.URL + "/linux?redacted\": full": {Spool: func() (*cache.Cache, error) { return nil, errors.New("full") }},
	} {
		_, _, err := NewSources().With(o).Open(t.Context(), source.String())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A cache in trouble must not keep a machine from booting.
func TestACacheInTroubleIsPassedBy(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "kernel") }))
	defer srv.Close()
	broken := newCache(t, 1<<20)
	if err := os.RemoveAll(filepath.Join(broken.Dir(), "part")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*cache.Cache{"raise max_size": newCache(t, 3), "no such file": broken} {
		b, note, err := readAll(NewSources().With(SourceOptions{Cache: c}), srv.URL)
		if string(b) != "kernel" || err != nil || !strings.Contains(note, "not kept in the cache: ") || !strings.Contains(note, name) {
			t.Errorf("got %q, %v, with the note %q, want one of %q", b, err, note, name)
		}
	}
}

// The limits of fetching hold for what the cache fetches.
func TestAStalledTransferIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := upstream(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nker")
			c.Read(make([]byte, 1)) // and no more, until the client is gone
		})
		s.opts.Cache = newCache(t, 1<<20)
		start := time.Now()
		b, _, err := readAll(s, "http://example.com/linux")
		if err == nil || !strings.Contains(err.Error(), "no byte for 30s, after 3 of 100 bytes and 10 attempts to resume") {
			t.Errorf("got %q, %v", b, err)
		}
		if took := time.Since(start); took < 11*stallTimeout || took > 12*stallTimeout {
			t.Errorf("given up after %v", took)
		}
	})
}

// BenchmarkServe compares what a machine is served: a local file, one from the
// cache, and a local one that is verified.
func BenchmarkServe(b *testing.B) {
	const size = 16 << 20
	content := make([]byte, size)
	rand.Read(content)
	path := filepath.Join(b.TempDir(), "initrd")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
	up := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer up.Close()
	s := NewSources().With(SourceOptions{Cache: newCache(b, 1<<30)})
	sum := boot.Digest(sha256.Sum256(content))
	for _, bb := range []struct{ name, source string }{
		{"local", path},
		{"cached", up.URL + "/initrd"},
		{"local verified", Source{At: path, SHA256: sum}.String()},
		{"cached verified", Source{At: up.URL + "/initrd", SHA256: sum}.String()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, _, err := s.Open(r.Context(), bb.source)
				if err != nil {
					http.Error(w, err.Error(), http.StatusBadGateway)
					return
				}
				defer f.Close()
				if seeker, ok := f.(io.ReadSeeker); ok {
					http.ServeContent(w, r, "", time.Time{}, seeker)
				} else {
					io.Copy(w, f)
				}
			}))
			defer srv.Close()
			fetch := func() {
				resp, err := srv.Client().Get(srv.URL)
				if err != nil {
					b.Fatal(err)
				}
				defer resp.Body.Close()
				if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
					b.Fatalf("got %d bytes, %v", n, err)
				}
			}
			fetch() // so that it is there
			b.SetBytes(size)
			for b.Loop() {
				fetch()
			}
		})
	}
	for _, bb := range []struct{ name, source string }{{"local", path}, {"cached", up.URL + "/initrd"}, {"local verified", Source{At: path, SHA256: sum}.String()}} {
		b.Run("open "+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, n, err := s.Open(b.Context(), bb.source)
				if err != nil || n != size {
					b.Fatal(n, err)
				}
				f.Close()
			}
		})
	}
}
