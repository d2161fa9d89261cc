package netio

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxTableAge is how long a change of an address or an interface can go unseen
	// without Watch, and a change of a route with it, too.
	maxTableAge = time.Second
	// minTableAge is how soon a table without the interface that was asked for is
	// read again: datagrams of an interface made this moment must find it, and
	// must not make us read the table for each of them. Nor must a host that tells
	// of changes without an end.
	minTableAge = 100 * time.Millisecond
	// maxRoutes bounds the routes that are remembered with a table. A client
	// chooses what we ask for (giaddr); more are asked of the kernel each time.
	maxRoutes = 256
)

// An Interface is a network interface as it was when its table was read.
type Interface struct {
	Index int
	Name  string
	MTU   int  // bytes of an IP packet
	Up    bool // by the operator's will; it may have no carrier
	// Prefixes are the addresses that can be used, each with the length of its
	// network: 192.0.2.1/24.
	Prefixes []netip.Prefix
}

// Has reports whether a is an address of the interface.
func (i Interface) Has(a netip.Addr) bool {
	return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
}

// AddrFor returns the address of the interface that peer should be told, and
// reached from: of peer's family, the one whose network holds peer (the
// narrowest), else a global one (which private ones are, too), else a link-local
// one, else a loopback one; the first of equals. An invalid or unspecified peer
// stands for a machine that has no address yet: 0.0.0.0 and the zero Addr are of
// IPv4.
func (i Interface) AddrFor(peer netip.Addr) (netip.Addr, bool) {
	peer = peer.Unmap().WithZone("") // Prefix.Contains is false for every zoned address
	v4 := !peer.IsValid() || peer.Is4()
	var best netip.Addr
	bestRank := 0
	for _, p := range i.Prefixes {
		if a := p.Addr(); a.Is4() == v4 {
			if r := rank(p, peer); r > bestRank {
				best, bestRank = a, r
			}
		}
	}
	return best, bestRank > 0
}

// rank says how well the address of p suits peer; 0 is not at all.
func rank(p netip.Prefix, peer netip.Addr) int {
	switch a := p.Addr(); {
	case peer.IsValid() && p.Contains(peer):
		return 4 + p.Bits()
	case a.IsGlobalUnicast():
		return 3
	case a.IsLinkLocalUnicast():
		return 2
	case a.IsLoopback():
		return 1
	default:
		return 0
	}
}

// Interfaces is a table of the host's network interfaces. A lookup costs no system
// call unless the table is older than a second or, while Watch runs, the host has
// told of a change. It is safe for concurrent use.
//
// If the interfaces cannot be read (no descriptor, no memory), the last table
// stays for another second.
type Interfaces struct {
	now   func() time.Time
	read  func() ([]Interface, error)
	route func(dst netip.Addr) netip.Addr

	current atomic.Pointer[table]
	reading sync.Mutex // one reader at a time; the others wait for its table

	watched atomic.Bool   // Watch counts changes
	changed atomic.Uint64 // how often the host has told of a change
}

// table is one reading. Only routes changes.
type table struct {
	at      time.Time
	changed uint64      // Interfaces.changed as it was read
	list    []Interface // by index

	mu     sync.Mutex
	routed time.Time                 // the routes are no older than that
	routes map[netip.Addr]netip.Addr // our address to the key's; the zero Addr where no route is
}

// NewInterfaces reads the table of the network namespace that the caller is in. So
// does every later lookup, in its own caller's.
func NewInterfaces() *Interfaces {
	t := &Interfaces{now: time.Now, read: readInterfaces, route: askRoute}
	t.newerThan(maxTableAge)
	return t
}

// newerThan returns a table not older than age.
func (t *Interfaces) newerThan(age time.Duration) *table {
	if tab := t.current.Load(); tab != nil && t.holds(tab, age) {
		return tab
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	old := t.current.Load()
	if old != nil && t.holds(old, age) {
		return old // another was faster
	}
	now, changed := t.now(), t.changed.Load() // before it is read: what comes meanwhile may be missing in it
	list, err := t.read()
	if err != nil {
		changed-- // read it again soon
		if old != nil {
			list = old.list
		}
	}
	tab := &table{at: now, changed: changed, list: list, routed: now, routes: make(map[netip.Addr]netip.Addr)}
	t.current.Store(tab)
	return tab
}

// holds reports whether tab can stand for one that is not older than age. One of which the
// host would have told that it does not is as good as new, but to who misses something in
// it: the word of a change may be on its way.
func (t *Interfaces) holds(tab *table, age time.Duration) bool {
	if age == maxTableAge && t.watched.Load() {
		if tab.changed == t.changed.Load() {
			return true
		}
		age = minTableAge
	}
	return t.now().Sub(tab.at) <= age
}

// Watch has the host tell of changes in the network namespace that the caller is in,
// until ctx is done, and then returns nil: a change is seen by the next lookup (or, of
// many, a tenth of a second later), and nothing is read while there is none. An error
// says that the host does not tell: by a sandbox, or a system other than Linux, for which
// it is errors.ErrUnsupported. Then, and after Watch, the table is read by its age.
func (t *Interfaces) Watch(ctx context.Context) error {
	c, err := subscribe()
	if err != nil {
		return fmt.Errorf("changes of interfaces: %w", err)
	}
	return t.follow(ctx, c)
}

// follow is Watch by c, which it closes.
func (t *Interfaces) follow(ctx context.Context, c changes) error {
	defer c.Close()
	defer t.watched.Store(false)
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	t.changed.Add(1) // since the table was read, for all that is known
	t.watched.Store(true)
	for {
		err := c.wait()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("changes of interfaces: %w", err)
		}
		t.changed.Add(1)
	}
}

// ByIndex returns the interface of that index.
func (t *Interfaces) ByIndex(index int) (Interface, bool) {
	for _, age := range tableAges {
		for i, list := 0, t.newerThan(age).list; i < len(list); i++ {
			if list[i].Index == index {
				return list[i], true
			}
		}
	}
	return Interface{}, false
}

// ByName returns the interface of that name.
func (t *Interfaces) ByName(name string) (Interface, bool) {
	for _, age := range tableAges {
		list := t.newerThan(age).list
		if n := slices.IndexFunc(list, func(i Interface) bool { return i.Name == name }); n >= 0 {
			return list[n], true
		}
	}
	return Interface{}, false
}

// tableAges are those of the tables that something is looked for in, one after the other.
var tableAges = [...]time.Duration{maxTableAge, minTableAge}

// All returns every interface, by index. The slice is the caller's, the Prefixes
// are not to be changed.
func (t *Interfaces) All() []Interface { return slices.Clone(t.newerThan(maxTableAge).list) }

// Route returns the address of ours from which the kernel would send to dst, as a
// relay must be told (giaddr is a router's, so no interface holds it). It is
// false where no route is, and for a dst that is not one machine.
func (t *Interfaces) Route(dst netip.Addr) (netip.Addr, bool) {
	dst = dst.Unmap()
	if !dst.IsValid() || dst.IsUnspecified() || dst.IsMulticast() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, false
	}
	tab := t.newerThan(maxTableAge)
	tab.mu.Lock()
	if now := t.now(); now.Sub(tab.routed) > maxTableAge {
		clear(tab.routes)
		tab.routed = now
	}
	src, known := tab.routes[dst]
	tab.mu.Unlock()
	if !known {
		src = t.route(dst)
		tab.mu.Lock()
		if len(tab.routes) < maxRoutes {
			tab.routes[dst] = src
		}
		tab.mu.Unlock()
	}
	return src, src.IsValid()
}

// askRoute asks the kernel, and returns the zero Addr if it has no route:
// connecting a UDP socket sends nothing, and chooses the local address. The port
// is of no account (9 is "discard").
func askRoute(dst netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
}

// readInterfaces asks the kernel for all interfaces and their addresses.
func readInterfaces() ([]Interface, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	prefixes, err := readPrefixes(links)
	if err != nil {
		return nil, err
	}
	list := make([]Interface, len(links))
	for n, l := range links {
		list[n] = Interface{
			Index:    l.Index,
			Name:     l.Name,
			MTU:      l.MTU,
			Up:       l.Flags&net.FlagUp != 0,
			Prefixes: prefixes[l.Index],
		}
	}
	slices.SortFunc(list, func(a, b Interface) int { return a.Index - b.Index })
	return list, nil
}
