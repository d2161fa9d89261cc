package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/page"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("ONCE_TEST_DIR"); dir != "" {
		bootUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// file writes a configuration with listeners on free ports of loopback.
func file(t testing.TB, path, rest string) string {
	t.Helper()
	src := `
listener "http" {
  address = "127.0.0.1:0"
}
listener "tftp" {
  address = "127.0.0.1:0"
}
listener "status" {
  address = "127.0.0.1:0"
}
` + rest
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func options(t testing.TB, path string) Options {
	return Options{
		Load: func() (*config.Config, *config.Report) { return config.Load(path) }, // for tests without Path
		Path: path, StateDir: filepath.Join(t.TempDir(), "state"), Log: zap.NewNop(), Version: "test",
	}
}

const everyLocal = "rule \"all\" {\n  local = true\n}\n"

// run runs a daemon until the test ends, after change if any.
func run(t testing.TB, o Options, change ...func(*Daemon)) *Daemon {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(d)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return d
}

func service[S Service](t testing.TB, d *Daemon) S {
	t.Helper()
	for _, l := range d.listeners {
		if s, ok := l.server.(S); ok {
			return s
		}
	}
	t.Fatalf("no %T", *new(S))
	panic("unreachable")
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServesWhatTheFileSays(t *testing.T) {
	dir := t.TempDir()
	loader := bytes.Repeat([]byte("undionly"), 1000)
	os.WriteFile(filepath.Join(dir, "undionly.kpxe"), loader, 0o644)
	d := run(t, options(t, file(t, filepath.Join(dir, "pixiecore.hcl"), everyLocal+"ipxe {\n  bios = \"undionly.kpxe\"\n}\n")))

	tftpAddr := service[*tftp.Server](t, d).Conn.LocalAddr()
	got, err := pxeclient.Fetch(t.Context(), tftpAddr, "undionly.kpxe", pxeclient.FetchOptions{})
	if err != nil || !bytes.Equal(got, loader) {
		t.Errorf("TFTP: %d bytes of %d, %v", len(got), len(loader), err)
	}
	web := "http://" + service[*httpboot.Server](t, d).Listener.Addr().String()
	if code, body := get(t, web+"/boot.ipxe"); code != 200 || !strings.Contains(body, web) {
		t.Errorf("boot.ipxe: %d %s", code, body)
	}
	// The script by TFTP leads to the HTTP server of this host.
	auto, err := pxeclient.Fetch(t.Context(), tftpAddr, "autoexec.ipxe", pxeclient.FetchOptions{})
	if err != nil || !strings.Contains(string(auto), web+"/boot.ipxe") {
		t.Errorf("autoexec.ipxe by TFTP: %s, %v", auto, err)
	}
	stat := "http://" + service[*page.Server](t, d).Listener.Addr().String()
	if code, body := get(t, stat+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	_, body := get(t, stat+"/api/v1/status")
	var r status.Report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]status.Rule{{Name: "all", At: r.Rules[0].At, Action: "local"}}, r.Rules); diff != "" || r.Generation != 1 || r.Version != "test" || len(r.Loaders) == 0 {
		t.Errorf("status: %s\n%s", diff, body)
	}
}

func TestAFileWithErrorsIsNotServed(t *testing.T) {
	path := file(t, filepath.Join(t.TempDir(), "pixiecore.hcl"), "rule \"x\" {\n  bot = boot.nothing\n}\n")
	_, err := New(options(t, path))
	if _, ok := err.(*ConfigError); !ok {
		t.Fatalf("got %v, want a *ConfigError", err)
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	dir := t.TempDir()
	d := run(t, options(t, file(t, filepath.Join(dir, "pixiecore.hcl"), everyLocal)))
	taken := service[*httpboot.Server](t, d).Listener.Addr().String()
	path := filepath.Join(dir, "second.hcl")
	os.WriteFile(path, fmt.Appendf(nil, "listener \"http\" {\n  address = %q\n}\n%s", taken, everyLocal), 0o644)
	_, err := New(options(t, path))
	if err == nil || !strings.Contains(err.Error(), "second.hcl:1: listener \"http\" "+taken) || !strings.Contains(err.Error(), " has the port: stop it") {
		t.Errorf("got %v", err)
	}
}

func TestARefusedReloadChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	file(t, path, everyLocal)
	o := options(t, path)
	o.Path = "" // no watching: each reload is this test's
	d := run(t, o)
	before := d.swap.Current()
	for name, rest := range map[string]string{
		"a syntax error":             "rule {",
		"an unknown name":            "rule \"all\" {\n  lokal = true\n}\n",
		"a loader that is not there": everyLocal + "ipxe {\n  bios = \"/no/such\"\n}\n",
		"a template that is no such": "boot \"b\" {\n  kernel = \"/k\"\n  cmdline = \"{{ Nope }}\"\n}\nrule \"all\" {\n  boot = boot.b\n}\n",
	} {
		file(t, path, rest)
		err := d.Reload()
		if err == nil {
			t.Errorf("%s: reloaded", name)
		}
		if d.swap.Current() != before {
			t.Fatalf("%s: the generation changed", name)
		}
		if r := d.report(); r.LastReload == nil || r.LastReload.OK || r.LastReload.Error == "" {
			t.Errorf("%s: the status does not say so: %+v", name, r.LastReload)
		}
	}
	os.Remove(path)
	if err := d.Reload(); err == nil || d.swap.Current() != before {
		t.Errorf("a file that is gone: %v", err)
	}
	file(t, path, everyLocal)
	if err := d.Reload(); err != nil || d.swap.Current().Gen != 2 {
		t.Errorf("mended: %v, generation %d", err, d.swap.Current().Gen)
	}
}

// Sealed names and tokens that one process gave out open in the next.
func TestNamesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	kernel := filepath.Join(dir, "kernel")
	os.WriteFile(kernel, []byte("kernel"), 0o644)
	o := options(t, file(t, filepath.Join(dir, "pixiecore.hcl"), fmt.Sprintf("boot \"b\" {\n  kernel = %q\n}\nrule \"all\" {\n  boot = boot.b\n}\n", kernel)))
	m := boot.Machine{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	var id boot.ID
	var token string
	for start := range 2 {
		d, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if start == 0 {
			spec, err := d.swap.Current().Booter.BootSpec(m)
			if err != nil {
				t.Fatal(err)
			}
			id, token = spec.Kernel, d.tokens.Seal(boot.Token{Type: 7, Time: time.Now()})
		} else {
			f, _, err := d.swap.Current().Booter.ReadBootFile(id)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if _, err := d.tokens.Open(token); err != nil {
				t.Error(err)
			}
		}
		d.Close()
	}
	info, err := os.Stat(filepath.Join(o.StateDir, "url.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}

func TestMissingLoadersThatMatter(t *testing.T) {
	match := func(m booters.Match, do boot.Action) *Compiled {
		return &Compiled{Config: &config.Config{Rules: []booters.Rule{{Match: m, Action: booters.Action{Do: do}}}}}
	}
	for name, tc := range map[string]struct {
		c    *Compiled
		want []boot.Firmware
	}{
		"every machine":       {match(booters.Match{}, boot.Boot), nil},
		"a rule for arm64":    {match(booters.Match{Archs: []boot.Architecture{boot.ArchARM64}}, boot.Boot), []boot.Firmware{boot.FirmwareEFIARM64}},
		"one that ignores it": {match(booters.Match{Archs: []boot.Architecture{boot.ArchARM64}}, boot.Ignore), nil},
		"a rule for riscv64's firmware": {
			match(booters.Match{Firmwares: []boot.Firmware{boot.FirmwareEFIRISCV64}}, boot.Local), []boot.Firmware{boot.FirmwareEFIRISCV64},
		},
	} {
		var got []boot.Firmware
		for _, f := range tc.c.needed() {
			if f != boot.FirmwareX86PC && f != boot.FirmwareEFI64 {
				got = append(got, f)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestTold(t *testing.T) {
	for _, tc := range []struct {
		address, advertise, want string
	}{
		{"0.0.0.0:80", "", "invalid IP"},
		{"[::]:80", "", "invalid IP"},
		{"192.0.2.1:80", "", "192.0.2.1"},
		{"192.0.2.1:80", "198.51.100.1", "198.51.100.1"},
		{"0.0.0.0:80", "198.51.100.1", "198.51.100.1"},
	} {
		l := config.Listener{Address: netip.MustParseAddrPort(tc.address)}
		if tc.advertise != "" {
			l.Advertise = netip.MustParseAddr(tc.advertise)
		}
		if got := told(l).String(); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc, got, tc.want)
		}
	}
}

func BenchmarkReload(b *testing.B) {
	var rules strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&rules, "rule \"r%d\" {\n  match {\n    mac = [\"02:00:00:%02x:%02x:01\"]\n  }\n  local = true\n}\n", i, i>>8, i&255)
	}
	o := options(b, file(b, filepath.Join(b.TempDir(), "pixiecore.hcl"), rules.String()))
	o.Path = ""
	d, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		if err := d.Reload(); err != nil {
			b.Fatal(err)
		}
	}
}
