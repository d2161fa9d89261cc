package control

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A Question is a machine, by the words of the configuration language.
type Question struct {
	MAC      string `json:"mac"`
	Arch     string `json:"arch,omitempty"`     // empty: the first that the firmware can have
	Firmware string `json:"firmware,omitempty"` // empty: bios
	// Facts are those that are known beside, by their names ("serial").
	Facts map[string]string `json:"facts,omitempty"`
	// Early is whether only what a DHCP request tells is known, as at the
	// beginning of a boot. Otherwise iPXE has reported, and a fact of its that
	// is not among Facts is one that the machine does not have.
	Early bool `json:"early,omitempty"`
	// Unseen is whether the machine only stands in the inventory: Arch and
	// Firmware are not known, and Early is set.
	Unseen bool `json:"unseen,omitempty"`
}

// Machine is the machine that q describes. The error names what is no word of
// the language.
func (q Question) Machine() (boot.Machine, error) {
	var m boot.Machine
	var err error
	if m.MAC, err = net.ParseMAC(q.MAC); err != nil || len(m.MAC) != 6 {
		return m, fmt.Errorf("MAC %q: not an address like 52:54:00:aa:00:01", q.MAC)
	}
	if q.Firmware != "" {
		fs, err := boot.ParseFirmware(q.Firmware)
		if err != nil {
			return m, err
		}
		if len(fs) != 1 {
			return m, fmt.Errorf("firmware %q: several are called so; name one of them, like efi64", q.Firmware)
		}
		m.Firmware = fs[0]
	}
	archs := slices.DeleteFunc(boot.ArchitectureNames(), func(name string) bool {
		a, _ := boot.ParseArchitecture(name)
		return !boot.Possible(a, m.Firmware)
	})
	switch {
	case len(archs) == 0:
		return m, fmt.Errorf("firmware %q: no machine announces it", m.Firmware)
	case q.Arch != "" && !slices.Contains(archs, q.Arch):
		if _, err := boot.ParseArchitecture(q.Arch); err != nil {
			return m, err
		}
		return m, fmt.Errorf("architecture %q: no machine with firmware %s has it; it is one of %v", q.Arch, m.Firmware, archs)
	case q.Arch != "":
		archs = []string{q.Arch}
	}
	m.Arch, _ = boot.ParseArchitecture(archs[0])
	if m.Facts, err = facts(q.Facts); err != nil {
		return m, err
	}
	if m.Probed = !q.Early || m.Firmware.Board(); !m.Probed {
		if m.Firmware == boot.FirmwareX86PC {
			m.Arch = boot.ArchIA32 // RFC 4578 §2.1: type 0 is all that a BIOS says
		}
		early := *m.Facts
		early.Known &= boot.DHCPFacts
		m.Facts = &early
	}
	return m, nil
}

// facts reads facts as people write them.
func facts(words map[string]string) (*boot.Facts, error) {
	f := &boot.Facts{}
	for name, value := range words {
		fact, err := boot.ParseFact(name)
		if err != nil {
			return nil, err
		}
		f.Known |= fact
		switch fact {
		case boot.FactTransport:
			if value != boot.TransportPXE && value != boot.TransportHTTP {
				return nil, fmt.Errorf("transport %q: neither %s nor %s", value, boot.TransportPXE, boot.TransportHTTP)
			}
			f.Transport = value
		case boot.FactIPXE:
			f.IPXE = value == "true"
		case boot.FactUUID:
			if f.UUID, err = boot.ParseUUID(value); err != nil {
				return nil, err
			}
		case boot.FactSubnets:
			for word := range strings.SplitSeq(value, ",") {
				if word == "" {
					continue
				}
				p, err := netip.ParsePrefix(word)
				if a, aerr := netip.ParseAddr(word); aerr == nil {
					p, err = netip.PrefixFrom(a, a.BitLen()), nil
				}
				if err != nil {
					return nil, fmt.Errorf("subnet %q: neither an address nor a network like 192.0.2.0/24", word)
				}
				f.Subnets = append(f.Subnets, p)
			}
		case boot.FactRelay:
			if value == "" {
				break // there is none
			}
			if f.Relay, err = netip.ParseAddr(value); err != nil {
				return nil, fmt.Errorf("relay %q: not an address", value)
			}
		case boot.FactIP:
			if f.IP, err = netip.ParseAddr(value); err != nil || f.IP.Zone() != "" {
				return nil, fmt.Errorf("ip %q: not an address", value)
			}
		default:
			*texts(f)[fact] = value
		}
	}
	return f, nil
}

// texts are the facts that any text will do for.
func texts(f *boot.Facts) map[boot.Fact]*string {
	return map[boot.Fact]*string{
		boot.FactInterface: &f.Interface, boot.FactListener: &f.Listener, boot.FactVendorClass: &f.VendorClass,
		boot.FactUserClass: &f.UserClass, boot.FactCircuitID: &f.CircuitID, boot.FactRemoteID: &f.RemoteID,
		boot.FactSerial: &f.Serial, boot.FactManufacturer: &f.Manufacturer, boot.FactProduct: &f.Product,
		boot.FactAsset: &f.Asset, boot.FactHostname: &f.Hostname,
	}
}

// With is q with what the machine said in DHCP, which may be nil.
func (q Question) With(heard *boot.Facts) Question {
	if heard == nil {
		return q
	}
	f := *heard
	words := map[boot.Fact]string{
		boot.FactTransport: f.Transport, boot.FactIPXE: strconv.FormatBool(f.IPXE), boot.FactUUID: f.UUID,
	}
	for fact, text := range texts(&f) {
		words[fact] = *text
	}
	words[boot.FactRelay] = "" // there is none
	if f.Relay.IsValid() {
		words[boot.FactRelay] = f.Relay.String()
	}
	var subnets []string
	for _, p := range f.Subnets {
		subnets = append(subnets, p.String())
	}
	words[boot.FactSubnets] = strings.Join(subnets, ",")

	q.Facts = maps.Clone(q.Facts)
	if q.Facts == nil {
		q.Facts = map[string]string{}
	}
	for fact, word := range words {
		// What iPXE has told stays.
		if _, told := q.Facts[fact.String()]; f.Knows(fact) && !told && !(fact == boot.FactUUID && word == "") {
			q.Facts[fact.String()] = word
		}
	}
	return q
}

// ipOf is the address that a machine reported, empty where it is none.
func ipOf(said string) string {
	ip, err := netip.ParseAddr(said)
	if err != nil || ip.IsUnspecified() {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}

// Ask is the question about a machine that the daemon has seen. It is early
// unless iPXE has reported from it.
func Ask(m events.Machine) Question {
	f := m.Facts
	q := Question{MAC: net.HardwareAddr(m.MAC[:]).String(), Arch: f.Arch, Firmware: f.Firmware, Facts: map[string]string{}, Early: true}
	for _, fact := range [...]struct {
		name, value string
		ipxe        bool
	}{
		{"uuid", f.UUID, false}, {"serial", f.Serial, true}, {"manufacturer", f.Manufacturer, true},
		{"product", f.Product, true}, {"asset", f.Asset, true}, {"hostname", f.Hostname, true}, {"ip", ipOf(f.IP), true},
	} {
		if fact.value != "" {
			q.Facts[fact.name] = fact.value
			q.Early = q.Early && !fact.ipxe
		}
	}
	// Only iPXE can say of a BIOS that its CPU has 64 bits.
	q.Early = q.Early && !(f.Firmware == boot.FirmwareX86PC.String() && f.Arch == boot.ArchX64.Name())
	return q
}
