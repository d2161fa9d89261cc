package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pixiecore/pixiecore/daemon/cli"
)

// fetchConfig writes a configuration whose files come from a mirror, with a cache block.
func fetchConfig(t *testing.T, dir, mirror, cache string) string {
	t.Helper()
	path := filepath.Join(dir, "pixiecore.hcl")
	text := fmt.Sprintf(`
listener "http" {}
machine "db1" {
  mac    = "52:54:00:aa:00:01"
  labels = { release = "13" }
}
machine "db2" { mac = "52:54:00:aa:00:02" }
boot "named" {
  kernel = "%[1]s/${machine.name}/linux"
  initrd = ["%[1]s/${machine.labels.release}/initrd?token=hunter2"]
}
boot "any" { kernel = "%[1]s/linux" }
rule "named" {
  match { machine = ["db1", "db2"] }
  boot = boot.named
}
rule "any" { boot = boot.any }
%[2]s`, mirror, cache)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(args ...string) (status int, stdout, stderr string) {
	var out, talk bytes.Buffer
	status = cli.Main(args, strings.NewReader(""), &out, &talk)
	return status, out.String(), talk.String()
}

// What is written for people is one line for each file, where no terminal is.
func TestFetch(t *testing.T) {
	gone := false
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone && r.URL.Path == "/linux" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, r.URL.Path)
	}))
	defer mirror.Close()
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	path := fetchConfig(t, dir, mirror.URL, `cache { dir = "cache" }`)
	const left = "left out: pixiecore.hcl:10, initrd of boot named for db2: "
	for _, step := range []struct {
		args   []string
		gone   bool
		status int
		want   []string
	}{
		{[]string{"--dry-run"}, false, 0, []string{"missing  MIRROR/13/initrd?redacted\n         pixiecore.hcl:10, initrd of boot named\n", "missing  MIRROR/db2/linux\n", "0 of 4 files have a copy in " + cache + ".\n"}},
		{nil, false, 0, []string{"fetched  MIRROR/db1/linux, 10 B\n", "4 of 4 files are in " + cache + "; 4 of them fetched, 36 B.\n"}},
		{nil, false, 0, []string{"there    MIRROR/db1/linux, 10 B\n", "4 of 4 files are in " + cache + "; none had to be fetched.\n"}},
		{[]string{"--dry-run"}, false, 0, []string{"there    MIRROR/linux\n         pixiecore.hcl:12, kernel of boot any\n", "4 of 4 files have a copy in "}},
		{nil, true, 1, []string{"failed   get \"MIRROR/linux\": the server answers 404 Not Found\n         → Correct the URL, or see that this host reaches the server and the server has the file.\n", "3 of 4 files are in "}},
	} {
		if gone = step.gone; gone { // so that it is asked for again
			if err := os.RemoveAll(filepath.Join(cache, "urls")); err != nil {
				t.Fatal(err)
			}
		}
		status, out, talk := run(append([]string{"fetch", "--config", path}, step.args...)...)
		out = strings.ReplaceAll(out, mirror.URL, "MIRROR")
		if status != step.status || !strings.Contains(talk, left) {
			t.Errorf("%q: status %d, want %d\n%s%s", step.args, status, step.status, out, talk)
		}
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("%q: got\n%swant %s", step.args, out, want)
			}
		}
		if strings.Contains(out+talk, "hunter2") || strings.Contains(out+talk, "\x1b") {
			t.Errorf("%q: a secret, or what is for a terminal:\n%s%s", step.args, out, talk)
		}
	}

	gone = false
	status, out, talk := run("fetch", "--json", "--config", path)
	var told struct {
		Dir     string
		Files   []struct{ URL, State string }
		Skipped []string
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || status != 0 || talk != "" {
		t.Fatalf("--json: status %d, %v\n%s%s", status, err, out, talk)
	}
	if told.Dir != cache || len(told.Files) != 4 || told.Files[3].State != "fetched" || len(told.Skipped) != 1 {
		t.Errorf("--json: got %+v", told)
	}

	for block, want := range map[string]string{
		"": "the configuration has no cache block, so that nothing is kept; write cache {} into it",
		"cache {\n  dir      = \"tiny\"\n  max_size = \"20KiB\"\n}": "",
		"cache { dir = \"pixiecore.hcl\" }":                         "not a directory",
	} {
		if strings.Contains(block, "tiny") {
			if err := os.Mkdir(filepath.Join(dir, "tiny"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		status, _, talk := run("fetch", "--config", fetchConfig(t, dir, mirror.URL, block))
		if (status == 0) != (want == "") || !strings.Contains(talk, want) {
			t.Errorf("%q: status %d, %s", block, status, talk)
		}
	}
}

// Where there is a lock file, each file is told of as it stands there.
func TestFetchTellsOfTheLock(t *testing.T) {
	another := ""
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path, another) }))
	defer mirror.Close()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pixiecore.hcl")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(`
listener "http" {}
cache { dir = "cache" }
boot "any" {
  kernel = "MIRROR/linux"
  initrd = [{
    url    = "MIRROR/initrd"
    sha256 = "`+sum("/initrd")+`"
  }]
}
rule "any" { boot = boot.any }
`, "MIRROR", mirror.URL)), 0o644); err != nil {
		t.Fatal(err)
	}
	fetch := func(status int, want ...string) {
		t.Helper()
		got, out, talk := run("fetch", "--config", path)
		if out = strings.ReplaceAll(out, mirror.URL, "MIRROR"); got != status {
			t.Errorf("status %d, want %d\n%s%s", got, status, out, talk)
		}
		for _, want := range want {
			if !strings.Contains(out, want) {
				t.Errorf("got\n%swant %s", out, want)
			}
		}
	}
	fetch(0, "fetched  MIRROR/initrd, 7 B\n", "fetched  MIRROR/linux, 6 B\n")
	if status, out, talk := run("lock", path); status != 0 {
		t.Fatalf("lock: status %d\n%s%s", status, out, talk)
	}
	locked := fmt.Sprintf("MIRROR/linux, 6 B, locked to sha256 %.12s…\n", sum("/linux"))
	fetch(0, locked, "there    MIRROR/initrd, 7 B, not locked\n", "1 of 2 files are locked by pixiecore.lock.hcl; 1 need no lock: ")

	another = " of today"
	if err := os.RemoveAll(filepath.Join(dir, "cache", "blobs")); err != nil {
		t.Fatal(err)
	}
	fetch(1, "differs  MIRROR/linux has changed on its server: ", "→ ", "1 of 2 files are locked by pixiecore.lock.hcl, of which 1 differ on their servers; ")
	_, out, _ := run("fetch", "--json", "--config", path)
	var told struct {
		Files []struct{ URL, State, Lock, SHA256 string }
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Files) != 2 || told.Files[1].Lock != "differs" || told.Files[1].SHA256 != sum("/linux") || told.Files[0].Lock != "not locked" {
		t.Errorf("%v: got %+v", err, told)
	}
}

// sum is the SHA-256 of a text.
func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// What root fetches is the daemon's: it belongs to the user to whom the directory does.
func TestFetchByRootWritesAsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
			t.Fatal("needs root (and PIXIECORE_NO_SKIP=1)")
		}
		t.Skip("needs root: to become another user")
	}
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	defer mirror.Close()
	const owner = 65534
	dir, err := os.MkdirTemp("", "pixiecore-fetch")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := fetchConfig(t, dir, mirror.URL, `cache { dir = "cache" }`)
	fetch := func() (string, error) {
		program, err := exec.LookPath("pixiecore")
		if err != nil {
			t.Fatal(err) // testscript.Main puts it into PATH
		}
		out, err := exec.Command(program, "fetch", "--config", path).CombinedOutput()
		return string(out), err
	}
	if out, err := fetch(); err == nil || !strings.Contains(out, "there is no such directory; make it for the user that the daemon runs as: install -d -m 700 -o USER '"+dir+"/cache'") {
		t.Errorf("without a directory: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "cache"), owner, owner); err != nil {
		t.Fatal(err)
	}
	if out, err := fetch(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := 0
	err = filepath.Walk(filepath.Join(dir, "cache"), func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != owner {
			t.Errorf("%s belongs to %d", name, info.Sys().(*syscall.Stat_t).Uid)
		}
		n++
		return err
	})
	if err != nil || n != 4+2*4 {
		t.Errorf("%d files and directories, %v", n, err)
	}
}
