package dhcp6

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/pixiecore/pixiecore/protocols/leases"
)

// BootConfiguration says what a client boots, where no rules do: it is the
// original's, whose library has two of them. Its methods are called by several
// goroutines at once.
type BootConfiguration interface {
	// GetBootURL is the URL for a client of that identifier (see Identifier) and
	// architecture type (RFC 5970 §3.3), which is 0 for one that says none.
	GetBootURL(id []byte, clientArchType uint16) ([]byte, error)
	GetPreference() []byte     // of the server, one byte; empty: none is told
	GetRecursiveDNS() []net.IP // IPv6
}

// A PacketBuilder has the lifetimes of addresses, in seconds. The name is the
// original's, which made packets by it.
type PacketBuilder struct {
	PreferredLifetime uint32
	ValidLifetime     uint32
}

// MakePacketBuilder makes a PacketBuilder.
func MakePacketBuilder(preferredLifetime, validLifetime uint32) *PacketBuilder {
	return &PacketBuilder{PreferredLifetime: preferredLifetime, ValidLifetime: validLifetime}
}

// An AddressPool is the addresses that are leased; nil: none are.
type AddressPool = *leases.Pool

// NewRandomAddressPool is a pool of so many addresses, which are valid for so many
// seconds.
func NewRandomAddressPool(poolStartAddress net.IP, poolSize uint64, validLifetime uint32) AddressPool {
	start, _ := netip.AddrFromSlice(poolStartAddress)
	size := int(min(poolSize, leases.MaxPool+1)) // one too many is refused by Pool.Check
	return &leases.Pool{Start: start, Size: size, Lifetime: time.Duration(validLifetime) * time.Second}
}

// Identifier is what the original calls a client by, in the requests of its API
// too: the link-layer address of a DUID that has one (RFC 8415 §11.2 and §11.4), and
// what is behind the type of any other. It is empty for a DUID that is too short.
func Identifier(duid []byte) []byte {
	const llt, ll = 1, 3
	behind := 2
	if len(duid) >= 2 && duid[0] == 0 {
		switch duid[1] {
		case llt:
			behind = 8
		case ll:
			behind = 4
		}
	}
	return duid[min(behind, len(duid)):]
}

var errNotAsked = errors.New("does not ask for a boot file (option 59)")

// askURL leaves the answer to whoever decides the boot file.
func (s *Server) askURL(w way, a reply) (reply, error) {
	if !w.Options.RequestedOptions().Contains(dhcpv6.OptionBootfileURL) {
		return a, errNotAsked
	}
	a.later = func(context.Context) (reply, error) {
		a.later = nil
		var err error
		if a.url, err = w.set.URL(Identifier([]byte(a.client.DUID)), uint16(a.client.Type)); err != nil {
			return a, errOperator{err}
		}
		return s.respond(w, a)
	}
	return a, nil
}
