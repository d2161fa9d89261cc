package httpboot

import (
	"io"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// What firmware, a shim and GRUB ask for by HTTP, in their spelling.
func TestLoadersOtherThanIPXEByHTTP(t *testing.T) {
	open := func(text string) func() (io.ReadCloser, int64, error) {
		return func() (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
		}
	}
	by := func(l boot.Loader) *Server {
		v := &boot.Verdict{Action: boot.Boot, Boot: "b", Loader: l, Spec: &boot.Spec{Kernel: "k", Initrd: []boot.ID{"i"}},
			Programs: func(boot.Machine) (boot.Programs, error) { return boot.Programs{Shim: "s", GRUB: "g"}, nil }}
		return newServer(t, booter{
			verdict: func(boot.Machine) (*boot.Verdict, error) { return v, nil },
			files:   map[boot.ID]func() (io.ReadCloser, int64, error){"k": open("kernel"), "i": open("initrd"), "s": open("shim"), "g": open("GRUB")},
		})
	}
	shim, native := by(boot.LoaderShim), by(boot.LoaderNative)
	for _, tc := range []struct {
		s            *Server
		method, path string
		status       int
		typ, body    string
		event        events.Kind
	}{
		{shim, "HEAD", "/shimx64.efi", 200, "application/efi", "", events.Failed}, // no event at all
		{shim, "GET", "/shimx64.efi", 200, "application/efi", "shim", events.Loader},
		{shim, "GET", "//grubx64.efi", 200, "application/efi", "GRUB", events.Loader},
		{shim, "GET", "//revocations_sbat.efi", 404, "text/plain; charset=utf-8", "no such file\n", events.Failed},
		{shim, "GET", "/kernel", 200, "application/octet-stream", "kernel", events.Kernel},
		{shim, "GET", "/initrd0", 200, "application/octet-stream", "initrd", events.Initrd},
		{shim, "GET", "/booting", 200, "text/plain", "# Booting\n", events.Booting},
		{native, "GET", "/bootx64.efi", 200, "application/efi", "kernel", events.Kernel},
	} {
		before := steps(tc.s)
		w := get(t, tc.s, tc.method, "/"+tc.s.token(0x10)+tc.path)
		if w.Code != tc.status || w.Header().Get("Content-Type") != tc.typ || w.Body.String() != tc.body {
			t.Errorf("%s %s: got %d, %s, %q", tc.method, tc.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		all := steps(tc.s)
		switch {
		case tc.event == events.Failed:
			if len(all) != len(before) {
				t.Errorf("%s %s: is an event: %+v", tc.method, tc.path, all[len(all)-1])
			}
		case len(all) == len(before) || all[len(all)-1].Kind != tc.event:
			t.Errorf("%s %s: events %+v, want %s", tc.method, tc.path, all, tc.event)
		case all[len(all)-1].Final != (tc.s == native):
			t.Errorf("%s %s: Final is %t", tc.method, tc.path, all[len(all)-1].Final)
		}
	}

	bios := get(t, native, "GET", "/_/ipxe?token="+native.token(0)+"&facts=1&cpu=x64")
	if !strings.Contains(bios.Body.String(), "boot b is an EFI program, which only a machine with UEFI can start") {
		t.Errorf("a BIOS of an EFI program is shown %s", bios.Body)
	}
	ipxe := get(t, native, "GET", "/_/ipxe?token="+native.token(7)+"&facts=1")
	if !strings.Contains(ipxe.Body.String(), "\nboot kernel") {
		t.Errorf("an iPXE on UEFI is given %s", ipxe.Body)
	}
}

func steps(s *Server) (all []events.Event) {
	for _, m := range s.Events.Machines() {
		all = append(all, m.Events()...)
	}
	return all
}
