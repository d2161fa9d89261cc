package cli

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
)

func TestAPortThatIsTakenIsSaidWithItsHolder(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	me := ""
	if runtime.GOOS == "linux" {
		me = fmt.Sprintf("(pid %d)", os.Getpid())
	}
	for _, l := range []config.Listener{
		{Kind: config.HTTP, Address: netip.MustParseAddrPort(tcp.Addr().String())},
		{Kind: config.DHCP, Address: netip.MustParseAddrPort(udp.LocalAddr().String())},
	} {
		f := port(l)
		if !strings.Contains(f.Is, "is taken") || !strings.Contains(f.Is, me) || f.Remedy == "" {
			t.Errorf("%s: got %+v", l.Kind, f)
		}
		if l.Kind == config.DHCP && !strings.Contains(f.Remedy, "share = true") {
			t.Errorf("got %q", f.Remedy)
		}
	}
	if f := port(config.Listener{Kind: config.HTTP, Address: netip.MustParseAddrPort("127.0.0.1:0")}); f.Remedy != "" {
		t.Errorf("a free port: got %+v", f)
	}
	if f := port(config.Listener{Kind: config.HTTP, Address: netip.MustParseAddrPort("192.0.2.77:0")}); !strings.Contains(f.Remedy, "an address of this host") {
		t.Errorf("another host's address: got %+v", f)
	}
}

func TestFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "linux")
	os.WriteFile(there, nil, 0o644)
	rule := func(kernel string) booters.Rule {
		return booters.Rule{Action: booters.Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: boot.ID(kernel), Initrd: []boot.ID{"http://192.0.2.1/initrd"}}}}
	}
	if got := fileFindings(&config.Config{Rules: []booters.Rule{rule(there), rule(there)}}); len(got) != 1 || got[0].Is != "all 1 kernels and initrds can be read" {
		t.Errorf("got %+v", got)
	}
	if got := fileFindings(&config.Config{Rules: []booters.Rule{rule(filepath.Join(dir, "none"))}}); len(got) != 1 || got[0].Remedy != "Put it there, or correct the path in the file." {
		t.Errorf("got %+v", got)
	}
}

func TestAnInterfaceThatIsNotThere(t *testing.T) {
	got := interfaceFindings([]config.Listener{{Interfaces: []string{"no-such-0"}}})
	if len(got) != 1 || got[0].Is != "no-such-0 is not there" || got[0].Remedy == "" {
		t.Errorf("got %+v", got)
	}
}
