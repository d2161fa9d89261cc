package booters

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
)

// A publisher publishes releases: a kernel, an initrd, their SHA256SUMS and its signature.
type publisher struct {
	*httptest.Server
	key    *openpgp.Entity
	mu     sync.Mutex
	files  map[string]string
	asked  map[string]*atomic.Int32
	before func(path string) // is called before a file is sent
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	key, err := openpgp.NewEntity("release", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	m := &publisher{key: key, files: make(map[string]string), asked: make(map[string]*atomic.Int32)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.before != nil {
			m.before(r.URL.Path)
		}
		m.mu.Lock()
		text, ok := m.files[r.URL.Path]
		if m.asked[r.URL.Path] == nil {
			m.asked[r.URL.Path] = new(atomic.Int32)
		}
		m.asked[r.URL.Path].Add(1)
		m.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, text)
	}))
	t.Cleanup(m.Close)
	m.publish("1")
	return m
}

func (m *publisher) publish(release string) {
	files := map[string]string{"/os/amd64/linux": "kernel " + release, "/os/amd64/initrd": "initrd " + release}
	sums := ""
	for path, text := range files {
		sums += fmt.Sprintf("%x  .%s\n", sha256.Sum256([]byte(text)), strings.TrimPrefix(path, "/os"))
	}
	var signature bytes.Buffer
	if err := openpgp.DetachSign(&signature, m.key, strings.NewReader(sums), nil); err != nil {
		panic(err)
	}
	files["/os/SHA256SUMS"], files["/os/SHA256SUMS.gpg"] = sums, signature.String()
	m.mu.Lock()
	defer m.mu.Unlock()
	for path, text := range files {
		m.files[path] = text
	}
}

func (m *publisher) set(path, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = text
}

// keyFile has the publisher's public key.
func (m *publisher) keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.gpg")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := m.key.Serialize(f); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m *publisher) source(file, key string) Source {
	return Source{At: m.URL + "/os/amd64/" + file, Sums: Checksums{At: m.URL + "/os/SHA256SUMS", Signature: m.URL + "/os/SHA256SUMS.gpg", Key: key}}
}

// cached are Sources with a cache.
func cached(t *testing.T) *Sources {
	t.Helper()
	c, err := cache.New(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return NewSources().With(SourceOptions{Cache: c})
}

// spooled are Sources that verify without a cache.
func spooled(t *testing.T) *Sources {
	t.Helper()
	c, err := cache.New(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return NewSources().With(SourceOptions{Spool: func() (*cache.Cache, error) { return c, nil }})
}

func TestPlaceOfAFileAmongChecksums(t *testing.T) {
	for name, tt := range map[string]struct{ sums, of, below, base string }{
		"beside":             {"http://h/os/SHA256SUMS", "http://h/os/linux", "linux", "linux"},
		"below":              {"http://h/os/SHA256SUMS", "http://h/os/a%20b/linux", "a b/linux", "linux"},
		"of the whole host":  {"http://h/SHA256SUMS", "http://h/a/linux?token=1", "a/linux", "linux"},
		"elsewhere":          {"http://h/os/SHA256SUMS", "http://h/other/linux", "", "linux"},
		"a name that begins": {"http://h/os/SHA256SUMS", "http://h/osx/linux", "", "linux"},
		"of another host":    {"http://h/os/SHA256SUMS", "http://mirror/os/linux", "", "linux"},
		"a copy":             {"/srv/SHA256SUMS", "http://h/os/linux", "", "linux"},
		"local":              {"/srv/os/SHA256SUMS", "/srv/os/a/linux", "a/linux", "linux"},
		"local, elsewhere":   {"/srv/os/SHA256SUMS", "/srv/linux", "", "linux"},
	} {
		if below, base := (Checksums{At: tt.sums}).place(tt.of); below != tt.below || base != tt.base {
			t.Errorf("%s: got %q, %q", name, below, base)
		}
	}
}

func TestChecksumsAreVerifiedBeforeAFileIsServed(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*publisher, *Source)
		want   string // in the error; empty: it is served
	}{
		"as published":                  {func(*publisher, *Source) {}, ""},
		"without a key":                 {func(_ *publisher, s *Source) { s.Sums.Key, s.Sums.Signature = "", "" }, ""},
		"a file that is another":        {func(m *publisher, _ *Source) { m.set("/os/amd64/linux", "worse") }, "has the SHA-256"},
		"checksums that were changed":   {func(m *publisher, _ *Source) { m.set("/os/SHA256SUMS", m.files["/os/SHA256SUMS"]+"#") }, "SHA256SUMS: its signature does not fit it"},
		"checksums that are not signed": {func(_ *publisher, s *Source) { s.Sums.Signature = "" }, "it is not signed"},
		"no checksums":                  {func(_ *publisher, s *Source) { s.Sums.At += "x" }, "the server answers 404 Not Found"},
		"no signature":                  {func(_ *publisher, s *Source) { s.Sums.Signature += "x" }, "its signature: get"},
		"a file that is not in them":    {func(_ *publisher, s *Source) { s.At += "x" }, `it has no line for "amd64/linuxx"`},
		"no key":                        {func(_ *publisher, s *Source) { s.Sums.Key += "x" }, "its key: open"},
		"a key that is none":            {func(_ *publisher, s *Source) { os.WriteFile(s.Sums.Key, nil, 0o600) }, "its key: it has no OpenPGP public key"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newPublisher(t)
			src := m.source("linux", m.keyFile(t))
			tt.change(m, &src)
			r, _, err := spooled(t).Open(t.Context(), src.String())
			if err == nil {
				defer r.Close()
			}
			switch {
			case tt.want == "" && err == nil:
				if b, err := io.ReadAll(r); string(b) != "kernel 1" || err != nil {
					t.Errorf("got %q, %v", b, err)
				}
			case tt.want == "" || err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, boot.ErrUnverified):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A release that is published between the script and the files, or between two files,
// must not be mixed with the one before.
func TestABootStaysOfOneRelease(t *testing.T) {
	for name, sources := range map[string]*Sources{"cached": cached(t), "spooled": spooled(t)} {
		t.Run(name, func(t *testing.T) {
			m := newPublisher(t)
			key := m.keyFile(t)
			spec := &boot.Spec{Kernel: boot.ID(m.source("linux", key).String()), Initrd: []boot.ID{boot.ID(m.source("initrd", key).String())}}
			tab, err := NewTable(sealer(t), sources, nil, []Rule{{Name: "all", Action: Action{Do: boot.Boot, Boot: "os", Spec: spec, Sums: true}}})
			if err != nil {
				t.Fatal(err)
			}
			first := decide(t, tab, boot.Machine{})
			before, err := first.SpecFor(boot.Machine{}, "")
			if err != nil {
				t.Fatal(err)
			}
			m.publish("2")
			again, err := first.SpecFor(boot.Machine{}, "")
			if err != nil || again.Kernel != before.Kernel || again.Initrd[0] != before.Initrd[0] {
				t.Errorf("the same boot was given other files: %v", err)
			}
			if _, _, err := tab.ReadBootFile(before.Initrd[0]); !errors.As(err, new(*boot.DigestError)) {
				t.Errorf("got %v, want that the initrd of the next release is refused", err)
			}
		})
	}
}

func TestTheNextBootGetsTheNextRelease(t *testing.T) {
	m := newPublisher(t)
	key := m.keyFile(t)
	src := NewSources() // without a cache, in which checksums are fresh for a minute
	tab, err := NewTable(sealer(t), src, nil, []Rule{{Name: "all", Action: Action{
		Do: boot.Boot, Boot: "os", Sums: true,
		Render: func(Request) (*boot.Spec, error) {
			return &boot.Spec{Kernel: boot.ID(m.source("linux", key).String())}, nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var ids []boot.ID
	for _, release := range []string{"1", "2"} {
		m.publish(release)
		spec, err := decide(t, tab, boot.Machine{}).SpecFor(boot.Machine{}, "")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, spec.Kernel)
	}
	if ids[0] == ids[1] {
		t.Error("the kernel of the release before")
	}
}

// What is published between the checksums and their signature is no forgery.
func TestChecksumsThatChangeWhileTheyAreFetched(t *testing.T) {
	m := newPublisher(t)
	once := sync.OnceFunc(func() { m.publish("2") })
	m.before = func(path string) {
		if path == "/os/SHA256SUMS.gpg" {
			once()
		}
	}
	got, err := cached(t).Resolve(t.Context(), m.source("linux", m.keyFile(t)))
	if want := boot.Digest(sha256.Sum256([]byte("kernel 2"))); err != nil || got.SHA256 != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestManyMachinesFetchChecksumsOnce(t *testing.T) {
	m := newPublisher(t)
	s, src := cached(t), m.source("linux", m.keyFile(t))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := s.Resolve(context.Background(), src); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, path := range []string{"/os/SHA256SUMS", "/os/SHA256SUMS.gpg"} {
		if n := m.asked[path].Load(); n != 1 {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
}

func TestCheckKey(t *testing.T) {
	m := newPublisher(t)
	path := m.keyFile(t)
	s := NewSources()
	if err := s.CheckKey(t.Context(), path); err != nil {
		t.Error(err)
	}
	os.WriteFile(path, []byte("x"), 0o600)
	if err := s.CheckKey(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no OpenPGP public key") {
		t.Errorf("got %v", err)
	}
}
