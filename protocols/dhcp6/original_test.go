package dhcp6

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// bootFor is the URL that a client is told by Settings.URL.
func bootFor(t *testing.T, s *Server, m *dhcpv6.Message) (string, error) {
	t.Helper()
	a, err := s.handle(t.Context(), netio.Datagram{Data: m.ToBytes(), Peer: netip.AddrPortFrom(netip.IPv6Loopback(), 546), Interface: loopback(t, s)})
	if err == nil && a.later != nil {
		a, err = a.later(t.Context())
	}
	if err != nil {
		return "", err
	}
	d, err := dhcpv6.MessageFromBytes(a.datagram.Data)
	if err != nil {
		t.Fatal(err)
	}
	return d.Options.BootFileURL(), nil
}

func TestAClientThatAsksForNoBootFile(t *testing.T) {
	s := server(t, boot.Ignore, Settings{URL: func(id []byte, arch uint16) (string, error) {
		if arch == 9 {
			return "", errors.New("not this one")
		}
		return fmt.Sprintf("http://boot/%x/%d", id, arch), nil
	}})
	want := asking(dhcpv6.OptionBootfileURL)
	for _, c := range []struct {
		name string
		m    *dhcpv6.Message
		want string
		err  bool
	}{
		{"asks", message(dhcpv6.MessageTypeSolicit, want, arch(7)), "http://boot/525400010203/7", false},
		{"says no architecture", message(dhcpv6.MessageTypeSolicit, want), "http://boot/525400010203/0", false},
		{"says one that nobody knows", message(dhcpv6.MessageTypeInformationRequest, want, arch(999)), "http://boot/525400010203/999", false},
		{"does not ask", message(dhcpv6.MessageTypeSolicit, asking(dhcpv6.OptionDNSRecursiveNameServer), arch(7)), "", true},
		{"is refused", message(dhcpv6.MessageTypeSolicit, want, arch(9)), "", true},
	} {
		got, err := bootFor(t, s, c.m)
		if got != c.want || (err != nil) != c.err {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	for duid, want := range map[string]string{
		"\x00\x01\x00\x01\x11\x22\x33\x44\x52\x54\x00\x00\x00\x01": "525400000001",
		"\x00\x03\x00\x01\x52\x54\x00\x00\x00\x01":                 "525400000001",
		"\x00\x04uuid": "75756964", "\x00\x01\x00": "", "\x00": "", "": "",
	} {
		if got := fmt.Sprintf("%x", Identifier([]byte(duid))); got != want {
			t.Errorf("%x: got %s, want %s", duid, got, want)
		}
	}
}

func TestPoolsOfTheOriginal(t *testing.T) {
	if err := NewRandomAddressPool(net.ParseIP("2001:db8:f00f:cafe:ffff::100"), 50, 1850).Check(); err != nil {
		t.Error(err)
	}
	for _, p := range []AddressPool{NewRandomAddressPool(nil, 50, 1850), NewRandomAddressPool(net.ParseIP("2001:db8::1"), 1<<40, 1850)} {
		if err := p.Check(); err == nil {
			t.Errorf("%+v is a pool", p)
		}
	}
	if b := MakePacketBuilder(1795, 1850); time.Duration(b.PreferredLifetime) != 1795 || b.ValidLifetime != 1850 {
		t.Errorf("got %+v", b)
	}
}
