package booters

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cache"
)

// anImage is a small one with "vmlinuz" in it, and with a directory "pool" that has a
// "package". It was made by genisoimage -R -no-pad.
func anImage(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("testdata/small.iso")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	imageKernel = "the kernel of the image\n"
	imagePool   = "a package of the image\n"
)

func read(t testing.TB, s *Sources, source string) (string, error) {
	t.Helper()
	f, size, err := s.Open(t.Context(), source)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err == nil && size != int64(len(b)) {
		err = fmt.Errorf("%d bytes, said to be %d", len(b), size)
	}
	return string(b), err
}

func TestTheNameOfAFileInAnImage(t *testing.T) {
	for _, tc := range []struct{ image, name, at string }{
		{"/srv/x.iso", "/install.amd/vmlinuz", "iso:/srv/x.iso!/install.amd/vmlinuz"},
		{"https://u:p@192.0.2.1/a!/b.iso?x", "100%!/y", "iso:https://u:p@192.0.2.1/a!/b.iso?x!/100%25%21/y"},
	} {
		at := InImage(tc.image, tc.name)
		image, name, ok := CutImage(at)
		if at != tc.at || image != tc.image || name != strings.TrimPrefix(tc.name, "/") || !ok {
			t.Errorf("%q: %q, %q, %v", at, image, name, ok)
		}
	}
	for _, at := range []string{"iso:/x!/", "iso:/x", "iso:x!/y", "iso:ftp://192.0.2.1/x!/y", "iso:https://169.254.169.254/x!/y", "iso:iso:/x!/y!/z"} {
		if _, err := ParseSource(at); err == nil {
			t.Errorf("%s is taken", at)
		}
	}
	if got, want := ShownSource("iso:https://u:p@192.0.2.1/x.iso?secret!/y"), "iso:https://redacted@192.0.2.1/x.iso?redacted!/y"; got != want {
		t.Errorf("shown is %s, want %s", got, want)
	}
}

func TestAFileInALocalImage(t *testing.T) {
	s, image := NewSources(), anImage(t)
	if got, err := read(t, s, InImage(image, "/vmlinuz")); got != imageKernel || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	right := Source{At: InImage(image, "vmlinuz"), SHA256: digest(imageKernel)}
	if got, err := read(t, s, right.String()); got != imageKernel || err != nil {
		t.Errorf("with its digest: %q, %v", got, err)
	}
	wrong := Source{At: InImage(image, "vmlinuz"), SHA256: digest("x")}
	if _, err := read(t, s, wrong.String()); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("with another digest: %v", err)
	}
	if err := s.ahead(t.Context(), wrong); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("ahead: %v", err)
	}
	if _, err := read(t, s, InImage(image, "nothing")); err == nil || !strings.Contains(err.Error(), `there is no "nothing" in "/" of the image`) {
		t.Errorf("a name that is not there: %v", err)
	}
	if _, err := read(t, s, InImage("/nothing.iso", "x")); err == nil || !strings.Contains(err.Error(), `open "/nothing.iso": no such file`) {
		t.Errorf("an image that is not there: %v", err)
	}
	missing, err := FindMissing(image, "pool/pack")
	if err != nil || missing == nil || missing.Dir != "pool" || strings.Join(missing.Else, " ") != "package" {
		t.Errorf("%+v, %v", missing, err)
	}
}

// Who exchanges an image while a file of it is read is found out.
func TestAnImageThatIsChanged(t *testing.T) {
	b, err := os.ReadFile(anImage(t))
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(image, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewSources()
	f, _, err := s.Open(t.Context(), Source{At: InImage(image, "vmlinuz"), SHA256: digest(imageKernel)}.String())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	changed := strings.Replace(string(b), imageKernel, strings.ToUpper(imageKernel), 1)
	if err := os.WriteFile(image, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("%q, %v", got, err)
	}
}

// What a distributor publishes are checksums of images: a file of one that has them is
// given only out of the right image.
func TestAFileInAVerifiedImage(t *testing.T) {
	b, err := os.ReadFile(anImage(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	image, sums := filepath.Join(dir, "x.iso"), filepath.Join(dir, "SHA256SUMS")
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(image, b)
	write(sums, fmt.Appendf(nil, "%x  x.iso\n", sha256.Sum256(b)))
	m := newMirror(t, true)
	c, err := cache.New(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, at := range map[string]string{"local": image, "remote": m.URL + "/x.iso"} {
		t.Run(name, func(t *testing.T) {
			s := NewSources().With(SourceOptions{Cache: c})
			file := func(name string) string {
				return Source{At: InImage(at, name), Sums: Checksums{At: sums}}.String()
			}
			m.asked()
			for file, want := range map[string]string{file("vmlinuz"): imageKernel, file("pool/package"): imagePool} {
				if got, err := read(t, s, file); got != want || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if asked := m.asked(); name == "remote" && (len(asked) != 1 || asked[0] != "GET ") {
				t.Errorf("asked for %q, and not once for the whole image", asked)
			}
			if _, err := read(t, s, file("nothing")); err == nil || !strings.Contains(err.Error(), `there is no "nothing"`) {
				t.Errorf("a file that is not there: %v", err)
			}
			f, _, err := s.Open(t.Context(), file("vmlinuz"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if name == "local" {
				// Another package is another image.
				write(image, []byte(strings.Replace(string(b), imagePool, strings.ToUpper(imagePool), 1)))
			} else {
				write(sums, fmt.Appendf(nil, "%x  x.iso\n", sha256.Sum256([]byte("another"))))
			}
			var digest *boot.DigestError
			if _, err := read(t, s, file("vmlinuz")); !errors.As(err, &digest) || strings.Contains(digest.File, "vmlinuz") {
				t.Errorf("of another image: %v", err)
			}
			if got, err := io.ReadAll(f); name == "local" && !errors.As(err, &digest) || name == "remote" && string(got) != imageKernel {
				t.Errorf("one that is open: %q, %v", got, err)
			}
			write(image, b)
			write(sums, fmt.Appendf(nil, "%x  x.iso\n", sha256.Sum256(b)))
		})
	}
	if _, _, err := NewSources().Open(t.Context(), Source{At: InImage(m.URL+"/x.iso", "vmlinuz"), Sums: Checksums{At: sums}}.String()); err == nil || !strings.Contains(err.Error(), "fetched whole") {
		t.Errorf("without a place for it: %v", err)
	}
	// The written form, that of the lock file too.
	for _, want := range []Source{
		{At: InImage(image, "x"), SHA256: digest("x"), Whole: true},
		{At: InImage(image, "x"), SHA256: digest("x"), Whole: true, Locked: true},
	} {
		if got, err := ParseSource(want.String()); got != want || err != nil {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := ParseSource(strings.Replace(Source{At: image, SHA256: digest("x")}.String(), "sha256:", "within:", 1)); err == nil {
		t.Error("a file in no image has the digest of one")
	}
}

// A mirror serves the image, and counts.
type mirror struct {
	*httptest.Server
	requests, bytes atomic.Int64
	down            atomic.Bool
	modified        atomic.Int64

	mu  sync.Mutex
	log []string // method and range of each request
}

func (m *mirror) note(request string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, request)
}

// asked is the log since it was asked last.
func (m *mirror) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.log
	m.log = nil
	return log
}

func newMirror(t testing.TB, parts bool) *mirror {
	t.Helper()
	image, err := os.ReadFile(anImage(t))
	if err != nil {
		t.Fatal(err)
	}
	return mirrorOf(t, image, parts)
}

func mirrorOf(t testing.TB, image []byte, parts bool) *mirror {
	m := new(mirror)
	m.modified.Store(1_700_000_000)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		m.note(r.Method + " " + r.Header.Get("Range"))
		switch {
		case m.down.Load():
			http.Error(w, "down", http.StatusServiceUnavailable)
		case r.URL.Path != "/x.iso":
			http.NotFound(w, r)
		case !parts:
			w.Write(image)
		default:
			c := &countingWriter{w, &m.bytes}
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, m.modified.Load()))
			http.ServeContent(c, r, "", time.Unix(m.modified.Load(), 0), strings.NewReader(string(image)))
		}
	}))
	t.Cleanup(m.Close)
	return m
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.ResponseWriter.Write(b)
}

func TestAFileInARemoteImage(t *testing.T) {
	m := newMirror(t, true)
	plain := NewSources()
	at := InImage(m.URL+"/x.iso", "vmlinuz")
	if got, err := read(t, plain, at); got != imageKernel || err != nil {
		t.Errorf("without a cache: %q, %v", got, err)
	}
	if err := plain.Look(t.Context(), at); err != nil {
		t.Errorf("look: %v", err)
	}

	c, err := cache.New(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s := plain.With(SourceOptions{Cache: c})
	for range 3 {
		if got, err := read(t, s, at); got != imageKernel || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	asked := m.requests.Load()
	if got, err := read(t, s, at); got != imageKernel || err != nil || m.requests.Load() != asked {
		t.Errorf("once more: %q, %v, after %d requests", got, err, m.requests.Load()-asked)
	}
	pinned := Source{At: InImage(m.URL+"/x.iso", "pool/package"), SHA256: digest(imagePool)}
	if got, err := read(t, s, pinned.String()); got != imagePool || err != nil {
		t.Errorf("with its digest: %q, %v", got, err)
	}
	pinned.SHA256 = digest("x")
	if _, err := read(t, s, pinned.String()); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("with another digest: %v", err)
	}
	var answer *cache.AnswerError
	if _, err := read(t, s, InImage(m.URL+"/x.iso", "pool/x")); !errors.As(err, &answer) || answer.Code != 404 || !strings.Contains(err.Error(), `there is no "x" in "/pool" of the image`) {
		t.Errorf("a name that is not there: %v", err)
	}
	if _, err := read(t, s, InImage(m.URL+"/y.iso", "x")); !errors.As(err, &answer) || answer.Code != 404 {
		t.Errorf("an image that is not there: %v", err)
	}
	whole := newMirror(t, false)
	for _, s := range []*Sources{plain, s} {
		if _, err := read(t, s, InImage(whole.URL+"/x.iso", "vmlinuz")); err == nil || !strings.Contains(err.Error(), "(Range)") {
			t.Errorf("a server without Range: %v", err)
		}
	}
	c.Close()                                                 // waits until all of them have their names
	if files, _, err := c.Usage(); files != 2 || err != nil { // and not the image
		t.Errorf("the cache has %d files, %v", files, err)
	}
}

// What the cache has is asked for again under the image's validators, and serves where
// the server is down; a transfer goes on where it broke.
func TestARemoteImageIsAskedForAgain(t *testing.T) {
	m := newMirror(t, true)
	s := NewSources()
	at := InImage(m.URL+"/x.iso", "vmlinuz")
	get := func(header http.Header) *http.Response {
		t.Helper()
		resp, err := s.getMember(t.Context(), at, header)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	first := get(http.Header{})
	tag := first.Header.Get("ETag")
	if first.StatusCode != 200 || first.ContentLength != int64(len(imageKernel)) || tag == "" {
		t.Errorf("%+v", first)
	}
	asked := m.requests.Load()
	if again := get(http.Header{"If-None-Match": {tag}}); again.StatusCode != http.StatusNotModified || m.requests.Load() != asked+1 {
		t.Errorf("%s, after %d requests", again.Status, m.requests.Load()-asked)
	}
	rest := get(http.Header{"Range": {"bytes=4-"}, "If-Range": {tag}})
	b, err := io.ReadAll(rest.Body)
	if err != nil || string(b) != imageKernel[4:] || rest.StatusCode != 206 || rest.Header.Get("Content-Range") != fmt.Sprintf("bytes 4-%d/%[1]d", len(imageKernel)-1) && rest.Header.Get("Content-Range") != fmt.Sprintf("bytes 4-%d/%d", len(imageKernel)-1, len(imageKernel)) {
		t.Errorf("the rest: %q, %v, %s %s", b, err, rest.Status, rest.Header.Get("Content-Range"))
	}
	m.modified.Add(1)
	if other := get(http.Header{"Range": {"bytes=4-"}, "If-Range": {tag}}); other.StatusCode != 200 || other.Header.Get("ETag") == tag {
		t.Errorf("the rest of another image: %s", other.Status)
	}
	m.down.Store(true)
	if resp := get(http.Header{}); resp.StatusCode != 503 {
		t.Errorf("a server that is down: %s", resp.Status)
	}
}

// What was read to find one file is not asked for again to find the next, as long as the
// image is the same.
func TestTheDirectoriesOfARemoteImageAreKept(t *testing.T) {
	program, err := exec.LookPath("xorriso")
	if err != nil {
		t.Skip("xorriso is not installed; e2e/setup installs it")
	}
	// As many directories as a DVD has, so that they do not lie side by side.
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "dvd.iso")
	for i := range 2000 {
		path := fmt.Sprintf("%s/pool/main/%c/p%d", dir, 'a'+i%26, i)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.WriteFile(path+"/package.deb", fmt.Appendf(nil, "package %d", i), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), program, "-as", "mkisofs", "-quiet", "-r", "-J", "-o", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	m, s := mirrorOf(t, content, true), NewSources()
	get := func(i int) {
		t.Helper()
		if got, err := read(t, s, InImage(m.URL+"/x.iso", fmt.Sprintf("pool/main/%c/p%d/package.deb", 'a'+i%26, i))); got != fmt.Sprintf("package %d", i) || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	get(0)
	first := m.asked()
	t.Logf("the first file: %q", first)
	if len(first) > 5 {
		t.Errorf("the first file takes %d requests", len(first))
	}
	for i := 0; i < 2000; i += 40 {
		get(i)
	}
	all := len(m.asked())
	t.Logf("50 files in an image of %d KiB: %d requests", len(content)>>10, all)
	if all > 50+25 {
		t.Errorf("50 files take %d requests", all)
	}
	get(1960)
	if asked := m.asked(); len(asked) != 1 {
		t.Errorf("a file whose directories are known: %q", asked)
	}
	// That there is no such file is asked for, too.
	if _, err := read(t, s, InImage(m.URL+"/x.iso", "pool/main/a/p0/other.deb")); err == nil {
		t.Error("a file that is not there is found")
	}
	if asked := m.asked(); len(asked) != 1 {
		t.Errorf("a file that is not there: %q", asked)
	}
	m.modified.Add(1)
	get(0)
	if asked := m.asked(); len(asked) != 1+len(first) {
		t.Errorf("of another image: %q", asked)
	}
}

// What is kept of images has an end, and without validators nothing is.
func TestWhatIsKeptOfRemoteImages(t *testing.T) {
	k := newKnownImages()
	parts := func(chunks int64, tag string) imageParts {
		p := imageParts{size: 1 << 30, header: http.Header{}, chunks: make(map[int64][]byte)}
		if tag != "" {
			p.header.Set("ETag", tag)
		}
		for i := range chunks {
			p.chunks[i*chunk] = []byte{0}
		}
		return p
	}
	k.keep("none", parts(1, ""))
	if _, ok := k.known("none"); ok {
		t.Error("an image without validators is kept")
	}
	for i := range maxImages + 1 {
		k.keep(fmt.Sprint(i), parts(1, "x"))
	}
	if _, ok := k.known("0"); ok || len(k.all) != maxImages {
		t.Errorf("%d images are kept", len(k.all))
	}
	k.keep("1", parts(maxParts-2, "x"))
	if len(k.all) != 3 {
		t.Errorf("beside a large one, %d images are kept", len(k.all))
	}
	k.keep("2", parts(maxParts+1, "x"))
	if len(k.all) != 0 {
		t.Errorf("beside one that is too large, %d images are kept", len(k.all))
	}
	k.keep("3", parts(2, "x"))
	k.keep("3", parts(1, "x"))
	if p, _ := k.known("3"); len(p.chunks) != 2 {
		t.Errorf("what others have read is lost: %d", len(p.chunks))
	}
	k.keep("3", parts(1, "y"))
	if p, _ := k.known("3"); len(p.chunks) != 1 {
		t.Errorf("of the image that there was, %d parts are left", len(p.chunks)-1)
	}
}

// The tree of an image is one of addresses, as a directory is.
func TestTheTreeOfAnImage(t *testing.T) {
	for name, image := range map[string]string{"local": anImage(t), "remote": newMirror(t, true).URL + "/x.iso"} {
		t.Run(name, func(t *testing.T) {
			path := ""
			tab := linked(t, func() Target { return Target{Image: image, Path: path} })
			id, rest := address(t, tab)
			if rest != "" {
				t.Errorf("the address ends in %q", rest)
			}
			for file, want := range map[string]string{"vmlinuz": imageKernel, "pool/package": imagePool, "/vmlinuz": imageKernel, "//pool//package": imagePool} {
				if got, err := content(tab, id, file); got != want || err != nil {
					t.Errorf("%s: %q, %v", file, got, err)
				}
			}
			for _, file := range []string{"", "pool", "pool/", "nothing", "pool/../vmlinuz/x", "/nothing", "../vmlinuz", "/../vmlinuz"} {
				if got, err := content(tab, id, file); !errors.Is(err, boot.ErrNotFound) {
					t.Errorf("%q: %q, %v", file, got, err)
				}
			}
			if _, _, err := tab.ReadBootFile(id); !errors.Is(err, boot.ErrNotFound) {
				t.Errorf("as a file: %v", err)
			}
			path = "pool/"
			id, _ = address(t, tab)
			if got, err := content(tab, id, "package"); got != imagePool || err != nil {
				t.Errorf("below a directory: %q, %v", got, err)
			}
			if _, err := content(tab, id, "vmlinuz"); !errors.Is(err, boot.ErrNotFound) {
				t.Errorf("beside it: %v", err)
			}
			path = "pool/package"
			if id, rest = address(t, tab); rest != "package" {
				t.Errorf("the address of one file ends in %q", rest)
			}
			if got, err := content(tab, id, "package"); got != imagePool || err != nil {
				t.Errorf("one file: %q, %v", got, err)
			}
		})
	}
}

func digest(s string) boot.Digest { return sha256.Sum256([]byte(s)) }
