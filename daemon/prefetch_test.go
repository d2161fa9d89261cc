package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/daemon/status"
)

// shelf is a mirror whose files are named by their content, and which notes what it is
// asked; "/none" is not there, and "/slow" waits until it is let go.
type shelf struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	slow  chan struct{}
	came  chan struct{} // closed when somebody has asked for /slow
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{slow: make(chan struct{}), came: make(chan struct{})}
	once := sync.OnceFunc(func() { close(s.came) })
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		s.mu.Unlock()
		switch r.URL.Path {
		case "/none":
			http.NotFound(w, r)
			return
		case "/slow":
			once()
			select {
			case <-s.slow:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprint(w, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) times(path string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if a == path {
			n++
		}
	}
	return n
}

// prefetched waits until a generation has its files beforehand.
func prefetched(t *testing.T, d *Daemon, gen uint64) status.Prefetch {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if p := d.report().Cache.Prefetch; p != nil && p.Generation == gen && !p.Ended.IsZero() {
			return *p
		}
		if time.Now().After(deadline) {
			t.Fatalf("generation %d has not its files: %+v", gen, d.report().Cache.Prefetch)
		}
	}
}

const prefetching = `
cache { prefetch = true }
machine "a" {
  mac = "02:00:00:00:00:0a"
}
machine "b" {
  mac = "02:00:00:00:00:0b"
}
boot "named" { kernel = "URL/${machine.name}" }
boot "any" {
  kernel = "URL/linux"
  initrd = ["URL/INITRD"]
}
rule "named" {
  match { machine = ["a", "b"] }
  boot = boot.named
}
rule "any" { boot = boot.any }
`

func TestTheCacheIsFilledBeforehand(t *testing.T) {
	s := newShelf(t)
	dir := t.TempDir()
	text := func(initrd string) string {
		return strings.NewReplacer("URL", s.URL, "INITRD", initrd).Replace(prefetching)
	}
	path := file(t, filepath.Join(dir, "pixiecore.hcl"), text("none"))
	o := options(t, path)
	o.Path, o.CacheDir = "", filepath.Join(dir, "cache")
	d := run(t, o)
	p := prefetched(t, d, 1)
	if p.Files != 4 || p.Done != 3 || p.Fetched != 3 || len(p.Failed) != 1 || p.Failed[0].File != s.URL+"/none" || !strings.Contains(p.Failed[0].Error, "the server answers 404 Not Found") {
		t.Errorf("at the start: %+v", p)
	}
	if got, want := p.String(), "; 1 could not be fetched"; !strings.HasSuffix(got, want) || !strings.Contains(p.Way(), "`pixiecore fetch`") {
		t.Errorf("the status says %q, %q", got, p.Way())
	}

	// A reload fetches what is new, and does not wait for it.
	file(t, path, text("slow"))
	must(t, d.Reload())
	<-s.came
	if p := d.report().Cache.Prefetch; p == nil || p.Generation != 2 || !p.Ended.IsZero() || !strings.Contains(p.String(), "files are fetched beforehand: ") {
		t.Errorf("while it goes on: %+v", p)
	}

	// The next ends it.
	file(t, path, text("initrd"))
	must(t, d.Reload())
	if p = prefetched(t, d, 3); p.Files != 4 || p.Done != 4 || p.Fetched != 1 || p.FailedCount() != 0 || p.Way() != "" {
		t.Errorf("after the third: %+v", p)
	}
	for path, want := range map[string]int{"/a": 1, "/b": 1, "/linux": 1, "/none": 1, "/slow": 1, "/initrd": 1} {
		if got := s.times(path); got != want {
			t.Errorf("%s was asked for %d times, want %d", path, got, want)
		}
	}

	file(t, path, strings.Replace(text("initrd"), "{ prefetch = true }", "{\n  prefetch = true\n  max_size = \"9B\"\n}", 1))
	must(t, d.Reload())
	if p = prefetched(t, d, 4); !strings.Contains(p.String()+p.Error, "raise its max_size") {
		t.Errorf("in a cache that is too small: %+v", p)
	}
	file(t, path, strings.Replace(text("initrd"), "{ prefetch = true }", "{}", 1))
	must(t, d.Reload())
	if p := d.report().Cache.Prefetch; p != nil {
		t.Errorf("where it is not wanted: %+v", p)
	}
	close(s.slow)
}
