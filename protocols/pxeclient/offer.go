package pxeclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// pxe is the part of option 43 that says how to find the boot server (PXE 2.1
// §2.3).
type pxe struct {
	control byte // PXE_DISCOVERY_CONTROL
	servers []bootServer
	menu    []menuItem
	present bool // option 43 is there and has any suboption of these
}

type bootServer struct {
	kind  uint16
	addrs []netip.Addr
}

type menuItem struct{ kind uint16 }

// bypass reports whether the client is to take the boot file name of the
// packet itself and to discover no boot server.
func (v pxe) bypass() bool { return v.control&8 != 0 }

var errShort43 = errors.New("option 43 is cut short")

// parsePXE reads option 43. A packet without one yields the zero pxe.
func parsePXE(d *dhcpv4.DHCPv4) (v pxe, err error) {
	b := d.Options[43]
	for len(b) > 0 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return pxe{}, errShort43
		}
		tag, value := b[0], b[2:2+int(b[1])]
		b = b[2+int(b[1]):]
		switch tag {
		case 6:
			if len(value) != 1 {
				return pxe{}, fmt.Errorf("option 43.6 has %d bytes, not 1", len(value))
			}
			v.control, v.present = value[0], true
		case 8: // type, count, addresses
			for len(value) > 0 {
				if len(value) < 3 || len(value) < 3+4*int(value[2]) {
					return pxe{}, fmt.Errorf("option 43.8: %w", errShort43)
				}
				s := bootServer{kind: binary.BigEndian.Uint16(value)}
				n := int(value[2])
				for i := range n {
					s.addrs = append(s.addrs, netip.AddrFrom4([4]byte(value[3+4*i:])))
				}
				v.servers = append(v.servers, s)
				value = value[3+4*n:]
			}
			v.present = true
		case 9: // type, length, description
			for len(value) > 0 {
				if len(value) < 3 || len(value) < 3+int(value[2]) {
					return pxe{}, fmt.Errorf("option 43.9: %w", errShort43)
				}
				v.menu = append(v.menu, menuItem{binary.BigEndian.Uint16(value)})
				value = value[3+int(value[2]):]
			}
			v.present = true
		}
	}
	return v, nil
}

// bootServer is who is to be asked on port 4011 about an offer.
func (v pxe) bootServer(offer *dhcpv4.DHCPv4) (netip.Addr, error) {
	if v.bypass() || len(v.menu) == 0 {
		if a := server(offer); a.IsValid() {
			return a, nil
		}
		return netip.Addr{}, errNoServer
	}
	kind := v.menu[0].kind
	if kind == 0 {
		return netip.Addr{}, errLocalDisk
	}
	for _, s := range v.servers {
		if s.kind == kind && len(s.addrs) > 0 {
			return s.addrs[0], nil
		}
	}
	return netip.Addr{}, fmt.Errorf("option 43.9 offers boot server type %d, for which option 43.8 has no address", kind)
}

// What firmware says of an answer that it does not take.
var (
	errOrdinary = errors.New("an ordinary machine does not boot from the network")
	errNotOffer = errors.New("not a DHCPOFFER")
	errNotAck   = errors.New("not a DHCPACK")
	errNoFile   = errors.New("no boot file name")
	errNoServer = errors.New("neither siaddr nor option 54 names a server")
	errSiaddr   = errors.New("siaddr is zero: iPXE asks port 4011 instead, and gives up")
	errNotPXE   = errors.New(`option 60 is not "PXEClient"`)
	// errLocalDisk is no refusal: the firmware does as it is told.
	errLocalDisk = errors.New("the menu's first item, type 0, is the local disk")
	errNotHTTP   = errors.New(`option 60 is not "HTTPClient"`)
)

// Accept says whether this firmware boots by the offer, or else why not.
// Offers of ordinary DHCP servers that hold no boot information are refused
// like others; see the package documentation about addresses.
func (p Profile) Accept(offer *dhcpv4.DHCPv4) error {
	if offer.OpCode != dhcpv4.OpcodeBootReply || offer.MessageType() != dhcpv4.MessageTypeOffer {
		return errNotOffer
	}
	switch p.family {
	case bios:
		v, err := parsePXE(offer)
		switch {
		case err != nil:
			return err
		case !isClass(offer, "PXEClient"):
			return errNotPXE
		case v.bypass() && offer.BootFileName == "":
			// Old ROMs know no option 67.
			return fmt.Errorf("option 43.6 says to use this packet's boot file, but: %w in the file field", errNoFile)
		}
		_, err = v.bootServer(offer)
		return err

	case edk2:
		v, err := parsePXE(offer)
		switch {
		case err != nil:
			return err
		case !isClass(offer, "PXEClient"):
			if hasAddress(offer) && p.bootFile(offer) != "" && server(offer).IsValid() {
				return nil // an ordinary server's own boot file, the last choice
			}
			return errNotPXE
		case v.bypass() && p.bootFile(offer) == "":
			return fmt.Errorf("option 43.6 says to use this packet's boot file, but: %w", errNoFile)
		case v.present && !v.bypass() && len(v.menu) == 0:
			return errors.New("option 43 has neither a menu (43.9) nor the bypass bit (43.6 = 8)")
		}
		_, err = v.bootServer(offer)
		return err

	case edk2HTTP:
		if !isClass(offer, "HTTPClient") {
			return errNotHTTP
		}
		return p.checkURL(offer)

	case raspberryPi:
		switch {
		case !bytes.Contains(offer.Options[43], []byte("Raspberry Pi Boot")):
			return errors.New("option 43 has no \"Raspberry Pi Boot\"")
		case !server(offer).IsValid():
			return errNoServer
		}
		return nil

	case uboot:
		switch {
		case !hasAddress(offer) && !isClass(offer, "PXEClient") && !isClass(offer, "HTTPClient"):
			return errors.New("U-Boot takes no offer without an address")
		case p.bootFile(offer) == "":
			return errNoFile
		}
		return nil

	case ipxe:
		switch {
		case !hasAddress(offer) && !isClass(offer, "PXEClient"):
			return errNotPXE
		case !hasAddress(offer) && !serverID(offer).IsValid():
			return errors.New("a proxy offer without option 54 is not looked at")
		case p.bootFile(offer) == "":
			return errNoFile
		case !siaddr(offer).IsValid() && !strings.Contains(p.bootFile(offer), "://"):
			return errSiaddr
		case !siaddr(offer).IsValid() && !hasAddress(offer):
			return errSiaddr // of a proxy, even where the file name is a URL
		}
		return nil

	default:
		return errOrdinary
	}
}

// AsksBootServer reports whether this firmware goes to port 4011 about an offer
// that it accepts.
func (p Profile) AsksBootServer(offer *dhcpv4.DHCPv4) bool {
	if !isClass(offer, "PXEClient") {
		return false
	}
	switch p.family {
	case edk2:
		return true // whatever option 43 says
	case bios:
		v, err := parsePXE(offer)
		return err != nil || !v.bypass()
	default:
		return false
	}
}

// AcceptAck says whether this firmware boots by the answer from port 4011, or
// else why not.
func (p Profile) AcceptAck(ack *dhcpv4.DHCPv4) error {
	switch {
	case ack.OpCode != dhcpv4.OpcodeBootReply || ack.MessageType() != dhcpv4.MessageTypeAck:
		return errNotAck
	case !isClass(ack, "PXEClient"):
		return errNotPXE
	case p.bootFile(ack) == "":
		return errNoFile
	case !server(ack).IsValid():
		return errNoServer
	}
	return nil
}

// rank orders the offers that a firmware accepts; the least wins, and the
// earlier of two equal ones.
func (p Profile) rank(offer *dhcpv4.DHCPv4) int {
	v, _ := parsePXE(offer)
	proxy := !hasAddress(offer)
	switch {
	case p.family == ipxe && isClass(offer, "PXEClient"):
		return 0 // proxy settings stand above those of the ordinary server
	case p.family == ipxe:
		return 1
	case !isClass(offer, "PXEClient"):
		return 5
	case v.present && !proxy: // the order of EDK2
		return 1
	case v.present:
		return 2
	case !proxy:
		return 3
	default:
		return 4
	}
}

// Choose picks the offer that this firmware boots by. The error names the
// reason for which each was refused, and wraps ErrNoOffer.
func (p Profile) Choose(offers []*dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	var best *dhcpv4.DHCPv4
	refused := ErrNoOffer
	for _, o := range offers {
		switch err := p.Accept(o); {
		case err != nil:
			refused = fmt.Errorf("%w; %v: %w", refused, server(o), err)
		case best == nil || p.rank(o) < p.rank(best):
			best = o
		}
	}
	if best == nil {
		return nil, refused
	}
	return best, nil
}

// target is the address of the boot file that an offer or an ACK names.
func (p Profile) target(d *dhcpv4.DHCPv4) (*url.URL, error) {
	name := p.bootFile(d)
	if p.family == edk2HTTP || (p.family == ipxe || p.family == uboot) && strings.Contains(name, "://") {
		u, err := url.Parse(name)
		if err == nil && u.Scheme == "" {
			err = fmt.Errorf("boot file name %q: not a URL", name)
		}
		return u, err
	}
	host := server(d)
	if p.family == ipxe {
		host = siaddr(d)
	}
	if !host.IsValid() {
		return nil, errNoServer
	}
	return &url.URL{Scheme: "tftp", Host: host.String(), Path: "/" + strings.TrimLeft(name, "/")}, nil
}

// checkURL holds HTTP Boot's answer to what EDK2 can fetch.
func (p Profile) checkURL(d *dhcpv4.DHCPv4) error {
	name := p.bootFile(d)
	if name == "" {
		return errNoFile
	}
	u, err := url.Parse(name)
	switch {
	case err != nil:
		return fmt.Errorf("boot file name: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("boot file name %q: not an http URL", name)
	}
	return nil
}

// bootFile is the boot file name as this firmware reads it. A ROM of old age
// knows the file field only, EDK2 prefers option 67, iPXE the field.
func (p Profile) bootFile(d *dhcpv4.DHCPv4) string {
	field, option := d.BootFileName, strings.TrimRight(string(d.Options[67]), "\x00")
	switch {
	case p.family == bios:
		return field
	case p.family == ipxe && field != "", option == "":
		return field
	default:
		return option
	}
}

func isClass(d *dhcpv4.DHCPv4, class string) bool {
	return strings.HasPrefix(string(d.Options[60]), class)
}

func hasAddress(d *dhcpv4.DHCPv4) bool { return addr4(d.YourIPAddr).IsValid() }

func siaddr(d *dhcpv4.DHCPv4) netip.Addr { return addr4(d.ServerIPAddr) }

func serverID(d *dhcpv4.DHCPv4) netip.Addr { return addr4(d.Options[54]) }

// server is whom a packet names as the boot server.
func server(d *dhcpv4.DHCPv4) netip.Addr {
	if a := siaddr(d); a.IsValid() {
		return a
	}
	return serverID(d)
}

// addr4 reads an IPv4 address of the codec; the zero Addr where there is none,
// which 0.0.0.0 says too.
func addr4(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || !a.Is4() || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
