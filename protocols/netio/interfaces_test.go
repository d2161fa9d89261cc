package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestAddrFor(t *testing.T) {
	prefixes := func(list ...string) (p []netip.Prefix) {
		for _, s := range list {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	for _, tt := range []struct {
		name     string
		prefixes []netip.Prefix
		peer     string // "" is the zero Addr
		want     string // "" is none
	}{
		{"no address", nil, "", ""},
		{"no address of the family", prefixes("2001:db8::1/64"), "", ""},
		{"one address", prefixes("192.0.2.1/24"), "", "192.0.2.1"},
		{"peer without an address yet", prefixes("fe80::1/64", "192.0.2.1/24"), "0.0.0.0", "192.0.2.1"},
		{"the first of equals", prefixes("192.0.2.1/24", "192.0.2.2/24"), "192.0.2.9", "192.0.2.1"},
		{"on the peer's network", prefixes("192.0.2.1/24", "198.51.100.1/24"), "198.51.100.7", "198.51.100.1"},
		{"on the narrowest one", prefixes("10.0.0.1/8", "10.1.0.1/16"), "10.1.2.3", "10.1.0.1"},
		{"a link-local network holds the peer", prefixes("192.0.2.1/24", "169.254.1.1/16"), "169.254.7.7", "169.254.1.1"},
		{"behind a router", prefixes("169.254.1.1/16", "192.0.2.1/24"), "203.0.113.5", "192.0.2.1"},
		{"private is as good as global", prefixes("10.0.0.1/8", "192.0.2.1/24"), "203.0.113.5", "10.0.0.1"},
		{"link-local before loopback", prefixes("127.0.0.1/8", "169.254.1.1/16"), "203.0.113.5", "169.254.1.1"},
		{"loopback at last", prefixes("127.0.0.1/8"), "203.0.113.5", "127.0.0.1"},
		{"IPv6", prefixes("192.0.2.1/24", "fe80::1/64", "2001:db8::1/64"), "2001:db8::7", "2001:db8::1"},
		{"IPv6 link-local peer with zone", prefixes("2001:db8::1/64", "fe80::1/64"), "fe80::7%eth0", "fe80::1"},
		{"IPv6 behind a router", prefixes("fe80::1/64", "fd00::1/64"), "2001:db8:1::7", "fd00::1"},
		{"peer mapped to IPv6", prefixes("2001:db8::1/64", "192.0.2.1/24"), "::ffff:192.0.2.7", "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var peer netip.Addr
			if tt.peer != "" {
				peer = netip.MustParseAddr(tt.peer)
			}
			got := ""
			if a, ok := (Interface{Prefixes: tt.prefixes}).AddrFor(peer); ok {
				got = a.String()
			}
			if got != tt.want {
				t.Errorf("AddrFor(%v) = %q, want %q", peer, got, tt.want)
			}
		})
	}
}

// A host is what a table under test reads, and its clock.
type host struct {
	time   time.Time
	list   []Interface
	err    error
	reads  int
	routes int
}

func (h *host) table() *Interfaces {
	h.time = time.Unix(1e9, 0)
	return &Interfaces{
		now:  func() time.Time { return h.time },
		read: func() ([]Interface, error) { h.reads++; return h.list, h.err },
		route: func(dst netip.Addr) netip.Addr {
			h.routes++
			if dst.Is6() {
				return netip.Addr{} // no route
			}
			return netip.MustParseAddr("192.0.2.1")
		},
	}
}

func TestTableIsReadOnceASecond(t *testing.T) {
	h := &host{list: []Interface{{Index: 2, Name: "eth0"}}}
	table := h.table()
	for range 1000 {
		if i, ok := table.ByIndex(2); !ok || i.Name != "eth0" {
			t.Fatalf("ByIndex(2) = %v, %v", i, ok)
		}
		table.ByName("eth0")
		table.All()
	}
	if h.reads != 1 {
		t.Errorf("%d reads within one instant, want 1", h.reads)
	}

	h.list = []Interface{{Index: 2, Name: "renamed"}}
	h.time = h.time.Add(maxTableAge)
	if i, _ := table.ByIndex(2); i.Name != "eth0" || h.reads != 1 {
		t.Errorf("after exactly maxTableAge: %q by %d reads, want the old table", i.Name, h.reads)
	}
	h.time = h.time.Add(1)
	if i, _ := table.ByIndex(2); i.Name != "renamed" || h.reads != 2 {
		t.Errorf("after maxTableAge: %q by %d reads, want the new name by 2", i.Name, h.reads)
	}
}

func TestWatchedTableIsReadAfterChanges(t *testing.T) {
	h := &host{list: []Interface{{Index: 2, Name: "eth0"}}}
	table := h.table()
	table.watched.Store(true)
	for _, step := range []struct {
		name    string
		after   time.Duration
		changes uint64
		err     error
		reads   int // so far
	}{
		{"first", 0, 0, nil, 1},
		{"nothing in a day", 24 * time.Hour, 0, nil, 1},
		{"a change", time.Hour, 1, nil, 2},
		{"changes that follow at once", minTableAge, 100, nil, 2},
		{"once for all of them", 1, 0, nil, 3},
		{"what cannot be read", time.Hour, 1, errors.New("no memory"), 4},
		{"is read again soon", minTableAge + 1, 0, nil, 5},
		{"and once", time.Hour, 0, nil, 5},
	} {
		h.time, h.err = h.time.Add(step.after), step.err
		table.changed.Add(step.changes)
		for range 10 {
			if _, ok := table.ByIndex(2); !ok {
				t.Errorf("%s: not found", step.name)
			}
		}
		if h.reads != step.reads {
			t.Errorf("%s: %d reads, want %d", step.name, h.reads, step.reads)
		}
	}
	near := netip.MustParseAddr("198.51.100.1")
	table.Route(near)
	h.time = h.time.Add(maxTableAge + 1)
	if table.Route(near); h.routes != 2 {
		t.Error("a route was believed for longer than a second")
	}
}

func TestUnknownInterfaceIsLookedForEarlier(t *testing.T) {
	h := &host{}
	table := h.table()
	table.All()
	h.list = []Interface{{Index: 7, Name: "tap0"}}
	if _, ok := table.ByIndex(7); ok || h.reads != 1 {
		t.Errorf("at once: found %v by %d reads, want none by 1", ok, h.reads)
	}
	h.time = h.time.Add(minTableAge + 1)
	for range 1000 {
		if _, ok := table.ByIndex(7); !ok {
			t.Fatal("after minTableAge: not found")
		}
		table.ByName("none")
	}
	if h.reads != 2 {
		t.Errorf("%d reads, want 2", h.reads)
	}
}

func TestLastTableStaysWhenReadingFails(t *testing.T) {
	h := &host{list: []Interface{{Index: 2}}}
	table := h.table()
	table.All()
	h.list, h.err = nil, errors.New("no memory")
	h.time = h.time.Add(time.Hour)
	if _, ok := table.ByIndex(2); !ok {
		t.Error("the interface is gone")
	}
}

func TestRoutesAreRememberedWithinBounds(t *testing.T) {
	h := &host{}
	table := h.table()
	near, none := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")
	for range 10 {
		if a, ok := table.Route(near); !ok || a.String() != "192.0.2.1" {
			t.Fatalf("Route(%v) = %v, %v", near, a, ok)
		}
		if a, ok := table.Route(none); ok {
			t.Fatalf("Route(%v) = %v, want none", none, a)
		}
	}
	if h.routes != 2 {
		t.Errorf("the kernel was asked %d times, want 2", h.routes)
	}
	for i := range 10 * maxRoutes {
		table.Route(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if n := len(table.current.Load().routes); n != maxRoutes {
		t.Errorf("%d routes remembered, want %d", n, maxRoutes)
	}
	h.routes, h.time = 0, h.time.Add(maxTableAge+1)
	if table.Route(near); h.routes != 1 {
		t.Error("a route outlived its table")
	}
}

func TestRouteIsToOneMachine(t *testing.T) {
	table := (&host{}).table()
	for _, dst := range []string{"0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"} {
		if a, ok := table.Route(netip.MustParseAddr(dst)); ok {
			t.Errorf("Route(%s) = %v, want none", dst, a)
		}
	}
	if a, ok := table.Route(netip.Addr{}); ok {
		t.Errorf("Route of nothing = %v, want none", a)
	}
}

// The table of the real host agrees with package net, which reads it otherwise.
func TestTableOfThisHost(t *testing.T) {
	table := NewInterfaces()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		got, ok := table.ByIndex(l.Index)
		if !ok || got.Name != l.Name || got.MTU != l.MTU || got.Up != (l.Flags&net.FlagUp != 0) {
			t.Errorf("ByIndex(%d) = %v, %v; want %v", l.Index, got, ok, l)
		}
		have := make(map[string]bool)
		for _, p := range got.Prefixes {
			have[p.String()] = true
		}
		addrs, err := l.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if !have[a.String()] {
				t.Errorf("%s: %v is missing", l.Name, a)
			}
		}
		if len(have) != len(addrs) {
			t.Errorf("%s: %v, want %v", l.Name, got.Prefixes, addrs)
		}
	}
	if a, ok := table.Route(netip.MustParseAddr("127.0.0.1")); !ok || !a.IsLoopback() {
		t.Errorf("Route(127.0.0.1) = %v, %v", a, ok)
	}
}

func BenchmarkByIndex(b *testing.B) {
	for _, n := range []int{4, 300} {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			h := &host{}
			for i := range n {
				h.list = append(h.list, Interface{Index: i + 1})
			}
			table := h.table()
			table.now = time.Now
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := table.ByIndex(n); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
