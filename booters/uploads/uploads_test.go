package uploads_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/uploads"
)

func open(t testing.TB, l uploads.Limits) (*uploads.Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "uploads")
	d, err := uploads.Open(path, l)
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

// files are what lies in a directory, by their paths.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPut(t *testing.T) {
	d, dir := open(t, uploads.Limits{Size: 100, Total: 1000})
	for _, content := range []string{"first", "second, which takes its place"} {
		if n, err := d.Put("db1", "install.log", strings.NewReader(content)); n != int64(len(content)) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		got, err := os.ReadFile(d.Path("db1", "install.log"))
		if string(got) != content || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	info, err := os.Stat(d.Path("db1", "install.log"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

func TestWhatBreaksOffLeavesNothing(t *testing.T) {
	d, dir := open(t, uploads.Limits{Size: 100, Total: 1000})
	if _, err := d.Put("db1", "log", strings.NewReader("before")); err != nil {
		t.Fatal(err)
	}
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := d.Put("db1", "log", broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "db1", "log")); string(got) != "before" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// Of a process that was killed.
	if err := os.WriteFile(filepath.Join(dir, "db1", ".part-X"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put("db1", "other", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(files(t, dir), " "); got != "db1/log db1/other" {
		t.Errorf("there is %s", got)
	}
}

func TestBounds(t *testing.T) {
	d, _ := open(t, uploads.Limits{Size: 10, Total: 25})
	put := func(machine, file string, n int) error {
		_, err := d.Put(machine, file, strings.NewReader(strings.Repeat("x", n)))
		return err
	}
	if err := put("a", "f", 11); !errors.Is(err, boot.ErrTooLarge) {
		t.Errorf("one that is too large: %v", err)
	}
	for _, tc := range []struct {
		machine, file string
		n             int
		want          error
	}{
		{"a", "f", 10, nil}, {"b", "f", 10, nil}, {"c", "f", 6, uploads.ErrFull}, {"c", "f", 5, nil}, {"d", "f", 1, uploads.ErrFull},
		{"a", "f", 1, uploads.ErrFull}, // both have room until the new one is whole
	} {
		if err := put(tc.machine, tc.file, tc.n); !errors.Is(err, tc.want) {
			t.Errorf("%s of %s with %d bytes: %v", tc.file, tc.machine, tc.n, err)
		}
	}
	// What is there after a restart counts.
	again, err := uploads.Open(filepath.Dir(filepath.Dir(d.Path("a", "f"))), uploads.Limits{Size: 10, Total: 25})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Put("d", "f", strings.NewReader("x")); !errors.Is(err, uploads.ErrFull) {
		t.Errorf("after a restart: %v", err)
	}
	again.Limit(uploads.Limits{Size: 10, Total: 26})
	if _, err := again.Put("d", "f", strings.NewReader("x")); err != nil {
		t.Errorf("with more room: %v", err)
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	d, dir := open(t, uploads.Limits{Size: 100, Total: 1000})
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/x", ".hidden", "a\x00b", "a b", strings.Repeat("a", 254)} {
		if _, err := d.Put("db1", name, strings.NewReader("x")); err == nil {
			t.Errorf("file %q is taken", name)
		}
		if _, err := d.Put(name, "f", strings.NewReader("x")); err == nil {
			t.Errorf("machine %q is taken", name)
		}
	}
	// A link in the directory leads nowhere else.
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "db2")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put("db2", "f", strings.NewReader("x")); err == nil {
		t.Error("a link out of the directory was followed")
	}
}

func TestOneUploadOfAMachineAtATime(t *testing.T) {
	d, _ := open(t, uploads.Limits{Size: 100, Total: 1000})
	r, w := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := d.Put("db1", "log", r); err != nil {
			t.Error(err)
		}
	})
	if _, err := w.Write([]byte("begun")); err != nil { // so Put has begun
		t.Fatal(err)
	}
	if _, err := d.Put("db1", "log", strings.NewReader("x")); !errors.Is(err, uploads.ErrBusy) {
		t.Errorf("another one: %v", err)
	}
	if _, err := d.Put("db2", "log", strings.NewReader("x")); err != nil {
		t.Errorf("another machine: %v", err)
	}
	w.Close()
	wg.Wait()
}

// Whatever machines and files are called, and whatever they send: nothing lies elsewhere
// than in the directory of its machine, nothing is larger than it may be, and together
// they have no more than the room that there is.
func FuzzPut(f *testing.F) {
	f.Add("db1", "log", "text", "db1", "log", "again")
	f.Add("..", "x", "", "db1", "..", "")
	f.Add("a", "b", "x", "a/b", "c", "x")
	f.Add("a", ".part-X", "x", "A", "b\x00", "x")
	const size, total = 8, 12
	f.Fuzz(func(t *testing.T, machine, file, body, machine2, file2, body2 string) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "uploads")
		d, err := uploads.Open(dir, uploads.Limits{Size: size, Total: total})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, put := range [][3]string{{machine, file, body}, {machine2, file2, body2}, {machine, file, body2}} {
			if n, err := d.Put(put[0], put[1], strings.NewReader(put[2])); err == nil {
				if n != int64(len(put[2])) {
					t.Errorf("%q: %d bytes of %d", put, n, len(put[2]))
				}
				want[put[0]+"/"+put[1]] = put[2]
			}
		}
		var sum int
		got := map[string]string{}
		for _, name := range files(t, dir) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(b)
			if sum += len(b); len(b) > size {
				t.Errorf("%q has %d bytes", name, len(b))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || sum > total {
			t.Errorf("%d bytes (-want +got)\n%s", sum, diff)
		}
		if list, err := os.ReadDir(parent); err != nil || len(list) != 1 {
			t.Errorf("beside the directory: %v, %v", list, err)
		}
	})
}
