package pxeclient

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
)

// serveConfig serves a configuration by HTTP, as the daemon does.
func serveConfig(t *testing.T, src string, files map[string]string) *httptest.Server {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "pixiecore.hcl")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report := config.Load(file)
	if err := report.Err(); err != nil {
		t.Fatal(err, report.Problems()[0].Detail)
	}
	secret := bytes.Repeat([]byte{1}, 32)
	seal, err := booters.NewSealer(secret)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := boot.NewTokenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		t.Fatal(err)
	}
	current := &booters.Swapper{}
	current.Publish(boot.Snapshot{Booter: table})
	srv := httptest.NewServer(&httpboot.Server{Tree: bootfiles.Tree{Boots: &boots.Memory{Source: current}, Tokens: tokens}, Events: events.New(), Log: zap.NewNop()})
	t.Cleanup(srv.Close)
	return srv
}

func page(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return r.StatusCode, string(b)
}

// An address passes through iPXE's command line whole, whatever stands around it,
// and leads the kernel to the files of this machine.
func TestAddressesReachTheKernel(t *testing.T) {
	srv := serveConfig(t, `
listener "http" {}
assets "images" { dir = "." }
machine "db1" {
  mac    = "52:54:00:12:34:56"
  labels = { role = "db" }
}
boot "cloud" {
  kernel  = "linux"
  cmdline = "autoinstall ds=nocloud;s=${url(file.seed)} ; || #x img=${url(assets.images, "my image#1.img")} ---"
  file "seed" {
    tree = {
      "user-data"      = templatefile("user-data.tmpl", { machine = machine })
      "meta-data"      = jsonencode({ "instance-id" = machine.name, serial = machine.serial })
      "network-config" = "asset: ${machine.asset}"
    }
  }
}
boot "menu" {
  script = <<-EOT
    #!ipxe
    kernel ${url("linux")} next=${url(file.note)}
    boot
  EOT
  file "note" { content = "for ${machine.mac}" }
}
rule "menus" {
  match { firmware = "efi-arm64" }
  boot = boot.menu
}
rule "all" { boot = boot.cloud }
`, map[string]string{"linux": "kernel", "my image#1.img": "image", "user-data.tmpl": "#cloud-config\nhostname: ${machine.name}\n# ${machine.labels.role}\n"})

	run := func(buildarch string) Outcome {
		t.Helper()
		_, script := page(t, srv.URL+"/_/ipxe?facts=1&platform=efi&buildarch="+buildarch+"&serial=X+%227%22&mac="+testMAC.String())
		w := &web{files: map[string]string{}}
		for _, line := range strings.Split(script, "\n") {
			for _, word := range strings.Fields(line) {
				if strings.HasPrefix(word, "http://") {
					w.files[word] = "kernel"
				}
			}
		}
		o, err := interpret(w, script)
		if err != nil || o.Action != ActionBoot {
			t.Fatalf("%+v, %v, of\n%s", o, err, script)
		}
		return o
	}
	words := strings.Split(run("x86_64").Cmdline, " ")
	if len(words) != 7 {
		t.Fatalf("the command line has %q", words)
	}
	seed, _ := strings.CutPrefix(words[1], "ds=nocloud;s=")
	image, _ := strings.CutPrefix(words[5], "img=")
	if diff := cmp.Diff([]string{"autoinstall", "ds=nocloud;s=" + seed, ";", "||", "#x", "img=" + image, "---"}, words); diff != "" {
		t.Errorf("the command line (-want +got):\n%s", diff)
	}
	next, _ := strings.CutPrefix(run("arm64").Cmdline, "next=")
	for _, tc := range []struct {
		url    string
		status int
		want   string
	}{
		{seed + "user-data", 200, "#cloud-config\nhostname: db1\n# db\n"},
		{seed + "meta-data", 200, `{"instance-id":"db1","serial":"X \"7\""}`},
		{seed + "vendor-data", 404, "no such file\n"},
		{seed + "network-config", 500, "boot cloud: file seed/network-config: this machine has said nothing that could be machine.asset\n"},
		{image, 200, "image"},
		{next, 200, "for 52:54:00:12:34:56"},
	} {
		if status, got := page(t, tc.url); status != tc.status || got != tc.want {
			t.Errorf("%s: got %d, %q; want %d, %q", tc.url, status, got, tc.status, tc.want)
		}
	}
}
