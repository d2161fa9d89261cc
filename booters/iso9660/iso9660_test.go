package iso9660_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/iso9660"
)

// tree is what the images have in them.
func tree(t testing.TB) (dir string, long string) {
	t.Helper()
	dir = t.TempDir()
	long = strings.Repeat("a-long-name-", 20) + ".deb" // more than a record has room for
	for name, content := range map[string]string{
		"install.amd/vmlinuz":        "the kernel",
		"install.amd/gtk/initrd.gz":  strings.Repeat("the initrd\n", 10_000),
		"dists/trixie/Release":       "Suite: trixie",
		"pool/main/" + long:          "a package",
		"empty":                      "",
		"a/b/c/d/e/f/g/h/i/deep.txt": "deep", // deeper than ISO 9660 goes
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	far := strings.Repeat("install.amd/../", 25) + "dists/trixie/Release" // more than an entry has room for
	for link, to := range map[string]string{"far": far, "dists/stable": "trixie", "debian": ".", "linux": "/install.amd/vmlinuz", "up": "pool/../dists/stable/../trixie/Release", "loop": "loop", "out": "../../install.amd/vmlinuz"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, long
}

// image is made by a program as distributions use it.
func image(t testing.TB, dir string, command ...string) string {
	t.Helper()
	program, err := exec.LookPath(command[0])
	if err != nil {
		t.Skipf("%s is not installed; e2e/setup installs it", command[0])
	}
	file := filepath.Join(t.TempDir(), "x.iso")
	out, err := exec.CommandContext(t.Context(), program, append(command[1:], "-o", file, dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return file
}

func open(t testing.TB, file string) *iso9660.Image {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := iso9660.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func content(m *iso9660.Image, name string) (string, error) {
	f, err := m.Lookup(name)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	return string(b), err
}

func TestLookup(t *testing.T) {
	dir, long := tree(t)
	all := map[string]string{
		"/install.amd/vmlinuz":       "the kernel",
		"install.amd//gtk/initrd.gz": strings.Repeat("the initrd\n", 10_000),
		"empty":                      "",
	}
	links := map[string]string{
		"dists/stable/Release":       "Suite: trixie",
		"debian/debian/linux":        "the kernel",
		"up":                         "Suite: trixie",
		"out":                        "the kernel", // as at the root of a system
		"pool/main/" + long:          "a package",
		"a/b/c/d/e/f/g/h/i/deep.txt": "deep",
	}
	for _, tc := range []struct {
		name    string
		command []string
		also    map[string]string
		missing []string
	}{
		{"Rock Ridge by xorriso", []string{"xorriso", "-as", "mkisofs", "-r", "-J", "-joliet-long", "-quiet"}, links, []string{"INSTALL.AMD/VMLINUZ"}},
		{"Rock Ridge by genisoimage", []string{"genisoimage", "-R", "-quiet"}, links, []string{"INSTALL.AMD/VMLINUZ"}},
		{"Rock Ridge and UDF", []string{"genisoimage", "-R", "-udf", "-quiet"}, links, nil},
		{"Joliet", []string{"genisoimage", "-J", "-quiet", "-graft-points", "-D", "-m", "a", "-m", long}, map[string]string{"dists/trixie/Release": "Suite: trixie"}, []string{"dists/stable/Release"}},
		{"neither", []string{"genisoimage", "-l", "-quiet", "-D", "-m", "a", "-m", long}, map[string]string{"DISTS/trixie/RELEASE": "Suite: trixie"}, []string{"dists/stable"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := open(t, image(t, dir, tc.command...))
			for _, files := range []map[string]string{all, tc.also} {
				for name, want := range files {
					if got, err := content(m, name); got != want || err != nil {
						t.Errorf("%s: %.40q, %v", name, got, err)
					}
				}
			}
			for _, name := range append(tc.missing, "nothing", "empty/x", "../nothing") {
				if _, err := content(m, name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if _, err := m.Lookup("dists"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "directory") {
				t.Errorf("a directory: %v", err)
			}
			var missing *iso9660.MissingError
			if _, err := m.Lookup("dists/trixi/Release"); !errors.As(err, &missing) || missing.Name != "trixi" || missing.Dir != "dists" ||
				!slices.ContainsFunc(missing.Names, func(s string) bool { return strings.EqualFold(s, "trixie") }) {
				t.Errorf("a misspelt name: %v, %+v", err, missing)
			}
		})
	}
	m := open(t, image(t, dir, "xorriso", "-as", "mkisofs", "-r", "-quiet"))
	if got, err := content(m, "far"); got != "Suite: trixie" || err != nil { // genisoimage writes the length of such an entry wrongly
		t.Errorf("a long link: %q, %v", got, err)
	}
	if _, err := m.Lookup("loop"); err == nil || !strings.Contains(err.Error(), "symbolic links") {
		t.Errorf("a link to itself: %v", err)
	}
}

// A file above 4 GiB has several extents.
func TestAFileOfSeveralExtents(t *testing.T) {
	// A directory of one file with three extents, of which the last is short.
	image := volume(func(dir *bytes.Buffer) {
		addRecord(dir, "BIG.;1", 30, 2048, 0x80)
		addRecord(dir, "BIG.;1", 31, 2048, 0x80)
		addRecord(dir, "BIG.;1", 33, 5, 0)
		addRecord(dir, "X.;1", 32, 3, 0)
	}, make([]byte, 4*2048))
	copy(image[30*2048:], "first")
	copy(image[31*2048:], "second")
	copy(image[33*2048:], "third")
	copy(image[32*2048:], "xyz")
	m, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Lookup("big")
	if err != nil || f.Size != 2*2048+5 {
		t.Fatalf("%d bytes, %v", f.Size, err)
	}
	if _, ok := f.Span(); ok {
		t.Error("it lies in one place")
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 2040, f.Size))
	if err != nil || !strings.HasSuffix(string(b), "third") || string(b[8:14]) != "second" {
		t.Errorf("%q, %v", b, err)
	}
	if got, err := content(m, "x"); got != "xyz" || err != nil {
		t.Errorf("the file behind it: %q, %v", got, err)
	}
}

// volume is an image whose root is what records writes.
func volume(records func(*bytes.Buffer), behind []byte) []byte {
	image := make([]byte, 30*2048, 30*2048+len(behind))
	image = append(image, behind...)
	var dir bytes.Buffer
	addRecord(&dir, "\x00", 20, 2048, 2)
	addRecord(&dir, "\x01", 20, 2048, 2)
	records(&dir)
	copy(image[20*2048:], dir.Bytes())
	d := image[16*2048:]
	copy(d, "\x01CD001\x01")
	d[128+1] = 8 // 2048
	var root bytes.Buffer
	addRecord(&root, "\x00", 20, 2048, 2)
	copy(d[156:], root.Bytes())
	copy(image[17*2048:], "\xffCD001\x01")
	return image
}

// Two files may have one name, of which one belongs to the other (ECMA-119 §9.1.6).
func TestAResourceForkIsNotTheFile(t *testing.T) {
	image := volume(func(dir *bytes.Buffer) {
		addRecord(dir, "A.;1", 30, 4, 4)
		addRecord(dir, "A.;1", 31, 4, 0)
	}, make([]byte, 2*2048))
	copy(image[30*2048:], "fork")
	copy(image[31*2048:], "file")
	m, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := content(m, "a"); got != "file" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// What the image has in a form of its own would be wrong as it lies there.
func TestFilesThatAreNotReadAsTheyLie(t *testing.T) {
	image := volume(func(dir *bytes.Buffer) {
		dir.Reset()
		addRecord(dir, "\x00", 20, 2048, 2, "SP\x07\x01\xbe\xef\x00")
		addRecord(dir, "Z.;1", 20, 8, 0, "NM\x06\x01\x00z", "ZF\x10\x01pz\x04\x0f\x00\x10\x00\x00\x00\x00\x10\x00")
		addRecord(dir, "S.;1", 20, 8, 0, "NM\x06\x01\x00s", "SF\x0c\x01\x00\x10\x00\x00\x00\x00\x10\x00")
		addRecord(dir, "N.;1", 0, 0, 0, "NM\x06\x01\x00n", "PX\x08\x01\xb6\x21\x00\x00")
		addRecord(dir, "M.;1", 20, 2048, 0x80, "NM\x06\x01\x00m")
	}, nil)
	m, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"z": "compressed in the image (zisofs)", "s": "sparse", "n": "device", "m": "the last part of the file is not there",
	} {
		if got, err := content(m, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The media of Windows have UDF, with or without a tree of ISO 9660 beside it.
func TestUDFIsToldOf(t *testing.T) {
	udf := func(image []byte, sector int) []byte {
		for i, id := range []string{"BEA01", "NSR02", "TEA01"} {
			copy(image[(sector+i)*2048+1:], id)
		}
		return image
	}
	bridge := udf(volume(func(b *bytes.Buffer) { addRecord(b, "README.TXT;1", 20, 4, 0) }, nil), 18)
	m, err := iso9660.Open(bytes.NewReader(bridge), int64(len(bridge)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lookup("readme.txt"); err != nil {
		t.Error(err)
	}
	if _, err := m.Lookup("sources/boot.wim"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "UDF, as media of Windows do, which is not read: mount the image") {
		t.Errorf("beside ISO 9660: %v", err)
	}
	alone := udf(make([]byte, 30*2048), 16)
	if _, err := iso9660.Open(bytes.NewReader(alone), int64(len(alone))); err == nil || !strings.Contains(err.Error(), "UDF") {
		t.Errorf("alone: %v", err)
	}
}

func addRecord(b *bytes.Buffer, id string, block, size uint32, flags byte, use ...string) {
	r := make([]byte, 33+len(id)+(1-len(id)%2))
	r[0], r[25], r[32] = byte(len(r)), flags, byte(len(id))
	for i := range 4 {
		r[2+i], r[10+i] = byte(block>>(8*i)), byte(size>>(8*i))
	}
	copy(r[33:], id)
	r = append(r, strings.Join(use, "")...)
	r[0] = byte(len(r))
	b.Write(r)
}

func TestWhatIsNoImage(t *testing.T) {
	good := volume(func(b *bytes.Buffer) { addRecord(b, "FAR.;1", 1<<30, 1, 0); addRecord(b, "DIR", 1<<30, 2048, 2) }, nil)
	hugeRoot := bytes.Clone(good)
	copy(hugeRoot[16*2048+156+10:], "\xff\xff\xff\x7f")
	endless := bytes.Clone(good)
	for i := 17; i < 30; i++ {
		copy(endless[i*2048:], "\x03CD001\x01")
	}
	huge := volume(func(b *bytes.Buffer) {
		for range 3 {
			addRecord(b, "HUGE.;1", 10, 20*2048, 0x80)
		}
		addRecord(b, "HUGE.;1", 10, 20*2048, 0)
	}, nil)
	for _, tc := range []struct {
		name, lookup string
		image        []byte
		want         string
	}{
		{"empty", "x", nil, "no image of a CD"},
		{"text", "x", bytes.Repeat([]byte("text"), 20<<10), "no image of a CD"},
		{"a file behind the end", "far", good, "behind its end"},
		{"a directory behind the end", "dir/x", good, "behind its end"},
		{"a huge directory", "x", hugeRoot, "more than 4194304 are not read"},
		{"no terminator", "x", endless, "behind its end"},
		{"a file larger than the image", "huge", huge, "larger than the image"},
		{"cut", "x", good[:19*2048], "behind its end"},
	} {
		m, err := iso9660.Open(bytes.NewReader(tc.image), int64(len(tc.image)))
		if err == nil {
			_, err = m.Lookup(tc.lookup)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// Whatever an image has in it, it is either read, or refused. The sixteen sectors before
// its descriptors, which nobody reads, are left out.
func FuzzLookup(f *testing.F) {
	const system, end = 16 * 2048, 21 * 2048
	f.Add(volume(func(b *bytes.Buffer) { addRecord(b, "A.;1", 20, 10, 0); addRecord(b, "D", 20, 2048, 2) }, nil)[system:end], "d/d/a")
	ridge := func(b *bytes.Buffer) {
		b.Reset()
		addRecord(b, "\x00", 20, 2048, 2, "SP\x07\x01\xbe\xef\x00")
		addRecord(b, "A.;1", 20, 10, 0, "NM\x06\x01\x00a", "CE\x1c\x01\x14\x00\x00\x00\x00\x00\x00\x14\x00\x00\x04\x00\x00\x00\x04\x00\x40\x00\x00\x00\x00\x00\x00\x40")
		addRecord(b, "L.;1", 20, 0, 0, "NM\x06\x01\x00l", "SL\x0a\x01\x00\x04\x00\x00\x01d", "PX\x04\x01")
		addRecord(b, "D", 20, 2048, 2, "NM\x06\x01\x00d", "CL\x0c\x01\x14\x00\x00\x00\x00\x00\x00\x14")
	}
	f.Add(volume(ridge, nil)[system:end], "l/d/a")
	f.Fuzz(func(t *testing.T, rest []byte, name string) {
		image := append(make([]byte, system), rest...)
		m, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		file, err := m.Lookup(name)
		if err != nil {
			return
		}
		if n, err := io.Copy(io.Discard, io.NewSectionReader(file, 0, file.Size)); err != nil || n != file.Size {
			t.Error(n, err)
		}
	})
}

// An image that was made by xorriso is a seed, too, in which bytes of its directories
// are changed.
func TestDamagedImages(t *testing.T) {
	dir, _ := tree(t)
	whole, err := os.ReadFile(image(t, dir, "xorriso", "-as", "mkisofs", "-r", "-J", "-quiet"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		damaged := bytes.Clone(whole)
		for range 1 + random.IntN(8) {
			damaged[16*2048+random.IntN(min(64*2048, len(damaged)-16*2048))] = byte(random.Uint32())
		}
		m, err := iso9660.Open(bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			continue
		}
		for _, name := range []string{"install.amd/vmlinuz", "a/b/c/d/e/f/g/h/i/deep.txt", "up", "loop", "debian/empty"} {
			if got, err := content(m, name); err == nil && len(got) > len(damaged) {
				t.Fatal(fmt.Sprint(name, len(got)))
			}
		}
	}
}
