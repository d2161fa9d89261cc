package dhcp4

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

const packetFacts = boot.FactTransport | boot.FactIPXE | boot.FactUUID | boot.FactRelay | boot.FactVendorClass | boot.FactUserClass | boot.FactCircuitID | boot.FactRemoteID

var comparable = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})

func giaddr(a string) func(*dhcpv4.DHCPv4) {
	return func(d *dhcpv4.DHCPv4) { d.GatewayIPAddr = net.ParseIP(a) }
}

// What a request tells of the machine, whatever way it came.
func TestClassifyTellsTheFacts(t *testing.T) {
	const someUUID = "4c4c4544-0042-3510-8053-b4c04f463433"
	long := strings.Repeat("x", 255)
	for _, tc := range []struct {
		name    string
		profile string
		change  []func(*dhcpv4.DHCPv4)
		want    func(*boot.Facts)
	}{
		{"a ROM", "efi-x64", nil, func(f *boot.Facts) {}},
		{"HTTP Boot", "http-x64", nil, func(f *boot.Facts) { f.Transport = "http" }},
		{"an iPXE", "undionly", nil, func(f *boot.Facts) { f.IPXE, f.UserClass = true, "iPXE" }},
		{"user classes of RFC 3004", "efi-x64", []func(*dhcpv4.DHCPv4){option(77, []byte("\x03abc\x02d\x00"))}, func(f *boot.Facts) { f.UserClass = "abc,d" }},
		{"no UUID", "efi-x64", []func(*dhcpv4.DHCPv4){option(97, nil)}, func(f *boot.Facts) { f.Known, f.UUID = f.Known&^boot.FactUUID, "" }},
		{"a UUID of zeros", "efi-x64", []func(*dhcpv4.DHCPv4){option(97, make([]byte, 17))}, func(f *boot.Facts) { f.Known, f.UUID = f.Known&^boot.FactUUID, "" }},
		{"a UUID of ones", "efi-x64", []func(*dhcpv4.DHCPv4){option(97, append([]byte{0}, bytes.Repeat([]byte{0xff}, 16)...))}, func(f *boot.Facts) { f.Known, f.UUID = f.Known&^boot.FactUUID, "" }},
		{"a relay", "efi-x64", []func(*dhcpv4.DHCPv4){giaddr("10.1.0.1")}, func(f *boot.Facts) {
			f.Relay = netip.MustParseAddr("10.1.0.1")
			f.Known |= boot.FactSubnets
			f.Subnets = []netip.Prefix{netip.MustParsePrefix("10.1.0.1/32")}
		}},
		{"a relay that says which link", "efi-x64", []func(*dhcpv4.DHCPv4){giaddr("10.1.0.1"), option(82, []byte("\x05\x04\x0a\x02\x00\x00"))}, func(f *boot.Facts) {
			f.Relay = netip.MustParseAddr("10.1.0.1")
			f.Known |= boot.FactSubnets
			f.Subnets = []netip.Prefix{netip.MustParsePrefix("10.2.0.0/32")}
		}},
		{"a circuit in text and a remote ID in numbers", "efi-x64", []func(*dhcpv4.DHCPv4){option(82, []byte("\x01\x07sw1/0/7\x02\x08\x00\x06\x52\x54\x00\x01\x02\x03"))}, func(f *boot.Facts) {
			f.CircuitID, f.RemoteID = "sw1/0/7", "0x0006525400010203"
		}},
		{"option 82 that breaks off", "efi-x64", []func(*dhcpv4.DHCPv4){option(82, []byte("\x01\x03abc\x02\x09x"))}, func(f *boot.Facts) { f.CircuitID = "abc" }},
		{"a link of three octets", "efi-x64", []func(*dhcpv4.DHCPv4){option(82, []byte("\x05\x03\x0a\x02\x00"))}, func(f *boot.Facts) {}},
		{"control characters", "efi-x64", []func(*dhcpv4.DHCPv4){option(77, []byte("a\x1b[31mb")), option(60, []byte("PXEClient\x00"))}, func(f *boot.Facts) {
			f.UserClass, f.VendorClass = "a[31mb", "PXEClient"
		}},
		{"long ones", "efi-x64", []func(*dhcpv4.DHCPv4){option(77, []byte(long)), option(82, append([]byte{1, 253}, make([]byte, 253)...))}, func(f *boot.Facts) {
			f.UserClass, f.CircuitID = long, "" // the NULs that pad a text
		}},
		{"a long binary one", "efi-x64", []func(*dhcpv4.DHCPv4){option(82, append([]byte{1, 253}, bytes.Repeat([]byte{1}, 253)...))}, func(f *boot.Facts) {
			f.CircuitID = "0x" + strings.Repeat("01", 126)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := discover(t, tc.profile, tc.change...)
			c, err := Classify(req)
			if err != nil {
				t.Fatal(err)
			}
			want := &boot.Facts{Known: packetFacts, Transport: "pxe", UUID: someUUID, VendorClass: string(req.Options.Get(dhcpv4.OptionClassIdentifier))}
			tc.want(want)
			if diff := cmp.Diff(want, c.Machine.Facts, comparable); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestWhatTheWayOfARequestTells(t *testing.T) {
	link := netio.Interface{Index: 2, Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
	listener := netip.MustParseAddrPort("0.0.0.0:67")
	relayed := &boot.Facts{Known: packetFacts | boot.FactSubnets, Subnets: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/32")}}
	type want struct {
		Unknown             string
		Interface, Listener string
		Subnets             []netip.Prefix
	}
	for _, tc := range []struct {
		name  string
		said  *boot.Facts
		role  Role
		iface netio.Interface
		peer  string
		want  want
	}{
		{"a broadcast", &boot.Facts{Known: packetFacts}, ProxyDHCP, link, "0.0.0.0", want{"", "eth0", "0.0.0.0:67", link.Prefixes}},
		{"a relay's", relayed, ProxyDHCP, link, "192.0.2.254", want{"", "eth0", "0.0.0.0:67", relayed.Subnets}},
		{"by an interface that is gone", &boot.Facts{Known: packetFacts}, ProxyDHCP, netio.Interface{}, "0.0.0.0", want{"interface, subnet", "", "0.0.0.0:67", nil}},
		{"on port 4011, from the same link", &boot.Facts{Known: packetFacts}, BootServer, link, "192.0.2.50", want{"listener, circuit_id, remote_id", "eth0", "", link.Prefixes}},
		{"on port 4011, through a router", &boot.Facts{Known: packetFacts}, BootServer, link, "10.1.0.50", want{"interface, listener, subnet, relay, circuit_id, remote_id", "", "", nil}},
	} {
		f := *tc.said
		arrived(&f, tc.role, listener.String(), tc.iface, netip.MustParseAddr(tc.peer))
		got := want{f.Unknown(boot.DHCPFacts).String(), f.Interface, f.Listener, nil}
		if f.Knows(boot.FactSubnets) {
			got.Subnets = f.Subnets
		}
		if diff := cmp.Diff(tc.want, got, comparable); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
}

// asked is a Booter that keeps what it was asked.
type asked struct {
	decider
	machines *[]boot.Machine
}

func (a asked) Decide(ctx context.Context, m boot.Machine) (*boot.Verdict, error) {
	*a.machines = append(*a.machines, m)
	return a.decider.Decide(ctx, m)
}

func (a asked) Current() *boot.Snapshot {
	snap := *a.by.Current()
	snap.Booter = a
	return &snap
}

// The whole of one boot is decided by what its first request said: on port
// 4011, which no relay tells of itself, and for iPXE's own request.
func TestOneBootHasOneSetOfFacts(t *testing.T) {
	var machines []boot.Machine
	// Nothing is fixed, so that each request is decided.
	b := asked{decider{booter{"*": {Action: boot.Probe, Rule: "lab"}}}, &machines}
	proxy, bootServer := server(t, ProxyDHCP, lab), server(t, BootServer, lab)
	proxy.Boots = &boots.Memory{Source: b}
	bootServer.Boots = proxy.Boots
	lo := loopback(t)
	relay := option(82, []byte("\x01\x07sw1/0/7"))
	send := func(s *Server, req *dhcpv4.DHCPv4) {
		t.Helper()
		if _, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: lo, Peer: netip.MustParseAddrPort("127.0.0.9:68")}); err != nil {
			t.Fatal(err)
		}
	}
	send(proxy, discover(t, "efi-x64", relay))
	send(bootServer, discover(t, "efi-x64", option(53, []byte{3})))
	send(proxy, discover(t, "ipxe-x64", relay))
	for i, m := range machines {
		if diff := cmp.Diff(machines[0].Facts, m.Facts, comparable); diff != "" {
			t.Errorf("request %d: -first +this\n%s", i, diff)
		}
	}
	if f := proxy.Boots.Of(mac); len(machines) != 3 || f.CircuitID != "sw1/0/7" || f.IPXE || !f.Knows(boot.DHCPFacts) || f.Listener != "0.0.0.0:67" {
		t.Errorf("got %d decisions, %+v", len(machines), f)
	}
}
