package leases

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func pool(size int) Pool {
	return Pool{Start: netip.MustParseAddr("2001:db8::100"), Size: size, Lifetime: 1850 * time.Second}
}

func owner(n int) Owner { return Owner(fmt.Sprintf("client-%d", n)) }

func leases(t *testing.T, s Store) *Leases {
	t.Helper()
	l, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPoolsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		pool Pool
		ok   bool
	}{
		{pool(1), true},
		{pool(MaxPool), true},
		{pool(0), false},
		{pool(MaxPool + 1), false},
		{Pool{Start: netip.MustParseAddr("192.0.2.1"), Size: 254, Lifetime: time.Hour}, true},
		{Pool{Start: netip.MustParseAddr("223.255.255.255"), Size: 2, Lifetime: time.Hour}, false},
		{Pool{Start: netip.MustParseAddr("255.255.255.255"), Size: 1, Lifetime: time.Hour}, false},
		{Pool{Start: netip.MustParseAddr("fe80::1"), Size: 1, Lifetime: time.Hour}, false},
		{Pool{Start: netip.MustParseAddr("ff05::1"), Size: 1, Lifetime: time.Hour}, false},
		{Pool{Start: netip.MustParseAddr("fd00::1"), Size: 1, Lifetime: time.Hour}, true},
		{Pool{Start: netip.MustParseAddr("fd00::1"), Size: 1, Lifetime: time.Second}, false},
	} {
		if err := c.pool.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.pool, err)
		}
	}
}

func TestAPoolCountsOverItsLowHalf(t *testing.T) {
	p := Pool{Start: netip.MustParseAddr("2001:db8::ffff:ffff:ffff:ffff"), Size: 2, Lifetime: time.Hour}
	if got, want := p.at(1), netip.MustParseAddr("2001:db8:0:1::"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if !p.Contains(p.at(1)) || p.Contains(p.at(2)) {
		t.Error("the pool does not end where it ends")
	}
}

func TestAPoolOfIPv4Counts(t *testing.T) {
	without := Set{netip.MustParseAddr("192.0.3.0"): {}}
	p := Pool{Start: netip.MustParseAddr("192.0.2.254"), Size: 4, Lifetime: time.Hour, Without: &without}
	for a, want := range map[string]bool{"192.0.2.253": false, "192.0.2.254": true, "192.0.2.255": true, "192.0.3.0": false, "192.0.3.1": true, "192.0.3.2": false, "::ffff:192.0.3.1": false} {
		if got := p.Contains(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	l := leases(t, nil)
	for n := range 3 {
		if a, ok := l.Take(p, owner(n), netip.MustParseAddr("192.0.3.0"), start); !ok || !p.Contains(a) {
			t.Errorf("client %d got %v, %v", n, a, ok)
		}
	}
	if a, ok := l.Take(p, owner(9), netip.Addr{}, start); ok {
		t.Errorf("a client too many got %v", a)
	}
}

func TestWhatIsOfferedIsHeldAndNotStored(t *testing.T) {
	store, p := &kept{all: map[netip.Addr]Lease{}}, pool(1)
	l := leases(t, store)
	a, first, ok := l.Offer(p, owner(1), netip.Addr{}, start)
	if !ok || !first {
		t.Fatalf("got %v, first %v, %v", a, first, ok)
	}
	if l.Leased(owner(1), a) {
		t.Error("an offer is a lease")
	}
	if _, _, ok := l.Offer(p, owner(2), netip.Addr{}, start); ok {
		t.Error("one address is offered to two clients")
	}
	if _, first, ok := l.Offer(p, owner(1), netip.Addr{}, start); !ok || first {
		t.Errorf("the second time: first %v, %v", first, ok)
	}
	if l.Flush(); len(store.all) > 0 {
		t.Errorf("stored: %v", store.all)
	}
	if _, ok := l.Take(p, owner(1), a, start); !ok || !l.Leased(owner(1), a) {
		t.Error("what is offered cannot be taken")
	}
	if l.Flush(); len(store.all) != 1 {
		t.Errorf("stored: %v", store.all)
	}
	if b, first, ok := l.Offer(p, owner(2), netip.Addr{}, start.Add(p.Lifetime)); !ok || !first || b != a {
		t.Errorf("after its end: %v, first %v, %v", b, first, ok)
	}
}

func TestABarredAddressIsNobodys(t *testing.T) {
	l, p := leases(t, nil), pool(2)
	a, _, _ := l.Offer(p, owner(1), netip.Addr{}, start)
	l.Bar(a, start.Add(time.Hour))
	if b, _, ok := l.Offer(p, owner(1), a, start); !ok || b == a {
		t.Errorf("got %v, %v", b, ok)
	}
	if l.Decline("", a, start) {
		t.Error("nobody declines")
	}
}

func TestAClientKeepsItsAddress(t *testing.T) {
	l, p := leases(t, nil), pool(50)
	a, _ := l.Take(p, owner(1), netip.Addr{}, start)
	for i := 2; i < 40; i++ {
		l.Take(p, owner(i), netip.Addr{}, start)
	}
	late := start.Add(10 * p.Lifetime)
	if b, ok := l.Take(p, owner(1), netip.Addr{}, late); !ok || a != b {
		t.Errorf("got %v, then %v", a, b)
	}
	// Nobody remembers, and it is the same all the same.
	if b, ok := leases(t, nil).Take(p, owner(1), netip.Addr{}, start); !ok || a != b {
		t.Errorf("got %v, and %v of an empty memory", a, b)
	}
}

func TestAPoolIsUsedUpAndComesBack(t *testing.T) {
	l, p := leases(t, nil), pool(20)
	seen := map[netip.Addr]bool{}
	for i := range p.Size {
		a, ok := l.Take(p, owner(i), netip.Addr{}, start)
		if !ok || seen[a] || !p.Contains(a) {
			t.Fatalf("client %d got %v, %v", i, a, ok)
		}
		seen[a] = true
	}
	if a, ok := l.Take(p, owner(99), netip.Addr{}, start); ok {
		t.Errorf("a client too many got %v", a)
	}
	if got := l.InUse(start); got != p.Size {
		t.Errorf("%d leases in use, want %d", got, p.Size)
	}
	if a, ok := l.Take(p, owner(99), netip.Addr{}, start.Add(p.Lifetime)); !ok {
		t.Error("no address when all leases have ended")
	} else if !seen[a] {
		t.Errorf("%v is not of the pool", a)
	}
}

func TestAReleasedAddressIsKeptForItsOwnerAsLongAsThereAreOthers(t *testing.T) {
	l, p := leases(t, nil), pool(2)
	a, _ := l.Take(p, owner(1), netip.Addr{}, start)
	if !l.Release(owner(1), a, start) || l.Release(owner(2), a, start) {
		t.Error("released by the wrong one")
	}
	b, _ := l.Take(p, owner(2), netip.Addr{}, start)
	if a == b {
		t.Error("the second client got the first one's address while another was free")
	}
	if c, ok := l.Take(p, owner(3), netip.Addr{}, start.Add(time.Second)); !ok || c != a {
		t.Errorf("the third client got %v, %v; want the released %v", c, ok, a)
	}
}

func TestADeclinedAddressIsNobodys(t *testing.T) {
	l, p := leases(t, nil), pool(1)
	a, _ := l.Take(p, owner(1), netip.Addr{}, start)
	if !l.Decline(owner(1), a, start) {
		t.Fatal("not declined")
	}
	for n := 1; n < 3; n++ {
		if b, ok := l.Take(p, owner(n), a, start.Add(time.Hour)); ok {
			t.Errorf("client %d got %v, which is in use by somebody else", n, b)
		}
	}
	if _, ok := l.Take(p, owner(1), a, start.Add(DeclinedFor)); !ok {
		t.Error("the address never comes back")
	}
}

func TestALeaseIsMadeLongerUnlessItIsAnothers(t *testing.T) {
	l, p := leases(t, nil), pool(4)
	l.Take(p, owner(1), p.at(0), start)
	for _, c := range []struct {
		name string
		o    Owner
		a    netip.Addr
		want bool
	}{
		{"its own", owner(1), p.at(0), true},
		{"another's", owner(2), p.at(0), false},
		{"one that is forgotten", owner(3), p.at(2), true},
		{"of another link", owner(4), netip.MustParseAddr("2001:db8:9::1"), false},
	} {
		if got := l.Extend(p, c.o, c.a, start); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnotherPoolEndsTheLeasesOfTheFirst(t *testing.T) {
	l := leases(t, nil)
	a, _ := l.Take(pool(8), owner(1), netip.Addr{}, start)
	other := Pool{Start: netip.MustParseAddr("2001:db8:1::"), Size: 8, Lifetime: time.Hour}
	b, ok := l.Take(other, owner(1), a, start)
	if !ok || !other.Contains(b) {
		t.Fatalf("got %v, %v", b, ok)
	}
	if c, ok := l.Take(pool(8), owner(2), a, start); !ok || c != a {
		t.Errorf("the address that was left is not free: %v, %v", c, ok)
	}
}

// kept is a Store in memory, which fails while err is set.
type kept struct {
	all map[netip.Addr]Lease
	err error
}

func (k *kept) Load() (all []Lease, err error) {
	for _, l := range k.all {
		all = append(all, l)
	}
	return all, k.err
}

func (k *kept) Save(changed []Lease) error {
	if k.err != nil {
		return k.err
	}
	for _, l := range changed {
		k.all[l.Addr] = l
	}
	return nil
}

func TestLeasesOutliveTheProcess(t *testing.T) {
	store, p := &kept{all: map[netip.Addr]Lease{}}, pool(8)
	l := leases(t, store)
	a, _ := l.Take(p, owner(1), p.at(7), start) // its wish, which no hash tells
	b, _ := l.Take(p, owner(2), p.at(6), start)
	l.Decline(owner(2), b, start)
	store.err = errors.New("disk full")
	if l.Flush() == nil {
		t.Error("a failure is not told")
	}
	store.err = nil
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l = leases(t, store)
	if c, _ := l.Take(p, owner(1), netip.Addr{}, start); c != a {
		t.Errorf("after a restart %v, before %v", c, a)
	}
	if c, ok := l.Take(p, owner(3), b, start); !ok || c == b {
		t.Errorf("the declined %v is leased after a restart", c)
	}
}

func TestADamagedStoreIsAnEmptyOne(t *testing.T) {
	l, err := New(&kept{all: map[netip.Addr]Lease{}, err: errors.New("damaged")})
	if err == nil {
		t.Error("nothing is said")
	}
	if _, ok := l.Take(pool(1), owner(1), netip.Addr{}, start); !ok {
		t.Error("no address")
	}
}

func TestLeasesAreBounded(t *testing.T) {
	l := leases(t, nil)
	for n := range 3 {
		p := Pool{Start: netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 7: byte(n)}), Size: MaxPool, Lifetime: time.Hour}
		for i := range MaxPool {
			l.put(Lease{Owner: Owner(fmt.Sprint(n, i)), Addr: p.at(i), Until: start})
		}
	}
	if got := len(l.byAddr); got > 2*MaxPool {
		t.Errorf("%d leases are remembered", got)
	}
}
