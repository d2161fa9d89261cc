package main

import (
	"io"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
)

// What the example answers is what pixiecore boots.
func TestPixiecoreUnderstandsTheInventory(t *testing.T) {
	srv := httptest.NewServer(inventory())
	defer srv.Close()
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	sources := booters.NewSources()
	defer sources.Close()
	api, err := booters.NewAPI(seal, sources, booters.APIOptions{URL: srv.URL, Facts: true})
	if err != nil {
		t.Fatal(err)
	}

	m := boot.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}, Arch: boot.ArchARM64, Firmware: boot.FirmwareEFIARM64}
	v, err := boot.Decide(t.Context(), api, m)
	if err != nil || v.Action != boot.Boot {
		t.Fatalf("got %v, %v", v.Action, err)
	}
	script, err := bootfiles.Boot("http://192.0.2.1", v.Spec, bootfiles.Machine{MAC: m.MAC}, "")
	if err != nil || !strings.Contains(script, "echo Debian's installer, for db1\n") || !strings.Contains(script, " hostname=db1 url=http://192.0.2.1/_/file?name=") {
		t.Errorf("%v\n%s", err, script)
	}
	kernel, err := seal.Open(v.Spec.Kernel)
	if want := "https://deb.debian.org/debian/dists/trixie/main/installer-arm64/current/images/netboot/debian-installer/arm64/linux"; err != nil || kernel != want {
		t.Errorf("kernel %q, %v; want %q", kernel, err, want)
	}
	ids := regexp.MustCompile(`{{ ID "(.*?)" }}`).FindAllStringSubmatch(v.Spec.Cmdline, -1)
	if len(ids) != 2 {
		t.Fatalf("the command line has %d addresses: %s", len(ids), v.Spec.Cmdline)
	}
	f, _, err := boot.OpenFile(t.Context(), api, boot.ID(ids[0][1]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || !strings.HasPrefix(string(b), "d-i netcfg/get_hostname string db1\n") {
		t.Errorf("preseed %q, %v", b, err)
	}
	if err := boot.PutFile(t.Context(), api, boot.ID(ids[1][1]), strings.NewReader("installed")); err != nil {
		t.Errorf("the log was not taken: %v", err)
	}
	if err := boot.PutFile(t.Context(), api, boot.ID(ids[1][1]), io.LimitReader(zeros{}, maxLog+1)); err == nil {
		t.Error("a log that is too large was taken")
	}

	m.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	if v, err := boot.Decide(t.Context(), api, m); err != nil || v.Action != boot.Ignore {
		t.Errorf("a machine that it does not know: %v, %v", v.Action, err)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
