package dhcp4

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// The loopback's network stands for the clients', since every host has it.
var (
	here     = netip.MustParseAddr("127.0.0.1")
	poolAt   = netip.MustParseAddr("127.0.2.100")
	reserved = netip.MustParseAddr("127.0.2.10")
	named    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	stranger = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

// addresses are a pool of size addresses, none for 0, and a reservation for named.
func addresses(t testing.TB, size int) *Addresses {
	t.Helper()
	l, err := leases.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	without := leases.Set{reserved: {}}
	return &Addresses{
		Leases: l, Lifetime: time.Hour, Mask: 24,
		Pool: leases.Pool{Start: poolAt, Size: size, Lifetime: time.Hour, Without: &without},
		Reserved: func(mac [6]byte) (Reservation, bool) {
			return Reservation{"db1", reserved}, mac == [6]byte(named)
		},
		Routers: []netip.Addr{netip.MustParseAddr("127.0.2.254"), netip.MustParseAddr("192.0.2.254")},
		DNS:     []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Domain: "lab.example.org",
	}
}

// from is a message of a client that boots nothing.
func from(t testing.TB, mac net.HardwareAddr, kind dhcpv4.MessageType, change ...func(*dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
	t.Helper()
	d, err := dhcpv4.New(dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func ciaddr(a string) func(*dhcpv4.DHCPv4) {
	return func(d *dhcpv4.DHCPv4) { d.ClientIPAddr = net.ParseIP(a).To4() }
}

func asking(a netip.Addr) func(*dhcpv4.DHCPv4) { return option(50, a.AsSlice()) }
func to(a netip.Addr) func(*dhcpv4.DHCPv4)     { return option(54, a.AsSlice()) }

// leaser is a server of addresses for which everybody is ignored by the rules.
func leaser(t testing.TB, a *Addresses, b booter) *Server {
	s := server(t, ProxyDHCP, b)
	s.Settings = set(Settings{Addresses: a})
	return s
}

// exchange is what the server answers; nil with the error where it does not.
func exchange(t testing.TB, s *Server, req *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, answer, error) {
	t.Helper()
	a, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
	if err == nil && a.later != nil {
		a, err = a.later(t.Context())
	}
	if err != nil || a.datagram.Data == nil {
		return nil, a, err
	}
	resp, err := dhcpv4.FromBytes(a.datagram.Data)
	if err != nil {
		t.Fatal(err)
	}
	return resp, a, nil
}

// dora is the address that a client is leased.
func dora(t testing.TB, s *Server, mac net.HardwareAddr, change ...func(*dhcpv4.DHCPv4)) netip.Addr {
	t.Helper()
	offer, _, err := exchange(t, s, from(t, mac, dhcpv4.MessageTypeDiscover, change...))
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := netip.AddrFromSlice(offer.YourIPAddr.To4())
	ack, _, err := exchange(t, s, from(t, mac, dhcpv4.MessageTypeRequest, append(change, asking(addr), to(here))...))
	if err != nil || ack.MessageType() != dhcpv4.MessageTypeAck || !ack.YourIPAddr.Equal(offer.YourIPAddr) {
		t.Fatalf("offered %v, then %v, %v", addr, ack, err)
	}
	return addr
}

func TestAClientIsLeasedAnAddress(t *testing.T) {
	s := leaser(t, addresses(t, 50), booter{})
	addr := dora(t, s, stranger)
	ack, a, err := exchange(t, s, from(t, stranger, dhcpv4.MessageTypeRequest, ciaddr(addr.String())))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.datagram.Peer.String(), addr.String()+":68"; got != want {
		t.Errorf("a renewal is answered to %s, want %s", got, want)
	}
	for _, c := range []struct {
		code uint8
		want string
	}{
		{1, "\xff\x00\x00\x00"}, {3, "\x7f\x00\x02\xfe"}, {6, "\xc0\x00\x02\x35"}, {15, "lab.example.org"},
		{51, "\x00\x00\x0e\x10"}, {58, "\x00\x00\x07\x08"}, {59, "\x00\x00\x0c\x4e"}, {54, "\x7f\x00\x00\x01"},
	} {
		if got := string(ack.Options[c.code]); got != c.want {
			t.Errorf("option %d: got %q, want %q", c.code, got, c.want)
		}
	}
	if ack.Options.Has(dhcpv4.OptionClassIdentifier) || ack.BootFileName != "" || !ack.ServerIPAddr.IsUnspecified() {
		t.Errorf("a client that boots nothing is told what to boot: %v", ack.Summary())
	}
}

func TestAClientIsKnownByItsIdentifier(t *testing.T) {
	s := leaser(t, addresses(t, 50), booter{})
	plain := dora(t, s, stranger)
	if got := dora(t, s, stranger, option(61, append([]byte{1}, stranger...))); got != plain {
		t.Errorf("with its MAC address as identifier: %v, before %v", got, plain)
	}
	id := option(61, []byte("\xffsystem"))
	other := dora(t, s, stranger, id)
	if other == plain {
		t.Error("two clients of one MAC address have one address")
	}
	if got := dora(t, s, net.HardwareAddr{2, 0, 0, 0, 0, 9}, id); got != other {
		t.Errorf("by another interface: %v, before %v", got, other)
	}
}

func TestAMachineHasItsReservedAddress(t *testing.T) {
	for _, size := range []int{0, 50} {
		s := leaser(t, addresses(t, size), booter{})
		for _, id := range [][]byte{nil, []byte("\xffsystem"), append([]byte{1}, named...)} {
			if got := dora(t, s, named, option(61, id)); got != reserved {
				t.Errorf("pool of %d, identifier %q: got %v, want %v", size, id, got, reserved)
			}
		}
	}
}

func TestRequests(t *testing.T) {
	free, others := poolAt.Next(), poolAt
	elsewhere := netip.MustParseAddr("192.0.2.7")
	const none = dhcpv4.MessageTypeNone
	for _, c := range []struct {
		name   string
		mac    net.HardwareAddr
		kind   dhcpv4.MessageType
		change []func(*dhcpv4.DHCPv4)
		pool   dhcpv4.MessageType // with a pool
		alone  dhcpv4.MessageType // with reservations only
	}{
		{"a stranger's DISCOVER", stranger, 1, nil, 2, none},
		{"a machine's DISCOVER", named, 1, nil, 2, 2},
		{"a stranger selects what is free", stranger, 3, []func(*dhcpv4.DHCPv4){asking(free), to(here)}, 5, none},
		{"a stranger selects another's", stranger, 3, []func(*dhcpv4.DHCPv4){asking(others), to(here)}, 6, none},
		{"a stranger selects a reserved address", stranger, 3, []func(*dhcpv4.DHCPv4){asking(reserved), to(here)}, 6, none},
		{"a stranger selects another server", stranger, 3, []func(*dhcpv4.DHCPv4){asking(free), to(elsewhere)}, none, none},
		{"a machine selects its own", named, 3, []func(*dhcpv4.DHCPv4){asking(reserved), to(here)}, 5, 5},
		{"a machine selects one of the pool", named, 3, []func(*dhcpv4.DHCPv4){asking(free), to(here)}, 6, 6},
		{"a machine selects another server", named, 3, []func(*dhcpv4.DHCPv4){asking(reserved), to(elsewhere)}, none, none},
		{"init-reboot with a free address", stranger, 3, []func(*dhcpv4.DHCPv4){asking(free)}, 5, none},
		{"init-reboot with another's address", stranger, 3, []func(*dhcpv4.DHCPv4){asking(others)}, 6, none},
		{"init-reboot with another network's address", stranger, 3, []func(*dhcpv4.DHCPv4){asking(elsewhere)}, 6, none},
		{"init-reboot with an address outside of the pool", stranger, 3, []func(*dhcpv4.DHCPv4){asking(netip.MustParseAddr("127.0.2.99"))}, none, none},
		{"a machine's init-reboot with its own", named, 3, []func(*dhcpv4.DHCPv4){asking(reserved)}, 5, 5},
		{"a machine's init-reboot with one of the other server", named, 3, []func(*dhcpv4.DHCPv4){asking(netip.MustParseAddr("127.0.2.99"))}, none, none},
		{"renewing a free address", stranger, 3, []func(*dhcpv4.DHCPv4){ciaddr(free.String())}, 5, none},
		{"renewing another's address", stranger, 3, []func(*dhcpv4.DHCPv4){ciaddr(others.String())}, 6, none},
		{"a machine renews its own", named, 3, []func(*dhcpv4.DHCPv4){ciaddr(reserved.String())}, 5, 5},
		{"a machine renews one of the other server", named, 3, []func(*dhcpv4.DHCPv4){ciaddr("127.0.2.99")}, none, none},
		{"a REQUEST for nothing", named, 3, nil, none, none},
		{"a stranger's INFORM", stranger, 8, []func(*dhcpv4.DHCPv4){ciaddr("127.0.2.77")}, 5, none},
		{"a machine's INFORM", named, 8, []func(*dhcpv4.DHCPv4){ciaddr("127.0.2.77")}, 5, 5},
		{"an INFORM without an address", named, 8, nil, none, none},
		{"a RELEASE of another's", stranger, 7, []func(*dhcpv4.DHCPv4){ciaddr(others.String()), to(here)}, none, none},
		{"a DECLINE of another's", stranger, 4, []func(*dhcpv4.DHCPv4){asking(others), to(here)}, none, none},
		{"an OFFER", stranger, 2, nil, none, none},
		{"behind a relay of another network", stranger, 1, []func(*dhcpv4.DHCPv4){giaddr("10.1.0.1")}, none, none},
		{"behind a relay of the network", stranger, 1, []func(*dhcpv4.DHCPv4){giaddr("127.0.2.1")}, 2, none},
		{"behind a relay that selects another link", stranger, 1, []func(*dhcpv4.DHCPv4){giaddr("127.0.2.1"), option(82, []byte{5, 4, 10, 1, 0, 0})}, none, none},
		{"behind a relay that selects the link", named, 1, []func(*dhcpv4.DHCPv4){giaddr("127.9.9.9"), option(82, []byte{5, 4, 127, 0, 2, 0})}, 2, 2},
	} {
		for size, want := range map[int]dhcpv4.MessageType{50: c.pool, 0: c.alone} {
			a := addresses(t, size)
			if size > 0 {
				a.Leases.Take(a.Pool, "another", others, time.Now())
			}
			resp, sent, err := exchange(t, leaser(t, a, booter{}), from(t, c.mac, c.kind, c.change...))
			got := none
			if resp != nil {
				got = resp.MessageType()
			}
			if got != want {
				t.Errorf("%s, pool of %d: got %v (%v), want %v", c.name, size, got, err, want)
			}
			if got == dhcpv4.MessageTypeNak && (sent.datagram.Peer.String() != "255.255.255.255:68" || resp.Message() == "" || !resp.YourIPAddr.IsUnspecified()) {
				t.Errorf("%s: NAK to %v: %v", c.name, sent.datagram.Peer, resp)
			}
			if c.kind == dhcpv4.MessageTypeInform && resp != nil && (!resp.YourIPAddr.IsUnspecified() || resp.Options.Has(dhcpv4.OptionIPAddressLeaseTime)) {
				t.Errorf("%s: it has an address already: %v", c.name, resp)
			}
		}
	}
}

func TestANAKGoesThroughTheRelayAsABroadcast(t *testing.T) {
	s := leaser(t, addresses(t, 50), booter{})
	resp, a, err := exchange(t, s, from(t, stranger, dhcpv4.MessageTypeRequest, giaddr("127.0.2.1"), asking(netip.MustParseAddr("192.0.2.1"))))
	if err != nil || resp.MessageType() != dhcpv4.MessageTypeNak || !resp.IsBroadcast() || a.datagram.Peer.String() != "127.0.2.1:67" {
		t.Errorf("to %v: %v, %v", a.datagram.Peer, resp, err)
	}
}

func TestReleasedAndDeclinedAddresses(t *testing.T) {
	a := addresses(t, 1)
	s := leaser(t, a, booter{})
	addr := dora(t, s, stranger)
	other := net.HardwareAddr{2, 0, 0, 0, 0, 3}
	if _, _, err := exchange(t, s, from(t, other, dhcpv4.MessageTypeDiscover)); !errors.As(err, new(errOperator)) {
		t.Errorf("a pool that is used up: %v", err)
	}
	if _, _, err := exchange(t, s, from(t, stranger, dhcpv4.MessageTypeRelease, ciaddr(addr.String()), to(here))); err != nil {
		t.Errorf("released: %v", err)
	}
	if got := dora(t, s, other); got != addr {
		t.Errorf("got %v, want the released %v", got, addr)
	}
	if _, _, err := exchange(t, s, from(t, other, dhcpv4.MessageTypeDecline, asking(addr), to(here))); err != nil {
		t.Errorf("declined: %v", err)
	}
	if resp, _, err := exchange(t, s, from(t, other, dhcpv4.MessageTypeDiscover)); resp != nil {
		t.Errorf("a declined address is offered: %v, %v", resp, err)
	}
}

func TestAnAddressIsProbedBeforeItIsSomebodys(t *testing.T) {
	a := addresses(t, 3)
	var probed []netip.Addr
	a.InUse = func(_ context.Context, addr netip.Addr, _ net.HardwareAddr) bool {
		probed = append(probed, addr)
		return addr == poolAt
	}
	s := leaser(t, a, booter{})
	wish := asking(poolAt)
	offer, _, err := exchange(t, s, from(t, stranger, dhcpv4.MessageTypeDiscover, wish))
	if err != nil || offer.YourIPAddr.Equal(poolAt.AsSlice()) || len(probed) != 2 {
		t.Fatalf("offered %v, %v, after looking at %v", offer, err, probed)
	}
	again, _, err := exchange(t, s, from(t, stranger, dhcpv4.MessageTypeDiscover, wish))
	if err != nil || !again.YourIPAddr.Equal(offer.YourIPAddr) || len(probed) != 2 {
		t.Errorf("then %v, %v, after looking at %v", again, err, probed)
	}
	a.InUse = func(context.Context, netip.Addr, net.HardwareAddr) bool { return true }
	if resp, _, err := exchange(t, s, from(t, named, dhcpv4.MessageTypeDiscover)); !errors.As(err, new(errOperator)) {
		t.Errorf("a reserved address in use: %v, %v", resp, err)
	}
}

func TestOneProbeForAClientAtATime(t *testing.T) {
	s := leaser(t, addresses(t, 3), booter{})
	d := netio.Datagram{Data: from(t, stranger, dhcpv4.MessageTypeDiscover).ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")}
	first, err := s.handle(t.Context(), d)
	if err != nil || first.later == nil {
		t.Fatalf("no probe: %v", err)
	}
	if _, err := s.handle(t.Context(), d); !errors.Is(err, errProbing) {
		t.Errorf("a retransmit: got %v, want %v", err, errProbing)
	}
	first.forget() // too much at a time
	if second, err := s.handle(t.Context(), d); err != nil || second.later == nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A machine that boots is told both at once; EDK2 takes that before any other offer,
// and GRUB its server from the ACK.
func TestAMachineIsToldItsAddressAndWhatToBoot(t *testing.T) {
	for _, name := range []string{"bios", "efi-x64", "http-x64", "undionly"} {
		for _, kind := range []byte{1, 3} {
			s := leaser(t, addresses(t, 50), lab)
			resp, _, err := exchange(t, s, discover(t, name, option(53, []byte{kind}), option(50, poolAt.AsSlice())))
			if err != nil {
				t.Fatal(name, err)
			}
			if got := resp.MessageType(); got != dhcpv4.MessageType(map[byte]byte{1: 2, 3: 5}[kind]) {
				t.Errorf("%s: %v", name, got)
			}
			if !resp.YourIPAddr.Equal(poolAt.AsSlice()) || !resp.ServerIPAddr.Equal(here.AsSlice()) || !resp.Options.Has(dhcpv4.OptionSubnetMask) {
				t.Errorf("%s: %v", name, resp)
			}
			if p := profile(t, name); kind == 1 && p.Accept(resp) != nil {
				t.Errorf("%s does not take it: %v", name, p.Accept(resp))
			}
		}
	}
}

func TestWhoIsIgnoredGetsAnAddressAndNothingToBoot(t *testing.T) {
	s := leaser(t, addresses(t, 50), booter{mac.String(): {Action: boot.Ignore, Rule: "x"}})
	resp, _, err := exchange(t, s, discover(t, "efi-x64"))
	if err != nil || resp.YourIPAddr.IsUnspecified() || resp.BootFileName != "" || resp.Options.Has(dhcpv4.OptionClassIdentifier) {
		t.Errorf("%v, %v", resp, err)
	}
}
