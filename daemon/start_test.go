package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
)

const bad = "rule \"x\" {\n  bot = boot.nothing\n}\n"

// manager makes the test the service manager, and returns what it is told.
func manager(t *testing.T) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Setenv("NOTIFY_SOCKET", path)
	told := make(chan string, 100)
	go func() {
		defer close(told)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			told <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		for range told {
		}
	})
	return told
}

// await returns the first of told that has all the parts.
func await(t *testing.T, told <-chan string, parts ...string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case s := <-told:
			missing := false
			for _, p := range parts {
				missing = missing || !strings.Contains(s, p)
			}
			if !missing {
				return
			}
		case <-late:
			t.Fatalf("the service manager was not told %q", parts)
		}
	}
}

// served makes a daemon serve what is at the path of o, and stops it.
func served(t *testing.T, o Options) {
	t.Helper()
	d, err := New(o)
	must(t, err)
	d.Close()
}

// The state block names the directory for the life of the process, unless the
// caller fixed one. It is known also when the file has errors.
func TestTheFileNamesTheStateDirectory(t *testing.T) {
	dir := t.TempDir()
	path := to(dir, "pixiecore.hcl")
	const state = "state { dir = \"kept\" }\n"
	keptIn := func(dir string, want bool) {
		t.Helper()
		if _, err := os.Stat(to(dir, lastGood)); (err == nil) != want {
			t.Errorf("in %s: %v, want it kept there: %t", dir, err, want)
		}
	}
	write(t, path, version("one")+state)
	o := options(t, path)
	fixed := o
	fixed.FixedStateDir = true
	served(t, fixed)
	keptIn(o.StateDir, true)
	keptIn(to(dir, "kept"), false)

	o.StateDir = t.TempDir()
	served(t, o)
	keptIn(o.StateDir, false)
	keptIn(to(dir, "kept"), true)

	write(t, path, bad+state)
	d, err := New(o)
	must(t, err)
	defer d.Close()
	if got := serving(t, d); got != "one" {
		t.Errorf("with errors in the file, %q is served", got)
	}
	write(t, path, version("two"))
	if err := d.Reload(); err == nil || !strings.Contains(err.Error(), "restart pixiecore") {
		t.Errorf("a reload without the block: got %v", err)
	}
	write(t, path, version("two")+state)
	if err := d.Reload(); err != nil || serving(t, d) != "two" {
		t.Errorf("a reload with the same directory: %v", err)
	}
}

// Servers with one url_key open each other's tokens. The file must be there, and
// a running daemon keeps the key that it has.
func TestServersShareAKey(t *testing.T) {
	dir := t.TempDir()
	path, key := to(dir, "pixiecore.hcl"), to(dir, "shared.key")
	plain := listen("http", "127.0.0.1:0") + everyLocal
	shared := plain + "url_key { file = \"shared.key\" }\n"
	write(t, path, shared)
	if _, err := New(options(t, path)); err == nil || !strings.Contains(err.Error(), "openssl rand -out "+key+" 32") {
		t.Fatalf("without the file: got %v, want the command that makes it", err)
	}
	must(t, os.WriteFile(key, bytes.Repeat([]byte{7}, 32), 0o600))

	one, two := options(t, path), options(t, path)
	one.Path, two.Path = "", "" // no watcher: the test reloads
	a, b := run(t, one), run(t, two)
	want := boot.Token{MAC: [6]byte{2, 0, 0, 0, 0, 1}, Time: time.Now()}
	if got, err := b.tokens.Open(a.tokens.Seal(want)); err != nil || got.MAC != want.MAC {
		t.Errorf("a token of the other server: got %v, %v", got, err)
	}
	if _, err := os.Stat(to(one.StateDir, "url.key")); err == nil {
		t.Error("a key was made in the state directory, too")
	}
	write(t, path, plain)
	gen := a.swap.Current().Gen
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "restart pixiecore") || a.swap.Current().Gen != gen {
		t.Errorf("a reload without the block: got %v, generation %d", err, a.swap.Current().Gen)
	}
	write(t, path, shared)
	if err := a.Reload(); err != nil {
		t.Errorf("a reload with the same key: %v", err)
	}
}

// A file with errors at the start: the last good configuration is served, all
// files of it as they were then, and everybody is told.
func TestABadFileAtTheStartIsStoodInFor(t *testing.T) {
	told := manager(t)
	dir := t.TempDir()
	path := to(dir, "pixiecore.hcl")
	must(t, put(dir, "two words", "cmdline"), put(dir, "the kernel", "sub", "kernel"))
	good := listen("http", "127.0.0.1:0") + "boot \"b\" {\n  kernel = \"sub/kernel\"\n  cmdline = file(\"cmdline\")\n}\nrule \"good\" {\n  boot = boot.b\n}\n"
	write(t, path, good)
	o := options(t, path)
	served(t, o)

	info, err := os.Stat(to(o.StateDir, lastGood))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what was kept: %v, %v; want mode 0600", info, err)
	}

	must(t, os.Remove(to(dir, "cmdline")))
	write(t, path, bad)
	var log lines
	o.Log = log.log()
	d := run(t, o)
	v, err := boot.Decide(t.Context(), d.swap.Current().Booter, boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64})
	if err != nil || v.Rule != "good" || v.Spec.Cmdline != "two words" {
		t.Fatalf("got %+v, %v", v, err)
	}
	kernel, _, err := d.swap.Current().Booter.ReadBootFile(v.Spec.Kernel)
	must(t, err)
	defer kernel.Close()
	if b, err := io.ReadAll(kernel); err != nil || string(b) != "the kernel" {
		t.Errorf("a relative path leads to %q, %v", b, err)
	}
	r := d.report()
	if !strings.Contains(r.Standin, "old, since the file has errors: "+path) || r.LastReload == nil || r.LastReload.OK || len(r.LastReload.Problems) == 0 {
		t.Errorf("status: %q, %+v", r.Standin, r.LastReload)
	}
	if log.count("configuration refused at the start") != 1 {
		t.Error("the log does not say so")
	}
	await(t, told, "READY=1", "STATUS=the configuration of 20", "since the file has errors")

	must(t, put(dir, "three", "cmdline"))
	write(t, path, good)
	await(t, told, "READY=1", "STATUS=generation 2: listeners 1, rules 1, machines 0")
	if r := d.report(); r.Standin != "" || !r.LastReload.OK {
		t.Errorf("mended: %q, %+v", r.Standin, r.LastReload)
	}
}

// A configuration of several files is stood in for as it was, whichever of them
// are there by now.
func TestSeveralFilesAreStoodInFor(t *testing.T) {
	for name, path := range map[string][]string{"an include": {"pixiecore.hcl"}, "a directory": {"etc"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, put(dir, "include = [\"etc/*.hcl\"]\n", "pixiecore.hcl"), put(dir, listen("http", "127.0.0.1:0"), "etc", "10.hcl"),
				put(dir, rule("one"), "etc", "20.hcl"))
			o := options(t, to(dir, path...))
			served(t, o)
			must(t, put(dir, rule("two"), "etc", "05.hcl"), put(dir, bad, "etc", "07.hcl"), os.Remove(to(dir, "etc", "20.hcl")))
			d, err := New(o)
			must(t, err)
			defer d.Close()
			if got := serving(t, d); got != "one" || d.standin == "" {
				t.Errorf("%q is served; %q", got, d.standin)
			}
		})
	}
}

// A loader that the file names and that cannot be read is an error of the file.
func TestAnUnreadableLoaderAtTheStartIsStoodInFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	served(t, o)
	write(t, path, version("two")+"ipxe {\n  bios = \"/no/such\"\n}\n")
	d, err := New(o)
	must(t, err)
	defer d.Close()
	if got := serving(t, d); got != "one" || !strings.Contains(d.standin, "/no/such") {
		t.Errorf("%q is served; %q", got, d.standin)
	}
}

// A file that is missing is not stood in for: it may be missing on purpose.
func TestAMissingFileAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	served(t, o)
	must(t, os.Remove(path))

	_, err := New(o)
	var refused *ConfigError
	if !errors.As(err, &refused) || !refused.Missing {
		t.Fatalf("at a terminal: got %v, want a *ConfigError of a missing file", err)
	}

	told := manager(t)
	d := run(t, o)
	await(t, told, "READY=1", "STATUS=nothing is served: "+path)
	if r := d.report(); len(r.Listeners) != 0 || len(r.Rules) != 0 || !strings.Contains(r.Standin, "nothing is served") {
		t.Errorf("status: %+v", r)
	}
	write(t, path, version("two"))
	await(t, told, "READY=1", "STATUS=generation 2: listeners 1, rules 1, machines 0")
	if got := serving(t, d); got != "two" {
		t.Errorf("%q is served", got)
	}
	if code, _ := get(t, "http://"+service[*httpboot.Server](t, d).Listener.Addr().String()+"/boot.ipxe"); code != 200 {
		t.Errorf("a listener opened by the first file: %d", code)
	}
}

// Without a configuration that was good, a bad file ends the program at a
// terminal, and is waited out under a service manager.
func TestABadFileAtTheFirstStart(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, o Options){
		"no state directory": nil,
		"nothing kept":       func(*testing.T, Options) {},
		"of another file": func(t *testing.T, o Options) {
			o.Path = filepath.Join(t.TempDir(), "other.hcl")
			write(t, o.Path, version("other"))
			served(t, o)
		},
		"an archive that is none": func(t *testing.T, o Options) {
			must(t, os.Mkdir(o.StateDir, 0o700), os.WriteFile(to(o.StateDir, lastGood), []byte("PK no"), 0o600))
		},
		"one that this version cannot serve": func(t *testing.T, o Options) {
			must(t, os.Mkdir(o.StateDir, 0o700))
			must(t, reading{o.Path: {data: []byte(bad)}}.save(o.StateDir, time.Now()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pixiecore.hcl")
			write(t, path, bad)
			o := options(t, path)
			if spoil == nil {
				o.StateDir = ""
			} else {
				spoil(t, o)
			}
			_, err := New(o)
			var refused *ConfigError
			if !errors.As(err, &refused) || refused.Missing {
				t.Fatalf("at a terminal: got %v, want a *ConfigError", err)
			}
			told := manager(t)
			d := run(t, o)
			await(t, told, "READY=1", "STATUS=nothing is served: "+path+": no listener")
			write(t, path, version("one"))
			await(t, told, "READY=1", "STATUS=generation 2: listeners 1, rules 1, machines 0")
			if got := serving(t, d); got != "one" {
				t.Errorf("%q is served", got)
			}
		})
	}
}

// What is kept is what was served last, not what was refused.
func TestARefusedReloadIsNotKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	defer d.Close()
	for i, tc := range []struct{ src, want string }{{bad, "one"}, {version("two"), "two"}, {bad, "two"}} {
		write(t, path, tc.src)
		if err := d.Reload(); (err == nil) != (tc.src != bad) {
			t.Errorf("%d: %v", i, err)
		}
		good, err := loadLastGood(o.StateDir, path)
		must(t, err)
		if diff := cmp.Diff(tc.want, good.cfg.Rules[0].Name); diff != "" {
			t.Errorf("%d: -want +got\n%s", i, diff)
		}
	}
	left, err := filepath.Glob(to(o.StateDir, "*"))
	must(t, err)
	if len(left) != 3 {
		t.Errorf("the state directory has %v, want a key, the store and one archive", left)
	}
}

// A file that a function reads is watched, also while the configuration is
// refused for what is in it.
func TestTheFilesOfFunctionsAreWatched(t *testing.T) {
	dir := t.TempDir()
	path := to(dir, "pixiecore.hcl")
	data := to(dir, "data", "level")
	must(t, put(dir, "one", "data", "level"))
	write(t, path, listen("http", "127.0.0.1:0")+fmt.Sprintf("rule \"all\" {\n  match { mac = file(%q) }\n  local = true\n}\n", data))
	must(t, put(dir, "02:*", "data", "level"))
	var log lines
	o := options(t, path)
	o.Log = log.log()
	d := run(t, o, func(d *Daemon) { d.poll = time.Hour })
	log.await(t, "watching", log.said("configuration watched"))
	must(t, put(dir, "no address", "data", "level"))
	log.await(t, "refused", log.said("reload refused"))
	must(t, put(dir, "02:00:*", "data", "level"))
	log.await(t, "served", log.said("configuration reloaded"))
	if got := serving(t, d); got != "all" {
		t.Errorf("%q is served", got)
	}
}
