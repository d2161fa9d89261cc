package dhcp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// A Client is what a request says of the machine that sent it.
type Client struct {
	Machine boot.Machine
	Type    boot.ArchType
	Stage   strategy.Stage
	Chained bool // its user class says that it was started by us
	// Plain is a client that does not call itself PXEClient: U-Boot, which takes the
	// first OFFER for one of an address.
	Plain bool
	// UUID is option 97 as it came: a type octet of 0 and the 16 octets of the
	// machine's UUID (RFC 4578 §2.3). Nil where the ROM sends none.
	UUID []byte
}

// Errors of Classify. All mean that the request gets no answer.
var (
	errNotRequest  = errors.New("not a BOOTREQUEST from Ethernet hardware")
	errNotPXE      = errors.New("not a network boot: no PXEClient or HTTPClient in option 60, or no option 93")
	errUnknownType = errors.New("unknown client architecture type")
)

const (
	optionClientArch = dhcpv4.OptionClientSystemArchitectureType // RFC 4578 §2.1
	optionUUID       = dhcpv4.OptionClientMachineIdentifier      // RFC 4578 §2.3
	uuidLen          = 17
)

// optionIPXE is iPXE's encapsulated options, in the site-specific range. Its
// suboptions are iPXE's features.
var optionIPXE = dhcpv4.GenericOptionCode(175)

const ipxeFeatureHTTP = 19

// Classify says who sent req, at which stage of its boot it is, and what it tells
// of the machine. It fails for a request that is none of ours, saying why.
func Classify(req *dhcpv4.DHCPv4) (Client, error) {
	if req.OpCode != dhcpv4.OpcodeBootRequest || len(req.ClientHWAddr) != 6 {
		return Client{}, errNotRequest
	}
	// The class is trusted for PXE or HTTP only. The architecture in it is not:
	// an iPXE that we chained may repeat our own option 60.
	class := string(req.Options.Get(dhcpv4.OptionClassIdentifier))
	http := strings.HasPrefix(class, "HTTPClient")
	uboot := strings.HasPrefix(class, "U-Boot") // "U-Boot.armv8", unless its bootp_vci says otherwise
	if !http && !uboot && !strings.HasPrefix(class, "PXEClient") {
		return Client{}, errNotPXE
	}
	types := req.Options.Get(optionClientArch)
	if len(types) < 2 {
		return Client{}, errNotPXE
	}
	// Option 93 is a list; the first type is the one that the client runs as.
	c := Client{Type: boot.ArchType(binary.BigEndian.Uint16(types)), Plain: uboot}
	encapsulated := req.Options.Get(optionIPXE)
	ipxe := encapsulated != nil || hasUserClass(req, "iPXE")
	serial, pi := raspberryPi(req)
	if pi && !ipxe && c.Type == typeBIOS {
		c.Type = typeRPi
	}
	p, ok := c.Type.Platform()
	if !ok {
		return Client{}, fmt.Errorf("%w %d", errUnknownType, c.Type)
	}
	if uboot && p.Firmware != boot.FirmwareUBoot {
		return Client{}, errNotPXE // an x86 U-Boot, which boots by no network here
	}
	c.Machine = boot.Machine{MAC: bytes.Clone(req.ClientHWAddr), Arch: p.Arch, Firmware: p.Firmware, Probed: p.Firmware.Board()}

	// RFC 4578 §2.3 demands option 97, but some ROMs do not send it, and one
	// that is not well formed says nothing that is worth a machine's boot.
	if id := req.Options.Get(optionUUID); len(id) == uuidLen {
		c.UUID = bytes.Clone(id)
	}

	switch {
	case hasUserClass(req, "pixiecore"):
		// A loader that is ours, or one after our autoexec.ipxe. Programs of
		// the original announce nothing else.
		c.Stage, c.Chained = strategy.IPXE, true
	case ipxe:
		c.Stage = strategy.IPXEWithoutHTTP
		if hasFeature(encapsulated, ipxeFeatureHTTP) {
			c.Stage = strategy.IPXE
		}
	case http || p.HTTP:
		c.Stage = strategy.HTTPBoot
	}
	transport := boot.TransportPXE
	if http || p.HTTP {
		transport = boot.TransportHTTP
	}
	c.Machine.Facts = said(req, c.Stage, transport)
	if p.Firmware == boot.FirmwareRPi && serial != "" {
		c.Machine.Facts.Known |= boot.FactSerial
		c.Machine.Facts.Serial = serial
	}
	return c, nil
}

// Types of the IANA registry (see boot.ArchType): what a Raspberry Pi announces, and
// what there is for it.
const (
	typeBIOS boot.ArchType = 0x00
	typeRPi  boot.ArchType = 0x29
)

// raspberryPi reports whether a request is from the hardware of a Raspberry Pi, and
// the serial number under which it asks for files, where it tells that.
//
// Option 97 of models from the 4 on is "RPi4" or "RPi5", the board's revision, four
// bytes of the MAC address and four of the serial number, numbers little-endian
// (DHCP_OPTION97 of Raspberry Pi's bootloader configuration); with DHCP_OPTION97=0,
// as older releases do, it is the serial number four times. Else the MAC address
// tells, which an operator may have replaced.
func raspberryPi(req *dhcpv4.DHCPv4) (serial string, ok bool) {
	ok = bootfiles.FromRaspberryPi([6]byte(req.ClientHWAddr))
	id := req.Options.Get(optionUUID)
	if len(id) != uuidLen {
		return "", ok
	}
	number := func(at int) string { return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(id[at:])) }
	switch id = id[1:]; {
	case bytes.HasPrefix(id, []byte("RPi")):
		return number(12), true
	case ok && bytes.Equal(id, bytes.Repeat(id[:4], 4)) && !bytes.Equal(id, bytes.Repeat(id[:1], 16)): // a 3 sends one byte sixteen times
		return number(0), true
	}
	return "", ok
}

// program is which of its boot's programs the client is.
func (c Client) program() boots.Program {
	switch {
	case c.Chained:
		return boots.Chained
	case c.Stage == strategy.IPXE:
		return boots.IPXE
	case c.Stage == strategy.IPXEWithoutHTTP:
		return boots.LimitedIPXE
	default:
		return boots.Firmware
	}
}

// asks is what a DISCOVER of the client is as a step of its boot.
func (c Client) asks() events.Kind {
	if c.program() == boots.Firmware {
		return events.Asked
	}
	return events.IPXE
}

// hasUserClass looks for a user class in option 77, which iPXE sends as plain
// text and others as the list of length-prefixed classes of RFC 3004 §4.
func hasUserClass(req *dhcpv4.DHCPv4, class string) bool {
	raw := req.Options.Get(dhcpv4.OptionUserClassInformation)
	if string(raw) == class {
		return true
	}
	for len(raw) > 0 {
		n := int(raw[0])
		if n == 0 || len(raw) < 1+n {
			return false
		}
		if string(raw[1:1+n]) == class {
			return true
		}
		raw = raw[1+n:]
	}
	return false
}

// hasFeature looks for a feature in option 175: code, length and value of each.
// A list that breaks off counts as far as it goes.
func hasFeature(raw []byte, feature byte) bool {
	for len(raw) >= 2 {
		code, n := raw[0], int(raw[1])
		if len(raw) < 2+n {
			return false
		}
		if code == feature && n > 0 {
			return raw[2] != 0
		}
		raw = raw[2+n:]
	}
	return false
}
