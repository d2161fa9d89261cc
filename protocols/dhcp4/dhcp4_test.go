package dhcp4

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

var (
	mac  = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	uuid = [16]byte{0x44, 0x45, 0x4c, 0x4c, 0x42, 0, 0x10, 0x35, 0x80, 0x53, 0xb4, 0xc0, 0x4f, 0x46, 0x34, 0x33} // as it is sent
	xid  = [4]byte{1, 2, 3, 4}
	us   = netip.MustParseAddr("192.0.2.1")
)

func profile(t testing.TB, name string) pxeclient.Profile {
	t.Helper()
	p, err := pxeclient.ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// discover is a DISCOVER of the firmware, as it arrives: through bytes.
func discover(t testing.TB, name string, change ...func(*dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
	t.Helper()
	d := profile(t, name).Discover(mac, xid, uuid)
	for _, f := range change {
		f(d)
	}
	d, err := dhcpv4.FromBytes(d.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func option(code uint8, value []byte) func(*dhcpv4.DHCPv4) {
	return func(d *dhcpv4.DHCPv4) {
		if value == nil {
			delete(d.Options, code)
			return
		}
		d.Options[code] = value
	}
}

// overIPv4 are the machines that come to this server.
func overIPv4() []pxeclient.Profile {
	return slices.DeleteFunc(pxeclient.Profiles(), func(p pxeclient.Profile) bool { return p.IPv6 })
}

func TestClassifyKnowsEveryFirmware(t *testing.T) {
	type want struct {
		Arch, Firmware, Stage string
	}
	wants := map[string]want{
		"bios":               {"ia32", "bios", "rom"},
		"bios-ipxe-rom":      {"ia32", "bios", "ipxe"},
		"bios-ipxe-rom-2025": {"ia32", "bios", "ipxe"},
		"bios-ipxe-rom-2.0":  {"ia32", "bios", "ipxe"},
		"efi-ia32":           {"ia32", "efi32", "rom"},
		"efi-x64":            {"x64", "efi64", "rom"},
		"efi-x64-ipxe-rom":   {"x64", "efi64", "rom"},
		"efi-x64-secure":     {"x64", "efi64", "rom"},
		"http-x64-secure":    {"x64", "efi64", "http-boot"},
		"efi-arm64":          {"arm64", "efi-arm64", "rom"},
		"http-x64":           {"x64", "efi64", "http-boot"},
		"http-arm64":         {"arm64", "efi-arm64", "http-boot"},
		"undionly":           {"ia32", "bios", "ipxe"},
		"ipxe-ia32":          {"ia32", "efi32", "ipxe"},
		"ipxe-x64":           {"x64", "efi64", "ipxe"},
		"ipxe-x64-2019":      {"x64", "efi64", "ipxe"},
		"ipxe-x64-2.0":       {"x64", "efi64", "ipxe"},
		"ipxe-arm64":         {"arm64", "efi-arm64", "ipxe"},
		"ipxe-no-http":       {"ia32", "bios", "ipxe-without-http"},
		"efi-riscv64":        {"riscv64", "efi-riscv64", "rom"},
		"ipxe-riscv64":       {"riscv64", "efi-riscv64", "ipxe"},
		"rpi4":               {"arm64", "rpi", "rom"},
		"uboot-arm64":        {"arm64", "uboot", "rom"},
		"uboot-http-arm64":   {"arm64", "uboot", "http-boot"},
	}
	for _, p := range overIPv4() {
		if p.Name == "rpi3" {
			continue // only its MAC address tells: see TestARaspberryPiIsKnownByMoreThanItsType
		}
		t.Run(p.Name, func(t *testing.T) {
			c, err := Classify(discover(t, p.Name))
			if p.Name == "ordinary" {
				if !errors.Is(err, errNotPXE) {
					t.Fatalf("an operating system's DHCP client: got %v, want %v", err, errNotPXE)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := want{c.Machine.Arch.Name(), c.Machine.Firmware.String(), c.Stage.String()}
			if diff := cmp.Diff(wants[p.Name], got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if p.Name == "rpi4" {
				return // its option 97 is of another kind
			}
			if got, want := c.Machine.Facts.UUID, "4c4c4544-0042-3510-8053-b4c04f463433"; got != want {
				t.Errorf("uuid: got %s, want %s", got, want)
			}
		})
	}
}

func TestClassifyOfOddRequests(t *testing.T) {
	for _, tc := range []struct {
		name   string
		from   string
		change func(*dhcpv4.DHCPv4)
		stage  strategy.Stage
		err    error
	}{
		{"user class of RFC 3004", "efi-x64", option(77, []byte("\x04iPXE")), strategy.IPXEWithoutHTTP, nil},
		{"second user class of RFC 3004", "efi-x64", option(77, []byte("\x03abc\x09pixiecore")), strategy.IPXE, nil},
		{"user class that breaks off", "efi-x64", option(77, []byte("\x09iPXE")), strategy.ROM, nil},
		{"user class of the original's loader", "bios", option(77, []byte("pixiecore")), strategy.IPXE, nil},
		{"option 175 alone tells iPXE", "bios-ipxe-rom", option(77, nil), strategy.IPXE, nil},
		{"option 175 that breaks off before HTTP", "bios-ipxe-rom", option(175, []byte{16, 1, 1, 19, 9, 1}), strategy.IPXEWithoutHTTP, nil},
		{"feature with value 0", "bios-ipxe-rom", option(175, []byte{19, 1, 0}), strategy.IPXEWithoutHTTP, nil},
		{"empty option 175", "bios-ipxe-rom", option(175, []byte{}), strategy.IPXEWithoutHTTP, nil},
		{"several architectures: the first", "efi-x64", option(93, []byte{0, 7, 0, 0}), strategy.ROM, nil},
		{"HTTP type with PXE class", "efi-x64", option(93, []byte{0, 16}), strategy.HTTPBoot, nil},
		{"architecture of one byte", "efi-x64", option(93, []byte{7}), 0, errNotPXE},
		{"no architecture", "efi-x64", option(93, nil), 0, errNotPXE},
		{"Itanium", "efi-x64", option(93, []byte{0, 2}), 0, errUnknownType},
		{"no class", "efi-x64", option(60, nil), 0, errNotPXE},
		{"class of a printer", "efi-x64", option(60, []byte("Hewlett-Packard JetDirect")), 0, errNotPXE},
		{"a reply", "efi-x64", func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }, 0, errNotRequest},
		{"InfiniBand's address", "efi-x64", func(d *dhcpv4.DHCPv4) { d.ClientHWAddr = make([]byte, 8) }, 0, errNotRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Classify(discover(t, tc.from, tc.change))
			if !errors.Is(err, tc.err) || err == nil && c.Stage != tc.stage {
				t.Errorf("got %v, %v; want %v, %v", c.Stage, err, tc.stage, tc.err)
			}
		})
	}
}

func TestAROMWithoutAUUIDIsAnswered(t *testing.T) {
	for _, id := range [][]byte{nil, {}, {0, 1, 2}, bytes.Repeat([]byte{1}, 16)} {
		c, err := Classify(discover(t, "bios", option(97, id)))
		if err != nil || c.UUID != nil {
			t.Errorf("option 97 %x: got %x, %v", id, c.UUID, err)
		}
	}
}

// describe writes what a reply tells its client.
func describe(d *dhcpv4.DHCPv4) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s broadcast=%t ciaddr=%s yiaddr=%s siaddr=%s giaddr=%s\n", d.MessageType(), d.IsBroadcast(), d.ClientIPAddr, d.YourIPAddr, d.ServerIPAddr, d.GatewayIPAddr)
	fmt.Fprintf(&b, "  sname %q\n  file  %q\n", d.ServerHostName, d.BootFileName)
	var codes []int
	for code := range d.Options {
		codes = append(codes, int(code))
	}
	slices.Sort(codes)
	for _, code := range codes {
		v := d.Options[uint8(code)]
		text := hex.EncodeToString(v)
		if code == 60 || code == 67 {
			text = fmt.Sprintf("%q", v)
		}
		fmt.Fprintf(&b, "  %3d   %s\n", code, text)
	}
	return b.String()
}

// fileOf is what an offer names, for a token that is easy to read.
func fileOf(o strategy.Offer, c Client) string {
	const base, token = "http://192.0.2.1:80", "abcdefghijklmnopqrstuvwxyz234567"
	switch o.Kind {
	case strategy.ByTFTP:
		return bootfiles.ProgramPath(token, c.Machine, o.Program)
	case strategy.ByHTTP:
		return base + "/" + bootfiles.ProgramPath(token, c.Machine, o.Program)
	case strategy.Script:
		return bootfiles.ScriptURL(base, token)
	case strategy.Extlinux:
		return bootfiles.BoardPath(token)
	case strategy.ExtlinuxByHTTP:
		return base + "/" + bootfiles.BoardPath(token)
	}
	return ""
}

func TestOffersPerFirmware(t *testing.T) {
	var b strings.Builder
	for _, p := range overIPv4() {
		for _, v := range []*boot.Verdict{
			{Action: boot.Boot}, {Action: boot.Local}, {Action: boot.Boot, Loader: boot.LoaderShim}, {Action: boot.Boot, Loader: boot.LoaderGRUB},
			{Action: boot.Boot, Loader: boot.LoaderNative}, {Action: boot.Local, Loader: boot.LoaderShim},
		} {
			req := discover(t, p.Name)
			c, err := Classify(req)
			if err != nil || p.Name == "rpi3" {
				continue // "ordinary", and who is known by another MAC address
			}
			a := v.Action.String()
			if v.Loader != boot.LoaderAuto {
				a += " by " + v.Loader.String()
			}
			o := strategy.For(c.Machine.Firmware, c.Stage, v)
			if v.Loader != boot.LoaderAuto && o == strategy.For(c.Machine.Firmware, c.Stage, &boot.Verdict{Action: v.Action}) {
				fmt.Fprintf(&b, "%s, %s: as %s\n", p.Name, a, v.Action)
				continue
			}
			if o.Kind == strategy.Nothing {
				fmt.Fprintf(&b, "%s, %s: %s\n", p.Name, a, o)
				continue
			}
			offer := Offer(req, c, o, Endpoint{Addr: us, File: fileOf(o, c)})
			fmt.Fprintf(&b, "%s, %s: %s\n%s", p.Name, a, o, describe(offer))

			back, err := dhcpv4.FromBytes(offer.ToBytes())
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			if err := p.Accept(back); err != nil && o.Kind != strategy.LocalMenu {
				t.Errorf("%s, %s: the firmware refuses the offer: %v", p.Name, a, err)
			}
		}
	}
	golden(t, "offers.golden", b.String())
}

func TestAcksPerFirmware(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"bios", "efi-x64", "efi-arm64", "bios-ipxe-rom"} {
		p := profile(t, name)
		req := discover(t, name)
		c, err := Classify(req)
		if err != nil {
			t.Fatal(err)
		}
		o := strategy.For(c.Machine.Firmware, c.Stage, &boot.Verdict{Action: boot.Boot})
		e := Endpoint{Addr: us, File: fileOf(o, c)}
		req = p.BootServerRequest(mac, xid, uuid, netip.MustParseAddr("192.0.2.50"), Offer(req, c, o, e))
		if c, err = Classify(req); err != nil {
			t.Fatal(err)
		}
		ack := Ack(req, c, o, e)
		fmt.Fprintf(&b, "%s: %s\n%s", name, o, describe(ack))
		if err := p.AcceptAck(ack); err != nil {
			t.Errorf("%s: the firmware refuses the ACK: %v", name, err)
		}
	}
	golden(t, "acks.golden", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s -want +got (write it anew by -update)\n%s", path, diff)
	}
}

func TestReplyEchoesTheRelayAndTheClientIdentifier(t *testing.T) {
	agent, id := []byte{1, 4, 'e', 't', 'h', '7'}, []byte{1, 9, 9, 9}
	req := discover(t, "efi-x64", option(82, agent), option(61, id), func(d *dhcpv4.DHCPv4) { d.GatewayIPAddr = net.IP{10, 1, 0, 1} })
	c, _ := Classify(req)
	offer := Offer(req, c, strategy.Offer{Kind: strategy.ByTFTP, Program: strategy.AnyIPXE}, Endpoint{Addr: us, File: "x"})
	if got := offer.Options[82]; !bytes.Equal(got, agent) {
		t.Errorf("option 82 (RFC 3046 §2.2): got %x, want %x", got, agent)
	}
	if got := offer.Options[61]; !bytes.Equal(got, id) {
		t.Errorf("option 61 (RFC 6842 §3): got %x, want %x", got, id)
	}
	if got := offer.GatewayIPAddr.String(); got != "10.1.0.1" {
		t.Errorf("giaddr: got %s", got)
	}
}

func TestALongURLGoesToOption67(t *testing.T) {
	req := discover(t, "ipxe-x64")
	c, _ := Classify(req)
	for n, inField := range map[int]bool{fileField: true, fileField + 1: false} {
		url := "http://" + strings.Repeat("x", n-len("http://"))
		offer, err := dhcpv4.FromBytes(Offer(req, c, strategy.Offer{Kind: strategy.Script}, Endpoint{Addr: us, File: url}).ToBytes())
		if err != nil {
			t.Fatal(err)
		}
		if got := offer.BootFileName == url; got != inField {
			t.Errorf("URL of %d bytes in the file field: got %t, want %t", n, got, inField)
		}
		if got := string(offer.Options[67]) == url; got == inField {
			t.Errorf("URL of %d bytes in option 67: got %t, want %t", n, got, !inField)
		}
	}
}

func TestDestination(t *testing.T) {
	for _, tc := range []struct {
		name           string
		giaddr, ciaddr string
		want           string
		iface          int
	}{
		{"a machine without an address", "0.0.0.0", "0.0.0.0", "255.255.255.255:68", 3},
		{"a machine with one", "0.0.0.0", "192.0.2.50", "192.0.2.50:68", 3},
		{"a relay", "10.1.0.1", "0.0.0.0", "10.1.0.1:67", 0},
		{"a relay comes first", "10.1.0.1", "192.0.2.50", "10.1.0.1:67", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to, iface := destination(netip.MustParseAddr(tc.giaddr), netip.MustParseAddr(tc.ciaddr), 3)
			if to.String() != tc.want || iface != tc.iface {
				t.Errorf("got %s by interface %d, want %s by %d", to, iface, tc.want, tc.iface)
			}
		})
	}
}

// booter decides by MAC.
type booter map[string]boot.Verdict

func (b booter) Current() *boot.Snapshot {
	return &boot.Snapshot{Gen: 7, Booter: decider{b}, Loaders: map[boot.Firmware][]byte{
		boot.FirmwareX86PC: []byte("undionly"), boot.FirmwareEFI64: []byte("snponly"),
	}}
}

// server is one whose Conn is neither read nor written.
func server(t testing.TB, role Role, b booter) *Server {
	t.Helper()
	tokens, err := boot.NewTokenKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &Server{
		Role: role, Boots: &boots.Memory{Source: b}, Tokens: tokens, Interfaces: netio.NewInterfaces(), Settings: set(Settings{}),
		Conn: boundTo("0.0.0.0:67"), Chains: &Chains{}, Events: events.New(), Log: zap.NewNop(),
	}
}

// set is what Server.Settings returns always: x, with a port for the HTTP server.
func set(x Settings) func() *Settings {
	if x.Web.Port == 0 {
		x.Web.Port = 80
	}
	return func() *Settings { return &x }
}

// loopback is the index of an interface that every host has.
func loopback(t testing.TB) int {
	t.Helper()
	for _, i := range netio.NewInterfaces().All() {
		if a, ok := i.AddrFor(netip.Addr{}); ok && a.IsLoopback() {
			return i.Index
		}
	}
	t.Fatal("no loopback interface")
	return 0
}

var lab = booter{mac.String(): {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}, Rule: "lab"}}

func TestHandle(t *testing.T) {
	lo := loopback(t)
	for _, tc := range []struct {
		name string
		role Role
		b    booter
		req  *dhcpv4.DHCPv4
		set  func(*Server)
		want string // of the boot file, or of the error
	}{
		{"a DISCOVER is offered the loader", ProxyDHCP, lab, discover(t, "efi-x64"), nil, "TOKEN/ipxe.efi"},
		{"iPXE is offered its script", ProxyDHCP, lab, discover(t, "undionly"), nil, "http://127.0.0.1:80/_/ipxe?token=TOKEN"},
		{"HTTP Boot is offered a URL", ProxyDHCP, lab, discover(t, "http-x64"), nil, "http://127.0.0.1:80/TOKEN/ipxe.efi"},
		{"iPXE without HTTP is offered a loader by TFTP", ProxyDHCP, lab, discover(t, "ipxe-no-http"), nil, "tftp://127.0.0.1/TOKEN/undionly.kpxe"},
		{"an ignored machine gets nothing", ProxyDHCP, booter{}, discover(t, "efi-x64"), nil, errIgnored.Error()},
		{"a probe gets the loader", ProxyDHCP, booter{mac.String(): {Action: boot.Probe}}, discover(t, "bios"), nil, "TOKEN/undionly.kpxe"},
		{"local on a BIOS gets the loader", ProxyDHCP, booter{mac.String(): {Action: boot.Local}}, discover(t, "bios"), nil, "TOKEN/undionly.kpxe"},
		{"local on UEFI gets the menu", ProxyDHCP, booter{mac.String(): {Action: boot.Local}}, discover(t, "efi-x64"), nil, ""},
		{"a missing loader is said", ProxyDHCP, lab, discover(t, "efi-arm64"), nil, "no loader for efi-arm64: `pixiecore check` says where it was looked for and what mends it"},
		{"a REQUEST on port 67 is the ordinary server's", ProxyDHCP, lab, discover(t, "efi-x64", option(53, []byte{3})), nil, errType.Error()},
		{"a DISCOVER on port 4011", BootServer, lab, discover(t, "efi-x64"), nil, errType.Error()},
		{"a REQUEST on port 4011", BootServer, lab, discover(t, "efi-x64", option(53, []byte{3})), nil, "TOKEN/ipxe.efi"},
		{"an INFORM on port 4011", BootServer, lab, discover(t, "bios", option(53, []byte{8})), nil, "TOKEN/undionly.kpxe"},
		{"another interface", ProxyDHCP, lab, discover(t, "efi-x64"), func(s *Server) { s.Settings = set(Settings{Only: []string{"nonesuch"}}) }, errInterface.Error()},
		{"an address of another interface", ProxyDHCP, lab, discover(t, "efi-x64"), func(s *Server) { s.Settings = set(Settings{Address: us}) }, errInterface.Error()},
		{"an address of this one", ProxyDHCP, lab, discover(t, "undionly"), func(s *Server) { s.Settings = set(Settings{Address: netip.MustParseAddr("127.0.0.1")}) }, "http://127.0.0.1:80/_/ipxe?token=TOKEN"},
		{"an advertised address", ProxyDHCP, lab, discover(t, "undionly"), func(s *Server) { s.Settings = set(Settings{Advertise: us}) }, "http://192.0.2.1:80/_/ipxe?token=TOKEN"},
		{"an HTTP server elsewhere", ProxyDHCP, lab, discover(t, "undionly"), func(s *Server) { s.Settings = set(Settings{Web: bootfiles.Web{Addr: us, Port: 8080}}) }, "http://192.0.2.1:8080/_/ipxe?token=TOKEN"},
		{"an answer that is too large", ProxyDHCP, lab, discover(t, "efi-x64", option(82, bytes.Repeat([]byte{1}, 250)), option(61, bytes.Repeat([]byte{1}, 50)), option(57, []byte{2, 64})), nil, errTooLarge.Error() + ": 584 bytes of 548"},
		{"a client that takes it", ProxyDHCP, lab, discover(t, "efi-x64", option(82, bytes.Repeat([]byte{1}, 250)), option(61, bytes.Repeat([]byte{1}, 50)), option(57, []byte{5, 192})), nil, "TOKEN/ipxe.efi"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := server(t, tc.role, tc.b)
			if tc.set != nil {
				tc.set(s)
			}
			a, err := s.handle(t.Context(), netio.Datagram{Data: tc.req.ToBytes(), Interface: lo, Peer: netip.MustParseAddrPort("0.0.0.0:68")})
			got := a.file
			if err != nil {
				got = err.Error()
			} else if resp, err := dhcpv4.FromBytes(a.datagram.Data); err != nil {
				t.Error(err)
			} else if resp.ServerIPAddr.IsUnspecified() {
				t.Error("siaddr is zero: iPXE does not take that")
			}
			for _, word := range strings.FieldsFunc(got, func(r rune) bool { return strings.ContainsRune("/?=", r) }) {
				if token, err := s.Tokens.Open(word); err == nil {
					got = strings.Replace(got, word, "TOKEN", 1)
					if !bytes.Equal(token.MAC[:], mac) {
						t.Errorf("token: got %s, want %s", net.HardwareAddr(token.MAC[:]), mac)
					}
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// A request is answered or not by the way it came: Relays and Relayed are of
// port 67, since on port 4011 machines ask by unicast.
func TestRequestsAreAdmittedByTheWayTheyCame(t *testing.T) {
	const stranger = "10.9.0.1"
	named := []netip.Prefix{netip.MustParsePrefix("10.1.0.1/32"), netip.MustParsePrefix("127.0.0.0/16")}
	for _, tc := range []struct {
		name   string
		role   Role
		set    Settings
		giaddr string // empty: not relayed
		want   error
	}{
		{"unset, not relayed", ProxyDHCP, Settings{}, "", nil},
		{"unset, any relay", ProxyDHCP, Settings{}, "127.1.0.1", nil},
		{"a relay in a network that is named", ProxyDHCP, Settings{Relays: named}, "127.0.0.9", nil},
		{"a relay beside that network", ProxyDHCP, Settings{Relays: named}, "127.1.0.1", errRelay},
		{"a relay beside the address that is named", ProxyDHCP, Settings{Relays: named}, "10.1.0.2", errRelay},
		{"a relay that is not named", ProxyDHCP, Settings{Relays: named}, stranger, errRelay},
		{"relays are named, not relayed", ProxyDHCP, Settings{Relays: named}, "", nil},
		{"relayed only, not relayed", ProxyDHCP, Settings{Relayed: true}, "", errUnrelayed},
		{"relayed only, any relay", ProxyDHCP, Settings{Relayed: true}, "127.1.0.1", nil},
		{"relayed only, a relay that is named", ProxyDHCP, Settings{Relays: named, Relayed: true}, "127.0.0.9", nil},
		{"relayed only, a relay that is not named", ProxyDHCP, Settings{Relays: named, Relayed: true}, stranger, errRelay},
		{"the boot server answers all", BootServer, Settings{Relays: named, Relayed: true}, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := server(t, tc.role, lab)
			s.Settings = set(tc.set)
			typ := dhcpv4.MessageTypeDiscover
			if tc.role == BootServer {
				typ = dhcpv4.MessageTypeRequest
			}
			req := discover(t, "efi-x64", option(53, []byte{byte(typ)}))
			if tc.giaddr != "" {
				req.GatewayIPAddr = net.ParseIP(tc.giaddr)
			}
			a, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("127.0.0.9:67")})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err != nil && len(s.Events.Machines()) != 0 {
				t.Error("what is refused is remembered")
			}
			if err == nil && tc.giaddr != "" && a.datagram.Peer.String() != tc.giaddr+":67" {
				t.Errorf("the answer goes to %s, want the relay", a.datagram.Peer)
			}
		})
	}
}

func TestABootServersAnswerGoesToWhoAsked(t *testing.T) {
	s := server(t, BootServer, lab)
	from := netip.MustParseAddrPort("127.0.0.9:2070")
	req := discover(t, "efi-x64", option(53, []byte{3}), func(d *dhcpv4.DHCPv4) { d.ClientIPAddr = from.Addr().AsSlice() })
	a, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: from, Local: netip.MustParseAddr("127.0.0.1")})
	if err != nil || a.datagram.Peer != from {
		t.Errorf("got %s, %v; want %s", a.datagram.Peer, err, from)
	}
}

func TestGateRefusesWhatIsNoRequest(t *testing.T) {
	good := discover(t, "bios").ToBytes()
	for name, spoil := range map[string]func([]byte) []byte{
		"short":          func(b []byte) []byte { return b[:bootpFixed-1] },
		"empty":          func(b []byte) []byte { return nil },
		"a reply":        func(b []byte) []byte { b[0] = 2; return b },
		"no Ethernet":    func(b []byte) []byte { b[2] = 16; return b },
		"BOOTP, no DHCP": func(b []byte) []byte { b[239] = 0; return b },
	} {
		if gate(spoil(bytes.Clone(good))) {
			t.Errorf("%s: passed", name)
		}
	}
	if !gate(good) {
		t.Error("a DISCOVER was refused")
	}
}

func TestALoaderThatCannotLoadByHTTPIsGivenOnce(t *testing.T) {
	var c Chains
	other := [6]byte{1}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		xid   byte
		want  bool
		why   string
	}{
		{0, 1, true, "first"},
		{4 * time.Second, 1, true, "a retransmission"},
		{5 * time.Second, 2, false, "back at once as the same loader"},
		{chainGrace, 1, false, "a transaction that is too old"},
		{ChainEvery - 1, 3, false, "still"},
		{ChainEvery, 4, true, "another boot"},
		{ChainEvery + chainGrace, 5, false, "and again once only"},
	} {
		if got := c.Allow([6]byte(mac), [4]byte{step.xid}, at.Add(step.after)); got != step.want {
			t.Errorf("after %s (%s): got %t, want %t", step.after, step.why, got, step.want)
		}
	}
	if !c.Allow(other, xid, at.Add(chainGrace)) {
		t.Error("another machine is not concerned")
	}
	c.Worked([6]byte(mac))
	if !c.Allow([6]byte(mac), xid, at.Add(ChainEvery+2*chainGrace)) {
		t.Error("a loader that came as far as HTTP is refused after a restart")
	}
}

// An iPXE that no loader here can help is told so, in words that it can fetch.
func TestAnIPXEThatComesBackTheSameIsShownWhy(t *testing.T) {
	s := server(t, ProxyDHCP, lab)
	want := []string{"loader", "screen", "screen"}
	for i, want := range want {
		req := discover(t, "ipxe-no-http", func(d *dhcpv4.DHCPv4) { d.TransactionID = [4]byte{byte(i)} })
		a, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		if err != nil || a.offering.String() != want {
			t.Fatalf("%d: got %s, %v; want %s", i, a.offering, err, want)
		}
		s.record(&a, time.Now())
		offer, err := dhcpv4.FromBytes(a.datagram.Data)
		if err != nil || profile(t, "ipxe-no-http").Accept(offer) != nil {
			t.Errorf("%d: iPXE does not take %v (%v)", i, offer, err)
		}
	}
	if got := lastFailure(s); got != bootfiles.NoHTTP {
		t.Errorf("the events say %q", got)
	}
}

// lastFailure is what the machine's last failure is.
func lastFailure(s *Server) (detail string) {
	for _, m := range s.Events.Machines() {
		for _, e := range m.Events() {
			if e.Kind == events.Failed {
				detail = e.Detail
			}
		}
	}
	return detail
}

func TestMachinesRememberedAreBounded(t *testing.T) {
	var c Chains
	at := time.Now()
	for i := range 3 * maxChains {
		c.Allow([6]byte{2, byte(i >> 16), byte(i >> 8), byte(i)}, xid, at)
	}
	if len(c.since) > maxChains {
		t.Errorf("got %d, want at most %d", len(c.since), maxChains)
	}
}

// addressIn is the address in the answer to any bytes.
func addressIn(t *testing.T, s *Server, packet []byte) (net.IP, answer, error) {
	a, err := s.handle(t.Context(), netio.Datagram{Data: packet, Interface: loopback(t), Peer: netip.MustParseAddrPort("127.0.0.1:68")})
	if err == nil && a.later != nil {
		a, err = a.later(t.Context())
	}
	if err != nil || a.datagram.Data == nil {
		return net.IPv4zero, a, err
	}
	resp, err := dhcpv4.FromBytes(a.datagram.Data)
	if err != nil {
		t.Fatalf("answer does not parse: %v", err)
	}
	return resp.YourIPAddr, a, nil
}

func FuzzAnswer(f *testing.F) {
	for _, p := range overIPv4() {
		f.Add(p.Discover(mac, xid, uuid).ToBytes(), false)
		f.Add(p.Discover(mac, xid, uuid).ToBytes(), true)
	}
	f.Add(discover(f, "efi-x64", option(82, []byte{1, 1, 1}), option(61, []byte{1, 2})).ToBytes(), false)
	f.Add(discover(f, "efi-x64", giaddr("127.9.0.1"), option(82, []byte("\x01\x03a\x1bb\x02\x02\x00\x06\x05\x04\x7f\x09\x00\x00")), option(77, []byte("\x02a\x07\x01b"))).ToBytes(), false)
	lo := loopback(f)
	all := booter{"*": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}}}
	for _, kind := range []byte{1, 3, 4, 7, 8} {
		f.Add(from(f, named, dhcpv4.MessageType(kind), asking(reserved), to(here)).ToBytes(), false)
		f.Add(from(f, stranger, dhcpv4.MessageType(kind), ciaddr(poolAt.String()), option(61, []byte("\xffx"))).ToBytes(), false)
	}
	servers := map[bool]*Server{false: server(f, ProxyDHCP, all), true: server(f, BootServer, all)}
	leasing := leaser(f, addresses(f, 50), all)
	f.Fuzz(func(t *testing.T, packet []byte, bootServer bool) {
		if resp, a, err := addressIn(t, leasing, packet); err != nil {
			leasing.logUnanswered(netip.AddrPort{}, &a, err)
		} else if addr, _ := netip.AddrFromSlice(resp.To4()); !addr.IsUnspecified() && addr != reserved && !leasing.Settings().Addresses.Pool.Contains(addr) {
			t.Errorf("leased %v, which is not there to be leased", addr)
		}
		s := servers[bootServer]
		d := netio.Datagram{Data: packet, Interface: lo, Peer: netip.MustParseAddrPort("127.0.0.1:68"), Local: netip.MustParseAddr("127.0.0.1")}
		a, err := s.handle(t.Context(), d)
		if err != nil {
			s.logUnanswered(d.Peer, &a, err)
			return
		}
		s.record(&a, time.Now())
		heard := a.client.Machine.Facts
		for _, text := range []string{heard.UUID, heard.VendorClass, heard.UserClass, heard.CircuitID, heard.RemoteID} {
			if text != boots.Text(text) {
				t.Errorf("a fact that is not fit to be shown: %q", text)
			}
		}
		req, err := dhcpv4.FromBytes(packet)
		if err != nil {
			t.Fatalf("answered what does not parse: %v", err)
		}
		resp, err := dhcpv4.FromBytes(a.datagram.Data)
		if err != nil {
			t.Fatalf("answer does not parse: %v", err)
		}
		if len(a.datagram.Data) > replyLimit(req) {
			t.Errorf("answer of %d bytes, client takes %d", len(a.datagram.Data), replyLimit(req))
		}
		if resp.TransactionID != req.TransactionID || !bytes.Equal(resp.ClientHWAddr, req.ClientHWAddr) || resp.OpCode != dhcpv4.OpcodeBootReply {
			t.Errorf("answer to somebody else: %s", resp)
		}
		if v := resp.Options[43]; v != nil && v[len(v)-1] != 255 {
			t.Errorf("option 43 has no end: %x", v)
		}
		if len(resp.Options[54]) != 4 || resp.ServerIPAddr.IsUnspecified() {
			t.Errorf("answer names no server: %s", describe(resp))
		}
	})
}

func BenchmarkClassifyAndOffer(b *testing.B) {
	s := server(b, ProxyDHCP, booter{"*": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}}})
	for _, name := range []string{"efi-x64", "undionly"} {
		d := netio.Datagram{Data: discover(b, name).ToBytes(), Interface: loopback(b), Peer: netip.MustParseAddrPort("0.0.0.0:68")}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.handle(b.Context(), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
