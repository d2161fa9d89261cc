package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
)

func TestDumpIPXE(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := daemon.Compile(&config.Config{LoaderData: map[boot.Firmware][]byte{
		boot.FirmwareX86PC: []byte("undionly"), boot.FirmwareEFI32: []byte("ia32"), boot.FirmwareEFI64: []byte("snponly"), boot.FirmwareX86Ipxe: []byte("ipxe.pxe"),
	}}, nil, booters.NewSources())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := dumpIPXE(&out, c); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"0": "undionly", "1": "ia32", "2": "snponly", "3": "snponly", "4": "ipxe.pxe"}
	got := map[string]string{}
	for line := range strings.Lines(out.String()) {
		path := strings.TrimPrefix(strings.TrimSpace(line), "Wrote ")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(path, "builtin-ipxe-")] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c, err = daemon.Compile(&config.Config{LoaderData: map[boot.Firmware][]byte{}}, nil, booters.NewSources()); err != nil {
		t.Fatal(err)
	}
	if err := dumpIPXE(&out, c); err == nil || !strings.Contains(err.Error(), "loader for bios: the program gives none") {
		t.Errorf("without loaders: %v", err)
	}
}
