package dhcp6

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

const (
	// maxHops is how many relays a request may have come by (RFC 8415 §7.6,
	// HOP_COUNT_LIMIT).
	maxHops = 8
	// maxDUID is the length of a DUID in bytes (RFC 8415 §11.1: 128 and the type).
	maxDUID = 130
	// maxIAs is how many identity associations of a request are looked at.
	maxIAs = 8
	// pxeEnterprise is the enterprise number that UEFI and iPXE give their vendor
	// class (UEFI 2.10 §24.7.3.1: Intel's).
	pxeEnterprise = 343
)

// A Client is what a request says of the machine that sent it.
type Client struct {
	// Machine has no MAC where none is told.
	Machine boot.Machine
	Type    boot.ArchType
	Stage   strategy.Stage
	Chained bool   // its user class says that it was started by us
	DUID    string // as on the wire; empty in an INFORMATION-REQUEST that has none
}

// A request is a message of a client and the way that it came.
type request struct {
	*dhcpv6.Message
	relays []*dhcpv6.RelayMessage // from the server to the client
}

// Reasons for no answer.
var (
	errMalformed   = errors.New("not a DHCPv6 request")
	errUnknownType = errors.New("unknown client architecture type")
	errHops        = fmt.Errorf("came by more than %d relays", maxHops)
)

// Whose is the machine that a message of DHCPv6 is from, or for, with peer at the
// other end; false where it does not say.
func Whose(data []byte, peer netip.Addr) (mac [6]byte, ok bool) {
	r, err := open(data)
	if err != nil {
		return mac, false
	}
	c, err := classify(r, peer)
	if len(c.Machine.MAC) != 6 || err != nil && !errors.Is(err, errUnknownType) {
		return mac, false
	}
	return [6]byte(c.Machine.MAC), true
}

// open parses a datagram, and takes it out of its relays' messages.
func open(data []byte) (request, error) {
	packet, err := dhcpv6.FromBytes(data)
	if err != nil {
		return request{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	var r request
	for packet.IsRelay() {
		relay, ok := packet.(*dhcpv6.RelayMessage)
		if !ok || relay.MessageType != dhcpv6.MessageTypeRelayForward {
			return request{}, fmt.Errorf("%w: a relay's message of another type than RELAY-FORW", errMalformed)
		}
		if len(r.relays) == maxHops {
			return request{}, errHops
		}
		r.relays = append(r.relays, relay)
		if packet = relay.Options.RelayMessage(); packet == nil {
			return request{}, fmt.Errorf("%w: a relay's message with nothing in it", errMalformed)
		}
	}
	message, ok := packet.(*dhcpv6.Message)
	if !ok {
		return request{}, errMalformed
	}
	r.Message = message
	return r, nil
}

// close puts an answer into the messages for the relays (RFC 8415 §19.3): each gets
// back its own options by which it knows where to send on.
func (r request) close(answer *dhcpv6.Message) []byte {
	var out dhcpv6.DHCPv6 = answer
	for _, relay := range slices.Backward(r.relays) {
		reply := &dhcpv6.RelayMessage{
			MessageType: dhcpv6.MessageTypeRelayReply, HopCount: relay.HopCount, LinkAddr: relay.LinkAddr, PeerAddr: relay.PeerAddr,
		}
		for _, code := range []dhcpv6.OptionCode{dhcpv6.OptionInterfaceID, dhcpv6.OptionRelayPort} {
			if o := relay.GetOneOption(code); o != nil {
				reply.AddOption(o)
			}
		}
		reply.AddOption(dhcpv6.OptRelayMessage(out))
		out = reply
	}
	return out.ToBytes()
}

// classify says who sent a request that came from peer, and what it tells of the
// machine.
func classify(r request, peer netip.Addr) (Client, error) {
	c := Client{Stage: strategy.Other}
	if id := r.GetOneOption(dhcpv6.OptionClientID); id != nil {
		raw := id.ToBytes()
		if len(raw) < 3 || len(raw) > maxDUID {
			return c, fmt.Errorf("%w: a client identifier of %d bytes", errMalformed, len(raw))
		}
		c.DUID = string(raw)
	}
	if len(r.relays) > 0 {
		// The relay that is nearest to the client says where that sent from.
		peer, _ = netip.AddrFromSlice(r.relays[len(r.relays)-1].PeerAddr)
	}
	c.Machine.MAC = r.mac(peer)
	c.Machine.Facts = r.facts()
	types := r.Options.ArchTypes()
	if len(types) == 0 {
		return c, nil
	}
	// Option 61 is a list; the first type is the one that the client runs as.
	c.Type = boot.ArchType(types[0])
	p, ok := c.Type.Platform()
	if !ok {
		return c, fmt.Errorf("%w %d", errUnknownType, c.Type)
	}
	c.Machine.Arch, c.Machine.Firmware = p.Arch, p.Firmware
	classes := r.Options.UserClasses()
	says := func(word string) bool {
		return slices.ContainsFunc(classes, func(class []byte) bool { return string(class) == word })
	}
	http := p.HTTP || strings.HasPrefix(c.Machine.Facts.VendorClass, "HTTPClient")
	switch {
	case says("pixiecore"):
		c.Stage, c.Chained = strategy.IPXE, true
	case says("iPXE"):
		c.Stage = strategy.IPXE
	case http:
		c.Stage = strategy.HTTPBoot
	default:
		c.Stage = strategy.ROM
	}
	f := c.Machine.Facts
	f.Known |= boot.FactTransport | boot.FactIPXE
	f.IPXE = c.Stage == strategy.IPXE
	f.Transport = boot.TransportPXE
	if http {
		f.Transport = boot.TransportHTTP
	}
	return c, nil
}

// program is which of its boot's programs the client is.
func (c Client) program() boots.Program {
	switch {
	case c.Chained:
		return boots.Chained
	case c.Stage == strategy.IPXE:
		return boots.IPXE
	default:
		return boots.Firmware
	}
}

// asks is what a SOLICIT of the client is as a step of its boot.
func (c Client) asks() events.Kind {
	if c.program() == boots.Firmware {
		return events.Asked
	}
	return events.IPXE
}

// offered says what the client is told to load, as the step of an IPv4 boot says it.
func (c Client) offered() string {
	switch c.Stage {
	case strategy.IPXE:
		return "script"
	case strategy.HTTPBoot:
		return "loader by HTTP"
	default:
		return "loader"
	}
}

// mac is the Ethernet address of a client that sent from peer; nil where nothing
// tells it.
func (r request) mac(peer netip.Addr) net.HardwareAddr {
	usable := func(mac net.HardwareAddr) bool {
		return len(mac) == 6 && mac[0]&1 == 0 && !bytes.Equal(mac, make([]byte, 6))
	}
	for _, relay := range slices.Backward(r.relays) {
		// RFC 6939: the relay that has seen the client's frame.
		if hw, mac := relay.Options.ClientLinkLayerAddress(); hw == iana.HWTypeEthernet && usable(mac) {
			return bytes.Clone(mac)
		}
	}
	switch id := r.Options.ClientID().(type) {
	case *dhcpv6.DUIDLLT:
		if id.HWType == iana.HWTypeEthernet && usable(id.LinkLayerAddr) {
			return bytes.Clone(id.LinkLayerAddr)
		}
	case *dhcpv6.DUIDLL:
		if id.HWType == iana.HWTypeEthernet && usable(id.LinkLayerAddr) {
			return bytes.Clone(id.LinkLayerAddr)
		}
	}
	if a := peer.As16(); peer.Is6() && peer.IsLinkLocalUnicast() && a[11] == 0xff && a[12] == 0xfe {
		// RFC 4291, appendix A: the universal/local bit is inverted.
		if mac := (net.HardwareAddr{a[8] ^ 2, a[9], a[10], a[13], a[14], a[15]}); usable(mac) {
			return mac
		}
	}
	return nil
}

// facts is what the request itself tells, whatever way it came.
func (r request) facts() *boot.Facts {
	f := &boot.Facts{Known: boot.FactRelay | boot.FactVendorClass | boot.FactUserClass | boot.FactCircuitID | boot.FactRemoteID}
	for _, class := range r.Options.VendorClasses() {
		if len(class.Data) > 0 {
			f.VendorClass = boots.Text(string(class.Data[0]))
			break
		}
	}
	var classes []string
	for _, class := range r.Options.UserClasses() {
		classes = append(classes, string(class))
	}
	f.UserClass = boots.Text(strings.Join(classes, ","))
	for _, relay := range r.relays { // the last one is the nearest to the client
		// RFC 8415 §19.1.1: a link-address that is unspecified or link-local names
		// no link.
		if a, ok := netip.AddrFromSlice(relay.LinkAddr); ok && a.IsGlobalUnicast() {
			f.Relay = a
			f.Known |= boot.FactSubnets
			f.Subnets = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		}
		if id := relay.Options.InterfaceID(); len(id) > 0 {
			f.CircuitID = agentText(id)
		}
		if id := relay.Options.RemoteID(); id != nil {
			f.RemoteID = agentText(id.RemoteID)
		}
	}
	return f
}

// agentText writes an ID that a relay made up: text, or in hexadecimal what does
// not print.
func agentText(raw []byte) string {
	if text := strings.TrimRight(string(raw), "\x00"); boots.Text(text) == text {
		return text
	}
	const most = (boots.MaxText - len("0x")) / 2
	return "0x" + hex.EncodeToString(raw[:min(len(raw), most)])
}

// arrived adds what the way of the request tells. f must not be shared yet.
func arrived(f *boot.Facts, listener netip.AddrPort, iface netio.Interface) {
	f.Known |= boot.FactListener
	f.Listener = listener.String()
	if iface.Name == "" {
		return
	}
	f.Known |= boot.FactInterface
	f.Interface = iface.Name
	if f.Known&boot.FactSubnets == 0 {
		f.Known |= boot.FactSubnets
		f.Subnets = iface.Prefixes
	}
}
