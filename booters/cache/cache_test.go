package cache

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("CACHE_TEST_FILL"); dir != "" {
		fillUntilKilled(dir, os.Getenv("CACHE_TEST_URL"))
	}
	if dir := os.Getenv("CACHE_TEST_FETCH"); dir != "" {
		fetchUntilKilled(dir, os.Getenv("CACHE_TEST_URL"))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// content is n bytes, none of which is like its neighbours.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16) ^ seed
	}
	return b
}

// An upstream is a server that counts what it is asked, and does as it is told.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	handler  http.HandlerFunc
}

func newUpstream(t *testing.T, h http.HandlerFunc) *upstream {
	u := &upstream{handler: h}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.requests = append(u.requests, r)
		h := u.handler
		u.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) does(h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = h
}

func (u *upstream) asked() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.requests)
}

// get is the plainest Get.
func get(ctx context.Context, url string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header = header
	r.Close = true
	return http.DefaultTransport.RoundTrip(r)
}

// A clock is set by the test.
type clock struct{ offset atomic.Int64 }

func (k *clock) now() time.Time       { return time.Now().Add(time.Duration(k.offset.Load())) }
func (k *clock) pass(d time.Duration) { k.offset.Add(int64(d)) }

func newCache(t *testing.T, dir string, size int64) (*Cache, *clock) {
	t.Helper()
	c, err := New(dir, size)
	if err != nil {
		t.Fatal(err)
	}
	k := &clock{}
	c.now, c.pause = k.now, 0
	t.Cleanup(c.Close)
	return c, k
}

// fetch reads a file to its end.
func fetch(c *Cache, url string) ([]byte, string, error) { return fetchPinned(c, url, boot.Digest{}) }

func fetchPinned(c *Cache, url string, want boot.Digest) ([]byte, string, error) {
	f, err := c.Open(context.Background(), Request{URL: url, Want: want, Get: get})
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return b, f.Note, err
}

func mustFetch(t *testing.T, c *Cache, url string, want []byte) (note string) {
	t.Helper()
	b, note, err := fetch(c, url)
	if err != nil || !bytes.Equal(b, want) {
		t.Fatalf("got %d bytes, %v; want %d", len(b), err, len(want))
	}
	return note
}

// settle waits until no transfer runs.
func (c *Cache) settle() { c.running.Wait() }

// names are the files in a room of the cache.
func names(t *testing.T, c *Cache, room string) (all []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(c.dir, room))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

func TestManyReadersCauseOneTransfer(t *testing.T) {
	want := content(1<<20, 0)
	release := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		w.Write(want[:1000])
		w.(http.Flusher).Flush()
		<-release
		w.Write(want[1000:])
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	var wg, begun sync.WaitGroup
	for range 64 {
		begun.Add(1)
		wg.Go(func() {
			f, err := c.Open(t.Context(), Request{URL: u.URL, Get: get})
			if err != nil {
				begun.Done()
				t.Error(err)
				return
			}
			defer f.Close()
			got := make([]byte, 1000)
			_, err = io.ReadFull(f, got)
			begun.Done() // it reads while upstream has not sent all
			rest, err2 := io.ReadAll(f)
			if err := errors.Join(err, err2); err != nil || f.Size != int64(len(want)) || !bytes.Equal(append(got, rest...), want) {
				t.Errorf("got %d of %d bytes, %v", 1000+len(rest), f.Size, err)
			}
		})
	}
	begun.Wait()
	close(release)
	wg.Wait()
	c.settle()
	mustFetch(t, c, u.URL, want)
	if n := len(u.asked()); n != 1 {
		t.Errorf("upstream was asked %d times, want 1", n)
	}
}

func TestWhatIsOnDiskIsAFile(t *testing.T) {
	want := content(5000, 0)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { w.Write(want) })
	c, _ := newCache(t, t.TempDir(), 1<<20)
	mustFetch(t, c, u.URL, want)
	c.settle()
	f, err := c.Open(t.Context(), Request{URL: u.URL, Get: get})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, ok := f.ReadCloser.(*os.File)
	if !ok || f.Size != 5000 || f.Note != "" {
		t.Fatalf("got a %T of %d bytes, %q; want an *os.File of 5000", f.ReadCloser, f.Size, f.Note)
	}
	info, err := file.Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

// breaking serves body, and breaks the connection at each of the given bytes
// once.
func breaking(body []byte, header http.Header, ranges bool, at ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		from := 0
		if ranges && r.Header.Get("Range") != "" {
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		mu.Lock()
		to := len(body)
		if len(at) > 0 {
			to, at = at[0], at[1:]
		}
		mu.Unlock()
		w.Write(body[from:to])
		if to < len(body) {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

func TestABrokenTransferIsResumed(t *testing.T) {
	want := content(1<<20, 0)
	etag := http.Header{"Etag": {`"v1"`}}
	old := http.Header{"Last-Modified": {"Sat, 01 Jan 2022 00:00:00 GMT"}}
	young := http.Header{"Last-Modified": {time.Now().UTC().Format(http.TimeFormat)}}
	for _, tt := range []struct {
		name    string
		header  http.Header
		ranges  bool
		ifRange string
	}{
		{"by a strong ETag", etag, true, `"v1"`},
		{"by a time long past", old, true, "Sat, 01 Jan 2022 00:00:00 GMT"},
		{"not by a time just now", young, true, ""},
		{"not by a weak ETag", http.Header{"Etag": {`W/"v1"`}}, true, ""},
		{"without a validator, by comparison", nil, true, ""},
		{"where the server knows no ranges, by comparison", etag, false, `"v1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpstream(t, breaking(want, tt.header, tt.ranges, 1, 300_000, 300_000, len(want)-1))
			c, _ := newCache(t, t.TempDir(), 1<<30)
			mustFetch(t, c, u.URL, want)
			c.settle()
			all := u.asked()
			if len(all) != 5 {
				t.Fatalf("upstream was asked %d times, want 5", len(all))
			}
			for _, r := range all[1:] {
				if got := r.Header.Get("If-Range"); got != tt.ifRange {
					t.Errorf("If-Range: got %q, want %q", got, tt.ifRange)
				}
			}
		})
	}
}

func TestATransferThatCannotBeResumedFailsForAllItsReaders(t *testing.T) {
	want, other := content(1<<20, 0), content(1<<20, 7)
	tagged := func(tag string) http.Header { return http.Header{"Etag": {tag}} }
	cut := func(body []byte) http.HandlerFunc { return breaking(body, tagged(`"v1"`), true, 1000) }
	for _, tt := range []struct {
		name string
		then http.HandlerFunc
		want string
	}{
		{"another ETag in a part", breaking(other, tagged(`"v2"`), true), "was replaced on the server"},
		{"another whole", breaking(other, tagged(`"v2"`), false), "was replaced on the server"},
		{"another length", breaking(want[:5000], tagged(`"v1"`), true), "was replaced on the server"},
		{"another whole of another length", breaking(want[:5000], tagged(`"v1"`), false), "was replaced on the server"},
		{"gone", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "the server answers 404 Not Found"},
		{"shorter than it said", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(416) }, "announced 1048576 bytes and has 1000"},
		{"down", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, "503 Service Unavailable, after 1000 of 1048576 bytes and 10 attempts"},
		{"another place", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-1048575/1048576")
			w.WriteHeader(206)
		}, "was replaced on the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpstream(t, nil)
			hold := make(chan struct{})
			u.does(func(w http.ResponseWriter, r *http.Request) {
				u.does(tt.then)
				<-hold
				cut(want)(w, r)
			})
			c, _ := newCache(t, t.TempDir(), 1<<30)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					b, _, err := fetch(c, u.URL)
					if err == nil || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("got %d bytes, %v; want %q", len(b), err, tt.want)
					}
				})
			}
			// The fill must not end before all have joined it.
			for joined := 0; joined < 4; {
				c.mu.Lock()
				for _, f := range c.fills {
					f.mu.Lock()
					joined = f.users
					f.mu.Unlock()
				}
				c.mu.Unlock()
			}
			close(hold)
			wg.Wait()
			c.settle()
			if left := append(names(t, c, blobs), names(t, c, parts)...); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A server that announces more than it sends says so at each attempt.
func TestALieAboutTheLengthIsNeverAWholeFile(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000")
		w.Write(make([]byte, 1000))
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	b, _, err := fetch(c, u.URL)
	if err == nil || len(b) > 1000 {
		t.Errorf("got %d bytes, %v; want an error", len(b), err)
	}
	c.settle()
	if n := len(names(t, c, blobs)); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}

func TestARackAsksOnceWhetherTheFileIsStillTheSame(t *testing.T) {
	for name, header := range map[string]http.Header{
		"ETag":          {"Etag": {`"v1"`}},
		"weak ETag":     {"Etag": {`W/"v1"`}},
		"Last-Modified": {"Last-Modified": {"Sat, 01 Jan 2022 00:00:00 GMT"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := content(5000, 0)
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range header {
					w.Header()[k] = v
				}
				modified, _ := http.ParseTime(header.Get("Last-Modified"))
				http.ServeContent(w, r, "", modified, bytes.NewReader(want))
			})
			c, clock := newCache(t, t.TempDir(), 1<<30)
			mustFetch(t, c, u.URL, want)
			c.settle()
			clock.pass(FreshFor - time.Second)
			mustFetch(t, c, u.URL, want)
			if n := len(u.asked()); n != 1 {
				t.Fatalf("within %v upstream was asked %d times, want 1", FreshFor, n)
			}
			clock.pass(2 * time.Second)
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					if b, note, err := fetch(c, u.URL); err != nil || note != "" || !bytes.Equal(b, want) {
						t.Errorf("got %d bytes, %q, %v", len(b), note, err)
					}
				})
			}
			wg.Wait()
			all := u.asked()
			if last := all[len(all)-1]; len(all) != 2 || last.Header.Get("If-None-Match") != header.Get("Etag") || last.Header.Get("If-Modified-Since") != header.Get("Last-Modified") {
				t.Errorf("%d requests, the last with %v", len(all), last.Header)
			}
		})
	}
}

func TestANewFileTakesThePlaceOfTheOld(t *testing.T) {
	v1, v2 := content(5000, 1), content(6000, 2)
	u := newUpstream(t, breaking(v1, http.Header{"Etag": {`"v1"`}}, true))
	c, clock := newCache(t, t.TempDir(), 1<<30)
	mustFetch(t, c, u.URL, v1)
	c.settle()
	u.does(breaking(v2, http.Header{"Etag": {`"v2"`}}, true))
	clock.pass(FreshFor)
	mustFetch(t, c, u.URL, v2)
}

func TestWhatIsThereIsServedWhenUpstreamIsDown(t *testing.T) {
	want := content(5000, 0)
	serve := breaking(want, http.Header{"Etag": {`"v1"`}}, true)
	u := newUpstream(t, serve)
	c, clock := newCache(t, t.TempDir(), 1<<30)
	mustFetch(t, c, u.URL, want)
	c.settle()
	fetched := clock.now().UTC().Format("2006-01-02T15:04")
	for _, status := range []int{500, 503, 429} {
		u.does(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
		clock.pass(FreshFor)
		note := mustFetch(t, c, u.URL, want)
		if !strings.Contains(note, fmt.Sprintf("the server answers %d", status)) || !strings.Contains(note, "this is the copy of "+fetched) {
			t.Errorf("the note is %q", note)
		}
	}
	// A rack does not wait for a dead server each time, and all are told.
	n := len(u.asked())
	if note := mustFetch(t, c, u.URL, want); note == "" || len(u.asked()) != n {
		t.Errorf("note %q after %d requests, want one, and no further", note, len(u.asked())-n)
	}
	// When upstream is back, it is asked again.
	u.does(serve)
	clock.pass(RetryAfter)
	if note := mustFetch(t, c, u.URL, want); note != "" || len(u.asked()) != n+1 {
		t.Errorf("note %q after %d requests", note, len(u.asked())-n)
	}
	// That a file is gone is an answer.
	clock.pass(FreshFor)
	u.does(http.NotFound)
	if _, _, err := fetch(c, u.URL); err == nil || err.Error() != "the server answers 404 Not Found" {
		t.Errorf("got %v, want 404", err)
	}
	// No connection at all.
	u.Close()
	if note := mustFetch(t, c, u.URL, want); !strings.Contains(note, "connection refused") {
		t.Errorf("the note is %q", note)
	}
}

func TestADigestIsVerifiedBeforeAByteIsServed(t *testing.T) {
	body := content(1<<20, 0)
	sum := boot.Digest(sha256.Sum256(body))
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
	c, _ := newCache(t, t.TempDir(), 1<<30)
	_, _, err := fetchPinned(c, u.URL, boot.Digest{1})
	var digest *boot.DigestError
	if !errors.As(err, &digest) || digest.Want != (boot.Digest{1}) || digest.Got != sum {
		t.Fatalf("got %v, want a *boot.DigestError with %s", err, sum)
	}
	if left := append(names(t, c, blobs), names(t, c, parts)...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	n := len(u.asked())
	for range 3 {
		if b, _, err := fetchPinned(c, u.URL, sum); err != nil || !bytes.Equal(b, body) {
			t.Fatalf("got %d bytes, %v", len(b), err)
		}
	}
	// The digest is all that matters, not where it came from.
	if b, _, err := fetchPinned(c, u.URL+"/mirror", sum); err != nil || !bytes.Equal(b, body) {
		t.Errorf("from elsewhere: got %d bytes, %v", len(b), err)
	}
	if got := len(u.asked()) - n; got != 1 {
		t.Errorf("upstream was asked %d times, want 1", got)
	}
}

func TestARestartFindsWhatIsWholeAndVerifiesIt(t *testing.T) {
	want := content(100_000, 0)
	u := newUpstream(t, breaking(want, http.Header{"Etag": {`"v1"`}}, true))
	dir := t.TempDir()
	c, _ := newCache(t, dir, 1<<30)
	mustFetch(t, c, u.URL, want)
	c.Close()
	c, _ = newCache(t, dir, 1<<30)
	mustFetch(t, c, u.URL, want)
	if n := len(u.asked()); n != 1 {
		t.Fatalf("upstream was asked %d times, want 1", n)
	}
	c.Close()

	// Whatever a disk does to it, it is not served.
	blob := filepath.Join(dir, blobs, names(t, c, blobs)[0])
	for name, damage := range map[string]func() error{
		"torn":    func() error { return os.Truncate(blob, 5000) },
		"zeroed":  func() error { return os.WriteFile(blob, make([]byte, len(want)), 0o600) },
		"empty":   func() error { return os.Truncate(blob, 0) },
		"missing": func() error { return os.Remove(blob) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			c, _ := newCache(t, dir, 1<<30)
			note := mustFetch(t, c, u.URL, want)
			if damaged := name != "missing"; damaged != strings.Contains(note, "was damaged") {
				t.Errorf("the note is %q", note)
			}
			c.Close()
		})
	}
}

// fillUntilKilled is the other process of TestAKilledProcessLeavesNoTornFile.
func fillUntilKilled(dir, url string) {
	c, err := New(dir, 1<<30)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	f, err := c.Open(context.Background(), Request{URL: url, Get: get})
	if err == nil {
		_, err = io.ReadFull(f, make([]byte, 1<<20))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("half") // so that the first half is in the part
	select {}
}

func TestAKilledProcessLeavesNoTornFile(t *testing.T) {
	want := content(2<<20, 0)
	u := newUpstream(t, nil)
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		w.Write(want[:1<<20])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	dir := t.TempDir()
	for range 3 {
		u.does(half)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "CACHE_TEST_FILL="+dir, "CACHE_TEST_URL="+u.URL)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 100)
		n, _ := out.Read(line)
		if got := string(line[:n]); got != "half\n" {
			child.Process.Kill()
			t.Fatalf("the child says %q", got)
		}
		// While it lives, its part is left alone.
		c, _ := newCache(t, dir, 1<<30)
		if n := len(names(t, c, parts)); n != 1 {
			t.Errorf("%d parts beside a living process, want 1", n)
		}
		c.Close()
		if err := child.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		child.Wait() // it was killed
		c, _ = newCache(t, dir, 1<<30)
		if left := append(names(t, c, blobs), names(t, c, parts)...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		u.does(func(w http.ResponseWriter, r *http.Request) { w.Write(want) })
		mustFetch(t, c, u.URL, want)
		c.Close()
		for _, room := range []string{blobs, refs} {
			for _, n := range names(t, c, room) {
				os.Remove(filepath.Join(dir, room, n))
			}
		}
	}
}

// fetchUntilKilled is the other process of TestEveryBlobIsWhatItsNameSays: it
// fetches one file after the other, and says so.
func fetchUntilKilled(dir, url string) {
	c, err := New(dir, 1<<30)
	for i := 0; err == nil; i++ {
		_, _, err = fetch(c, fmt.Sprintf("%s/%d", url, i))
		fmt.Println(i)
	}
	fmt.Println(err)
	os.Exit(1)
}

// Whenever a process is killed, between any two of its steps.
func TestEveryBlobIsWhatItsNameSays(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		w.Write(content(50_000+n, byte(n)))
	})
	dir := t.TempDir()
	for lines := range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "CACHE_TEST_FETCH="+dir, "CACHE_TEST_URL="+u.URL)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		for range 1 + lines {
			said.Scan()
		}
		child.Process.Kill()
		child.Wait() // it was killed
		c, _ := newCache(t, dir, 1<<30)
		for _, name := range names(t, c, blobs) {
			b, err := os.ReadFile(filepath.Join(dir, blobs, name))
			if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != name || err != nil {
				t.Errorf("the blob %s has %d bytes with the digest %s, %v", name, len(b), got, err)
			}
		}
		for i := range lines {
			mustFetch(t, c, fmt.Sprintf("%s/%d", u.URL, i), content(50_000+i, byte(i)))
		}
		c.Close()
	}
}

func TestWhatWasOpenedLongestAgoIsEvictedAndNoReaderIsCut(t *testing.T) {
	const size = 100_000
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(content(size, r.URL.Path[1]))
	})
	c, clock := newCache(t, t.TempDir(), 3*cost(size))
	one := func(path string) []byte { return content(size, path[1]) }
	for _, path := range []string{"/a", "/b", "/c"} {
		mustFetch(t, c, u.URL+path, one(path))
		c.settle()
		clock.pass(time.Second)
	}
	f, err := c.Open(t.Context(), Request{URL: u.URL + "/b", Get: get})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	clock.pass(time.Second)
	mustFetch(t, c, u.URL+"/a", one("/a")) // used again, so c is the oldest
	for _, path := range []string{"/d", "/e", "/f"} {
		clock.pass(time.Second)
		mustFetch(t, c, u.URL+path, one(path))
		c.settle()
	}
	if n := len(names(t, c, blobs)); n != 3 {
		t.Errorf("%d files are kept, want 3", n)
	}
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, one("/b")) {
		t.Errorf("the reader of an evicted file got %d bytes, %v", len(b), err)
	}
	n := len(u.asked())
	mustFetch(t, c, u.URL+"/f", one("/f"))
	if len(u.asked()) != n {
		t.Error("the youngest was evicted")
	}
}

func TestWhatIsTooLargeIsRefusedAtOnce(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", "1000000")
		}
		for range 10 {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	c, _ := newCache(t, t.TempDir(), 500_000)
	var large *TooLargeError
	if _, err := c.Open(t.Context(), Request{URL: u.URL + "/known", Get: get}); !errors.As(err, &large) || large.Size != 1_000_000 || large.Max != 500_000 {
		t.Errorf("a known length: got %v, want a *TooLargeError", err)
	}
	if b, _, err := fetch(c, u.URL+"/unknown"); !errors.As(err, &large) || len(b) > 500_000 {
		t.Errorf("an unknown length: got %d bytes, %v, want a *TooLargeError", len(b), err)
	}
	c.settle()
	if c.reserved != 0 {
		t.Errorf("%d bytes stay reserved", c.reserved)
	}
	// Whoever comes next is not cut as well.
	n := len(u.asked())
	if _, err := c.Open(t.Context(), Request{URL: u.URL + "/unknown", Get: get}); !errors.As(err, &large) || len(u.asked()) != n {
		t.Errorf("an unknown length, once more: got %v and %d requests, want the *TooLargeError at once", err, len(u.asked())-n)
	}
	c.SetMax(2_000_000)
	for _, path := range []string{"/known", "/unknown"} {
		mustFetch(t, c, u.URL+path, make([]byte, 1_000_000))
		c.settle()
	}
}

// On a disk that others fill, too, what was used longest ago makes room, and what
// then does not fit is refused before it is begun.
func TestWhatTheDiskHasNoRoomForIsRefusedAtOnce(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Content-Length", r.URL.Path[1:])
		if _, err := w.Write(content(size, byte(size))); err != nil {
			return
		}
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	c.free = func(string) (int64, error) {
		left := int64(1 << 20)
		for _, n := range names(t, c, blobs) {
			if info, err := os.Stat(c.path(blobs, n)); err == nil {
				left -= info.Size()
			}
		}
		return left, nil
	}
	for _, size := range []int{700_000, 800_000} {
		mustFetch(t, c, fmt.Sprintf("%s/%d", u.URL, size), content(size, byte(size)))
		c.settle()
	}
	if kept := names(t, c, blobs); len(kept) != 1 {
		t.Errorf("%d files are kept, want the last", len(kept))
	}
	var disk *DiskError
	_, err := c.Open(t.Context(), Request{URL: u.URL + "/2000000", Get: get})
	want := "cache: no space left on device: 1048576 bytes are left, and the file has 2000000 or more; make room, or name another directory by dir of the cache"
	if !errors.As(err, &disk) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAReaderThatLeavesDoesNotEndTheTransfer(t *testing.T) {
	want := content(1<<20, 0)
	release := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(want[:1000])
		w.(http.Flusher).Flush()
		<-release
		w.Write(want[1000:])
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	ctx, leave := context.WithCancel(t.Context())
	f, err := c.Open(ctx, Request{URL: u.URL, Get: get})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(f, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	leave()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	f.Close()
	f.Close() // twice is once
	close(release)
	c.settle()
	mustFetch(t, c, u.URL, want)
	if n := len(u.asked()); n != 1 {
		t.Errorf("upstream was asked %d times, want 1", n)
	}
}

func TestCloseEndsTransfers(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("kernel"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	f, err := c.Open(t.Context(), Request{URL: u.URL, Get: get})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := io.ReadAll(f); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want errClosed", err)
	}
	if _, err := c.Open(t.Context(), Request{URL: u.URL, Get: get}); !errors.Is(err, errClosed) {
		t.Errorf("a new one: got %v, want errClosed", err)
	}
}

// The bound on transfers makes machines wait, and those who wait may leave.
func TestOnlySoManyTransfersRunAtATime(t *testing.T) {
	release := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(w, r.URL.Path)
	})
	c, _ := newCache(t, t.TempDir(), 1<<30)
	var wg sync.WaitGroup
	for i := range 2 * maxFills {
		wg.Go(func() {
			path := fmt.Sprintf("/%d", i)
			if b, _, err := fetch(c, u.URL+path); string(b) != path || err != nil {
				t.Errorf("got %q, %v, want %q", b, err, path)
			}
		})
	}
	for len(u.asked()) < maxFills {
		time.Sleep(time.Millisecond)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.Open(ctx, Request{URL: u.URL + "/one-more", Get: get}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if n := len(u.asked()); n != maxFills {
		t.Errorf("%d transfers at a time, want %d", n, maxFills)
	}
	close(release)
	wg.Wait()
}

func TestADirectoryThatCannotBeUsedIsRefusedAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(file, 1<<20); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v", err)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-9/*", "bytes */10", "bytes -5/10", "bits 0-1/2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from, size, ok := ContentRange(s)
		if ok && (from < 0 || size < -1) {
			t.Errorf("%q: %d of %d", s, from, size)
		}
	})
}

// What is fetched beforehand is there for the machine, and costs nothing where it is
// there already.
func TestWhatIsKeptBeforehandIsThere(t *testing.T) {
	want := content(3<<20, 1)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		w.Write(want)
	})
	c, clock := newCache(t, t.TempDir(), 1<<30)
	if Holds(c.dir, u.URL, boot.Digest{}) || Holds(c.dir+"/none", u.URL, boot.Digest{}) {
		t.Error("an empty cache holds a file")
	}
	var seen []int64
	keep := func(r Request) (Kept, error) {
		r.URL, r.Get, seen = u.URL, get, nil
		return c.Keep(t.Context(), r, func(have, size int64) {
			if size != int64(len(want)) || len(seen) > 0 && have < seen[len(seen)-1] {
				t.Errorf("%d of %d after %v", have, size, seen)
			}
			seen = append(seen, have)
		})
	}
	for i, wantFetched := range []bool{true, false, false} {
		got, err := keep(Request{})
		if wantFetched != (len(seen) > 0) {
			t.Errorf("time %d: seen %v", i, seen)
		}
		if err != nil || got != (Kept{Size: int64(len(want)), Fetched: wantFetched}) {
			t.Errorf("time %d: got %+v, %v", i, got, err)
		}
		clock.pass(time.Hour) // so that the server is asked again
	}
	if n := len(u.asked()); n != 3 {
		t.Errorf("%d requests, want one each time", n)
	}
	if !Holds(c.dir, u.URL, boot.Digest{}) || !Holds(c.dir, "", sha256.Sum256(want)) {
		t.Error("it does not hold the file")
	}
	mustFetch(t, c, u.URL, want)

	var digest *boot.DigestError
	if got, err := keep(Request{Want: boot.Digest{1}}); !errors.As(err, &digest) {
		t.Errorf("another digest: got %+v, %v", got, err)
	}
	got, err := keep(Request{Want: sha256.Sum256(want)})
	if err != nil || got.Fetched {
		t.Errorf("the digest that it has: got %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	u.does(func(w http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := c.Keep(ctx, Request{URL: u.URL + "/other", Get: get}, func(int64, int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is given up: %v", err)
	}
}
