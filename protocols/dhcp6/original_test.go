package dhcp6

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	for _, p := range []*RandomAddressPool{NewRandomAddressPool(nil, 50, 1850), NewRandomAddressPool(net.ParseIP("2001:db8::1"), 1<<40, 1850)} {
		if err := p.Check(); err == nil {
			t.Errorf("%+v is a pool", p)
		}
		if all, err := p.ReserveAddresses([]byte("client"), [][]byte{[]byte("eth0")}); err == nil {
			t.Errorf("%+v has %v", p, all)
		}
	}
	if b := MakePacketBuilder(1795, 1850); b.PreferredLifetime != 1795 || b.ValidLifetime != 1850 {
		t.Errorf("got %+v", b)
	}
}

func TestARandomAddressPoolReservesAndReleases(t *testing.T) {
	var p AddressPool = NewRandomAddressPool(net.ParseIP("2001:db8::1"), 2, 1850)
	client, eth := []byte("client"), [][]byte{[]byte("eth0"), []byte("eth1")}
	first, err := p.ReserveAddresses(client, eth)
	if err != nil || len(first) != 2 || first[0].IPAddress.Equal(first[1].IPAddress) {
		t.Fatalf("got %v, %v", first, err)
	}
	if a := first[1]; string(a.ClientID) != "client" || string(a.InterfaceID) != "eth1" || a.CreatedAt.IsZero() {
		t.Errorf("got %+v", a)
	}
	if again, err := p.ReserveAddresses(client, eth[:1]); err != nil || !again[0].IPAddress.Equal(first[0].IPAddress) {
		t.Errorf("again: %v, %v", again, err)
	}
	if all, err := p.ReserveAddresses([]byte("other"), eth[:1]); err == nil {
		t.Errorf("a third one: %v", all)
	}
	p.ReleaseAddresses([]byte("other"), eth) // has none
	p.ReleaseAddresses(client, eth[1:])
	if all, err := p.ReserveAddresses([]byte("other"), eth[:1]); err != nil || !all[0].IPAddress.Equal(first[1].IPAddress) {
		t.Errorf("after a release: %v, %v", all, err)
	}
}

// A pool of a program's own leases by all the messages that can be answered from it.
func TestAPoolOfAProgram(t *testing.T) {
	own, other := netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::8")
	var released []string
	r := reserved{duid: "duid", from: Reserver{
		Reserve: func(client []byte, iaid [4]byte) (netip.Addr, error) {
			if iaid == [4]byte{9} {
				return netip.Addr{}, errors.New("nothing for the ninth")
			}
			return own, nil
		},
		Release: func(client []byte, iaid [4]byte) { released = append(released, fmt.Sprintf("%s %d", client, iaid[0])) },
	}}
	answered := func(kind dhcpv6.MessageType, o ...dhcpv6.Option) (*dhcpv6.Message, error) {
		t.Helper()
		q, err := open(message(kind, o...).ToBytes())
		if err != nil {
			t.Fatal(err)
		}
		return respond(q, Client{DUID: "duid"}, Offer{DUID: serverID, Valid: 100 * time.Second, Preferred: 90 * time.Second}, r)
	}
	association := func(iaid byte, addrs ...netip.Addr) dhcpv6.Option {
		o := &dhcpv6.OptIANA{IaId: [4]byte{iaid}}
		for _, a := range addrs {
			o.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
		}
		return o
	}
	for _, tc := range []struct {
		name string
		kind dhcpv6.MessageType
		o    []dhcpv6.Option
		want string // the address with its lifetimes, or the status of the association
		err  error
	}{
		{"offer", dhcpv6.MessageTypeSolicit, []dhcpv6.Option{association(1)}, "2001:db8::7 1m30s 1m40s", nil},
		{"lease", dhcpv6.MessageTypeRequest, []dhcpv6.Option{toUs(), association(1, own)}, "2001:db8::7 1m30s 1m40s", nil},
		{"none", dhcpv6.MessageTypeRequest, []dhcpv6.Option{toUs(), association(9)}, "NoAddrsAvail nothing for the ninth", nil},
		{"renewal", dhcpv6.MessageTypeRenew, []dhcpv6.Option{toUs(), association(1, own)}, "2001:db8::7 1m30s 1m40s", nil},
		{"renewal of another's", dhcpv6.MessageTypeRenew, []dhcpv6.Option{toUs(), association(1, other)}, "2001:db8::8 0s 0s", nil},
		{"rebinding", dhcpv6.MessageTypeRebind, []dhcpv6.Option{association(1, own)}, "2001:db8::7 1m30s 1m40s", nil},
		{"rebinding of another server's", dhcpv6.MessageTypeRebind, []dhcpv6.Option{association(1, other)}, "", errNotOurs},
		{"confirmation", dhcpv6.MessageTypeConfirm, []dhcpv6.Option{association(1, own)}, "", errConfirm},
		{"release", dhcpv6.MessageTypeRelease, []dhcpv6.Option{toUs(), association(1, own)}, "", nil},
		{"one in use", dhcpv6.MessageTypeDecline, []dhcpv6.Option{toUs(), association(2, own)}, "", nil},
	} {
		m, err := answered(tc.kind, tc.o...)
		got := ""
		if m != nil {
			for _, ia := range m.Options.IANA() {
				if s := ia.Options.Status(); s != nil {
					got += fmt.Sprintf("%s %s", s.StatusCode, s.StatusMessage)
				}
				for _, a := range ia.Options.Addresses() {
					got += fmt.Sprintf("%s %s %s", a.IPv6Addr, a.PreferredLifetime, a.ValidLifetime)
				}
			}
		}
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", tc.name, got, err, tc.want, tc.err)
		}
	}
	if diff := cmp.Diff([]string{"duid 1", "duid 2"}, released); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
}
