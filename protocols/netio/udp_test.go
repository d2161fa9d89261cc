package netio_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// patience is how long a test waits for what must come. It decides no test that
// passes.
const patience = 10 * time.Second

func listen(t testing.TB, addr string) netio.Conn {
	t.Helper()
	c, err := netio.ListenUDP(netip.MustParseAddrPort(addr))
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Skipf("needs IPv6: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// A packet is what tests compare of a Datagram.
type packet struct {
	Data      string
	Peer      netip.AddrPort
	Local     netip.Addr
	Interface int
}

// read reads exactly n datagrams.
func read(t testing.TB, c netio.Conn, n int) []packet {
	t.Helper()
	var got []packet
	for b := netio.NewBatch(8, 64); len(got) < n; {
		k, err := c.ReadBatch(b[:min(len(b), n-len(got))])
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(got), n, err)
		}
		for _, d := range b[:k] {
			got = append(got, packet{string(d.Data), d.Peer, d.Local, d.Interface})
		}
	}
	return got
}

func write(t testing.TB, c netio.Conn, b ...netio.Datagram) {
	t.Helper()
	if n, err := c.WriteBatch(b); n != len(b) || err != nil {
		t.Fatalf("WriteBatch = %d, %v; want %d", n, err, len(b))
	}
}

// netipValues makes values of netip comparable for cmp.
var netipValues = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func loopback(t testing.TB) int {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Flags&net.FlagLoopback != 0 {
			return l.Index
		}
	}
	t.Fatal("no loopback interface")
	return 0
}

func TestDatagramsSayTheirWay(t *testing.T) {
	lo := loopback(t)
	for _, tt := range []struct{ name, server, client, at string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv4 any address", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv4 mapped to IPv6", "[::ffff:127.0.0.1]:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "[::1]:0", "::1"},
		{"both families, IPv4", "[::]:0", "127.0.0.1:0", "127.0.0.1"},
		{"both families, IPv6", "[::]:0", "[::1]:0", "::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, client := listen(t, tt.server), listen(t, tt.client)
			at := netip.MustParseAddr(tt.at)
			to := netip.AddrPortFrom(at, server.LocalAddr().Port())

			var ask []netio.Datagram
			var want []packet
			for i := range 20 { // more than a batch
				data := fmt.Sprint("question ", i)
				ask = append(ask, netio.Datagram{Data: []byte(data), Peer: to})
				want = append(want, packet{data, client.LocalAddr(), at, lo})
			}
			write(t, client, ask...)
			got := read(t, server, len(want))
			if diff := cmp.Diff(want, got, netipValues); diff != "" {
				t.Fatalf("server read (-want +got):\n%s", diff)
			}

			// The answer goes back by the way of the question.
			write(t, server, netio.Datagram{Data: []byte("answer"), Peer: got[0].Peer, Local: got[0].Local, Interface: got[0].Interface})
			want = []packet{{"answer", to, client.LocalAddr().Addr(), lo}}
			if diff := cmp.Diff(want, read(t, client, 1), netipValues); diff != "" {
				t.Errorf("client read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersLeaveFromTheAddressThatIsAskedFor(t *testing.T) {
	probe, err := net.ListenPacket("udp4", "127.0.0.2:0")
	if err != nil {
		t.Skipf("needs all of 127.0.0.0/8: %v", err) // not on BSD
	}
	probe.Close()
	server, client := listen(t, "0.0.0.0:0"), listen(t, "127.0.0.1:0")
	for _, local := range []string{"127.0.0.2", "127.0.0.3"} {
		write(t, server, netio.Datagram{Data: []byte("x"), Peer: client.LocalAddr(), Local: netip.MustParseAddr(local)})
		if got := read(t, client, 1)[0].Peer.Addr().String(); got != local {
			t.Errorf("answer came from %s, want %s", got, local)
		}
	}
}

func TestLongDatagramsAreDroppedNotCut(t *testing.T) {
	server, client := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	fits, long := make([]byte, 64), make([]byte, 65)
	to := server.LocalAddr()
	write(t, client,
		netio.Datagram{Data: long, Peer: to},
		netio.Datagram{Data: []byte("first"), Peer: to},
		netio.Datagram{Data: make([]byte, 9000), Peer: to},
		netio.Datagram{Data: fits, Peer: to},
		netio.Datagram{Data: nil, Peer: to},
		netio.Datagram{Data: []byte("last"), Peer: to},
	)
	var got []string
	for _, p := range read(t, server, 4) {
		got = append(got, p.Data)
	}
	if diff := cmp.Diff([]string{"first", string(fits), "", "last"}, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestWriteBatchSaysHowFarItCame(t *testing.T) {
	server, client := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	to := server.LocalAddr()
	n, err := client.WriteBatch([]netio.Datagram{
		{Data: []byte("1"), Peer: to},
		{Data: make([]byte, 70000), Peer: to}, // no datagram is as long
		{Data: []byte("2"), Peer: to},
	})
	if n != 1 || !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("WriteBatch = %d, %v; want 1, EMSGSIZE", n, err)
	}
	if got := read(t, server, 1)[0].Data; got != "1" {
		t.Errorf("read %q, want what stood before the error", got)
	}
	if _, err := client.WriteBatch([]netio.Datagram{{Data: []byte("3")}}); err == nil {
		t.Error("no error for a datagram to nobody")
	}
}

func TestDeadlineEndsARead(t *testing.T) {
	c := listen(t, "127.0.0.1:0")
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadBatch(netio.NewBatch(1, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadBatch = %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestCloseEndsARead(t *testing.T) {
	c := listen(t, "127.0.0.1:0")
	end := make(chan error)
	go func() {
		_, err := c.ReadBatch(netio.NewBatch(1, 1))
		end <- err
	}()
	c.Close()
	if err := <-end; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ReadBatch = %v, want net.ErrClosed", err)
	}
}

func TestAPortHasOneOwner(t *testing.T) {
	c := listen(t, "0.0.0.0:0")
	if _, err := netio.ListenUDP(c.LocalAddr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second ListenUDP = %v, want EADDRINUSE", err)
	}
	// Nor does one get in that is ready to share, as dnsmasq is.
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		})
	}}
	other, err := shared.ListenPacket(t.Context(), "udp4", c.LocalAddr().String())
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ListenPacket with SO_REUSEADDR = %v, want EADDRINUSE", err)
	}
	if err == nil {
		other.Close()
	}
}

func TestListenRefuses(t *testing.T) {
	for name, addr := range map[string]netip.AddrPort{
		"no address":        {},
		"multicast IPv4":    netip.MustParseAddrPort("224.0.1.1:0"),
		"multicast IPv6":    netip.MustParseAddrPort("[ff02::1:2]:0"),
		"another's address": netip.MustParseAddrPort("192.0.2.1:0"),
	} {
		if c, err := netio.ListenUDP(addr); err == nil {
			c.Close()
			t.Errorf("%s: ListenUDP(%v) succeeded", name, addr)
		}
	}
}

// BenchmarkEcho is one datagram there and back, in batches of 32.
func BenchmarkEcho(b *testing.B) {
	const batch = 32
	server, client := listen(b, "127.0.0.1:0"), listen(b, "127.0.0.1:0")
	for _, c := range []netio.Conn{server, client} {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	ask := make([]netio.Datagram, batch)
	for i := range ask {
		ask[i] = netio.Datagram{Data: make([]byte, 548), Peer: server.LocalAddr()}
	}
	in := netio.NewBatch(batch, 1500)
	pass := func(c netio.Conn, answer bool) {
		for n := 0; n < batch; {
			k, err := c.ReadBatch(in)
			if err != nil {
				b.Fatal(err)
			}
			if answer {
				if _, err := c.WriteBatch(in[:k]); err != nil {
					b.Fatal(err)
				}
			}
			n += k
		}
	}
	b.ReportAllocs()
	b.SetBytes(548)
	for i := 0; i < b.N; i += batch {
		if _, err := client.WriteBatch(ask); err != nil {
			b.Fatal(err)
		}
		pass(server, true)
		pass(client, false)
	}
}
