package netio

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// A change is seen once the table is older than a second, and not by one call of
// the kernel earlier.
func TestTableFollowsTheHost(t *testing.T) {
	lan := netlab.New(t)
	server := lan.Host("server", "192.0.2.1/24")
	server.IP("route", "add", "default", "via", "192.0.2.254")
	now := time.Unix(1e9, 0)
	table := &Interfaces{now: func() time.Time { return now }, read: readInterfaces, route: askRoute}
	peer := netip.MustParseAddr("192.0.2.7")
	far := netip.MustParseAddr("203.0.113.5")

	check := func(when string, wantAddr, wantRoute string) {
		t.Helper()
		server.Do(func() {
			eth0, ok := table.ByName("eth0")
			if !ok {
				t.Fatalf("%s: no eth0", when)
			}
			if a, _ := eth0.AddrFor(peer); a.String() != wantAddr {
				t.Errorf("%s: AddrFor(%v) = %v, want %s", when, peer, a, wantAddr)
			}
			if a, _ := table.Route(far); a.String() != wantRoute {
				t.Errorf("%s: Route(%v) = %v, want %s", when, far, a, wantRoute)
			}
		})
	}
	check("first", "192.0.2.1", "192.0.2.1")

	server.IP("address", "del", "192.0.2.1/24", "dev", "eth0")
	server.IP("address", "add", "192.0.2.2/24", "dev", "eth0")
	check("changed at this moment", "192.0.2.1", "192.0.2.1")
	now = now.Add(maxTableAge + 1)
	check("a second later", "192.0.2.2", "invalid IP") // the route went with the address

	server.IP("link", "set", "eth0", "mtu", "1280", "down")
	now = now.Add(maxTableAge + 1)
	server.Do(func() {
		if eth0, _ := table.ByName("eth0"); eth0.Up || eth0.MTU != 1280 {
			t.Errorf("eth0 = %+v, want it down, of MTU 1280", eth0)
		}
	})
}

// A change is seen without any time going by, and nothing is read while there is none.
func TestWatchedTableFollowsAtOnce(t *testing.T) {
	lan := netlab.New(t)
	server := lan.Host("server", "192.0.2.1/24")
	var clock, reads atomic.Int64 // the clock in seconds
	table := &Interfaces{
		now:  func() time.Time { return time.Unix(clock.Load(), 0) },
		read: func() ([]Interface, error) { reads.Add(1); return readInterfaces() },
	}
	var c changes
	server.Do(func() {
		table.All()
		var err error
		if c, err = subscribe(); err != nil {
			t.Fatal(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	before := table.changed.Load()
	go func() { done <- table.follow(ctx, c) }()
	told := func() { // returns when the kernel's word has come
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); table.changed.Load() == before || !table.watched.Load(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("the kernel told of no change")
			}
		}
		clock.Add(1)
	}
	has := func(a string) (ok bool) {
		server.Do(func() {
			i, _ := table.ByName("eth0")
			ok = i.Has(netip.MustParseAddr(a))
		})
		return ok
	}
	told() // of nothing yet, but that it is watched
	before = table.changed.Load()
	server.IP("address", "add", "198.51.100.1/24", "dev", "eth0")
	told()
	if !has("198.51.100.1") {
		t.Error("a new address is not there")
	}
	before = table.changed.Load()
	server.IP("address", "del", "198.51.100.1/24", "dev", "eth0")
	told()
	if has("198.51.100.1") || !has("192.0.2.1") {
		t.Error("an address that was taken away is there, or another is not")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	clock.Add(3600)
	got := reads.Load()
	if has("192.0.2.1"); reads.Load() != got+1 {
		t.Error("a table that nobody watches any more is not read again")
	}
}

func TestPrefixesAreOurs(t *testing.T) {
	lan := netlab.New(t)
	server := lan.Host("server", "192.0.2.1/24", "2001:db8::1/64")
	server.IP("link", "add", "tunnel", "type", "veth", "peer", "name", "end")
	server.IP("address", "add", "10.0.0.1", "peer", "10.0.0.2/32", "dev", "tunnel")
	server.Do(func() {
		table := NewInterfaces()
		tunnel, _ := table.ByName("tunnel")
		if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}; !slices.Equal(tunnel.Prefixes, want) {
			t.Errorf("point to point: %v, want %v", tunnel.Prefixes, want)
		}
		eth0, _ := table.ByName("eth0")
		for _, want := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
			if !slices.Contains(eth0.Prefixes, netip.MustParsePrefix(want)) {
				t.Errorf("eth0: %v, want %s among them", eth0.Prefixes, want)
			}
		}
	})
}

// An address that is still being checked cannot be sent from.
func TestTentativeAddressesAreNotOffered(t *testing.T) {
	lan := netlab.New(t)
	server := lan.Host("server", "192.0.2.1/24")
	// Without a carrier the check never ends.
	server.IP("link", "add", "loose", "type", "veth", "peer", "name", "end")
	server.Do(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/loose/accept_dad", []byte("1"), 0); err != nil {
			t.Skipf("needs IPv6: %v", err)
		}
	})
	server.IP("link", "set", "loose", "up")
	server.IP("address", "add", "2001:db8::1/64", "dev", "loose")
	server.Do(func() {
		loose, ok := NewInterfaces().ByName("loose")
		if !ok || len(loose.Prefixes) != 0 {
			t.Errorf("loose: %+v, %v; want no address", loose, ok)
		}
	})
}
