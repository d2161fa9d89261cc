// Package leases keeps which client has which address, for the DHCP servers of both
// families.
//
//	DISCOVER, SOLICIT ─▶ Offer, Find ─┐           ┌─▶ Flush ─▶ Store
//	REQUEST, RENEW ────▶ Take, Extend ┼─▶ Leases ─┤
//	RELEASE, DECLINE ──▶ Release, Bar ┘           └─▶ the address, or none
//
// # Decisions
//
// Which address a new client gets is said by a hash of its identity, so that it gets
// the same again if everything is forgotten. An address that was somebody's is left
// to him while there are any that were nobody's.
//
// A Pool is an argument and not a property, so that a reload can change it under the
// leases. An address that is reserved for one client is a Pool of Size 1, which that
// client alone is given.
//
// What is offered is held for a moment, in memory only: of two clients that ask at
// the same time each gets its own address, and nothing is written for a question.
// What is leased is for the Store; the caller flushes a batch before it answers.
//
// Everything is bounded: a pool has MaxPool addresses, and twice as many leases are
// remembered, of which those that ended first are forgotten.
package leases

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// MaxPool is how many addresses a Pool can have.
	MaxPool = 1 << 16
	// DeclinedFor is how long an address is left alone that a client found to be
	// somebody else's (RFC 2131 §4.3.3 and RFC 8415 §18.3.8 leave it to the server).
	DeclinedFor = 24 * time.Hour
	// OfferedFor is how long an address is held that was offered, for the client to
	// choose among the offers and ask for it.
	OfferedFor = 30 * time.Second
	// hashProbes is how many addresses are tried from the one that the hash says.
	hashProbes = 16
)

// A Pool is the addresses that may be leased. The zero Pool has none.
type Pool struct {
	Start    netip.Addr // the first address
	Size     int        // how many
	Lifetime time.Duration
	Without  *Set // those of them that are not leased; nil: all are
}

// A Set is addresses. It is not modified once a Pool has it.
type Set map[netip.Addr]struct{}

// Check says what is wrong with a pool.
func (p Pool) Check() error {
	switch a := p.Start; {
	case a.Is4In6() || a.Zone() != "" || !a.IsGlobalUnicast():
		return fmt.Errorf("%v is not the address of one host on a network", a)
	case p.Size < 1 || p.Size > MaxPool:
		return fmt.Errorf("a pool has 1 to %d addresses, not %d", MaxPool, p.Size)
	case p.Lifetime < time.Minute:
		return fmt.Errorf("an address that is valid for %v is renewed all the time; give it a minute or more", p.Lifetime)
	}
	if !p.last().IsGlobalUnicast() || p.last().Less(p.Start) {
		return fmt.Errorf("%d addresses from %v do not fit below the end of the address space", p.Size, p.Start)
	}
	return nil
}

// last is the last address.
func (p Pool) last() netip.Addr { return p.at(p.Size - 1) }

// at is the address of number i.
func (p Pool) at(i int) netip.Addr {
	if p.Start.Is4() {
		a := p.Start.As4()
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(i))
		return netip.AddrFrom4(a)
	}
	a := p.Start.As16()
	low := binary.BigEndian.Uint64(a[8:])
	sum := low + uint64(i)
	binary.BigEndian.PutUint64(a[8:], sum)
	if sum < low {
		binary.BigEndian.PutUint64(a[:8], binary.BigEndian.Uint64(a[:8])+1)
	}
	return netip.AddrFrom16(a)
}

// Contains reports whether the pool leases the address.
func (p Pool) Contains(a netip.Addr) bool {
	if p.Size == 0 || a.BitLen() != p.Start.BitLen() || a.Less(p.Start) || p.last().Less(a) {
		return false
	}
	if p.Without == nil {
		return true
	}
	_, without := (*p.Without)[a]
	return !without
}

// An Owner is who leases an address: a client's identity in its protocol, in bytes
// of the protocol's choice. The empty Owner is nobody.
type Owner string

// A Lease is an address that is not free, or was last its Owner's.
type Lease struct {
	Owner Owner
	Addr  netip.Addr
	Until time.Time // when it ends, or has ended
	// Declined: the address was found to be somebody else's. It is nobody's.
	Declined bool
}

// A Store keeps leases over a restart. Save is given those that changed; the key of
// a lease is its address.
type Store interface {
	Load() ([]Lease, error)
	Save([]Lease) error
}

// Leases are the addresses that clients have. They are safe for concurrent use, and
// outlive the Pool: its next one may be another.
type Leases struct {
	mu      sync.Mutex
	byAddr  map[netip.Addr]*list.Element // of *Lease
	byOwner map[Owner]*list.Element
	ending  list.List           // the lease that ends first is in front
	offered map[netip.Addr]bool // what is only held
	pool    Pool                // that cursor counts in
	cursor  int                 // every address before it has been somebody's
	changed map[netip.Addr]bool
	store   Store
}

// New reads the leases of the store, which may be nil: then they end with the
// process. With an error the Leases are empty and work.
func New(store Store) (*Leases, error) {
	l := &Leases{byAddr: map[netip.Addr]*list.Element{}, byOwner: map[Owner]*list.Element{}, changed: map[netip.Addr]bool{}, offered: map[netip.Addr]bool{}, store: store}
	if store == nil {
		return l, nil
	}
	all, err := store.Load()
	if err != nil {
		return l, fmt.Errorf("leases: %w", err)
	}
	slices.SortFunc(all, func(a, b Lease) int { return a.Until.Compare(b.Until) })
	for _, lease := range all[max(0, len(all)-MaxPool):] {
		l.put(lease)
	}
	clear(l.changed)
	return l, nil
}

// Find is the address that an owner has, or is to be offered; wish is the one that
// it asks for, or the zero Addr. Nothing is leased yet. It is false where the pool
// has none left.
func (l *Leases) Find(p Pool, o Owner, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(p, o, wish, now)
}

// Offer is Find, and holds the address for the owner for OfferedFor, unless it has
// it for longer. first is whether it comes from nobody or from somebody else, so
// that it may be in use without our knowing.
func (l *Leases) Offer(p Pool, o Owner, wish netip.Addr, now time.Time) (a netip.Addr, first, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok = l.find(p, o, wish, now)
	if !ok {
		return a, false, false
	}
	e, has := l.byAddr[a]
	first = !has || e.Value.(*Lease).Owner != o
	if first || e.Value.(*Lease).Until.Before(now.Add(OfferedFor)) {
		known := l.changed[a]
		l.put(Lease{Owner: o, Addr: a, Until: now.Add(OfferedFor)})
		if !known {
			delete(l.changed, a)
		}
		l.offered[a] = first || l.offered[a]
	}
	return a, first, true
}

// Take leases the address that Find finds, or makes it longer.
func (l *Leases) Take(p Pool, o Owner, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.find(p, o, wish, now)
	if ok {
		l.put(Lease{Owner: o, Addr: a, Until: now.Add(p.Lifetime)})
	}
	return a, ok
}

// Extend makes the lease of an address longer, which may have ended and may even be
// forgotten, as long as it is nobody else's. It is false where it is.
func (l *Leases) Extend(p Pool, o Owner, a netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.Contains(a) || !l.freeFor(o, a, now) {
		return false
	}
	l.put(Lease{Owner: o, Addr: a, Until: now.Add(p.Lifetime)})
	return true
}

// Leased reports whether the address is, or was last, leased to the owner; an offer
// is no lease.
func (l *Leases) Leased(o Owner, a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.byAddr[a]
	return ok && e.Value.(*Lease).Owner == o && !l.offered[a]
}

// Release ends the lease of an address. It is false where the owner has none.
func (l *Leases) Release(o Owner, a netip.Addr, now time.Time) bool {
	return l.end(Lease{Owner: o, Addr: a, Until: now})
}

// Decline ends the lease of an address that its owner found to be in use, and keeps
// it from everybody for DeclinedFor. It is false where the owner has none.
func (l *Leases) Decline(o Owner, a netip.Addr, now time.Time) bool {
	return l.end(Lease{Owner: o, Addr: a, Until: now.Add(DeclinedFor), Declined: true})
}

// Forget takes an offer back, as if it had never been.
func (l *Leases) Forget(o Owner, a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byAddr[a]; ok && e.Value.(*Lease).Owner == o && l.offered[a] {
		l.drop(e)
	}
}

// Bar keeps an address from everybody until a time.
func (l *Leases) Bar(a netip.Addr, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(Lease{Addr: a, Until: until, Declined: true})
}

func (l *Leases) end(lease Lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.byAddr[lease.Addr]
	if !ok || e.Value.(*Lease).Owner != lease.Owner || e.Value.(*Lease).Declined {
		return false
	}
	if lease.Declined {
		lease.Owner = ""
	}
	l.put(lease)
	return true
}

// InUse counts the leases that have not ended, with what is held and declined.
func (l *Leases) InUse(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for e := l.ending.Back(); e != nil && e.Value.(*Lease).Until.After(now); e = e.Prev() {
		n++
	}
	return n
}

// Flush stores what has changed since the last time. With an error it is tried
// again at the next.
func (l *Leases) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil || len(l.changed) == 0 {
		clear(l.changed)
		return nil
	}
	all := make([]Lease, 0, len(l.changed))
	for a := range l.changed {
		if e, ok := l.byAddr[a]; ok {
			all = append(all, *e.Value.(*Lease))
		}
	}
	if err := l.store.Save(all); err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	clear(l.changed)
	return nil
}

// find is Find. The caller holds l.mu.
func (l *Leases) find(p Pool, o Owner, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	if p.Size == 0 {
		return netip.Addr{}, false
	}
	if e, ok := l.byOwner[o]; ok {
		if a := e.Value.(*Lease).Addr; p.Contains(a) {
			return a, true
		}
	}
	if p.Contains(wish) && l.freeFor(o, wish, now) {
		return wish, true
	}
	// Where the last time it ended up, if nobody remembers. An address that was
	// another's is left to him while there are any that were nobody's.
	h := fnv.New64a()
	h.Write([]byte(o))
	first := int(h.Sum64() % uint64(p.Size))
	for i := range min(hashProbes, p.Size) {
		if a := p.at((first + i) % p.Size); l.byAddr[a] == nil && p.Contains(a) {
			return a, true
		}
	}
	if p.Size > hashProbes && l.pool != p {
		l.pool, l.cursor = p, 0
	}
	for ; p.Size > hashProbes && l.cursor < p.Size; l.cursor++ {
		if a := p.at(l.cursor); l.byAddr[a] == nil && p.Contains(a) {
			return a, true
		}
	}
	for e := l.ending.Front(); e != nil && !e.Value.(*Lease).Until.After(now); e = e.Next() {
		if a := e.Value.(*Lease).Addr; p.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// freeFor reports whether an address is o's or nobody's. The caller holds l.mu.
func (l *Leases) freeFor(o Owner, a netip.Addr, now time.Time) bool {
	e, ok := l.byAddr[a]
	if !ok {
		return true
	}
	lease := e.Value.(*Lease)
	return lease.Owner == o && !lease.Declined || !lease.Until.After(now)
}

// put makes the lease the one of its address, and of its owner. The caller holds
// l.mu.
func (l *Leases) put(lease Lease) {
	if e, ok := l.byAddr[lease.Addr]; ok {
		if old := e.Value.(*Lease); l.byOwner[old.Owner] == e {
			delete(l.byOwner, old.Owner)
		}
		l.ending.Remove(e)
	}
	delete(l.offered, lease.Addr)
	owned := !lease.Declined && lease.Owner != ""
	if e, ok := l.byOwner[lease.Owner]; ok && owned {
		// Its earlier address is of another pool: it ends now.
		old := e.Value.(*Lease)
		old.Owner, old.Until = "", time.Time{}
		l.ending.MoveToFront(e)
		l.changed[old.Addr] = true
	}
	after := l.ending.Back() // most often the new one ends last
	for after != nil && after.Value.(*Lease).Until.After(lease.Until) {
		after = after.Prev()
	}
	var e *list.Element
	if after == nil {
		e = l.ending.PushFront(&lease)
	} else {
		e = l.ending.InsertAfter(&lease, after)
	}
	l.byAddr[lease.Addr] = e
	if owned {
		l.byOwner[lease.Owner] = e
	}
	l.changed[lease.Addr] = true
	for l.ending.Len() > 2*MaxPool { // of pools that are gone
		l.drop(l.ending.Front())
	}
}

// drop forgets a lease. The caller holds l.mu.
func (l *Leases) drop(e *list.Element) {
	lease := l.ending.Remove(e).(*Lease)
	delete(l.byAddr, lease.Addr)
	delete(l.offered, lease.Addr)
	if l.byOwner[lease.Owner] == e {
		delete(l.byOwner, lease.Owner)
	}
}
