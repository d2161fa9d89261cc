package netio_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

func TestAWireCarriesDatagramsByPort(t *testing.T) {
	w := &netio.Wire{Interface: 7}
	at := func(s string) netio.Conn {
		t.Helper()
		c, err := w.Listen(netip.MustParseAddrPort(s))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server, client, free := at("0.0.0.0:67"), at("192.0.2.9:68"), at("192.0.2.9:0")
	broadcast := netip.MustParseAddrPort("255.255.255.255:67")
	write := func(c netio.Conn, d ...netio.Datagram) {
		t.Helper()
		if n, err := c.WriteBatch(d); n != len(d) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(d), err)
		}
	}
	data := []byte("discover")
	write(client, netio.Datagram{Data: data, Peer: broadcast},
		netio.Datagram{Data: make([]byte, 100), Peer: broadcast}, // does not fit
		netio.Datagram{Data: []byte("again"), Peer: broadcast, Local: netip.MustParseAddr("192.0.2.8")},
		netio.Datagram{Data: []byte("for nobody"), Peer: netip.MustParseAddrPort("192.0.2.1:4011")})
	copy(data, "modified") // after it was sent
	want := []packet{
		{"discover", netip.MustParseAddrPort("192.0.2.9:68"), broadcast.Addr(), 7},
		{"again", netip.MustParseAddrPort("192.0.2.8:68"), broadcast.Addr(), 7},
	}
	if got := read(t, server, 2); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if free.LocalAddr().Port() == 0 {
		t.Errorf("a free port: got %v", free.LocalAddr())
	}
	if _, err := w.Listen(netip.MustParseAddrPort("192.0.2.3:67")); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}

	// What nobody reads is lost in the end, and takes no memory.
	write(client, slices.Repeat([]netio.Datagram{{Data: []byte("x"), Peer: broadcast}}, 1000)...)
	for n := 0; ; {
		must(t, server.SetReadDeadline(time.Unix(1, 0)))
		k, err := server.ReadBatch(netio.NewBatch(8, 8))
		if n += k; errors.Is(err, os.ErrDeadlineExceeded) {
			if n >= 1000 || n == 0 {
				t.Errorf("%d of 1000 waited", n)
			}
			break
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reader that waits is woken by a deadline in the past, as Serve does it, and by
// Close, after which the port is free.
func TestAWireWakesItsReader(t *testing.T) {
	w := &netio.Wire{}
	at := netip.MustParseAddrPort("127.0.0.1:67")
	for _, tc := range []struct {
		wake func(netio.Conn) error
		want error
	}{
		{func(c netio.Conn) error { return c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{netio.Conn.Close, net.ErrClosed},
	} {
		c, err := w.Listen(at)
		must(t, err)
		got := make(chan error)
		go func() {
			_, err := c.ReadBatch(netio.NewBatch(1, 8))
			got <- err
		}()
		must(t, tc.wake(c))
		if err := <-got; !errors.Is(err, tc.want) {
			t.Errorf("got %v, want %v", err, tc.want)
		}
		must(t, c.Close())
		if _, err := c.WriteBatch([]netio.Datagram{{Peer: at}}); !strings.Contains(err.Error(), "closed") {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := netio.JoinGroup(func() netio.Conn { c, _ := w.Listen(at); return c }(), netip.MustParseAddr("ff02::1:2"), 1); err != nil {
		t.Errorf("everybody hears everything: %v", err)
	}
}
