package config

import (
	"context"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

const serverBase = "http://192.0.2.1:80"

// server is a table of a file's configuration, as the daemon has it.
type server struct {
	*testing.T
	table *booters.Table
}

func serve(t *testing.T, path string) server {
	t.Helper()
	cfg, report := Load(path)
	if cfg == nil {
		t.Fatalf("%v: %v", report.Err(), report.Problems()[0].Detail)
	}
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		t.Fatal(err)
	}
	return server{t, table}
}

// boot is what the machine boots.
func (s server) boot(m boot.Machine) (*boot.Spec, error) {
	s.Helper()
	v, err := s.table.Decide(context.Background(), m)
	if err != nil || v.Action != boot.Boot {
		s.Fatalf("%+v, %v", v, err)
	}
	return v.SpecFor(m, serverBase)
}

// get fetches an address as the machine does.
func (s server) get(m boot.Machine, address string) (string, error) {
	s.Helper()
	rest, ok := strings.CutPrefix(address, serverBase+boot.LinkPath)
	id, name, found := strings.Cut(rest, "/")
	if !ok || !found {
		s.Fatalf("address %q", address)
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		s.Fatal(err)
	}
	l, err := s.table.OpenLink(boot.ID(id), name)
	if err != nil {
		return "", err
	}
	f, _, err := l.Open(context.Background(), m, serverBase)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

// words are those of a command line or script that are addresses, without what
// stands before them.
func words(text string) (all []string) {
	for word := range strings.FieldsSeq(text) {
		if i := strings.Index(word, serverBase); i >= 0 {
			all = append(all, word[i:])
		}
	}
	return all
}

// TestFiles holds what the files of a boot are for a machine.
func TestFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, file, inventory+`
assets "all" { dir = "." }
boot "base" {
  kernel  = "k"
  cmdline = "ds=nocloud;s=${url(file.seed)} p=${url(file.preseed)} ${url("seed ${machine.labels.role}.txt")} ${url(assets.all, "seed db.txt")} ${url(assets.all)} q=${replace(url(file.plain), "/", "%2F")}"
  file "seed" {
    tree = {
      "user-data" = templatefile("user-data.tmpl", { machine = machine, next = url(file.plain) })
      "meta-data" = "instance-id: ${machine.name}"
      "serial"    = machine.serial
    }
  }
  file "preseed" { content = "of the base" }
  file "plain" { source = "seed ${machine.labels.role}.txt" }
}
boot "a" {
  extends = boot.base
  file "preseed" {
    content = "of a, on ${machine.labels.role}"
    secret  = true
  }
}
`)
	dir := filepath.Dir(file)
	write(t, filepath.Join(dir, "k"), "linux")
	write(t, filepath.Join(dir, "seed db.txt"), "the seed")
	write(t, filepath.Join(dir, "user-data.tmpl"), "host ${machine.name} ${try(machine.serial, \"none\")} ${machine.asset} ${next}\n")
	s := serve(t, file)
	m := machine(t, "52:54:00:aa:00:01", boot.Facts{Known: boot.FactAsset, Asset: `A"1`})
	spec, err := s.boot(m)
	if err != nil {
		t.Fatal(err)
	}
	addresses := words(spec.Cmdline)
	if len(addresses) != 5 || !strings.HasPrefix(spec.Cmdline, "ds=nocloud;s="+addresses[0]+" ") || !strings.HasSuffix(addresses[0], "/") {
		t.Fatalf("cmdline %q", spec.Cmdline)
	}
	again, found := strings.CutPrefix(strings.Fields(spec.Cmdline)[5], "q=")
	if !found || strings.Contains(again, "/") {
		t.Errorf("through another function: %q", again)
	}
	again = strings.ReplaceAll(again, "%2F", "/")
	for _, tc := range []struct{ address, want string }{
		{addresses[0] + "user-data", "host db1 none A\"1 " + again + "\n"},
		{addresses[0] + "meta-data", "instance-id: db1"},
		{addresses[1], "of a, on db"},
		{addresses[2], "the seed"},
		{addresses[3], "the seed"},
		{addresses[4] + "k", "linux"},
		{again, "the seed"},
	} {
		if got, err := s.get(m, tc.address); got != tc.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", tc.address, got, err, tc.want)
		}
	}
	if _, err := s.get(m, addresses[0]+"serial"); err == nil || err.Error() != "boot a: file seed/serial: this machine has said nothing that could be machine.serial" {
		t.Errorf("a fact that is missing: %v", err)
	}
	if _, err := s.boot(machine(t, "52:54:00:aa:00:09", boot.Facts{})); err == nil || !strings.Contains(err.Error(), "no label") {
		t.Errorf("a stranger: %v", err)
	}
}

// TestFilesMissing holds what is said of a file that cannot be made, and that it
// says nothing of a secret.
func TestFilesMissing(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{`content = templatefile("t", { machine = machine })`, "this machine has said nothing that could be machine.serial"},
		{`content = machine.labels.rack`, `the machine db1 has no label "rack"`},
		{`content = templatefile("labels", { labels = machine.labels })`, `labels:1: Invalid index; The given key does not identify an element in this collection value`},
		{`content = tostring(parseint("hunter${machine.labels.role}", 10))`, "Invalid function argument, pixiecore.hcl:11: "},
		{`source = "ftp://${machine.name}/"`, "begins with ftp://"},
	} {
		for _, secret := range []string{"", "\nsecret = true"} {
			file := filepath.Join(t.TempDir(), "pixiecore.hcl")
			write(t, file, inventory+"boot \"a\" {\nkernel = \"/k\"\nmessage = url(file.f)\nfile \"f\" {\n"+tt.file+secret+"\n}\n}\n")
			write(t, filepath.Join(filepath.Dir(file), "t"), "serial ${machine.serial}")
			write(t, filepath.Join(filepath.Dir(file), "labels"), "rack ${labels[\"rack\"]}")
			s := serve(t, file)
			m := machine(t, "52:54:00:aa:00:01", boot.Facts{})
			spec, err := s.boot(m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.get(m, spec.Message)
			if err == nil {
				t.Errorf("%s: no error", tt.file)
				continue
			}
			if text := err.Error(); !strings.HasPrefix(text, "boot a: file f: ") || secret == "" && !strings.Contains(text, tt.want) || secret != "" && strings.Contains(text, "hunter") {
				t.Errorf("%s%s: %v, want %q", tt.file, secret, err, tt.want)
			}
		}
	}
}

// TestFilesAreWatched holds that a template of a file takes part in the
// configuration, and is rendered from memory.
func TestFilesAreWatched(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pixiecore.hcl")
	template := filepath.Join(filepath.Dir(file), "t")
	write(t, file, inventory+"boot \"a\" {\n  kernel  = \"/k\"\n  message = url(file.f)\n  file \"f\" { content = templatefile(\"t\", { name = machine.name }) }\n}\n")
	write(t, template, "Hello ${name}.")
	cfg, report := Load(file)
	if cfg == nil {
		t.Fatal(report.Err())
	}
	if !slices.Equal(cfg.Files, []string{file, template}) {
		t.Errorf("files %v", cfg.Files)
	}
	s := serve(t, file)
	write(t, template, "changed")
	m := machine(t, "52:54:00:aa:00:01", boot.Facts{})
	spec, err := s.boot(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.get(m, spec.Message); got != "Hello db1." || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
