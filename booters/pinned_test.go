package booters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestASourceIsWrittenAndReadAlike(t *testing.T) {
	sum := boot.Digest(sha256.Sum256(nil))
	for text, want := range map[string]Source{
		"/srv/linux":                                  {At: "/srv/linux"},
		"/srv/sha256:x@y":                             {At: "/srv/sha256:x@y"},
		"http://user@host/linux":                      {At: "http://user@host/linux"},
		"sha256:" + sum.String() + "@/srv/a@b":        {At: "/srv/a@b", SHA256: sum},
		"sha256:" + sum.String() + "@http://h/":       {At: "http://h/", SHA256: sum},
		"checksums:/u%40h/%25S%20 /a /k@http://u@h/x": {At: "http://u@h/x", Sums: Checksums{At: "/u@h/%S ", Signature: "/a", Key: "/k"}},
	} {
		got, err := ParseSource(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
		if got.String() != text {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for text, want := range map[string]string{
		"sha256:@/srv/linux":                "a SHA-256 has 64 hexadecimal digits",
		"sha256:" + sum.String():            "no path or URL is given",
		"sha256:" + sum.String() + "@linux": "neither an absolute path",
		"checksums:/a @/linux":              "named by a file, its signature and a key",
		"checksums:  @/linux":               "no file of checksums is named",
		"checksums:%x  @/linux":             "not escaped",
		"checksums:SUMS  @/linux":           "neither an absolute path",
		"checksums:/a  key@/linux":          "no absolute path",
	} {
		if _, err := ParseSource(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// pinned writes a file and names it with its digest.
func pinned(t *testing.T, content string) (path string, src Source) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "linux")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, Source{At: path, SHA256: sha256.Sum256([]byte(content))}
}

func TestALocalFileWithItsDigestIsServedInParts(t *testing.T) {
	_, src := pinned(t, "0123456789")
	r, size, err := NewSources().Open(t.Context(), src.String())
	if err != nil || size != 10 {
		t.Fatalf("size %d, %v", size, err)
	}
	defer r.Close()
	if _, err := r.(io.Seeker).Seek(3, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); string(b) != "3456789" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestALocalFileWithAnotherDigestIsRefused(t *testing.T) {
	path, src := pinned(t, "kernel")
	src.SHA256 = sha256.Sum256([]byte("another"))
	_, _, err := NewSources().Open(t.Context(), src.String())
	var digest *boot.DigestError
	if !errors.As(err, &digest) {
		t.Fatalf("got %v, want a *boot.DigestError", err)
	}
	want := &boot.DigestError{File: fmt.Sprintf("%q", path), Want: src.SHA256, Got: sha256.Sum256([]byte("kernel"))}
	if diff := cmp.Diff(want, digest); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Whoever replaces a file in place while a machine reads it must not be able to
// serve anything but what was verified.
func TestAFileThatChangesWhileItIsServedIsCut(t *testing.T) {
	path, src := pinned(t, strings.Repeat("a", 1000))
	r, _, err := NewSources().Open(t.Context(), src.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Read(make([]byte, 10)); n != 10 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("b"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.As(err, new(*boot.DigestError)) {
			t.Errorf("got %d, %v, want a *boot.DigestError", n, err)
		}
	}
	if _, err := r.(io.Seeker).Seek(0, io.SeekCurrent); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("seek: got %v, want a *boot.DigestError", err)
	}
}

// A file that is replaced by a rename is another one: what was opened goes on.
func TestAFileThatIsReplacedIsServedToItsEnd(t *testing.T) {
	path, src := pinned(t, "kernel")
	s := NewSources()
	r, _, err := s.Open(t.Context(), src.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.WriteFile(path+".new", []byte("worse!"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	// The rename has changed the link count, and so the time of change.
	if b, err := io.ReadAll(r); string(b) != "kernel" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if _, _, err := s.Open(t.Context(), src.String()); !errors.As(err, new(*boot.DigestError)) {
		t.Errorf("the new file: got %v, want a *boot.DigestError", err)
	}
}

func TestManyMachinesCauseOneHash(t *testing.T) {
	path, _ := pinned(t, strings.Repeat("kernel", 100_000))
	d := newDigests()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			f, err := os.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if _, _, err := d.of(t.Context(), f, f, ""); err != nil {
				t.Error(err)
			}
			if off, err := f.Seek(0, io.SeekCurrent); off != 0 || err != nil {
				t.Errorf("the reader's offset is %d, %v", off, err)
			}
		})
	}
	wg.Wait()
	if len(d.young) != 1 || len(d.hashing) != 0 {
		t.Errorf("%d digests known, %d being made; want 1, 0", len(d.young), len(d.hashing))
	}
}

// A machine that goes away while its kernel is hashed does not keep the others
// from it.
func TestAHashThatIsGivenUpIsBegunAnew(t *testing.T) {
	path, src := pinned(t, "kernel")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := newDigests()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.of(gone, f, f, ""); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if sum, _, err := d.of(t.Context(), f, f, ""); sum != src.SHA256 || err != nil {
		t.Errorf("got %s, %v", sum, err)
	}
}

func TestRememberedDigestsAreBounded(t *testing.T) {
	d := newDigests()
	for i := range 3 * maxDigests {
		d.remember(hashed{stamp: stamp{ino: uint64(i)}}, boot.Digest{1})
		d.lookup(hashed{}) // the one that is in use stays
	}
	if n := len(d.young) + len(d.old); n > maxDigests {
		t.Errorf("%d are remembered, want at most %d", n, maxDigests)
	}
	if _, ok := d.lookup(hashed{}); !ok {
		t.Error("the one in use was forgotten")
	}
}

// What is known to be refused, or found out in a moment, is said before the
// machine's script goes out.
func TestADigestIsCheckedAheadWhereThatIsCheap(t *testing.T) {
	path, right := pinned(t, "kernel")
	wrong := Source{At: path, SHA256: boot.Digest{1}}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxAhead+1); err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(sealer(t), NewSources(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(s Source) boot.ID { return table.seal.Seal(s.String()) }
	for name, tt := range map[string]struct {
		spec    boot.Spec
		refused bool
	}{
		"the right one":       {boot.Spec{Kernel: seal(right), Initrd: []boot.ID{seal(right)}}, false},
		"the wrong one":       {boot.Spec{Kernel: seal(wrong)}, true},
		"a wrong initrd":      {boot.Spec{Kernel: seal(right), Initrd: []boot.ID{seal(right), seal(wrong)}}, true},
		"a large one":         {boot.Spec{Kernel: seal(Source{At: large, SHA256: boot.Digest{1}})}, false},
		"one that is missing": {boot.Spec{Kernel: seal(Source{At: path + "-", SHA256: boot.Digest{1}})}, false},
		"a remote one":        {boot.Spec{Kernel: seal(Source{At: "http://127.0.0.1:1/", SHA256: boot.Digest{1}})}, false},
		"a script":            {boot.Spec{IpxeScript: "#!ipxe"}, false},
	} {
		err := boot.CheckSpec(t.Context(), table, &tt.spec)
		if errors.As(err, new(*boot.DigestError)) != tt.refused || err != nil != tt.refused {
			t.Errorf("%s: got %v, want refused %v", name, err, tt.refused)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	for _, text := range []string{"/srv/linux", "http://h/x", "sha256:" + strings.Repeat("ab", 32) + "@/srv/linux", "sha256:@", "", "checksums:http://h/SUMS%20%40  /key@http://u@h/x", "checksums:/a /b /c@/d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSource(text)
		if err != nil {
			return
		}
		// What was read is written so that it is read alike.
		if again, err := ParseSource(s.String()); err != nil || again != s {
			t.Errorf("%q is %+v, written %q, and read again %+v, %v", text, s, s.String(), again, err)
		}
		if n := len(s.String()); n > maxSealed && s.Sums.At == "" { // which are resolved before that
			t.Errorf("%d bytes cannot be sealed", n)
		}
	})
}

// Bytes that were taken past Read are good only if nobody has written to the file since.
func TestAPinnedFileTellsThatItIsTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(path string) error
		same bool
	}{
		"nothing":            {func(string) error { return nil }, true},
		"another name":       {func(path string) error { return os.Rename(path, path+".old") }, true},
		"another mode":       {func(path string) error { return os.Chmod(path, 0o400) }, true},
		"the same once more": {func(path string) error { return os.WriteFile(path, []byte("kernel"), 0o600) }, false},
		"something else":     {func(path string) error { return os.WriteFile(path, []byte("worse!"), 0o600) }, false},
		"less":               {func(path string) error { return os.Truncate(path, 3) }, false},
	} {
		path, src := pinned(t, "kernel")
		r, _, err := NewSources().Open(t.Context(), src.String())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f := r.(boot.Verified)
		if f.Raw() == nil || f.Offset() != 0 {
			t.Fatalf("%s: %v, %d", name, f.Raw(), f.Offset())
		}
		if err := tt.do(path); err != nil {
			t.Fatal(err)
		}
		err = f.Same()
		if err == nil != tt.same {
			t.Errorf("%s: got %v, want the same: %v", name, err, tt.same)
		}
		if _, again := f.Read(make([]byte, 1)); !tt.same && again == nil || !errors.Is(f.Same(), err) {
			t.Errorf("%s: it is good again", name)
		}
	}
}
