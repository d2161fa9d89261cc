package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// Two secrets, as whoever reads outputs looks for them: .ci/run does in those of the
// whole suite.
const (
	planted  = "planted-secret-b7c1"
	replaced = "planted-secret-9f04" // by which an edit replaces it
)

// hidden is a configuration with secrets from a file of the daemon's own, from the
// environment, from a table, and written into it.
const hidden = `
log { level = "debug" }
locals {
  pw    = sensitive(trimspace(file("DIR/credential")))
  hosts = { db1 = { mac = "52:54:00:00:07:01", pw = sensitive("of-db1-planted-secret-b7c1") } }
  line  = "rootpw ${local.pw}"
}
machine "db1" { mac = local.hosts.db1.mac }
boot "linux" {
  kernel  = "DIR/kernel"
  initrd  = ["DIR/initrd", cpio({ "/etc/preseed" = file.preseed })]
  cmdline = "ds=nocloud;s=${url(file.seed)} preseed=${url(file.preseed)} open=${url(file.open)}"
  file "seed" {
    tree = {
      "meta-data" = "instance-id: ${machine.name}"
      "user-data" = "#cloud-config\npassword: ${local.hosts.db1.pw}\nenv: ${env("PIXIECORE_PLANTED")}"
    }
    secret = true
  }
  file "preseed" {
    content = "${local.line} on ${machine.name}, written-planted-secret-b7c1"
    secret  = true
  }
  file "open" { content = "for ${machine.name}" }
}
rule "lab" {
  match { mac = ["52:54:00:*"] }
  boot = boot.linux
}
`

// hiddenTest is a test of that.
const hiddenTest = `test "what is in them" {
  machine = { mac = "52:54:00:00:07:01" }
  expect = {
    files = { preseed = "rootpw" }
  }
}
`

// fetchFrom fetches a path of the server from a host.
func fetchFrom(t *testing.T, h *netlab.Host, at, path string) (status int, body string) {
	t.Helper()
	var c net.Conn
	var err error
	h.Do(func() { c, err = net.DialTimeout("tcp", at, patience) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, at)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return resp.StatusCode, string(b)
}

// addressesIn are the paths of the files that a command line leads to, by their words.
func addressesIn(cmdline string) map[string]string {
	paths := map[string]string{}
	for _, m := range regexp.MustCompile(`(\S*?)=http://[^/]+(/_/f/\S+)`).FindAllStringSubmatch(cmdline, -1) {
		paths[m[1]] = m[2]
	}
	return paths
}

// A machine boots with secrets, and they are in nothing but its files: not in what any
// command prints, in the status page, the log, or what is written for a bug report.
func TestPlantedSecretsAreShownNowhere(t *testing.T) {
	t.Parallel()
	netlab.Require(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/credential", []byte("credential-"+planted+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, strings.ReplaceAll(hidden+hiddenTest, "DIR/credential", dir+"/credential"), "PIXIECORE_PLANTED=env-"+planted)
	control, next, wrong, failing := filepath.Dir(l.config)+"/control.sock", dir+"/next.hcl", dir+"/wrong.hcl", dir+"/failing.hcl"
	for path, edit := range map[string][2]string{
		next:    {"written-" + planted, "written-" + replaced},
		wrong:   {`"${local.line} on`, `"${parseint(local.line, 10)} on`},
		failing: {`preseed = "rootpw"`, `preseed = "` + replaced + `"`},
	} {
		if err := os.WriteFile(path, []byte(strings.Replace(l.read(), edit[0], edit[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outputs := map[string]string{}
	pixiecore := func(args ...string) {
		t.Helper()
		cmd := command("pixiecore", args...)
		cmd.Dir, cmd.Env = dir, l.env
		out, _ := cmd.CombinedOutput() // some have to fail, and what they say then counts
		outputs[strings.Join(args, " ")] = string(out)
	}

	const mac = "52:54:00:00:07:01"
	b := l.boot("efi-x64", mac)
	if b.Err != "" {
		t.Fatal(b.Err)
	}
	outputs["what the machine is given to start"] = b.Outcome.Cmdline
	paths := addressesIn(b.Outcome.Cmdline)
	for _, f := range []struct{ path, want string }{
		{paths["ds=nocloud;s"] + "user-data", "#cloud-config\npassword: of-db1-" + planted + "\nenv: env-" + planted},
		{paths["ds=nocloud;s"] + "meta-data", "instance-id: db1"},
		{paths["preseed"], "rootpw credential-" + planted + " on db1, written-" + planted},
		{paths["open"], "for db1"},
	} {
		if status, body := fetchFrom(t, l.machines, "192.0.2.1:80", f.path); status != http.StatusOK || body != f.want {
			t.Errorf("%s: %d %q, want %q", f.path, status, body, f.want)
		}
	}
	status, body := fetchFrom(t, l.machines, "192.0.2.1:80", paths["preseed"]+"x")
	outputs["a name that is none"] = fmt.Sprint(status, body)

	for _, file := range []string{l.config, next, wrong, failing} {
		for _, args := range [][]string{
			{"check", file}, {"check", "--json", file}, {"test", file}, {"test", "--json", file}, {"plan", file, "--control", control}, {"plan", "--json", file, "--control", control},
			{"explain", file, "--mac", mac, "--firmware", "efi64"}, {"explain", file, "--json", "--mac", mac, "--firmware", "efi64"},
			{"simulate", "--config", file, "--mac", mac}, {"simulate", "--json", "--config", file, "--mac", mac}, {"fmt", "--check", file},
		} {
			pixiecore(args...)
		}
	}
	captured := dir + "/captured.pcapng"
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"status", mac}, {"events"}, {"events", "--json"}, {"seen"}, {"seen", "--json"}, {"seen", "--hcl"},
		{"explain", "--live", mac}, {"explain", "--live", mac, "--json"}, {"capture", mac, "-o", captured},
		{"replay", captured, "--config", l.config}, {"replay", captured, "--json", "--config", next},
		{"next", "db1", "linux"}, {"next", "db1", "--cancel"}, {"arm", "db1"}, {"hold", "lab"}, {"resume"},
	} {
		if args[0] != "replay" {
			args = append(args, "--control", control)
		}
		pixiecore(args...)
	}
	if b, err := os.ReadFile(captured); err != nil {
		t.Error(err)
	} else {
		outputs["a capture"] = string(b)
	}
	for _, path := range []string{
		"/", "/?q=db1", "/machines/" + mac, "/configuration", "/server", "/metrics", "/healthz", "/readyz",
		"/api/v1/status", "/api/v1/configuration", "/api/v1/rules", "/api/v1/machines", "/api/v1/machines/" + mac, "/api/v1/once", "/api/v1/servers",
		"/api/v1/explain?firmware=efi64&mac=" + mac,
	} {
		status, body := fetchFrom(t, l.server, "127.0.0.1:8067", path)
		outputs["GET "+path] = body
		if status == http.StatusNotFound {
			t.Errorf("there is no page %s any more", path)
		}
	}

	// Edits: one that is refused, and one that changes a secret; and a machine that boots
	// what cannot be made.
	src, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	l.edit(`"${local.line} on`, `"${parseint(local.line, 10)} on`)
	pixiecore("reload", "--control", control)
	pixiecore("status", "--control", control)
	l.write(string(src))
	pixiecore("reload", "--control", control)
	if b := l.boot("bios", "52:54:00:00:07:02"); b.Err != "" {
		t.Error(b.Err)
	}
	if err := l.cmd.Process.Signal(syscall.SIGQUIT); err != nil { // the dump of a crash
		t.Fatal(err)
	}
	l.await("the dump", func() bool { return strings.Contains(l.log.String(), "goroutine ") })
	outputs["the log"] = l.log.String()

	for name, text := range outputs {
		for _, secret := range []string{planted, replaced} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s shows a secret:\n%s", name, bytes.ReplaceAll([]byte(text[max(0, i-300):min(len(text), i+100)]), []byte("planted"), []byte("pl*nted")))
			}
		}
	}
	for _, name := range []string{"status", "events", "GET /metrics"} {
		found := false
		for of, text := range outputs {
			found = found || strings.HasPrefix(of, name) && len(text) > 0
		}
		if !found {
			t.Errorf("nothing was seen of %s", name)
		}
	}
	for _, args := range []string{"check " + l.config, "test " + l.config, "simulate --config " + l.config + " --mac " + mac} {
		if strings.Contains(outputs[args], "pixiecore: ") {
			t.Errorf("%s has failed, and shows nothing of what it could: %s", args, outputs[args])
		}
	}
}

// What cloud-init fetches: its address is that of one boot, and not good when the rule
// is held, when the machine is ignored by now, or when it has begun another boot.
func TestFilesOfAMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/credential", []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, strings.ReplaceAll(hidden, "DIR/credential", dir+"/credential"), "PIXIECORE_PLANTED=none")
	pixiecore := func(args ...string) {
		t.Helper()
		if out, err := command("pixiecore", append(args, "--control", filepath.Dir(l.config)+"/control.sock")...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	const mac = "52:54:00:00:07:01"
	boots := func() (seed, open string) {
		t.Helper()
		b := l.boot("efi-x64", mac)
		if b.Err != "" {
			t.Fatal(b.Err)
		}
		paths := addressesIn(b.Outcome.Cmdline)
		return paths["ds=nocloud;s"], paths["open"]
	}
	is := func(path string, status int, want string) {
		t.Helper()
		if got, body := fetchFrom(t, l.machines, "192.0.2.1:80", path); got != status || !strings.Contains(body, want) {
			t.Errorf("got %d %q, want %d %q", got, body, status, want)
		}
	}
	seed, open := boots()
	for range 2 {
		is(seed+"meta-data", http.StatusOK, "instance-id: db1")
		is(seed+"user-data", http.StatusOK, "#cloud-config")
		is(open, http.StatusOK, "for db1")
	}
	is(seed+"vendor-data", http.StatusNotFound, "no such file")
	is(strings.Replace(seed, "/_/f/", "/_/f/x", 1)+"user-data", http.StatusNotFound, "no such file")

	pixiecore("hold", "lab", "--reason", "the key is out")
	is(seed+"user-data", http.StatusForbidden, "the key is out")
	is(open, http.StatusForbidden, "the key is out")
	pixiecore("resume")
	is(seed+"user-data", http.StatusOK, "#cloud-config")

	// The daemon's next process knows the machine by the address alone.
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	l.start()
	is(seed+"user-data", http.StatusOK, "#cloud-config")

	before := l.read()
	l.edit("  boot = boot.linux", "  ignore = true")
	pixiecore("reload")
	is(seed+"user-data", http.StatusForbidden, `the rule "lab" ignores `+mac)
	is(open, http.StatusForbidden, `the rule "lab" ignores `+mac)
	l.write(before)
	pixiecore("reload")

	first := time.Now().Unix()
	l.await("the next second, by which addresses are told apart", func() bool { return time.Now().Unix() > first })
	again, _ := boots()
	is(seed+"user-data", http.StatusGone, "the machine has begun another")
	is(again+"user-data", http.StatusOK, "#cloud-config")
}
