package config

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

func digestOf(s string) boot.Digest { return sha256.Sum256([]byte(s)) }

// lockedDir is a directory with a configuration, and a lock file for the URLs, each of
// which has itself for content.
func lockedDir(t *testing.T, src string, urls ...string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "pixiecore.hcl")
	write(t, path, "listener \"http\" {}\n"+src)
	if urls != nil {
		l := &Lock{Files: make(map[string]booters.Upstream)}
		for _, url := range urls {
			l.Files[url] = booters.Upstream{SHA256: digestOf(url), Size: int64(len(url))}
		}
		write(t, LockPath(path, false), string(l.Bytes()))
	}
	return path
}

func TestALockFileIsReadAsItIsWritten(t *testing.T) {
	want := &Lock{Path: "x", Files: map[string]booters.Upstream{
		"https://m/linux":         {SHA256: digestOf("a"), Size: 1 << 40, ETag: `W/"a\b${c}%{d}"`, Modified: "Mon, 02 Jan 2006 15:04:05 GMT"},
		"https://u:p@m/${x}?a=\"": {SHA256: digestOf("b")},
	}}
	got, report := ParseLock("x", want.Bytes())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v, %s: -want +got:\n%s", report.Problems(), want.Bytes(), diff)
	}
	if again := got.Bytes(); string(again) != string(want.Bytes()) {
		t.Errorf("written as\n%s\nthen as\n%s", want.Bytes(), again)
	}
}

func TestALockFileThatCannotBeUsed(t *testing.T) {
	sum := digestOf("a").String()
	for text, want := range map[string]string{
		`file "a" {`:                 "1:10: ",
		`x = 1`:                      "1:1: There is nothing but file blocks",
		`boot "a" {}`:                "1:1: There is nothing but file blocks",
		`file "a" {}`:                "1:1: It has no sha256",
		`file "a" { sha256 = "ab" }`: "1:1: The sha256 is no digest",
		`file "a" { sha256 = x }`:    "1:1: The value of sha256 is no constant",
		`file "a" { md5 = "x" }`:     "1:1: There is no md5",
		`file "a" { size = -1 }`:     "1:1: The size is no number",
		"file \"a\" { sha256 = \"" + sum + "\" }\nfile \"a\" { sha256 = \"" + sum + "\" }": "2:6: It stands here twice",
	} {
		_, report := ParseLock("l", []byte(text))
		var got []string
		for _, p := range report.Problems() {
			got = append(got, fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Detail))
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], want) || report.Problems()[0].Summary != string(sumLock) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

const lockedBoots = `
boot "a" {
  kernel  = "https://m/${machine.arch}/linux"
  initrd  = ["https://m/initrd", "/srv/local", { url = "https://m/pinned", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }]
  cmdline = "a={{ ID \"https://m/marked\" }} b=${url("https://m/linked")} ${machine.ip}"
  file "secret" {
    source = "https://m/secret"
    secret = true
  }
}
boot "api" { api = "https://api/" }
rule "api" { 
  match { mac = ["52:54:00:*"] }
  boot = boot.api 
}
rule "a" {
  match { arch = ["x64"] }
  boot = boot.a
}`

func TestFilesThatAreLockedHaveTheirDigest(t *testing.T) {
	path := lockedDir(t, lockedBoots, "https://m/x64/linux", "https://m/initrd", "https://m/marked", "https://m/linked")
	m := machine(t, "02:00:00:00:00:01", boot.Facts{})
	m.Arch, m.Firmware = boot.ArchX64, boot.FirmwareEFI64
	cfg, _ := Load(path)
	i := slices.IndexFunc(cfg.Rules, func(r booters.Rule) bool { return r.Name == "a" })
	var linked []string
	req := booters.Preview(cfg.Inventory, m)
	link := req.Link
	req.Link = func(to booters.Target) (string, error) {
		linked = append(linked, to.Source)
		return link(to)
	}
	m.Facts = &boot.Facts{Known: boot.FactIP, IP: netip.MustParseAddr("192.0.2.50")}
	req.Machine = m
	spec, err := cfg.Rules[i].Action.Render(req)
	if err != nil {
		t.Fatal(err)
	}
	locked := func(url string) string { return "locked:" + digestOf(url).String() + "@" + url }
	if got, want := string(spec.Kernel), locked("https://m/x64/linux"); got != want {
		t.Errorf("kernel: got %s, want %s", got, want)
	}
	if got, want := spec.Initrd, []boot.ID{boot.ID(locked("https://m/initrd")), "/srv/local", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855@https://m/pinned"}; !slices.Equal(got, want) {
		t.Errorf("initrd: got %s, want %s", got, want)
	}
	if want := locked("https://m/marked"); !strings.Contains(spec.Cmdline, want) {
		t.Errorf("cmdline: got %s, want %s in it", spec.Cmdline, want)
	}
	if want := []string{locked("https://m/linked")}; !slices.Equal(linked, want) {
		t.Errorf("linked: got %s, want %s", linked, want)
	}
	m.Arch, m.Firmware = boot.ArchARM64, boot.FirmwareEFIARM64
	req.Machine = m
	if _, err := cfg.Rules[i].Action.Render(req); err == nil || !strings.Contains(err.Error(), "https://m/arm64/linux is not in pixiecore.lock.hcl, and so is not served") {
		t.Errorf("a URL that could not be foreseen: got %v", err)
	}
	if !slices.Contains(cfg.Files, LockPath(path, false)) {
		t.Errorf("the lock file is not among %s, which are watched", cfg.Files)
	}
}

// Checksums are those of an image, so what is locked, and fetched, is the image.
func TestAnImageIsLockedAsAWhole(t *testing.T) {
	const src = `
boot "a" { 
  kernel = { url = iso("https://m/x.iso", "kernel"), checksums = "https://m/SHA256SUMS" }
  initrd = iso("https://m/x.iso", "initrd")
}
rule "a" { boot = boot.a }`
	cfg, _ := Load(lockedDir(t, src))
	all, err := cfg.Remotes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all.Files {
		got = append(got, r.Source.At)
	}
	if want := []string{"https://m/SHA256SUMS", "https://m/x.iso", "iso:https://m/x.iso!/initrd"}; !slices.Equal(got, want) {
		t.Errorf("of other servers: got %s, want %s", got, want)
	}
	cfg, report := Load(lockedDir(t, src, "https://m/x.iso", "iso:https://m/x.iso!/initrd"))
	if cfg == nil {
		t.Fatal(report)
	}
	spec := cfg.Rules[0].Action.Spec
	if got, want := string(spec.Kernel), "lockin:"+digestOf("https://m/x.iso").String()+"@iso:https://m/x.iso!/kernel"; got != want {
		t.Errorf("kernel: got %s, want %s", got, want)
	}
	if got, want := string(spec.Initrd[0]), "locked:"+digestOf("iso:https://m/x.iso!/initrd").String()+"@iso:https://m/x.iso!/initrd"; got != want {
		t.Errorf("initrd: got %s, want %s", got, want)
	}
}

func TestWhatIsNotInTheLockFileIsRefused(t *testing.T) {
	path := lockedDir(t, lockedBoots, "https://m/other")
	cfg, report := Load(path)
	if cfg != nil {
		t.Fatal("it is served")
	}
	var got []string
	for _, p := range report.Problems() {
		if p.Severity == SeverityError {
			got = append(got, fmt.Sprintf("%d %s: %.70s", p.Line, p.Summary, p.Detail))
		}
	}
	want := []string{
		"5 not in the lock file: https://m/initrd is not in pixiecore.lock.hcl, and so is not served: n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	path = lockedDir(t, lockedBoots, "https://m/initrd")
	_, report = Load(path)
	got = nil
	for _, p := range report.Problems() {
		if p.Severity == SeverityError {
			got = append(got, fmt.Sprintf("%d %s: %.70s", p.Line, p.Summary, p.Detail))
		}
	}
	want = []string{
		"4 not in the lock file: Machines may come to need https://m/x64/linux, which pixiecore.lock.hc",
		"6 not in the lock file: Machines may come to need https://m/linked, https://m/marked, which pi",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestALockFileIsNoConfiguration(t *testing.T) {
	path := lockedDir(t, lockedBoots, "https://m/x64/linux", "https://m/initrd", "https://m/marked", "https://m/linked")
	for _, of := range []string{path, filepath.Dir(path)} {
		cfg, report := Load(of)
		if cfg == nil || cfg.Lock == nil || len(cfg.Lock.Files) != 4 {
			t.Errorf("%s: %v", of, report.Err())
		}
	}
	// One that is broken refuses the configuration, where it stands.
	if err := os.WriteFile(LockPath(path, false), []byte("<<<<<<<\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{path, filepath.Dir(path)} {
		_, report := Load(of)
		if p := report.Problems()[0]; report.Err() == nil || filepath.Base(p.File) != lockName || p.Line != 1 {
			t.Errorf("%s: got %v", of, report.Problems())
		}
	}
}

// Checksums are verified when they are locked, and the boot goes by the lock.
func TestChecksumsAreLocked(t *testing.T) {
	path := lockedDir(t, `
boot "a" { kernel = { url = "https://m/linux", checksums = "https://m/SHA256SUMS" } }
rule "a" { boot = boot.a }`, "https://m/linux")
	cfg, report := Load(path)
	if cfg == nil {
		t.Fatal(report.Err())
	}
	if got, want := string(cfg.Rules[0].Action.Spec.Kernel), "locked:"+digestOf("https://m/linux").String()+"@https://m/linux"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add((&Lock{Files: map[string]booters.Upstream{"https://m/a": {SHA256: digestOf("a"), ETag: "x"}}}).Bytes())
	f.Add([]byte(`file "${x}" { sha256 = 1 }`))
	f.Fuzz(func(t *testing.T, src []byte) {
		l, report := ParseLock("l", src)
		if l == nil {
			if report.Err() == nil {
				t.Error("neither a lock file nor an error")
			}
			return
		}
		again, report := ParseLock("l", l.Bytes())
		if diff := cmp.Diff(l, again); diff != "" {
			t.Errorf("%v: -want +got:\n%s", report.Problems(), diff)
		}
	})
}
