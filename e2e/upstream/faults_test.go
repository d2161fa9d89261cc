//go:build e2e

package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	rack     = 200      // machines that are switched on at once
	rackFile = 50 << 20 // bytes
	mib      = 1 << 20
)

// The machines of the faults: what each boots is named as it is, on the mirror that
// its label says.
var faults = []struct{ name, mirror string }{
	{"rack", "192.0.2.2"}, {"slow", "192.0.2.2"}, {"missing", "192.0.2.2"}, {"broken", "192.0.2.2"},
	{"loop", "192.0.2.2"}, {"metadata", "192.0.2.2"}, {"short", "192.0.2.2"},
	{"cut", "192.0.2.3"}, {"changed", "192.0.2.4"},
	{"full", "192.0.2.2"}, {"filling", "192.0.2.2"},
}

func macOf(t testing.TB, name string) string {
	for i, f := range faults {
		if f.name == name {
			return fmt.Sprintf("52:54:00:aa:00:%02x", i)
		}
	}
	t.Fatalf("no machine %q", name)
	return ""
}

func faultsConfig(t testing.TB, cache string) string {
	var b strings.Builder
	b.WriteString(`
listener "http" {}
listener "status" {}
log { level = "debug" }
boot "any" { kernel = "http://${machine.labels.mirror}/${machine.name}" }
rule "all" { boot = boot.any }
`)
	fmt.Fprintf(&b, "cache { %s }\n", cache)
	for _, f := range faults {
		fmt.Fprintf(&b, "machine %q {\n  mac    = %q\n  labels = { mirror = %q }\n}\n", f.name, macOf(t, f.name), f.mirror)
	}
	return b.String()
}

// TestFaults breaks what is between a machine and the server of its files. Whatever
// that is, the machine has the whole file, or sees that it has not.
func TestFaults(t *testing.T) {
	l := newLab(t)
	m, dying, changing := l.newMirror("192.0.2.2"), l.newMirror("192.0.2.3"), l.newMirror("192.0.2.4")
	behind(t, m)
	m.file("rack", random(rackFile, 2))
	m.file("slow", random(384<<10, 3))
	m.file("broken", random(mib, 4))
	m.file("full", random(16*mib, 5))
	m.file("filling", random(4*mib, 6))
	m.start(`
    location = /rack { limit_rate 25m; }
    location = /slow { limit_rate 192k; }
    location = /filling { limit_rate 1m; }
    location = /broken { if (-e $document_root/down) { return 500; } }
    location = /loop { return 302 /loop; }
    location = /metadata { return 302 http://169.254.169.254/latest/; }
    location = /short { proxy_pass http://127.0.0.1:8081; proxy_http_version 1.1; proxy_buffering off; }
`)
	l.configure(faultsConfig(t, ""))
	l.serve()
	t.Run("a rack", func(t *testing.T) { aRack(t, l, m) })
	t.Run("at once", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			do   func(*testing.T, *lab, *mirror)
			with *mirror
		}{
			{"a slow server", slow, m},
			{"a server that dies", cut, dying},
			{"a file that changes", changed, changing},
			{"a file that is shorter than announced", short, m},
			{"no file", missing, m},
			{"a server with errors", broken, m},
			{"redirects", redirects, m},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.do(t, l, tt.with)
			})
		}
	})
	t.Run("a full disk", func(t *testing.T) { full(t, l, m) })
}

// 200 machines are switched on at once: one transfer, of which each has every byte,
// and the first of them long before it ends.
func aRack(t *testing.T, l *lab, m *mirror) {
	want := random(rackFile, 2)
	var early sync.Once
	var wg sync.WaitGroup
	for range rack {
		wg.Go(func() {
			resp, err := l.kernel(macOf(t, "rack"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			buf := make([]byte, 256<<10)
			for off := 0; ; {
				n, err := resp.Body.Read(buf)
				if n > 0 {
					early.Do(func() {
						if got := m.served("/rack"); len(got) > 0 {
							t.Errorf("the first byte came when the transfer was over: %q", got)
						}
					})
				}
				if off+n > len(want) || !bytes.Equal(buf[:n], want[off:off+n]) {
					t.Errorf("another content from byte %d on", off)
					return
				}
				if off += n; err != nil {
					if err != io.EOF || off != len(want) {
						t.Errorf("%v after %d bytes of %d", err, off, len(want))
					}
					return
				}
			}
		})
	}
	wg.Wait()
	m.lab.await("nginx to log the transfer", func() bool { return len(m.served("/rack")) > 0 })
	if got, want := m.served("/rack"), fmt.Sprintf("GET /rack 200 %d", rackFile); len(got) != 1 || got[0] != want {
		t.Errorf("nginx sent %q, want once %q", got, want)
	}
}

// begun is a download of which the first bytes have come.
func begun(t *testing.T, l *lab, name string, bytes int) (first []byte, resp *http.Response) {
	t.Helper()
	resp, err := l.kernel(macOf(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	first = make([]byte, bytes)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return first, resp
}

// rest is the download from the first bytes to its end.
func rest(first []byte, resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(resp.Body)
	return append(first, b...), err
}

func slow(t *testing.T, l *lab, m *mirror) {
	first, resp := begun(t, l, "slow", 1)
	if got := m.served("/slow"); len(got) > 0 {
		t.Errorf("the first byte came when the transfer was over: %q", got)
	}
	if b, err := rest(first, resp); err != nil || !bytes.Equal(b, random(384<<10, 3)) {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

// The server is killed, and started again: the transfer goes on where it was.
func cut(t *testing.T, l *lab, m *mirror) {
	want := random(8*mib, 7)
	m.file("cut", want)
	m.start("limit_rate 1m;")
	first, resp := begun(t, l, "cut", mib/2)
	m.kill()
	m.start("")
	if b, err := rest(first, resp); err != nil || !bytes.Equal(b, want) {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	// A server that was killed wrote no line.
	if got := m.served("/cut"); len(got) != 1 || !strings.HasPrefix(got[0], "GET /cut 206 ") {
		t.Errorf("then nginx sent %q, want one part", got)
	}
}

// A file that is replaced in the middle of its transfer is never half of each.
func changed(t *testing.T, l *lab, m *mirror) {
	old, new := random(8*mib, 8), random(8*mib, 9)
	m.file("changed", old)
	if err := os.Chtimes(filepath.Join(m.root, "changed"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	m.start("limit_rate 1m;")
	first, resp := begun(t, l, "changed", mib/2)
	m.kill()
	m.file("changed", new)
	m.start("")
	if b, err := rest(first, resp); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(old, b) {
		t.Errorf("got %d bytes, %v, want the old file cut", len(b), err)
	}
	l.await("the reason in the log", func() bool {
		return strings.Contains(l.log.String(), "the file was replaced on the server while it was fetched")
	})
	if b, err := l.load(macOf(t, "changed")); err != nil || !bytes.Equal(b, new) {
		t.Errorf("the next machine: got %d bytes, %v, want the new file", len(b), err)
	}
}

// behind serves, behind the mirror, a file that is shorter than is said first.
func behind(t *testing.T, m *mirror) {
	var ln net.Listener
	var err error
	m.host.Do(func() { ln, err = net.Listen("tcp", "127.0.0.1:8081") })
	if err != nil {
		t.Fatal(err)
	}
	content := random(60_000, 10)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("Range") == "" {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(content)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
}

func short(t *testing.T, l *lab, _ *mirror) {
	b, err := l.load(macOf(t, "short"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(b, random(60_000, 10)) {
		t.Errorf("got %d bytes, %v, want a transfer that is cut", len(b), err)
	}
	l.await("the reason in the log", func() bool {
		return strings.Contains(l.log.String(), "the server announced 100000 bytes and has 60000")
	})
}

// refused loads a machine's kernel, which must not be had, and the sentence about it
// is in the log.
func refused(t *testing.T, l *lab, name, sentence string) {
	t.Helper()
	if b, err := l.load(macOf(t, name)); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("%s: got %d bytes, %v, want 502", name, len(b), err)
	}
	l.await("the reason in the log", func() bool { return strings.Contains(l.log.String(), sentence) })
}

// A 404 is an answer: once the server says that there is no file, none is served,
// though there is a copy.
func missing(t *testing.T, l *lab, m *mirror) {
	refused(t, l, "missing", "the server answers 404 Not Found")
	want := random(mib, 11)
	m.file("missing", want)
	if b, err := l.load(macOf(t, "missing")); err != nil || !bytes.Equal(b, want) {
		t.Errorf("when it is there: got %d bytes, %v", len(b), err)
	}
	settled(t, l, m, "missing")
	if err := os.Remove(filepath.Join(m.root, "missing")); err != nil {
		t.Fatal(err)
	}
	if b, err := l.load(macOf(t, "missing")); err != nil || !bytes.Equal(b, want) {
		t.Errorf("within a minute: got %d bytes, %v", len(b), err)
	}
	age(t, l, m, "missing")
	refused(t, l, "missing", "the server answers 404 Not Found")
}

// A server that answers 500 has a fault, and the copy is served.
func broken(t *testing.T, l *lab, m *mirror) {
	m.file("down", nil)
	refused(t, l, "broken", "the server answers 500 Internal Server Error")
	if err := os.Remove(filepath.Join(m.root, "down")); err != nil {
		t.Fatal(err)
	}
	want := random(mib, 4)
	for _, when := range []string{"when it answers", "when it answers 500 again"} {
		if b, err := l.load(macOf(t, "broken")); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: got %d bytes, %v", when, len(b), err)
		}
		settled(t, l, m, "broken")
		age(t, l, m, "broken")
		m.file("down", nil)
	}
	l.await("the log to say so", func() bool {
		return strings.Contains(l.log.String(), "the server answers 500 Internal Server Error, so this is the copy of ")
	})
}

func redirects(t *testing.T, l *lab, m *mirror) {
	refused(t, l, "loop", "more than 5 redirects")
	refused(t, l, "metadata", "169.254.169.254 is a link-local address, where clouds keep credentials")
	if got := m.served("/loop"); len(got) != 6 {
		t.Errorf("%d requests in a loop, want 6", len(got))
	}
}

// ref is what the cache knows of a machine's kernel.
func ref(l *lab, m *mirror, name string) string {
	sum := sha256.Sum256([]byte("http://" + m.addr + "/" + name))
	return filepath.Join(l.dir, "cache", "urls", hex.EncodeToString(sum[:]))
}

// settled waits until a file has its name in the cache.
func settled(t *testing.T, l *lab, m *mirror, name string) {
	t.Helper()
	l.await("the file's name", func() bool { _, err := os.Stat(ref(l, m, name)); return err == nil })
}

// age makes a minute pass, after which the server is asked again.
func age(t *testing.T, l *lab, m *mirror, name string) {
	t.Helper()
	b, err := os.ReadFile(ref(l, m, name))
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`"asked":"[^"]*"`)
	l.write(ref(l, m, name), asked.ReplaceAll(b, fmt.Appendf(nil, `"asked":%q`, time.Now().Add(-time.Hour).Format(time.RFC3339))))
}

// A disk that has no room costs a machine nothing: its file goes past the cache. One
// that somebody else fills, while a transfer goes on, costs that one.
func full(t *testing.T, l *lab, m *mirror) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=8m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	l.configure(faultsConfig(t, fmt.Sprintf("dir = %q", disk)))
	l.pixiecore("reload")
	t.Cleanup(func() {
		// The daemon ends before its disk can go.
		_ = l.daemon.Process.Kill()
		_ = l.daemon.Wait()
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	want := random(16*mib, 5)
	for range 2 {
		if b, err := l.load(macOf(t, "full")); err != nil || !bytes.Equal(b, want) {
			t.Errorf("larger than the disk: got %d bytes, %v", len(b), err)
		}
	}
	const why = "not kept in the cache: cache: no space left on device"
	l.await("the log to say so", func() bool { return strings.Contains(l.log.String(), why) })

	want = random(4*mib, 6)
	first, resp := begun(t, l, "filling", mib/2)
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 64<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if b, err := rest(first, resp); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(want, b) {
		t.Errorf("on a disk that is filled: got %d bytes, %v, want the beginning, cut", len(b), err)
	}
	if err := filler.Truncate(7 * mib); err != nil { // so much that it does not fit
		t.Fatal(err)
	}
	m.kill()
	m.start("")
	if b, err := l.load(macOf(t, "filling")); err != nil || !bytes.Equal(b, want) {
		t.Errorf("the next machine: got %d bytes, %v", len(b), err)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	filler.Close()
	n := len(m.served("/filling"))
	for range 2 {
		if b, err := l.load(macOf(t, "filling")); err != nil || !bytes.Equal(b, want) {
			t.Errorf("when there is room: got %d bytes, %v", len(b), err)
		}
	}
	if got := m.served("/filling"); len(got) != n+1 {
		t.Errorf("when there is room, nginx sent %q, want it once", got[n:])
	}
}
