package dhcp4

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// Suboptions of option 82.
const (
	agentCircuitID     = 1 // RFC 3046 §3.1
	agentRemoteID      = 2 // RFC 3046 §3.2
	agentLinkSelection = 5 // RFC 3527 §3
)

// said is what the request itself tells, whatever way it came. transport is the
// one of the firmware.
func said(req *dhcpv4.DHCPv4, stage strategy.Stage, transport string) *boot.Facts {
	f := &boot.Facts{
		Known:       boot.FactTransport | boot.FactIPXE | boot.FactRelay | boot.FactVendorClass | boot.FactUserClass | boot.FactCircuitID | boot.FactRemoteID,
		Transport:   transport,
		IPXE:        stage == strategy.IPXE || stage == strategy.IPXEWithoutHTTP,
		VendorClass: boots.Text(string(req.Options.Get(dhcpv4.OptionClassIdentifier))),
		UserClass:   userClass(req.Options.Get(dhcpv4.OptionUserClassInformation)),
	}
	if id := req.Options.Get(optionUUID); len(id) == uuidLen {
		if u := [16]byte(id[1:]); hasUUID(u) {
			f.Known |= boot.FactUUID
			f.UUID = boot.FormatUUID(uuidOf(u))
		}
	}
	if relay, ok := relayOf(req); ok {
		f.Relay = relay
		f.Known |= boot.FactSubnets
		f.Subnets = []netip.Prefix{netip.PrefixFrom(relay, relay.BitLen())}
	}
	for code, value := range suboptions(req.Options.Get(dhcpv4.OptionRelayAgentInformation)) {
		switch code {
		case agentCircuitID:
			f.CircuitID = agentText(value)
		case agentRemoteID:
			f.RemoteID = agentText(value)
		case agentLinkSelection:
			if link, ok := netip.AddrFromSlice(value); ok && link.Is4() {
				f.Known |= boot.FactSubnets
				f.Subnets = []netip.Prefix{netip.PrefixFrom(link, link.BitLen())}
			}
		}
	}
	return f
}

// hasUUID reports whether what option 97 has is a UUID: zeros or ones are what a board
// without one sends (SMBIOS 3.7 §7.2.1).
func hasUUID(u [16]byte) bool {
	ones := [16]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	return u != [16]byte{} && u != ones
}

// uuidOf turns option 97 into the order in which people write it. RFC 4578 §2.3
// takes the UUID from EFI and SMBIOS, whose first three fields are
// little-endian; ROMs, EDK2 and iPXE send them like that.
func uuidOf(wire [16]byte) [16]byte {
	u := wire
	slices.Reverse(u[0:4])
	slices.Reverse(u[4:6])
	slices.Reverse(u[6:8])
	return u
}

// suboptions yields code and value of each suboption in raw (RFC 3046 §2.0), as
// far as it is well formed.
func suboptions(raw []byte) func(yield func(byte, []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for len(raw) >= 2 {
			n := int(raw[1])
			if len(raw) < 2+n || !yield(raw[0], raw[2:2+n]) {
				return
			}
			raw = raw[2+n:]
		}
	}
}

// agentText writes an ID that a relay made up. Some write text and some
// numbers; what does not print is shown in hexadecimal.
func agentText(raw []byte) string {
	text := strings.TrimRight(string(raw), "\x00")
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return boots.Text(text)
	}
	const most = (boots.MaxText - len("0x")) / 2
	return "0x" + hex.EncodeToString(raw[:min(len(raw), most)])
}

// userClass writes option 77: plain text from iPXE, and from others the list of
// RFC 3004 §4, which is joined by commas.
func userClass(raw []byte) string {
	var classes []string
	for rest := raw; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 || len(rest) < 1+n {
			return boots.Text(string(raw)) // no such list
		}
		classes = append(classes, string(rest[1:1+n]))
		rest = rest[1+n:]
	}
	return boots.Text(strings.Join(classes, ","))
}

// arrived adds what the way of the request tells: where it came in, and, unless
// a relay said it, the subnet. f must not be shared yet.
//
// A relay is not seen on the boot server's port, which the machine asks by
// unicast (PXE 2.1 §2.2.4): there, a machine of this link says what can be known
// of its link, and nothing more is known of any other.
func arrived(f *boot.Facts, role Role, listener string, iface netio.Interface, peer netip.Addr) {
	if role == BootServer {
		f.Known &^= boot.FactRelay | boot.FactCircuitID | boot.FactRemoteID | boot.FactSubnets
		if !slices.ContainsFunc(iface.Prefixes, func(p netip.Prefix) bool { return p.Contains(peer) }) {
			return
		}
		f.Known |= boot.FactRelay
	} else {
		f.Known |= boot.FactListener
		f.Listener = listener
	}
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
