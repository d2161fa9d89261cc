package dhcp6

import (
	"errors"
	"net/netip"
	"time"

	"github.com/pixiecore/pixiecore/protocols/leases"
)

// A lessor has the addresses of one client, whose identity associations it tells
// apart by their numbers (RFC 8415 §4.2).
type lessor interface {
	// find is the address that there would be, and take leases it; wish is the one
	// that the client would like, or the zero Addr.
	find(iaid [4]byte, wish netip.Addr) (netip.Addr, error)
	take(iaid [4]byte, wish netip.Addr) (netip.Addr, error)
	// extend makes a lease longer, unless the address is another's.
	extend(iaid [4]byte, addr netip.Addr) bool
	// release and decline end one; they are false where there is none.
	release(iaid [4]byte, addr netip.Addr) bool
	decline(iaid [4]byte, addr netip.Addr) bool
	// ours is whether it is for this server to say what is with the address.
	ours(iaid [4]byte, addr netip.Addr) bool
}

var errUsedUp = errors.New("the pool is used up")

// pooled is the lessor of a pool.
type pooled struct {
	pool   leases.Pool
	leases *leases.Leases
	duid   string
	now    time.Time
}

func (p pooled) owner(iaid [4]byte) leases.Owner { return leases.Owner(string(iaid[:]) + p.duid) }

func (p pooled) find(iaid [4]byte, wish netip.Addr) (netip.Addr, error) {
	return given(p.leases.Find(p.pool, p.owner(iaid), wish, p.now))
}

func (p pooled) take(iaid [4]byte, wish netip.Addr) (netip.Addr, error) {
	return given(p.leases.Take(p.pool, p.owner(iaid), wish, p.now))
}

func given(addr netip.Addr, ok bool) (netip.Addr, error) {
	if !ok {
		return addr, errUsedUp
	}
	return addr, nil
}

func (p pooled) extend(iaid [4]byte, addr netip.Addr) bool {
	return p.leases.Extend(p.pool, p.owner(iaid), addr, p.now)
}

func (p pooled) release(iaid [4]byte, addr netip.Addr) bool {
	return p.leases.Release(p.owner(iaid), addr, p.now)
}

func (p pooled) decline(iaid [4]byte, addr netip.Addr) bool {
	return p.leases.Decline(p.owner(iaid), addr, p.now)
}

func (p pooled) ours(_ [4]byte, addr netip.Addr) bool { return p.pool.Contains(addr) }

// A Reserver gives out addresses in place of a pool's, as a program's AddressPool
// does. Both may block, and are called by several goroutines at once.
type Reserver struct {
	// Reserve is the address of a client's association (its DUID, and the number),
	// the same as long as it lasts. The error is told to the client.
	Reserve func(client []byte, iaid [4]byte) (netip.Addr, error)
	// Release is told that the client does not need it any more.
	Release func(client []byte, iaid [4]byte)
}

// reserved is the lessor over a Reserver, which knows neither offers nor an address
// that was found to be in use: that is released, and left to it.
type reserved struct {
	from Reserver
	duid string
}

func (r reserved) find(iaid [4]byte, wish netip.Addr) (netip.Addr, error) { return r.take(iaid, wish) }

func (r reserved) take(iaid [4]byte, _ netip.Addr) (netip.Addr, error) {
	return r.from.Reserve([]byte(r.duid), iaid)
}

func (r reserved) extend(iaid [4]byte, addr netip.Addr) bool {
	has, err := r.take(iaid, addr)
	return err == nil && has == addr
}

func (r reserved) release(iaid [4]byte, _ netip.Addr) bool {
	r.from.Release([]byte(r.duid), iaid)
	return true
}

func (r reserved) decline(iaid [4]byte, addr netip.Addr) bool { return r.release(iaid, addr) }

func (r reserved) ours(iaid [4]byte, addr netip.Addr) bool { return r.extend(iaid, addr) }
