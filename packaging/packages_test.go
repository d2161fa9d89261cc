//go:build packages

package packaging_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// run runs a program and returns what it prints; it may not fail.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// built is the one file in dist/ that a pattern names: packaging/build has just
// made it.
func built(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("../dist", pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("dist/%s: %q, %v; want one file: run packaging/build", pattern, found, err)
	}
	return found[0]
}

// goarch are our names of the architectures, and those of each format.
var goarch = []struct{ name, deb, rpm string }{{"amd64", "amd64", "x86_64"}, {"arm64", "arm64", "aarch64"}}

// An entry is a file or folder of a package, by its path.
type entry struct {
	mode        string // as ls prints it
	owner, data string
}

// entries reads a tar until it ends.
func entries(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		name := "/" + strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")
		all[name] = entry{h.FileInfo().Mode().String(), h.Uname + ":" + h.Gname, string(data)}
	}
}

// files are the paths of what is no folder.
func files(all map[string]entry) []string {
	var paths []string
	for path, e := range all {
		if !strings.HasPrefix(e.mode, "d") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// installed is what `make install PREFIX=/usr` puts where.
func installed(t *testing.T) []string {
	t.Helper()
	root := t.TempDir()
	binary, err := filepath.Abs("../dist/bin/" + runtime.GOARCH + "/pixiecore")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "make", "-C", "..", "-s", "install", "DESTDIR="+root, "PREFIX=/usr", "BINARY="+binary)
	var paths []string
	for path := range strings.FieldsSeq(run(t, "find", root, "-type", "f")) {
		paths = append(paths, strings.TrimPrefix(path, root))
	}
	slices.Sort(paths)
	return paths
}

// mapped is what a format makes of the installed paths: dropped where of says "".
func mapped(paths []string, of func(string) string, more ...string) []string {
	var want []string
	for _, p := range paths {
		if strings.HasPrefix(p, "/usr/share/man/") {
			p += ".gz"
		}
		if p = of(p); p != "" {
			want = append(want, p)
		}
	}
	want = append(want, more...)
	slices.Sort(want)
	return want
}

func TestDebian(t *testing.T) {
	want := mapped(installed(t), func(p string) string {
		switch p {
		case "/usr/share/zsh/site-functions/_pixiecore":
			return "/usr/share/zsh/vendor-completions/_pixiecore"
		case "/usr/share/doc/pixiecore/CHANGELOG.md":
			return "/usr/share/doc/pixiecore/changelog.gz"
		}
		return p
	}, "/usr/share/doc/pixiecore/changelog.Debian.gz", "/usr/share/doc/pixiecore/copyright", "/usr/share/lintian/overrides/pixiecore")
	for _, arch := range goarch {
		t.Run(arch.deb, func(t *testing.T) {
			deb := built(t, "pixiecore_*_"+arch.deb+".deb")
			data := entries(t, strings.NewReader(run(t, "dpkg-deb", "--fsys-tarfile", deb)))
			if diff := cmp.Diff(want, files(data)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			for path, e := range data {
				mode := map[byte]string{'d': "drwxr-xr-x", '-': "-rw-r--r--"}[e.mode[0]]
				switch path {
				case "/usr/bin/pixiecore":
					mode = "-rwxr-xr-x"
				case "/etc/pixiecore.hcl":
					mode = "-rw-r-----"
				case "/etc/pixiecore.d":
					mode = "drwxr-x---"
				}
				if e.mode != mode || e.owner != "root:root" {
					t.Errorf("%s: %s of %s, want %s of root:root", path, e.mode, e.owner, mode)
				}
			}
			static(t, data["/usr/bin/pixiecore"].data, false)

			control := entries(t, strings.NewReader(run(t, "dpkg-deb", "--ctrl-tarfile", deb)))
			if got, want := strings.TrimSpace(control["/conffiles"].data), "/etc/apparmor.d/pixiecore\n/etc/pixiecore.hcl"; got != want {
				t.Errorf("conffiles: got %q, want %q", got, want)
			}
			for _, field := range []string{"\nRecommends: ipxe\n", "\nPre-Depends: init-system-helpers (>= 1.54~)\n", "\nArchitecture: " + arch.deb + "\n"} {
				if !strings.Contains(control["/control"].data, field) {
					t.Errorf("control: no %q in\n%s", field, control["/control"].data)
				}
			}
			for _, script := range []string{"postinst", "prerm", "postrm"} {
				check(t, script, control["/"+script].data)
			}
			if out := run(t, "lintian", "--allow-root", "-I", "-E", "--pedantic", deb); out != "" {
				t.Errorf("lintian:\n%s", out)
			}
		})
	}
}

// check gives a script of a package to shellcheck, its units filled in.
func check(t *testing.T, name, script string) {
	t.Helper()
	if strings.Contains(script, "@") {
		t.Errorf("%s: a word between @ was left:\n%s", name, script)
	}
	cmd := exec.Command("shellcheck", "--shell=sh", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// static reports a binary that is not what README.md says: static, and with
// loaders in it or without.
func static(t *testing.T, binary string, loaders bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pixiecore")
	if err := os.WriteFile(path, []byte(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "readelf", "--program-headers", path); strings.Contains(out, "INTERP") {
		t.Errorf("the binary wants a dynamic linker")
	}
	for _, place := range []string{os.Getenv("HOME"), filepath.Dir(mustAbs(t, "."))} {
		if place != "/" && strings.Contains(binary, place+"/") {
			t.Errorf("the binary has %s of this host in it", place)
		}
	}
	loader, err := os.ReadFile("../booters/loaders/firmware/undionly.kpxe")
	if err != nil {
		t.Fatalf("%v: `packaging/build oci` stages it", err)
	}
	if got := strings.Contains(binary, string(loader)); got != loaders {
		t.Errorf("loaders in the binary: %t, want %t", got, loaders)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestRPM(t *testing.T) {
	want := mapped(installed(t), func(p string) string {
		if strings.HasPrefix(p, "/etc/apparmor.d/") {
			return ""
		}
		return p
	}, "/usr/share/licenses/pixiecore/LICENSE", "/usr/share/licenses/pixiecore/copyright")
	for _, arch := range goarch {
		t.Run(arch.rpm, func(t *testing.T) {
			rpm := built(t, "pixiecore-*."+arch.rpm+".rpm")
			query := func(args ...string) string {
				t.Helper()
				return run(t, "rpm", append([]string{"--query", "--package", rpm}, args...)...)
			}
			var got []string
			for line := range strings.Lines(query("--queryformat", `[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]`)) {
				f := strings.Fields(line)
				if f[0][0] != 'd' {
					got = append(got, f[2])
				}
				mode, owner := map[byte]string{'d': "drwxr-xr-x", '-': "-rw-r--r--"}[f[0][0]], "root:root"
				switch f[2] {
				case "/usr/bin/pixiecore":
					mode = "-rwxr-xr-x"
				case "/etc/pixiecore.hcl":
					mode, owner = "-rw-r-----", "root:pixiecore"
				case "/etc/pixiecore.d":
					mode, owner = "drwxr-x---", "root:pixiecore"
				}
				if f[0] != mode || f[1] != owner {
					t.Errorf("%s: %s of %s, want %s of %s", f[2], f[0], f[1], mode, owner)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			// 17 = RPMFILE_CONFIG | RPMFILE_NOREPLACE, as %config(noreplace) sets them.
			if flags := query("--queryformat", `[%{FILEFLAGS} %{FILENAMES}\n]`); !strings.Contains(flags, "17 /etc/pixiecore.hcl\n") {
				t.Errorf("/etc/pixiecore.hcl would be replaced by an upgrade:\n%s", flags)
			}
			if got, want := query("--recommends"), "ipxe-bootimgs-x86\nipxe-bootimgs-aarch64\n"; got != want {
				t.Errorf("recommends: got %q, want %q", got, want)
			}
			if log := query("--changelog"); !regexp.MustCompile(`(?m)^\* .* pixiecore maintainers <\S+@\S+> - \d\S*\n- \S`).MatchString(log) {
				t.Errorf("the changelog has no entry of this version:\n%.300s", log)
			}
			for _, tag := range []string{"PREIN", "POSTIN", "PREUN", "POSTUN"} {
				script := query("--queryformat", "%{"+tag+"}")
				check(t, tag, script)
				if strings.Contains(script, "rm -") || strings.Contains(script, "enable ") && !strings.Contains(script, "disable ") {
					t.Errorf("%s: an rpm removes nothing that others wrote, and enables nothing:\n%s", tag, script)
				}
			}
		})
	}
}

func TestAlpine(t *testing.T) {
	want := mapped(installed(t), func(p string) string {
		for _, not := range []string{"/etc/apparmor.d/", "/usr/lib/systemd/", "/usr/lib/sysusers.d/", "/usr/lib/tmpfiles.d/"} {
			if strings.HasPrefix(p, not) {
				return ""
			}
		}
		return p
	}, "/etc/init.d/pixiecore", "/usr/share/licenses/pixiecore/LICENSE", "/usr/share/licenses/pixiecore/copyright")
	for _, arch := range goarch {
		t.Run(arch.rpm, func(t *testing.T) {
			f, err := os.Open(built(t, "pixiecore_*_"+arch.rpm+".apk"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			// Two gzip streams, control and data; the first tar has no end.
			zr, err := gzip.NewReader(bufio.NewReader(f))
			if err != nil {
				t.Fatal(err)
			}
			all := entries(t, zr)
			var got []string
			for _, path := range files(all) {
				if !strings.HasPrefix(path, "/.") { // .PKGINFO and the scripts
					got = append(got, path)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if e := all["/etc/pixiecore.hcl"]; e.mode != "-rw-r-----" || e.owner != "root:pixiecore" {
				t.Errorf("/etc/pixiecore.hcl: %s of %s", e.mode, e.owner)
			}
			if e := all["/etc/init.d/pixiecore"]; e.mode != "-rwxr-xr-x" {
				t.Errorf("/etc/init.d/pixiecore: %s", e.mode)
			}
			for _, script := range []string{"pre-install", "post-upgrade", "pre-deinstall"} {
				e, found := all["/."+script]
				if !found {
					t.Errorf("no script %s", script)
				}
				check(t, script, e.data)
			}
		})
	}
}

// The image is what skopeo, which podman is made of, takes it for.
func TestImage(t *testing.T) {
	archive := "oci-archive:" + built(t, "pixiecore-*.oci.tar")
	source := regexp.MustCompile(`(?m)^Version: (.*)$`).FindStringSubmatch(text(t, "packaging/firmware/manifest"))[1]
	for _, arch := range goarch {
		t.Run(arch.name, func(t *testing.T) {
			var config struct {
				Architecture, OS string
				Config           struct {
					Entrypoint, Cmd []string
					Labels          map[string]string
				}
			}
			out := run(t, "skopeo", "--override-arch", arch.name, "--override-os", "linux", "inspect", "--config", archive)
			if err := json.Unmarshal([]byte(out), &config); err != nil {
				t.Fatal(err)
			}
			if got, want := config.OS+"/"+config.Architecture, "linux/"+arch.name; got != want {
				t.Errorf("platform: got %s, want %s", got, want)
			}
			if got, want := append(config.Config.Entrypoint, config.Config.Cmd...), []string{"/usr/bin/pixiecore", "serve"}; !slices.Equal(got, want) {
				t.Errorf("command: got %q, want %q", got, want)
			}
			if got := config.Config.Labels["com.github.pixiecore.ipxe.source"]; !strings.Contains(got, source) {
				t.Errorf("source of iPXE: got %q, want version %s in it", got, source)
			}

			dir := t.TempDir()
			run(t, "skopeo", "--insecure-policy", "--override-arch", arch.name, "--override-os", "linux", "copy", "--quiet", archive, "dir:"+dir)
			layer := biggest(t, dir)
			defer layer.Close()
			zr, err := gzip.NewReader(layer)
			if err != nil {
				t.Fatal(err)
			}
			all := entries(t, zr)
			want := []string{
				"/etc/pixiecore.hcl", "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/pixiecore",
				"/usr/share/doc/ipxe/SOURCE", "/usr/share/doc/ipxe/copyright", "/usr/share/doc/pixiecore/copyright",
			}
			if diff := cmp.Diff(want, files(all)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if got := all["/usr/share/doc/ipxe/SOURCE"].data; !strings.Contains(got, "\nVersion: "+source+"\n") {
				t.Errorf("SOURCE of iPXE: got\n%s\nwant version %s", got, source)
			}
			static(t, all["/usr/bin/pixiecore"].data, true)
		})
	}
}

// biggest opens the largest file of a folder: the layer among an image's blobs.
func biggest(t *testing.T, dir string) *os.File {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var size int64
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Size() > size {
			path, size = filepath.Join(dir, e.Name()), info.Size()
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The texts of the packages are what their readers take without a word.
func TestReadersTakeWhatIsPackaged(t *testing.T) {
	pages, err := filepath.Glob("man/*.[58]")
	if err != nil || len(pages) < 2 {
		t.Fatalf("manual pages: %q, %v", pages, err)
	}
	for _, page := range pages {
		cmd := exec.Command("man", "--warnings", "--encoding=UTF-8", "--local-file", "--troff-device=utf8", "--ditroff", page)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80")
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Errorf("man %s: %v\n%s", page, err, &complaints)
		}
	}
	if out, err := exec.Command("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--warn=all", "apparmor.d/pixiecore").CombinedOutput(); err != nil {
		t.Errorf("apparmor_parser: %v\n%s", err, out)
	}
	for _, script := range []string{"build", "setup", "version"} {
		if out, err := exec.Command("shellcheck", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := exec.Command(shell, "-n", "../dist/completions/"+shell).CombinedOutput(); err != nil {
			t.Errorf("completion for %s: %v\n%s", shell, err, out)
		}
	}
}

// `make install` under another prefix names the program where it then is.
func TestInstallUnderAPrefix(t *testing.T) {
	root := t.TempDir()
	run(t, "make", "-C", "..", "-s", "install", "DESTDIR="+root, "PREFIX=/opt/pixiecore", "BINARY="+mustAbs(t, "../dist/bin/"+runtime.GOARCH+"/pixiecore"))
	unit, err := os.ReadFile(filepath.Join(root, "opt/pixiecore/lib/systemd/system/pixiecore.service"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(unit, []byte("\nExecStart=/opt/pixiecore/bin/pixiecore serve\n")) || bytes.Contains(unit, []byte("/usr/bin/pixiecore")) {
		t.Errorf("the unit does not name /opt/pixiecore/bin/pixiecore:\n%s", unit)
	}
	edited := filepath.Join(root, "etc/pixiecore.hcl")
	if err := os.WriteFile(edited, []byte("# edited\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	run(t, "make", "-C", "..", "-s", "install", "DESTDIR="+root, "PREFIX=/opt/pixiecore", "BINARY="+mustAbs(t, "../dist/bin/"+runtime.GOARCH+"/pixiecore"))
	if got, err := os.ReadFile(edited); err != nil || string(got) != "# edited\n" {
		t.Errorf("a second installation left %q, %v of an edited configuration", got, err)
	}
}

// The packages come out of the tarball as they come out of the checkout, byte
// for byte: in another folder, in another time zone, without git.
func TestTwoBuildsHaveOneDigest(t *testing.T) {
	if out := run(t, "git", "-C", "..", "status", "--porcelain", "--untracked-files=no"); out != "" {
		t.Fatalf("commit first: the tarball has the last commit, and this tree has\n%s", out)
	}
	version := strings.TrimSpace(run(t, "./version", "deb"))
	dir := t.TempDir()
	run(t, "tar", "-xzf", built(t, "pixiecore-"+version+".tar.gz"), "-C", dir)
	tree := filepath.Join(dir, "pixiecore-"+version)
	// Debian's archive is not asked a second time.
	run(t, "sh", "-c", "cp -p ../booters/loaders/firmware/* "+tree+"/booters/loaders/firmware/")
	cmd := exec.Command("packaging/build", "deb", "rpm", "apk", "oci")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "GOPROXY=off", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the build out of the tarball: %v\n%s", err, out)
	}
	clone := filepath.Join(dir, "clone")
	run(t, "git", "clone", "--quiet", "..", clone)
	cmd = exec.Command("packaging/build", "source", "vendor")
	cmd.Dir = clone
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the tarballs out of a clone: %v\n%s", err, out)
	}

	want := digests(t, "../dist/SHA256SUMS")
	got := digests(t, filepath.Join(tree, "dist/SHA256SUMS"))
	for name, digest := range digests(t, filepath.Join(clone, "dist/SHA256SUMS")) {
		got[name] = digest
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("digests (-first +second):\n%s", diff)
	}
	if len(want) != 9 { // two each of deb, rpm and apk; source, vendor, image
		t.Errorf("%d files, want 9: %v", len(want), want)
	}
	for name, digest := range want {
		t.Logf("%s  %s", digest, name)
	}
}

func digests(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		digest, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		all[name] = digest
	}
	return all
}

// The two tarballs are enough: a build of them fetches nothing.
func TestTheTarballsBuildOffline(t *testing.T) {
	version := strings.TrimSpace(run(t, "./version", "deb"))
	dir := t.TempDir()
	for _, name := range []string{"", "-vendor"} {
		run(t, "tar", "-xzf", built(t, "pixiecore-"+version+name+".tar.gz"), "-C", dir)
	}
	cmd := exec.Command("make", "-s", "build", "TAGS=")
	cmd.Dir = filepath.Join(dir, "pixiecore-"+version)
	empty := filepath.Join(dir, "empty")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOMODCACHE="+empty)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := run(t, filepath.Join(cmd.Dir, "pixiecore"), "version")
	if want := fmt.Sprintf("pixiecore %s ", strings.TrimSpace(run(t, "./version"))); !strings.HasPrefix(got, want) {
		t.Errorf("version: got %q, want %q…", got, want)
	}
}
