package boot

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Fact is one thing that can be known of a machine beside its MAC and its
// platform, or a set of several.
type Fact uint32

// The facts. Those up to FactRemoteID are told by a machine's DHCP request, the
// others only by iPXE from inside the machine. FactUUID is told by both.
const (
	FactTransport Fact = 1 << iota
	FactIPXE
	FactUUID
	FactInterface
	FactListener
	FactSubnets
	FactRelay
	FactVendorClass
	FactUserClass
	FactCircuitID
	FactRemoteID
	FactSerial
	FactManufacturer
	FactProduct
	FactAsset
	FactHostname
	FactIP

	// DHCPFacts are all that a DHCP request tells.
	DHCPFacts = FactSerial - 1
	// IPXEFacts are those that only iPXE tells.
	IPXEFacts = FactSerial | FactManufacturer | FactProduct | FactAsset | FactHostname | FactIP
)

// The values of Facts.Transport.
const (
	TransportPXE  = "pxe"  // the firmware loads by TFTP
	TransportHTTP = "http" // UEFI HTTP Boot
)

// Facts is what is known of a machine beside its MAC and its platform. A field
// says something only if its bit is in Known: a machine that is known to have
// no relay has FactRelay there and the zero Addr in Relay. A nil *Facts knows
// nothing.
//
// All texts are the machine's own words, or its relay's: bounded, and without
// control characters, but not to be believed.
type Facts struct {
	Known Fact
	// IPXE is whether the boot began with an iPXE (in the network card, or
	// started by something else), not with a firmware's own PXE.
	IPXE bool

	// Transport is TransportPXE or TransportHTTP.
	Transport string
	// UUID is the SMBIOS UUID as people write it, in lower case.
	UUID string

	Interface string // the name of the interface that the request came in by
	Listener  string // the address of the listener that took it, "0.0.0.0:67"
	// Subnets tell where the machine is: the address of option 82's link
	// selection (RFC 3527), else giaddr, either as a prefix of all its bits;
	// else the prefixes of the receiving interface. Never the address that the
	// machine is leased later.
	Subnets []netip.Prefix
	Relay   netip.Addr // giaddr; the zero Addr where there is no relay

	VendorClass string // option 60
	UserClass   string // option 77; several are joined by commas
	CircuitID   string // option 82, suboption 1; "0x…" in hexadecimal unless it is text
	RemoteID    string // option 82, suboption 2; likewise

	Serial       string
	Manufacturer string
	Product      string
	Asset        string
	Hostname     string
	IP           netip.Addr // the machine's own, as leased; without a zone
}

// Knows reports whether all of the facts are known.
func (f *Facts) Knows(all Fact) bool { return all&^f.known() == 0 }

// Unknown is the part of facts that is not known.
func (f *Facts) Unknown(facts Fact) Fact { return facts &^ f.known() }

func (f *Facts) known() Fact {
	if f == nil {
		return 0
	}
	return f.Known
}

// Alike reports whether two machines differ in their UUID at most, as those of one model
// on one network do. Neither is nil.
func (f *Facts) Alike(g *Facts) bool {
	return f.Known == g.Known && f.IPXE == g.IPXE && f.Transport == g.Transport && f.Interface == g.Interface && f.Listener == g.Listener &&
		slices.Equal(f.Subnets, g.Subnets) && f.Relay == g.Relay &&
		f.VendorClass == g.VendorClass && f.UserClass == g.UserClass && f.CircuitID == g.CircuitID && f.RemoteID == g.RemoteID &&
		f.Serial == g.Serial && f.Manufacturer == g.Manufacturer && f.Product == g.Product && f.Asset == g.Asset && f.Hostname == g.Hostname && f.IP == g.IP
}

// factNames are the words of the configuration language, by bit.
var factNames = [...]string{
	"transport", "ipxe", "uuid", "interface", "listener", "subnet", "relay", "vendor_class", "user_class", "circuit_id", "remote_id",
	"serial", "manufacturer", "product", "asset", "hostname", "ip",
}

// String lists the facts by the configuration's words: "relay, circuit_id".
func (f Fact) String() string {
	var words []string
	for i, name := range factNames {
		if f>>i&1 != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, ", ")
}

// ParseFact reads a word of the configuration language.
func ParseFact(name string) (Fact, error) {
	for i, n := range factNames {
		if n == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("fact %q: not one of %v", name, factNames)
}

// ParseUUID reads a UUID in any case, with or without its dashes, and writes it
// as Facts.UUID has it.
func ParseUUID(s string) (string, error) {
	u, err := UUIDOctets(s)
	if err != nil {
		return "", err
	}
	return FormatUUID(u), nil
}

// UUIDOctets are those of a UUID that is written as for ParseUUID.
func UUIDOctets(s string) ([16]byte, error) {
	digits := s
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		digits = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	var u [16]byte
	if len(digits) == hex.EncodedLen(len(u)) {
		if _, err := hex.Decode(u[:], []byte(digits)); err == nil {
			return u, nil
		}
	}
	return u, fmt.Errorf("UUID %q: not 32 hexadecimal digits, like 4c4c4544-0042-3510-8053-b4c04f463433", s)
}

// NoUUID reports whether a UUID, as FormatUUID writes it, is what a board has that has
// none: zeros, or ones where it can be given one (SMBIOS 3.7 §7.2.1). All of these
// boards would be one machine.
func NoUUID(uuid string) bool {
	return strings.Trim(uuid, "0-") == "" || strings.Trim(uuid, "f-") == ""
}

// FormatUUID writes the octets of a UUID as people do.
func FormatUUID(u [16]byte) string {
	var b [36]byte
	return string(AppendUUID(b[:0], u))
}

// AppendUUID appends what FormatUUID writes.
func AppendUUID(b []byte, u [16]byte) []byte {
	for i, part := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}
