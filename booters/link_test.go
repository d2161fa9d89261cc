package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/uploads"
)

var _ boot.Linker = (*Table)(nil)

const linkBase = "http://192.0.2.1:80"

// linked is a table whose one boot has a Spec that is the address of a target.
func linked(t testing.TB, to func() Target, files ...*File) *Table {
	t.Helper()
	return table(t, Rule{Name: "all", Action: Action{Do: boot.Boot, Boot: `debian["a b"]`, Files: files, Render: func(r Request) (*boot.Spec, error) {
		address, err := r.Link(to())
		return &boot.Spec{Kernel: "/k", Message: address}, err
	}}})
}

var linkMachine = boot.Machine{MAC: mac("52:54:00:aa:00:01"), Arch: boot.ArchX64, Firmware: boot.FirmwareX86PC, Probed: true, Facts: &boot.Facts{}, Peer: linkPeer}

var linkPeer = netip.MustParseAddr("192.0.2.50")

// address is the one that the table's boot has, taken apart.
func address(t testing.TB, tab *Table) (id boot.ID, name string) {
	t.Helper()
	v, err := tab.Decide(context.Background(), linkMachine)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := v.SpecFor(linkMachine, linkBase)
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(spec.Message, linkBase+boot.LinkPath)
	sealed, name, found := strings.Cut(rest, "/")
	if !ok || !found {
		t.Fatalf("address %q", spec.Message)
	}
	return boot.ID(sealed), name
}

// content opens an address as the machine does.
func content(tab *Table, id boot.ID, name string) (string, error) {
	l, err := boot.OpenLink(tab, id, name)
	if err != nil {
		return "", err
	}
	m := linkMachine
	if l.Machine != nil && (l.Machine.MAC.String() != m.MAC.String() || l.Machine.Arch != m.Arch || l.Machine.Firmware != m.Firmware) {
		return "", fmt.Errorf("the address is of %+v", l.Machine)
	}
	f, size, err := l.Open(context.Background(), m, linkBase)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err == nil && size >= 0 && size != int64(len(b)) {
		err = fmt.Errorf("%d bytes, said to be %d", len(b), size)
	}
	return string(b), err
}

func rendered(name string, kind FileKind, render func(Request, string) (Content, error), members ...string) *File {
	return &File{Name: name, Kind: kind, Members: members, Render: render}
}

func TestAddresses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"images/a b.img": "image", "images/sub/x": "below", "outside": "secret", "kernel": "linux"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	images := filepath.Join(dir, "images")
	for link, to := range map[string]string{"out": "../outside", "absolute": filepath.Join(dir, "outside"), "in": "sub/x"} {
		if err := os.Symlink(to, filepath.Join(images, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("..", filepath.Join(images, "sub", "up")); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "far") }))
	defer web.Close()
	preseed := rendered("preseed", FileContent, func(r Request, _ string) (Content, error) { return Content{Text: "for " + r.Machine.MAC.String()}, nil })
	seed := rendered("seed", FileTree, func(_ Request, member string) (Content, error) { return Content{Text: "this is " + member}, nil }, "meta-data", "latest/user-data")
	source := rendered("source", FileSource, func(Request, string) (Content, error) { return Content{Source: filepath.Join(dir, "kernel")}, nil })
	large := rendered("large", FileContent, func(Request, string) (Content, error) { return Content{Text: strings.Repeat("x", maxRendered+1)}, nil })
	broken := rendered("broken", FileContent, func(Request, string) (Content, error) { return Content{}, errors.New("it has no label") })
	inDir := func(path string) Target { return Target{Dir: images, Path: path} }

	for _, tc := range []struct {
		name  string
		to    Target
		ends  string // of the address
		asked string // what is asked for instead
		want  string
		err   error
	}{
		{"a local file", Target{Source: filepath.Join(dir, "kernel")}, "kernel", "", "linux", nil},
		{"under another name", Target{Source: filepath.Join(dir, "kernel")}, "kernel", "initrd", "", boot.ErrNotFound},
		{"a URL", Target{Source: web.URL + "/far.iso?key=1"}, "far.iso", "", "far", nil},
		{"of a directory", inDir("sub/x"), "x", "", "below", nil},
		{"with a blank", inDir("a b.img"), "a%20b.img", "a b.img", "image", nil},
		{"beside the file", inDir("sub/x"), "x", "up", "", boot.ErrNotFound},
		{"all of a directory", inDir(""), "", "sub/x", "below", nil},
		{"a part of it", inDir("sub/"), "", "x", "below", nil},
		{"a link within", inDir(""), "", "in", "below", nil},
		{"the directory itself", inDir(""), "", "", "", boot.ErrNotFound},
		{"a directory in it", inDir(""), "", "sub", "", boot.ErrNotFound},
		{"nothing", inDir(""), "", "nothing", "", boot.ErrNotFound},
		{"a file as a directory", inDir(""), "", "sub/x/y", "", boot.ErrNotFound},
		{"up", inDir("sub/"), "", "../a b.img", "", boot.ErrNotFound},
		{"up and down", inDir(""), "", "sub/../../outside", "", boot.ErrNotFound},
		{"absolute", inDir(""), "", "/etc/passwd", "", boot.ErrNotFound},
		{"NUL", inDir(""), "", "sub/x\x00", "", boot.ErrNotFound},
		{"a long name", inDir(""), "", strings.Repeat("x", 300), "", boot.ErrNotFound},
		{"a link out of it", inDir(""), "", "out", "", errAny},
		{"an absolute link", inDir(""), "", "absolute", "", errAny},
		{"a link out of the part", inDir("sub/"), "", "up/a b.img", "", errAny},
		{"a directory that is not there", Target{Dir: filepath.Join(dir, "gone"), Path: "x"}, "x", "", "", errAny},
		{"a file of the boot", Target{File: preseed}, "preseed", "", "for 52:54:00:aa:00:01", nil},
		{"a file that is kept", Target{File: source}, "source", "", "linux", nil},
		{"a tree", Target{File: seed}, "", "latest/user-data", "this is latest/user-data", nil},
		{"with a slash of the client's", Target{File: seed}, "", "/meta-data", "this is meta-data", nil},
		{"what the tree has not", Target{File: seed}, "", "vendor-data", "", boot.ErrNotFound},
		{"the tree itself", Target{File: seed}, "", "", "", boot.ErrNotFound},
		{"a file that is too large", Target{File: large}, "large", "", "", boot.ErrMissing},
		{"a file that cannot be made", Target{File: broken}, "broken", "", "", boot.ErrMissing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tab := linked(t, func() Target { return tc.to }, preseed, seed, source, large, broken)
			id, name := address(t, tab)
			if name != tc.ends {
				t.Errorf("the address ends in %q, want %q", name, tc.ends)
			}
			if tc.asked != "" {
				name = tc.asked
			}
			got, err := content(tab, id, name)
			if got != tc.want || tc.err == errAny && (err == nil || errors.Is(err, boot.ErrNotFound)) || tc.err != errAny && !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
			// What is no source is none for ReadBootFile either.
			if tc.to.Source == "" {
				if _, _, err := tab.ReadBootFile(id); !errors.Is(err, boot.ErrNotFound) {
					t.Errorf("ReadBootFile: %v", err)
				}
			}
		})
	}
}

// errAny is an error for the operator.
var errAny = errors.New("any other than boot.ErrNotFound")

func TestASecretHasItsTime(t *testing.T) {
	secret := rendered("key", FileContent, func(Request, string) (Content, error) { return Content{Text: "hunter2"}, nil })
	secret.Secret = true
	tab := linked(t, func() Target { return Target{File: secret} }, secret)
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	at := start
	tab.now = func() time.Time { return at }
	id, name := address(t, tab)
	for _, tc := range []struct {
		after time.Duration
		err   error
	}{
		{0, nil}, {secretFor - time.Second, nil}, {secretFor, boot.ErrExpired}, {-secretSkew, nil}, {-secretSkew - time.Second, boot.ErrExpired},
	} {
		at = start.Add(tc.after)
		if got, err := content(tab, id, name); !errors.Is(err, tc.err) || err == nil && got != "hunter2" || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("after %v: got %q, %v; want %v", tc.after, got, err, tc.err)
		}
	}
	at = start
	l, err := boot.OpenLink(tab, id, name)
	if err != nil || !l.Secret || !l.Made || l.Boot != `debian["a b"]` || l.To != linkPeer {
		t.Errorf("%+v, %v", l, err)
	}
	// One that was made before the file became a secret is not good any more.
	secret.Secret = false
	id, name = address(t, tab)
	secret.Secret = true
	if _, err := content(tab, id, name); !errors.Is(err, boot.ErrExpired) {
		t.Errorf("got %v", err)
	}
}

// A secret is for the address that asked for the script by a token of the boot, and
// there is none for whoever asked by a name that anybody can write.
func TestASecretHasItsAddress(t *testing.T) {
	for _, peer := range []string{"192.0.2.50", "2001:db8::50"} {
		secret := rendered("key", FileContent, func(Request, string) (Content, error) { return Content{Text: "hunter2"}, nil })
		secret.Secret = true
		tab := linked(t, func() Target { return Target{File: secret} }, secret)
		m := linkMachine
		m.Peer = netip.MustParseAddr(peer)
		spec, err := mustDecide(t, tab, m).SpecFor(m, linkBase)
		if err != nil {
			t.Fatal(err)
		}
		id, name, _ := strings.Cut(strings.TrimPrefix(spec.Message, linkBase+boot.LinkPath), "/")
		if l, err := boot.OpenLink(tab, boot.ID(id), name); err != nil || l.To != m.Peer {
			t.Errorf("for %s: got %s, %v", peer, l.To, err)
		}
		secret.AnyAddress = true
		bound := id
		if spec, err = mustDecide(t, tab, m).SpecFor(m, linkBase); err != nil {
			t.Fatal(err)
		}
		id, name, _ = strings.Cut(strings.TrimPrefix(spec.Message, linkBase+boot.LinkPath), "/")
		if l, err := boot.OpenLink(tab, boot.ID(id), name); err != nil || l.To.IsValid() || id == bound {
			t.Errorf("for any: got %s, %v", l.To, err)
		}
		m.Peer = netip.Addr{}
		if spec, err := mustDecide(t, tab, m).SpecFor(m, linkBase); err == nil || !strings.Contains(err.Error(), "a name that anybody can write") {
			t.Errorf("without a token: got %v, %v", spec, err)
		}
	}
}

func mustDecide(t *testing.T, tab *Table, m boot.Machine) *boot.Verdict {
	t.Helper()
	v, err := tab.Decide(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A life that is written down holds for a secret in place of the usual one, and for any
// other file, which has none else.
func TestAFileExpires(t *testing.T) {
	for _, secret := range []bool{true, false} {
		f := rendered("key", FileContent, func(Request, string) (Content, error) { return Content{Text: "x"}, nil })
		f.Secret, f.Expires = secret, 24*time.Hour
		tab := linked(t, func() Target { return Target{File: f} }, f)
		start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
		at := start
		tab.now = func() time.Time { return at }
		id, name := address(t, tab)
		for after, want := range map[time.Duration]error{0: nil, 24*time.Hour - time.Second: nil, 24 * time.Hour: boot.ErrExpired} {
			at = start.Add(after)
			if _, err := content(tab, id, name); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), "good for 24h of the boot") {
				t.Errorf("secret %t, after %v: got %v, want %v", secret, after, err, want)
			}
		}
	}
}

// What is no secret has the same address each time, so that a script is the same
// and a cache can go by it.
func TestAnAddressIsTheSameEachTime(t *testing.T) {
	f := rendered("seed", FileContent, nil)
	tab := linked(t, func() Target { return Target{File: f} }, f)
	tab.now = func() time.Time { return time.Unix(1, 0) }
	first, _ := address(t, tab)
	tab.now = func() time.Time { return time.Unix(2, 0) }
	if again, _ := address(t, tab); again != first {
		t.Errorf("got %s, then %s", first, again)
	}
}

func TestAFileThatIsNotThereAnyMore(t *testing.T) {
	f := rendered("seed", FileContent, nil)
	id, name := address(t, linked(t, func() Target { return Target{File: f} }, f))
	l, err := boot.OpenLink(linked(t, nil), id, name)
	if !errors.Is(err, boot.ErrNotFound) || l.Machine == nil {
		t.Errorf("%+v, %v; want ErrNotFound, and whose it is", l, err)
	}
}

func TestWhatCannotHaveAnAddress(t *testing.T) {
	for _, tc := range []struct {
		to   Target
		want string
	}{
		{Target{Source: "https://example.org/dir/"}, "it names no file"},
		{Target{Source: "relative"}, "neither an absolute path"},
		{Target{Dir: "/" + strings.Repeat("x", maxSource), Path: "y"}, "an address leads to is said in 2048 bytes"},
	} {
		tab := linked(t, func() Target { return tc.to })
		v, err := tab.Decide(context.Background(), linkMachine)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.SpecFor(linkMachine, linkBase); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestPreviewSaysWhatAnAddressLeadsTo(t *testing.T) {
	for want, to := range map[string]Target{
		"http://SERVER/file.preseed":              {File: &File{Name: "preseed", Kind: FileContent}},
		"http://SERVER/file.seed/":                {File: &File{Name: "seed", Kind: FileTree}},
		"http://SERVER/srv/images/nodes/a":        {Dir: "/srv/images", Path: "nodes/a"},
		"http://SERVER/srv/images/":               {Dir: "/srv/images"},
		"http://SERVER/srv/linux":                 {Source: "/srv/linux"},
		"http://SERVER/https://example.org/linux": {Source: "https://example.org/linux"},
	} {
		if got, err := Preview(nil, linkMachine).Link(to); got != want || err != nil {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

// Whatever is asked for, an answer comes from below the directory, or is an
// error of one line.
func FuzzOpenLink(f *testing.F) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "inside"), []byte("inside"), 0o600); err != nil {
		f.Fatal(err)
	}
	seed := rendered("seed", FileTree, func(_ Request, member string) (Content, error) { return Content{Text: "inside"}, nil }, "user-data")
	trees := linked(f, func() Target { return Target{File: seed} }, seed)
	assets := linked(f, func() Target { return Target{Dir: dir} }, seed)
	tree, _ := address(f, trees)
	asset, _ := address(f, assets)
	for _, name := range []string{"inside", "user-data", "../x", "/etc/passwd", "a/../../b", "\x00", ""} {
		f.Add(string(tree), name)
		f.Add(string(asset), name)
	}
	f.Fuzz(func(t *testing.T, id, name string) {
		for _, id := range []boot.ID{boot.ID(id), tree, asset} {
			got, err := content(trees, id, name)
			if err == nil && got != "inside" || err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q/%q: %q, %v", id, name, got, err)
			}
		}
	})
}

// What is sealed for a file is read as it was written, and nothing else is.
func FuzzFileRef(f *testing.F) {
	f.Add("preseed", `debian["a"]`, "")
	f.Add("a", "b\x00c", "\x00\x00")
	f.Fuzz(func(t *testing.T, file, bootName, raw string) {
		if strings.Contains(file, "\x00") {
			return // an identifier
		}
		want := fileRef{mac: [6]byte{1}, made: time.Unix(7, 0), arch: boot.ArchARM64, firmware: boot.FirmwareEFIARM64, file: file, boot: bootName}
		if got, ok := openFileRef(want.seal()); !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		openFileRef(raw)
	})
}

// An archive is made for its machine, and is the same however often it asks.
func TestAnArchiveIsAnInitrd(t *testing.T) {
	missing := false
	f := rendered("initrd[1]", FileArchive, func(r Request, member string) (Content, error) {
		if missing {
			return Content{}, errors.New("this machine has no label")
		}
		return Content{Text: member + " of " + r.Machine.MAC.String(), Mode: 0o600}, nil
	}, "etc/a", "etc/b")
	tab := table(t, Rule{Name: "all", Action: Action{Do: boot.Boot, Boot: "debian", Files: []*File{f}, Render: func(r Request) (*boot.Spec, error) {
		return &boot.Spec{Kernel: "/k", Initrd: []boot.ID{"/initrd", f.Initrd()}}, nil
	}}})
	v, err := tab.Decide(context.Background(), linkMachine)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := v.SpecFor(linkMachine, linkBase)
	if err != nil {
		t.Fatal(err)
	}
	if _, made, _ := boot.Made(tab, spec.Initrd[0]); made {
		t.Error("a file of this host is made for a machine")
	}
	l, made, err := boot.Made(tab, spec.Initrd[1])
	if !made || err != nil || l.Name != "initrd[1]" || l.Boot != "debian" || l.Machine.MAC.String() != linkMachine.MAC.String() {
		t.Fatalf("made %v: %+v, %v", made, l, err)
	}
	first, err := content(tab, spec.Initrd[1], "")
	if err != nil || !strings.HasPrefix(first, "070701") || !strings.Contains(first, "etc/b of 52:54:00:aa:00:01") {
		t.Errorf("%q, %v", first, err)
	}
	if again, err := content(tab, spec.Initrd[1], ""); err != nil || again != first {
		t.Errorf("another time it is %q, %v", again, err)
	}
	if _, err := content(tab, spec.Initrd[1], "etc/a"); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("a file in it: %v", err)
	}
	if _, _, err := tab.ReadBootFile(spec.Initrd[1]); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("without the machine: %v", err)
	}
	missing = true
	if _, err := content(tab, spec.Initrd[1], ""); !errors.Is(err, boot.ErrMissing) || !strings.Contains(err.Error(), "no label") {
		t.Errorf("what is missing: %v", err)
	}
}

// What a machine sends to the address of an upload is kept under its name.
func TestAnUploadIsKept(t *testing.T) {
	dir := t.TempDir()
	kept, err := uploads.Open(dir, uploads.Limits{Size: 100, Total: 1000})
	if err != nil {
		t.Fatal(err)
	}
	tab := linked(t, func() Target { return Target{Upload: "install.log"} })
	tab.src = tab.src.With(SourceOptions{Uploads: kept})
	id, name := address(t, tab)
	l, err := boot.OpenLink(tab, id, name)
	if err != nil || name != "install.log" || l.Put == nil || l.Open != nil || l.Issued.IsZero() || l.Boot != `debian["a b"]` {
		t.Fatalf("%q: %+v, %v", name, l, err)
	}
	if n, err := l.Put(t.Context(), linkMachine, strings.NewReader("done")); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "52-54-00-aa-00-01", "install.log")); string(b) != "done" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := boot.OpenLink(tab, id, "other"); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("another name: %v", err)
	}
	if _, _, err := tab.ReadBootFile(id); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("as a file: %v", err)
	}
	now := tab.now()
	tab.now = func() time.Time { return now.Add(uploadFor) }
	if _, err := boot.OpenLink(tab, id, name); !errors.Is(err, boot.ErrExpired) {
		t.Errorf("a day later: %v", err)
	}
	tab.src = tab.src.With(SourceOptions{})
	if _, err := boot.OpenLink(tab, id, name); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("without the block: %v", err)
	}
}
