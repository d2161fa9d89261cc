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

// An AddressPool has the addresses that are leased; nil: there are none. Its methods
// may block, and are called by several goroutines at once.
type AddressPool interface {
	// ReserveAddresses is an address for each interface (IAID) of a client, the same
	// as long as it lasts. The error is told to the client.
	ReserveAddresses(clientID []byte, interfaceIDs [][]byte) ([]*IdentityAssociation, error)
	// ReleaseAddresses is told that the client does not need them any more.
	ReleaseAddresses(clientID []byte, interfaceIDs [][]byte)
}

// An IdentityAssociation is an address that an interface of a client has.
type IdentityAssociation struct {
	IPAddress   net.IP
	ClientID    []byte
	InterfaceID []byte
	CreatedAt   time.Time
}

// A RandomAddressPool is an AddressPool over a pool of leases. A server that is given
// it as it is keeps the leases itself, which is more than an AddressPool can: what
// it offers is not leased yet, an address that is somebody else's is left alone, and a
// client may ask whether it is of this link.
type RandomAddressPool struct {
	leases.Pool
	leased *leases.Leases
}

// NewRandomAddressPool is a pool of so many addresses, which are valid for so many
// seconds. Pool.Check says what is wrong with it.
func NewRandomAddressPool(poolStartAddress net.IP, poolSize uint64, validLifetime uint32) *RandomAddressPool {
	start, _ := netip.AddrFromSlice(poolStartAddress)
	size := int(min(poolSize, leases.MaxPool+1)) // one too many is refused by Pool.Check
	leased, _ := leases.New(nil)                 // without a store there is no error
	return &RandomAddressPool{leases.Pool{Start: start, Size: size, Lifetime: time.Duration(validLifetime) * time.Second}, leased}
}

// ReserveAddresses implements AddressPool.
func (p *RandomAddressPool) ReserveAddresses(clientID []byte, interfaceIDs [][]byte) ([]*IdentityAssociation, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	now := time.Now()
	var all []*IdentityAssociation
	for _, id := range interfaceIDs {
		addr, ok := p.leased.Take(p.Pool, leases.Owner(string(id)+string(clientID)), netip.Addr{}, now)
		if !ok {
			return all, errUsedUp
		}
		all = append(all, &IdentityAssociation{IPAddress: addr.AsSlice(), ClientID: clientID, InterfaceID: id, CreatedAt: now})
	}
	return all, nil
}

// ReleaseAddresses implements AddressPool.
func (p *RandomAddressPool) ReleaseAddresses(clientID []byte, interfaceIDs [][]byte) {
	for _, id := range interfaceIDs {
		owner := leases.Owner(string(id) + string(clientID))
		if addr, ok := p.leased.Find(p.Pool, owner, netip.Addr{}, time.Now()); ok {
			p.leased.Release(owner, addr, time.Now()) // false where it has none
		}
	}
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
