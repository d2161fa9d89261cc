package dhcp4

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// An Endpoint is what a machine is told of this server.
type Endpoint struct {
	Addr netip.Addr // this server: option 54 and, unless TFTP is set, siaddr
	TFTP netip.Addr // where the file is fetched by TFTP; the zero Addr: at Addr
	File string     // a name for TFTP, or a URL
}

// Suboptions of option 43 within PXEClient (PXE 2.1 §2.3.1; RFC 2132 §8.4).
const (
	pxeDiscoveryControl = 6
	pxeBootMenu         = 9
	pxeMenuPrompt       = 10
	pxeEnd              = 255

	// controlUseFile makes the client fetch the boot file of this very reply
	// instead of discovering boot servers (bit 3).
	controlUseFile = 8
	// controlNoDiscovery forbids broadcast and multicast discovery (bits 0, 1).
	controlNoDiscovery = 3
)

var (
	pxeUseFile = []byte{pxeDiscoveryControl, 1, controlUseFile, pxeEnd}
	// A menu of one entry of type 0 (local boot), chosen at once by a prompt
	// that waits 0 seconds.
	pxeLocalMenu = func() []byte {
		const text = "Local disk"
		b := []byte{pxeDiscoveryControl, 1, controlNoDiscovery}
		b = append(b, pxeBootMenu, 3+byte(len(text)), 0, 0, byte(len(text)))
		b = append(b, text...)
		b = append(b, pxeMenuPrompt, 1+byte(len(text)), 0)
		b = append(b, text...)
		return append(b, pxeEnd)
	}()
)

// pxeRaspberryPi is the menu without which a Raspberry Pi takes no offer: it looks
// for an entry of that text (PXE_OPTION43 of its bootloader configuration).
var pxeRaspberryPi = func() []byte {
	const text = "Raspberry Pi Boot"
	b := []byte{pxeDiscoveryControl, 1, controlNoDiscovery, pxeMenuPrompt, 4, 0, 'P', 'X', 'E', pxeBootMenu, 3 + byte(len(text)), 0, 0, byte(len(text))}
	return append(append(b, text...), pxeEnd)
}()

// Suboptions of StyleBootServers (PXE 2.1 §2.3.1).
const (
	pxeBootServers = 8
	pxeBootItem    = 71
	// controlListed makes the client ask only the servers that are listed (bit 2).
	controlListed = 4
	// bootServerType is one that vendors may give a meaning.
	bootServerType = 0x8000
	bootServerName = "pixiecore"
)

// pxeOptions are option 43 of each style whose value hangs on nothing else; nil: there
// is none.
var pxeOptions = map[boot.Style][]byte{
	boot.StyleBypass:       pxeUseFile,
	boot.StyleBypassPrompt: {pxeDiscoveryControl, 1, controlUseFile, pxeMenuPrompt, 4, 0, 'P', 'X', 'E', pxeEnd},
}

// pxeServers is option 43 of StyleBootServers: this server alone, and a menu whose only
// item is chosen at once.
func pxeServers(server netip.Addr) []byte {
	typ := []byte{bootServerType >> 8, bootServerType & 0xff}
	b := []byte{pxeDiscoveryControl, 1, controlNoDiscovery | controlListed}
	b = append(append(append(b, pxeBootServers, 7), typ...), 1)
	b = append(b, server.AsSlice()...)
	b = append(append(append(b, pxeBootMenu, 3+byte(len(bootServerName))), typ...), byte(len(bootServerName)))
	b = append(b, bootServerName...)
	b = append(b, pxeMenuPrompt, 1+byte(len(bootServerName)), 0)
	b = append(b, bootServerName...)
	return append(b, pxeEnd)
}

// pxeItem is option 43 of the boot server's answer: the item of the menu, layer 0.
var pxeItem = []byte{pxeBootItem, 4, bootServerType >> 8, bootServerType & 0xff, 0, 0, pxeEnd}

// styleOf is the style of an offer, where auto is the usual one.
func styleOf(o strategy.Offer, c Client) boot.Style {
	switch {
	case o.Style != boot.StyleAuto:
		return o.Style
	case o.Kind == strategy.Script || o.Kind == strategy.Screen || !c.Machine.Firmware.UEFI():
		return boot.StyleBypass
	default:
		return boot.StyleBINL
	}
}

// fileField is what the BOOTP file field holds, less its closing zero.
const fileField = 127

// Offer answers a DISCOVER: a DHCPOFFER that holds boot information and no
// address (PXE 2.1 §2.2.3).
func Offer(req *dhcpv4.DHCPv4, c Client, o strategy.Offer, e Endpoint) *dhcpv4.DHCPv4 {
	return reply(dhcpv4.MessageTypeOffer, req, c, o, e)
}

// Ack answers a REQUEST or an INFORM on the boot server's port: a DHCPACK with
// the boot file's name (PXE 2.1 §2.2.4).
func Ack(req *dhcpv4.DHCPv4, c Client, o strategy.Offer, e Endpoint) *dhcpv4.DHCPv4 {
	servers := o.Style == boot.StyleBootServers
	if servers {
		o.Style = boot.StyleBINL // the file is that of this packet
	}
	r := reply(dhcpv4.MessageTypeAck, req, c, o, e)
	if servers {
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeItem))
	}
	return r
}

func reply(t dhcpv4.MessageType, req *dhcpv4.DHCPv4, c Client, o strategy.Offer, e Endpoint) *dhcpv4.DHCPv4 {
	next := e.TFTP
	if !next.IsValid() {
		next = e.Addr
	}
	siaddr := next.As4()
	r := respond(t, req, e.Addr)
	r.ServerIPAddr = siaddr[:] // iPXE does not take a proxy's reply without it
	if c.UUID != nil {
		r.UpdateOption(dhcpv4.OptGeneric(optionUUID, c.UUID))
	}

	class := "PXEClient"
	switch o.Kind {
	case strategy.RaspberryPi:
		// Its bootloader asks by TFTP for names of its own choice, of siaddr, or of
		// option 66 where a model reads that.
		r.UpdateOption(dhcpv4.OptTFTPServerName(next.String()))
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeRaspberryPi))
	case strategy.Extlinux:
		r.ServerHostName, r.BootFileName = next.String(), e.File // U-Boot reads no more than these
	case strategy.ByHTTP, strategy.ExtlinuxByHTTP:
		// UEFI HTTP Boot takes a proxy's offer only with its own class and the
		// URL (UEFI 2.10 §24.7.3.1); it reads option 67 first.
		class = "HTTPClient"
		r.UpdateOption(dhcpv4.OptBootFileName(e.File))
	case strategy.LocalMenu:
		r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeLocalMenu))
	default:
		style := styleOf(o, c)
		if style == boot.StyleBootServers {
			r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeServers(e.Addr)))
			break // a file would be taken in place of the menu
		}
		if v := pxeOptions[style]; v != nil {
			r.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, v))
		}
		r.ServerHostName = next.String()
		if len(e.File) <= fileField {
			r.BootFileName = e.File
		} else {
			r.UpdateOption(dhcpv4.OptBootFileName(e.File))
		}
	}
	r.UpdateOption(dhcpv4.OptClassIdentifier(class))
	return r
}

// respond is what all replies have.
func respond(t dhcpv4.MessageType, req *dhcpv4.DHCPv4, server netip.Addr) *dhcpv4.DHCPv4 {
	r := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        req.HWType,
		TransactionID: req.TransactionID,
		Flags:         req.Flags,
		ClientIPAddr:  req.ClientIPAddr, // RFC 2131 table 3: ciaddr as in a DHCPREQUEST, 0 as in a DISCOVER
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: req.GatewayIPAddr,
		ClientHWAddr:  req.ClientHWAddr,
		Options:       dhcpv4.Options{},
	}
	r.UpdateOption(dhcpv4.OptMessageType(t))
	r.UpdateOption(dhcpv4.OptServerIdentifier(server.AsSlice()))
	// RFC 3046 §2.2: the relay's information goes back unchanged. RFC 6842 §3:
	// so does the client identifier.
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		if v := req.Options.Get(code); v != nil {
			r.UpdateOption(dhcpv4.OptGeneric(code, bytes.Clone(v)))
		}
	}
	return r
}

// Ports of RFC 2131 §4.1.
const (
	serverPort = 67
	clientPort = 68
)

// relayOf is the relay that req came by. RFC 2131 §4.1: it writes its address
// into giaddr, which is zero on the machine's own link.
func relayOf(req *dhcpv4.DHCPv4) (netip.Addr, bool) {
	relay, ok := netip.AddrFromSlice(req.GatewayIPAddr.To4())
	return relay, ok && !relay.IsUnspecified()
}

// destination addresses a reply on port 67 (RFC 2131 §4.1): to the relay, to
// the client's own address where it has one, else to everybody on the
// interface that the request came in by. A client without an address could
// also be reached by its hardware address, but not through a UDP socket.
func destination(relay, client netip.Addr, iface int) (to netip.AddrPort, by int) {
	if !relay.IsUnspecified() {
		return netip.AddrPortFrom(relay, serverPort), 0 // by the kernel's routes
	}
	if !client.IsUnspecified() {
		return netip.AddrPortFrom(client, clientPort), iface
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort), iface
}
