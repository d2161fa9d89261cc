package dhcp6

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

var (
	serverID  = []byte{0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	mac       = net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	linkLocal = netip.MustParseAddr("fe80::5054:ff:fe01:203") // of mac
	opaque    = netip.MustParseAddr("fe80::1234:5678:9abc:def0")
)

// message makes one of a client that is known by a DUID-LL.
func message(t dhcpv6.MessageType, options ...dhcpv6.Option) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: t, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac}))
	for _, o := range options {
		m.AddOption(o)
	}
	return m
}

func ia(addresses ...netip.Addr) *dhcpv6.OptIANA {
	out := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}}
	for _, a := range addresses {
		out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
	}
	return out
}

func toUs() dhcpv6.Option {
	id, _ := dhcpv6.DUIDFromBytes(serverID)
	return dhcpv6.OptServerID(id)
}

// What firmware sends beside.
func arch(t boot.ArchType) dhcpv6.Option { return dhcpv6.OptClientArchType(iana.Arch(t)) }

func vendor(class string) dhcpv6.Option {
	return &dhcpv6.OptVendorClass{EnterpriseNumber: pxeEnterprise, Data: [][]byte{[]byte(class)}}
}

func user(classes ...string) dhcpv6.Option {
	o := &dhcpv6.OptUserClass{}
	for _, c := range classes {
		o.UserClasses = append(o.UserClasses, []byte(c))
	}
	return o
}

func asking(codes ...dhcpv6.OptionCode) dhcpv6.Option { return dhcpv6.OptRequestedOption(codes...) }

// relayed puts a message into that of a relay on a link.
func relayed(m dhcpv6.DHCPv6, link, peer netip.Addr, options ...dhcpv6.Option) *dhcpv6.RelayMessage {
	r := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageTypeRelayForward, LinkAddr: link.AsSlice(), PeerAddr: peer.AsSlice()}
	for _, o := range options {
		r.AddOption(o)
	}
	r.AddOption(dhcpv6.OptRelayMessage(m))
	return r
}

func TestClassify(t *testing.T) {
	uuid := func(options ...dhcpv6.Option) *dhcpv6.Message {
		m := message(dhcpv6.MessageTypeSolicit, options...)
		m.UpdateOption(dhcpv6.OptClientID(&dhcpv6.DUIDUUID{UUID: [16]byte{1}}))
		return m
	}
	link := netip.MustParseAddr("2001:db8:5::1")
	for _, c := range []struct {
		name   string
		packet dhcpv6.DHCPv6
		peer   netip.Addr
		stage  strategy.Stage
		mac    string
		check  func(Client) bool
	}{
		{"OVMF by PXE", uuid(arch(7), vendor("PXEClient:Arch:00007:UNDI:003000")), linkLocal, strategy.ROM, mac.String(),
			func(c Client) bool {
				return c.Machine.Firmware == boot.FirmwareEFI64 && c.Machine.Facts.Transport == boot.TransportPXE && strings.HasPrefix(c.Machine.Facts.VendorClass, "PXEClient")
			}},
		{"OVMF by HTTP", uuid(arch(16), vendor("HTTPClient:Arch:00016:UNDI:003000")), linkLocal, strategy.HTTPBoot, mac.String(),
			func(c Client) bool { return c.Machine.Facts.Transport == boot.TransportHTTP }},
		{"iPXE", uuid(arch(7), user("iPXE")), linkLocal, strategy.IPXE, mac.String(),
			func(c Client) bool { return c.Machine.Facts.IPXE && !c.Chained }},
		{"ours", uuid(arch(7), user("other", "pixiecore")), linkLocal, strategy.IPXE, mac.String(),
			func(c Client) bool { return c.Chained && c.Machine.Facts.UserClass == "other,pixiecore" }},
		{"no boot", message(dhcpv6.MessageTypeSolicit), opaque, strategy.Other, mac.String(), nil},
		{"nothing tells the MAC", uuid(arch(7)), opaque, strategy.ROM, "", nil},
		{"a relay tells the MAC", relayed(uuid(arch(7)), link, opaque, dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, mac)), link, strategy.ROM, mac.String(),
			func(c Client) bool { return c.Machine.Facts.Relay == link }},
		{"a relay tells where the machine sent from", relayed(uuid(arch(7)), link, linkLocal, dhcpv6.OptInterfaceID([]byte("ge-0/0/7"))), link, strategy.ROM, mac.String(),
			func(c Client) bool {
				return c.Machine.Facts.CircuitID == "ge-0/0/7" && slices.Equal(c.Machine.Facts.Subnets, []netip.Prefix{netip.PrefixFrom(link, 128)})
			}},
	} {
		r, err := open(c.packet.ToBytes())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := classify(r, c.peer)
		if err != nil || got.Stage != c.stage || got.Machine.MAC.String() != c.mac || c.check != nil && !c.check(got) {
			t.Errorf("%s: %+v (facts %+v), %v; want stage %v, mac %q", c.name, got, got.Machine.Facts, err, c.stage, c.mac)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	deep := dhcpv6.DHCPv6(message(dhcpv6.MessageTypeSolicit))
	for range maxHops + 1 {
		deep = relayed(deep, linkLocal, linkLocal)
	}
	long := message(dhcpv6.MessageTypeSolicit)
	long.UpdateOption(dhcpv6.OptClientID(&dhcpv6.DUIDOpaque{Type: 9, Data: bytes.Repeat([]byte{1}, maxDUID)}))
	for name, packet := range map[string][]byte{
		"nothing":          nil,
		"a header":         {1, 0, 0},
		"too many relays":  deep.ToBytes(),
		"a long DUID":      long.ToBytes(),
		"an unknown type":  message(dhcpv6.MessageTypeSolicit, arch(0x7fff)).ToBytes(),
		"an empty relay's": append([]byte{12, 0}, make([]byte, 32)...),
	} {
		r, err := open(packet)
		if err == nil {
			_, err = classify(r, linkLocal)
		}
		if err == nil {
			t.Errorf("%s: taken for a request", name)
		}
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func pool(size int) leases.Pool {
	return leases.Pool{Start: netip.MustParseAddr("2001:db8::100"), Size: size, Lifetime: DefaultLifetime}
}

// at is the address of number i, counted from 0.
func at(p leases.Pool, i int) netip.Addr {
	a := p.Start
	for range i {
		a = a.Next()
	}
	return a
}

func owner(n int) leases.Owner { return leases.Owner(fmt.Sprintf("client-%d", n)) }

func noLeases(t *testing.T) *leases.Leases {
	t.Helper()
	l, err := leases.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask makes the answer to a message of a client that is given all there is.
func ask(t *testing.T, l *leases.Leases, p leases.Pool, m *dhcpv6.Message) (*dhcpv6.Message, error) {
	t.Helper()
	r, err := open(m.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	c, err := classify(r, linkLocal)
	if err != nil {
		t.Fatal(err)
	}
	preference := uint8(255)
	o := Offer{DUID: serverID, URL: "http://[2001:db8::1]:80/x/ipxe.efi", Class: "HTTPClient", Preference: &preference, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}
	o.Valid = p.Lifetime
	var from lessor
	if p.Size > 0 {
		from = pooled{p, l, c.DUID, start}
	}
	reply, err := respond(r, c, o, from)
	if err != nil {
		return nil, err
	}
	parsed, err := dhcpv6.MessageFromBytes(r.close(reply))
	if err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	return parsed, nil
}

// address is the only one in an answer; the zero Addr where there is none.
func address(m *dhcpv6.Message) netip.Addr {
	if one := m.Options.OneIANA(); one != nil {
		if a := one.Options.OneAddress(); a != nil && a.ValidLifetime > 0 {
			ip, _ := netip.AddrFromSlice(a.IPv6Addr)
			return ip
		}
	}
	return netip.Addr{}
}

func TestTheExchangeOfFourMessages(t *testing.T) {
	l, p := noLeases(t), pool(8)
	wants := asking(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionBootfileURL)
	ad, err := ask(t, l, p, message(dhcpv6.MessageTypeSolicit, ia(), wants, arch(16)))
	if err != nil {
		t.Fatal(err)
	}
	offered := address(ad)
	if ad.MessageType != dhcpv6.MessageTypeAdvertise || !p.Contains(offered) || ad.Options.Preference() != 255 ||
		ad.Options.BootFileURL() == "" || len(ad.Options.DNS()) != 1 || string(ad.Options.VendorClass(pxeEnterprise)[0]) != "HTTPClient" {
		t.Fatalf("advertised: %v", ad)
	}
	if l.InUse(start) != 0 {
		t.Error("an advertisement has leased an address")
	}
	re, err := ask(t, l, p, message(dhcpv6.MessageTypeRequest, toUs(), ia(offered), wants, arch(16)))
	if err != nil {
		t.Fatal(err)
	}
	one := re.Options.OneIANA().Options.OneAddress()
	if re.MessageType != dhcpv6.MessageTypeReply || address(re) != offered || re.Options.BootFileURL() == "" || l.InUse(start) != 1 {
		t.Fatalf("replied: %v", re)
	}
	// The times of the original.
	if got := re.Options.OneIANA(); one.ValidLifetime != 1850*time.Second || one.PreferredLifetime != 1795*time.Second || got.T1 != 897*time.Second || got.T2 != 1436*time.Second {
		t.Errorf("times: valid %v, preferred %v, T1 %v, T2 %v", one.ValidLifetime, one.PreferredLifetime, got.T1, got.T2)
	}
	if re, err = ask(t, l, p, message(dhcpv6.MessageTypeRenew, toUs(), ia(offered))); err != nil || address(re) != offered {
		t.Errorf("renewed: %v, %v", re, err)
	}
	if re, err = ask(t, l, p, message(dhcpv6.MessageTypeRelease, toUs(), ia(offered))); err != nil || re.Options.Status().StatusCode != iana.StatusSuccess || l.InUse(start.Add(time.Second)) != 0 {
		t.Errorf("released: %v, %v", re, err)
	}
}

func TestTheExchangeOfTwoMessages(t *testing.T) {
	l, p := noLeases(t), pool(8)
	rapid := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}
	re, err := ask(t, l, p, message(dhcpv6.MessageTypeSolicit, ia(), rapid))
	if err != nil || re.MessageType != dhcpv6.MessageTypeReply || !p.Contains(address(re)) || re.GetOneOption(dhcpv6.OptionRapidCommit) == nil || l.InUse(start) != 1 {
		t.Errorf("got %v, %v", re, err)
	}
}

func TestBootInformationAlone(t *testing.T) {
	l := noLeases(t)
	ad, err := ask(t, l, leases.Pool{}, message(dhcpv6.MessageTypeSolicit, ia(), arch(16)))
	if err != nil || ad.MessageType != dhcpv6.MessageTypeAdvertise || ad.Options.OneIANA() != nil || ad.Options.Status() != nil || ad.Options.BootFileURL() == "" {
		t.Errorf("advertised: %v, %v", ad, err)
	}
	re, err := ask(t, l, leases.Pool{}, message(dhcpv6.MessageTypeInformationRequest, arch(16)))
	if err != nil || re.MessageType != dhcpv6.MessageTypeReply || re.Options.BootFileURL() == "" {
		t.Errorf("informed: %v, %v", re, err)
	}
}

func TestEveryTypeOfMessage(t *testing.T) {
	p := pool(8)
	mine, foreign := at(p, 3), netip.MustParseAddr("2001:db8:99::1")
	other, _ := dhcpv6.DUIDFromBytes([]byte{0, 3, 0, 1, 9, 9, 9, 9, 9, 9})
	status := func(code iana.StatusCode) func(*dhcpv6.Message) bool {
		return func(m *dhcpv6.Message) bool {
			return m.Options.Status() != nil && m.Options.Status().StatusCode == code
		}
	}
	binding := func(code iana.StatusCode) func(*dhcpv6.Message) bool {
		return func(m *dhcpv6.Message) bool {
			one := m.Options.OneIANA()
			return one != nil && one.Options.Status() != nil && one.Options.Status().StatusCode == code
		}
	}
	for _, c := range []struct {
		name  string
		m     *dhcpv6.Message
		check func(*dhcpv6.Message) bool // nil: no answer
	}{
		{"CONFIRM on the link", message(dhcpv6.MessageTypeConfirm, ia(mine)), status(iana.StatusSuccess)},
		{"CONFIRM off the link", message(dhcpv6.MessageTypeConfirm, ia(foreign)), status(iana.StatusNotOnLink)},
		{"CONFIRM of nothing", message(dhcpv6.MessageTypeConfirm, ia()), nil},
		{"REBIND of ours, forgotten", message(dhcpv6.MessageTypeRebind, ia(mine)), func(m *dhcpv6.Message) bool { return address(m) == mine }},
		{"REBIND of another server's", message(dhcpv6.MessageTypeRebind, ia(foreign)), nil},
		{"RENEW of what is not of the link", message(dhcpv6.MessageTypeRenew, toUs(), ia(foreign)), func(m *dhcpv6.Message) bool {
			a := m.Options.OneIANA().Options.OneAddress()
			return a != nil && a.ValidLifetime == 0
		}},
		{"RENEW of nothing", message(dhcpv6.MessageTypeRenew, toUs(), ia()), binding(iana.StatusNoBinding)},
		{"RELEASE of what is not leased", message(dhcpv6.MessageTypeRelease, toUs(), ia(mine)), binding(iana.StatusNoBinding)},
		{"DECLINE of what is not leased", message(dhcpv6.MessageTypeDecline, toUs(), ia(mine)), binding(iana.StatusNoBinding)},
		{"REQUEST to another server", message(dhcpv6.MessageTypeRequest, dhcpv6.OptServerID(other), ia(mine)), nil},
		{"REQUEST to no server", message(dhcpv6.MessageTypeRequest, ia(mine)), nil},
		{"SOLICIT with a server", message(dhcpv6.MessageTypeSolicit, toUs(), ia()), nil},
		{"INFORMATION-REQUEST to another server", message(dhcpv6.MessageTypeInformationRequest, dhcpv6.OptServerID(other)), nil},
		{"INFORMATION-REQUEST with addresses", message(dhcpv6.MessageTypeInformationRequest, ia()), nil},
		{"an ADVERTISE", message(dhcpv6.MessageTypeAdvertise, toUs()), nil},
		{"a REPLY", message(dhcpv6.MessageTypeReply, toUs()), nil},
		{"a RECONFIGURE", message(dhcpv6.MessageTypeReconfigure, toUs()), nil},
	} {
		got, err := ask(t, noLeases(t), p, c.m)
		if (err == nil) != (c.check != nil) || c.check != nil && !c.check(got) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestAUsedUpPoolIsSaid(t *testing.T) {
	l, p := noLeases(t), pool(1)
	l.Take(p, owner(7), netip.Addr{}, start)
	ad, err := ask(t, l, p, message(dhcpv6.MessageTypeSolicit, ia()))
	if err != nil || ad.Options.Status() == nil || ad.Options.Status().StatusCode != iana.StatusNoAddrsAvail {
		t.Errorf("advertised: %v, %v", ad, err)
	}
	re, err := ask(t, l, p, message(dhcpv6.MessageTypeRequest, toUs(), ia()))
	if err != nil || re.Options.OneIANA().Options.Status().StatusCode != iana.StatusNoAddrsAvail {
		t.Errorf("replied: %v, %v", re, err)
	}
}

func TestARelayGetsBackWhatIsItsOwn(t *testing.T) {
	outer, inner := netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::1")
	packet := relayed(relayed(message(dhcpv6.MessageTypeSolicit, ia()), inner, linkLocal, dhcpv6.OptInterfaceID([]byte{0, 7})), outer, inner, dhcpv6.OptInterfaceID([]byte("up")))
	r, err := open(packet.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	m, err := respond(r, Client{DUID: "x"}, Offer{DUID: serverID}, pooled{pool(1), noLeases(t), "x", start})
	if err != nil {
		t.Fatal(err)
	}
	back, err := dhcpv6.RelayMessageFromBytes(r.close(m))
	if err != nil {
		t.Fatal(err)
	}
	in, ok := back.Options.RelayMessage().(*dhcpv6.RelayMessage)
	if !ok || back.MessageType != dhcpv6.MessageTypeRelayReply || !back.LinkAddr.Equal(outer.AsSlice()) || string(back.Options.InterfaceID()) != "up" ||
		!in.PeerAddr.Equal(linkLocal.AsSlice()) || !bytes.Equal(in.Options.InterfaceID(), []byte{0, 7}) {
		t.Errorf("got %v", back.LongString(0))
	}
	if got, _ := back.GetInnerMessage(); got == nil || got.MessageType != dhcpv6.MessageTypeAdvertise {
		t.Errorf("in it: %v", got)
	}
}

// decider gives every machine one verdict.
type decider struct{ *boot.Verdict }

func (d decider) Decide(context.Context, boot.Machine) (*boot.Verdict, error) { return d.Verdict, nil }
func (d decider) BootSpec(boot.Machine) (*boot.Spec, error)                   { return nil, nil }
func (d decider) ReadBootFile(boot.ID) (io.ReadCloser, int64, error)          { return nil, 0, boot.ErrNotFound }
func (d decider) WriteBootFile(boot.ID, io.Reader) error                      { return boot.ErrNotFound }

// source is a boot.Source of one snapshot.
type source struct{ snap *boot.Snapshot }

func (s source) Current() *boot.Snapshot { return s.snap }

// bound is a Conn that only has an address.
type bound struct{ netio.Conn }

func (bound) LocalAddr() netip.AddrPort { return netip.MustParseAddrPort("[::]:547") }

func server(t testing.TB, action boot.Action, set Settings) *Server {
	t.Helper()
	tokens, err := boot.NewTokenKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	snap := &boot.Snapshot{Gen: 1, Booter: decider{&boot.Verdict{Action: action, Rule: "lab", Spec: &boot.Spec{Kernel: "k"}}}, Loaders: map[boot.Firmware][]byte{boot.FirmwareEFI64: []byte("MZ")}}
	l, err := leases.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	set.Web.Port = 80
	return &Server{
		Conn: bound{}, DUID: serverID, Boots: &boots.Memory{Source: source{snap}}, Settings: func() Settings { return set }, Tokens: tokens,
		Interfaces: netio.NewInterfaces(), Leases: l, Events: events.New(), Log: zap.NewNop(),
	}
}

func loopback(t testing.TB, s *Server) int {
	t.Helper()
	for _, i := range s.Interfaces.All() {
		if i.Has(netip.IPv6Loopback()) {
			return i.Index
		}
	}
	t.Skip("needs IPv6 on the loopback interface")
	return 0
}

func TestWhatEachMachineIsTold(t *testing.T) {
	advertise := netip.MustParseAddr("2001:db8::1")
	rom, http, ipxe := []dhcpv6.Option{arch(7)}, []dhcpv6.Option{arch(16)}, []dhcpv6.Option{arch(7), user("iPXE")}
	for _, c := range []struct {
		name    string
		action  boot.Action
		pool    leases.Pool
		options []dhcpv6.Option
		url     string // begins and ends like that, at "…"; "-" is no answer, "" an answer without
		err     error
	}{
		{"PXE", boot.Boot, leases.Pool{}, rom, "tftp://[2001:db8::1]/…/ipxe.efi", nil},
		{"HTTP Boot", boot.Boot, leases.Pool{}, http, "http://[2001:db8::1]:80/…/ipxe.efi", nil},
		{"iPXE", boot.Boot, leases.Pool{}, ipxe, "http://[2001:db8::1]:80/_/ipxe?token=…", nil},
		{"PXE that is probed", boot.Probe, leases.Pool{}, rom, "tftp://[2001:db8::1]/…/ipxe.efi", nil},
		{"PXE with a pool", boot.Boot, pool(9), rom, "tftp://[2001:db8::1]/…/ipxe.efi", nil},
		{"ignored", boot.Ignore, pool(9), rom, "-", errIgnored},
		{"local disk beside another server", boot.Local, leases.Pool{}, rom, "-", errLocal},
		{"local disk with a pool", boot.Local, pool(9), rom, "", nil},
		{"local disk from iPXE", boot.Local, leases.Pool{}, ipxe, "http://[2001:db8::1]:80/_/ipxe?token=…", nil},
		{"no boot, no pool", boot.Boot, leases.Pool{}, nil, "-", errOther},
		{"no boot, a pool", boot.Boot, pool(9), nil, "", nil},
		{"no loader", boot.Boot, pool(9), []dhcpv6.Option{arch(0x0b)}, "-", nil},
	} {
		s := server(t, c.action, Settings{Advertise: advertise, Pool: c.pool})
		m := message(dhcpv6.MessageTypeSolicit, append(c.options, ia())...)
		a, err := s.handle(t.Context(), netio.Datagram{Data: m.ToBytes(), Peer: netip.AddrPortFrom(linkLocal, 1000), Local: AllServers, Interface: loopback(t, s)})
		if c.url == "-" {
			if err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%s: answered %q, %v", c.name, a.url, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := dhcpv6.MessageFromBytes(a.datagram.Data)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		before, after, _ := strings.Cut(c.url, "…")
		if url := got.Options.BootFileURL(); !strings.HasPrefix(url, before) || !strings.HasSuffix(url, after) || (c.url == "") != (url == "") {
			t.Errorf("%s: told %q, want %q", c.name, url, c.url)
		}
		if (c.pool.Size > 0) != address(got).IsValid() {
			t.Errorf("%s: an address that should not be, or none: %v", c.name, got)
		}
		if want := netip.AddrPortFrom(linkLocal, ClientPort); a.datagram.Peer != want || a.datagram.Local.IsValid() {
			t.Errorf("%s: to %v from %v, want %v", c.name, a.datagram.Peer, a.datagram.Local, want)
		}
	}
}

func TestAMachineWithoutAMACIsSentToTheFixedNames(t *testing.T) {
	s := server(t, boot.Boot, Settings{Advertise: netip.MustParseAddr("2001:db8::1")})
	for stage, want := range map[strategy.Stage]string{
		strategy.ROM:      "tftp://[2001:db8::1]/ipxe-x64.efi",
		strategy.HTTPBoot: "http://[2001:db8::1]:80/ipxe-x64.efi",
		strategy.IPXE:     "http://[2001:db8::1]:80/boot.ipxe",
	} {
		c := Client{Stage: stage, Machine: boot.Machine{Firmware: boot.FirmwareEFI64}}
		if got := s.url(s.Settings(), c, strategy.For(boot.FirmwareEFI64, stage, &boot.Verdict{Action: boot.Boot}), s.Settings().Advertise); got != want {
			t.Errorf("%v: %q, want %q", stage, got, want)
		}
	}
}

func TestARelayIsAnsweredWhereItListens(t *testing.T) {
	s := server(t, boot.Boot, Settings{Advertise: netip.MustParseAddr("2001:db8::1")})
	relay := netip.MustParseAddrPort("[2001:db8:7::1]:4242")
	for want, options := range map[uint16][]dhcpv6.Option{Port: nil, 4242: {dhcpv6.OptRelayPort(0)}} {
		packet := relayed(message(dhcpv6.MessageTypeSolicit, arch(7)), relay.Addr(), linkLocal, options...)
		a, err := s.handle(t.Context(), netio.Datagram{Data: packet.ToBytes(), Peer: relay, Local: netip.MustParseAddr("2001:db8::1")})
		if err != nil || a.datagram.Peer != netip.AddrPortFrom(relay.Addr(), want) || a.datagram.Local != netip.MustParseAddr("2001:db8::1") {
			t.Errorf("to %v, %v; want port %d", a.datagram.Peer, err, want)
		}
	}
}

func TestAnInterfaceThatIsLeftOut(t *testing.T) {
	s := server(t, boot.Boot, Settings{Only: []string{"no-such0"}})
	if _, err := s.handle(t.Context(), netio.Datagram{Data: message(dhcpv6.MessageTypeSolicit, arch(7)).ToBytes(), Interface: loopback(t, s)}); !errors.Is(err, errInterface) {
		t.Errorf("got %v", err)
	}
}

// breaksOnce is a Source whose first use panics.
type breaksOnce struct {
	boot.Source
	broken bool
}

func (b *breaksOnce) Current() *boot.Snapshot {
	if !b.broken {
		b.broken = true
		panic("the first request breaks it")
	}
	return b.Source.Current()
}

func TestServeOverASocket(t *testing.T) {
	s := server(t, boot.Boot, Settings{Pool: pool(4), Web: bootfiles.Web{}})
	loopback(t, s)
	conn, err := netio.ListenUDP(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Skipf("needs IPv6: %v", err)
	}
	defer conn.Close()
	client, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s.Join = func(index int) error { return netio.JoinGroup(conn, AllServers, index) }
	s.Conn, s.clientPort = conn, client.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s.Boots.Source = &breaksOnce{Source: s.Boots.Source} // a fault of ours at one request costs the next one nothing
	core, logged := observer.New(zap.WarnLevel)
	s.Log = zap.New(core)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	for range 2 {
		if _, err := client.WriteToUDPAddrPort(message(dhcpv6.MessageTypeSolicit, arch(7), ia()).ToBytes(), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 1500)
	n, _, err := client.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dhcpv6.MessageFromBytes(b[:n])
	if err != nil || !strings.HasPrefix(got.Options.BootFileURL(), "tftp://[::1]/") || !s.Settings().Pool.Contains(address(got)) {
		t.Errorf("got %v, %v", got, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if entries := logged.All(); len(entries) != 1 || !strings.Contains(fmt.Sprint(entries[0].ContextMap()), "the first request breaks it") {
		t.Errorf("logged %v, want the fault, once", entries)
	}
}

// What firmware multicasts stands in testdata/requests, with what comes of it in a
// comment.
func TestRequestsOfFirmware(t *testing.T) {
	paths, err := filepath.Glob("testdata/requests/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no requests: %v", err)
	}
	token := regexp.MustCompile(`[a-z2-7]{32}`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, digits := "", ""
		for l := range strings.Lines(string(text)) {
			l = strings.TrimSpace(l)
			if w, ok := strings.CutPrefix(l, "# want: "); ok {
				want = w
			}
			if !strings.HasPrefix(l, "#") {
				digits += l
			}
		}
		request, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s := server(t, boot.Boot, Settings{Advertise: netip.MustParseAddr("2001:db8::1"), Pool: pool(9)})
		a, err := s.handle(t.Context(), netio.Datagram{Data: request, Peer: netip.AddrPortFrom(linkLocal, 546), Local: AllServers, Interface: loopback(t, s)})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		m := a.client.Machine
		got := fmt.Sprintf("%s %s %s %s: %s", m.MAC, m.Arch.Name(), m.Firmware, a.client.Stage, token.ReplaceAllString(a.url, "TOKEN"))
		if got != want {
			t.Errorf("%s: got %s\nwant %s", path, got, want)
		}
	}
}

// The firmware that is leased an address must not take the advertisement for a
// proxy's.
func TestWhoIsLeasedAnAddressIsToldNoVendorClass(t *testing.T) {
	for name, c := range map[string]struct {
		pool leases.Pool
		want int
	}{"leased": {pool(4), 0}, "proxy": {leases.Pool{}, 1}} {
		s := server(t, boot.Boot, Settings{Advertise: netip.MustParseAddr("2001:db8::1"), Pool: c.pool})
		m := message(dhcpv6.MessageTypeSolicit, arch(7), vendor("PXEClient:Arch:00007:UNDI:003000"), ia())
		a, err := s.handle(t.Context(), netio.Datagram{Data: m.ToBytes(), Peer: netip.AddrPortFrom(linkLocal, 546), Local: AllServers, Interface: loopback(t, s)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := dhcpv6.MessageFromBytes(a.datagram.Data)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.GetOption(dhcpv6.OptionVendorClass)); n != c.want {
			t.Errorf("%s: %d vendor classes, want %d", name, n, c.want)
		}
	}
}

// FuzzAnswer holds what PixieFail taught (CVE-2023-45229 and on): every answer can
// be read, is not larger than what was asked about allows, and has a short server
// identifier.
func FuzzAnswer(f *testing.F) {
	seed := message(dhcpv6.MessageTypeSolicit, arch(16), vendor("HTTPClient"), ia(), asking(dhcpv6.OptionBootfileURL))
	f.Add(seed.ToBytes())
	f.Add(message(dhcpv6.MessageTypeRequest, toUs(), ia(at(pool(4), 1))).ToBytes())
	f.Add(message(dhcpv6.MessageTypeRebind, ia(at(pool(4), 1), linkLocal)).ToBytes())
	f.Add(message(dhcpv6.MessageTypeDecline, toUs(), ia(at(pool(4), 1))).ToBytes())
	f.Add(relayed(relayed(seed, linkLocal, linkLocal), linkLocal, linkLocal, dhcpv6.OptInterfaceID([]byte{1})).ToBytes())
	s := server(f, boot.Boot, Settings{Advertise: netip.MustParseAddr("2001:db8::1"), Pool: pool(4)})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := s.handle(t.Context(), netio.Datagram{Data: b, Peer: netip.AddrPortFrom(linkLocal, 546), Local: AllServers})
		if err != nil {
			return
		}
		packet, err := dhcpv6.FromBytes(a.datagram.Data)
		if err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		m, err := packet.GetInnerMessage()
		if err != nil {
			t.Fatal(err)
		}
		if id := m.GetOneOption(dhcpv6.OptionServerID); id == nil || len(id.ToBytes()) > maxDUID {
			t.Errorf("server identifier: %v", id)
		}
		if m.MessageType != dhcpv6.MessageTypeAdvertise && m.MessageType != dhcpv6.MessageTypeReply {
			t.Errorf("an answer of type %v", m.MessageType)
		}
	})
}
