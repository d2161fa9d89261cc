package dhcp4

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// packets reads testdata/requests: what comes of each stands in a comment, and how
// it was come by.
func packets(t testing.TB) (all map[string][]byte, wants map[string]string) {
	t.Helper()
	paths, err := filepath.Glob("testdata/requests/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no packets: %v", err)
	}
	all, wants = map[string][]byte{}, map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		digits := ""
		for l := range strings.Lines(string(text)) {
			l = strings.TrimSpace(l)
			if want, ok := strings.CutPrefix(l, "# want: "); ok {
				wants[path] = want
			}
			if !strings.HasPrefix(l, "#") {
				digits += l
			}
		}
		if all[path], err = hex.DecodeString(digits); err != nil || wants[path] == "" {
			t.Fatalf("%s: %v, or it does not say what comes of it", path, err)
		}
	}
	return all, wants
}

// everyLoader has what the platforms of the packets are sent, and booter leaves out.
type everyLoader struct{ booter }

func (b everyLoader) Current() *boot.Snapshot {
	s := b.booter.Current()
	for _, f := range []boot.Firmware{boot.FirmwareEFIARM64, boot.FirmwareEFIRISCV64, boot.FirmwareEFILoongArch64} {
		s.Loaders[f] = []byte("iPXE")
	}
	return s
}

func TestPacketsOfFirmware(t *testing.T) {
	all, wants := packets(t)
	for path, packet := range all {
		b := booter{"*": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}, Rule: "all"}}
		role := ProxyDHCP
		if strings.HasSuffix(path, ".4011.hex") {
			role = BootServer
		}
		s := server(t, role, b)
		s.Boots.Source = everyLoader{b}
		a, err := s.handle(t.Context(), netio.Datagram{Data: packet, Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		got := "not ours"
		if m := a.client.Machine; m.MAC != nil {
			offering := a.offering.String()
			if err != nil {
				offering = "nothing: " + err.Error()
			}
			got = fmt.Sprintf("%s %s %s, serial %s: %s", m.Arch.Name(), m.Firmware, a.client.Stage, m.Facts.Serial, offering)
		}
		if !strings.HasPrefix(got, wants[path]) {
			t.Errorf("%s: got %s\nwant %s (%v)", path, got, wants[path], err)
		}
	}
}

// What a rule says is done to boards as to others; they need no answer to boot their
// own disks.
func TestBoardsObeyTheRules(t *testing.T) {
	all, _ := packets(t)
	for _, tc := range []struct {
		packet string
		action boot.Action
		want   error
	}{
		{"rpi4", boot.Boot, nil},
		{"rpi4", boot.Ignore, errIgnored},
		{"rpi4", boot.Local, errOwnDisk},
		{"uboot-armv7-proxy", boot.Boot, nil},
		{"uboot-armv7-proxy", boot.Ignore, errIgnored},
		{"uboot-armv7-proxy", boot.Local, nil}, // extlinux has a word for it
		{"uboot-armv8", boot.Ignore, errIgnored},
	} {
		s := server(t, ProxyDHCP, booter{"*": {Action: tc.action, Rule: "all"}})
		_, err := s.handle(t.Context(), netio.Datagram{Data: all["testdata/requests/"+tc.packet+".hex"], Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s, %s: got %v, want %v", tc.packet, tc.action, err, tc.want)
		}
	}
}

// Who has a lease from here is told where to boot from with it, U-Boot too.
func TestUBootIsAnsweredWithAnAddress(t *testing.T) {
	all, _ := packets(t)
	s := leaser(t, addresses(t, 50), booter{"*": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}}})
	_, a, err := addressIn(t, s, all["testdata/requests/uboot-armv8.hex"])
	if err != nil {
		t.Fatal(err)
	}
	offer, err := dhcpv4.FromBytes(a.datagram.Data)
	if err != nil || offer.YourIPAddr.Equal(net.IPv4zero) || !strings.HasSuffix(offer.BootFileName, "/extlinux.conf") {
		t.Errorf("got %v, %v; want an address and the configuration", offer, err)
	}
}
