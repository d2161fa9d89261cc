package netio_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// snoop opens a snooper on h.
func snoop(t *testing.T, h *netlab.Host, port uint16) netio.Conn {
	t.Helper()
	var c netio.Conn
	h.Do(func() {
		var err error
		if c, err = netio.Snoop(port); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// listenOn binds a socket on h.
func listenOn(t *testing.T, h *netlab.Host, addr string) (c netio.Conn) {
	t.Helper()
	h.Do(func() { c = listen(t, addr) })
	return c
}

// index is the index of an interface of h.
func index(t *testing.T, h *netlab.Host, dev string) (n int) {
	t.Helper()
	h.Do(func() {
		link, err := net.InterfaceByName(dev)
		if err != nil {
			t.Fatal(err)
		}
		n = link.Index
	})
	return n
}

func datagram(data, to string) netio.Datagram {
	return netio.Datagram{Data: []byte(data), Peer: netip.MustParseAddrPort(to)}
}

func TestSnooperTakesNothingFromTheServer(t *testing.T) {
	lan := netlab.New(t)
	server, client := lan.Host("server", "192.0.2.1/24"), lan.Host("client", "192.0.2.2/24")
	bound := listenOn(t, server, "0.0.0.0:67")
	snooper := snoop(t, server, 67)
	sender := listenOn(t, client, "0.0.0.0:68")

	// 50 renewals, by unicast, and among them the other kinds.
	var want []packet
	from, eth0 := netip.MustParseAddrPort("192.0.2.2:68"), index(t, server, "eth0")
	for i := range 50 {
		to := netip.MustParseAddrPort("192.0.2.1:67")
		switch i {
		case 10:
			to = netip.MustParseAddrPort("255.255.255.255:67")
		case 20:
			to = netip.MustParseAddrPort("192.0.2.255:67")
		}
		d := netio.Datagram{Data: fmt.Append(nil, i), Peer: to, Interface: index(t, client, "eth0")}
		write(t, sender, d)
		want = append(want, packet{string(d.Data), from, to.Addr(), eth0})
	}
	for name, c := range map[string]netio.Conn{"the bound server": bound, "the snooper": snooper} {
		if diff := cmp.Diff(want, read(t, c, len(want)), netipValues); diff != "" {
			t.Errorf("%s read (-want +got):\n%s", name, diff)
		}
	}
}

func TestSnooperHearsAnInterfaceWithoutAddress(t *testing.T) {
	lan := netlab.New(t)
	server, client := lan.Host("server"), lan.Host("client")
	snooper := snoop(t, server, 67)
	d := datagram("DISCOVER", "255.255.255.255:67")
	d.Interface = index(t, client, "eth0")
	write(t, listenOn(t, client, "0.0.0.0:68"), d)
	want := []packet{{"DISCOVER", netip.MustParseAddrPort("0.0.0.0:68"), d.Peer.Addr(), index(t, server, "eth0")}}
	if diff := cmp.Diff(want, read(t, snooper, 1), netipValues); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestSnooperHearsAnInterfaceOfLater(t *testing.T) {
	lan, later := netlab.New(t), netlab.New(t)
	server, client := lan.Host("server", "192.0.2.1/24"), later.Host("client", "198.51.100.2/24")
	snooper := snoop(t, server, 67)
	later.Attach(server, "eth1", "198.51.100.1/24")
	sender := listenOn(t, client, "0.0.0.0:68")
	write(t, sender, datagram("unicast", "198.51.100.1:67"))
	got := read(t, snooper, 1)[0]
	if eth1 := index(t, server, "eth1"); got.Interface != eth1 {
		t.Errorf("read by interface %d, want %d", got.Interface, eth1)
	}
}

func TestSnooperDropsWhatDoesNotFitAndOtherPorts(t *testing.T) {
	lan := netlab.New(t)
	server, client := lan.Host("server", "192.0.2.1/24"), lan.Host("client", "192.0.2.2/24")
	snooper := snoop(t, server, 67)
	listenOn(t, server, "0.0.0.0:67") // else ICMP comes back
	sender := listenOn(t, client, "0.0.0.0:68")
	fits := strings.Repeat("x", 64) // the size of the batch that read makes
	write(t, sender,
		datagram(fits+"y", "192.0.2.1:67"),
		datagram(strings.Repeat("fragments", 500), "192.0.2.1:67"),
		datagram("other", "192.0.2.1:68"),
		datagram(fits, "192.0.2.1:67"),
		datagram("last", "192.0.2.1:67"),
	)
	got := read(t, snooper, 2)
	if got[0].Data != fits || got[1].Data != "last" {
		t.Errorf("read %q, %q; want what fits and the last", got[0].Data, got[1].Data)
	}
}

func TestSnooperSeesFragmentsAsOneDatagram(t *testing.T) {
	lan := netlab.New(t)
	server, client := lan.Host("server", "192.0.2.1/24"), lan.Host("client", "192.0.2.2/24")
	snooper, sender := snoop(t, server, 67), listenOn(t, client, "0.0.0.0:68")
	long := strings.Repeat("fragments", 500)
	write(t, sender, datagram(long, "192.0.2.1:67"))
	b := netio.NewBatch(1, len(long))
	if n, err := snooper.ReadBatch(b); n != 1 || err != nil || string(b[0].Data) != long {
		t.Errorf("read %d datagrams, %d bytes, %v; want 1 of %d bytes", n, len(b[0].Data), err, len(long))
	}
}

// The relay agent of this host is asked and answered on port 67, as any other. Its
// requests are seen; our replies to it are not.
func TestSnooperDoesNotHearItself(t *testing.T) {
	lan := netlab.New(t)
	server, client := lan.Host("server", "192.0.2.1/24"), lan.Host("client", "192.0.2.2/24")
	relay, snooper := listenOn(t, server, "0.0.0.0:67"), snoop(t, server, 67)

	write(t, relay, datagram("request", "192.0.2.1:67"))
	got := read(t, snooper, 1)[0]
	if got.Data != "request" || got.Peer.String() != "192.0.2.1:67" {
		t.Fatalf("read %q from %v, want the relay's request", got.Data, got.Peer)
	}
	reply := datagram("reply", "192.0.2.1:67")
	reply.Local = got.Local
	write(t, snooper, reply)
	for _, want := range []string{"request", "reply"} { // the relay had sent the first to itself
		if p := read(t, relay, 1)[0]; p.Data != want {
			t.Fatalf("the relay read %q, want %q", p.Data, want)
		}
	}
	// Broadcasts, too, come back to their own host.
	broadcast := datagram("broadcast", "255.255.255.255:67")
	broadcast.Local, broadcast.Interface = reply.Local, index(t, server, "eth0")
	write(t, snooper, broadcast)
	if p := read(t, relay, 1)[0]; p.Data != "broadcast" {
		t.Fatalf("the relay read %q, want the broadcast", p.Data)
	}
	write(t, listenOn(t, client, "0.0.0.0:68"), datagram("next", "192.0.2.1:67"))
	if p := read(t, snooper, 1)[0]; p.Data != "next" {
		t.Errorf("the snooper read %q, want only what others sent", p.Data)
	}
}

func TestBroadcastsLeaveByTheirInterface(t *testing.T) {
	lans := []*netlab.LAN{netlab.New(t), netlab.New(t)}
	server := lans[0].Host("server", "192.0.2.1/24")
	lans[1].Attach(server, "eth1", "198.51.100.1/24")
	local := []string{"192.0.2.1", "198.51.100.1"}
	var clients []netio.Conn
	for _, lan := range lans {
		clients = append(clients, listenOn(t, lan.Host("client"), "0.0.0.0:68")) // no address yet
	}
	for name, c := range map[string]netio.Conn{
		"snooper":       snoop(t, server, 67),
		"IPv4":          listenOn(t, server, "0.0.0.0:67"),
		"both families": listenOn(t, server, "[::]:4011"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, withLocal := range []bool{true, false} {
				// To the second first: were the first to get it, it would come
				// before its own.
				for _, to := range []int{1, 0} {
					d := datagram(fmt.Sprintf("%s %v %d", name, withLocal, to), "255.255.255.255:68")
					d.Interface = index(t, server, fmt.Sprint("eth", to))
					if withLocal {
						d.Local = netip.MustParseAddr(local[to])
					}
					write(t, c, d)
				}
				for i, client := range clients {
					got := read(t, client, 1)[0]
					want := fmt.Sprintf("%s %v %d", name, withLocal, i)
					if got.Data != want || got.Local.String() != "255.255.255.255" || got.Peer.Port() != c.LocalAddr().Port() {
						t.Errorf("client %d read %q from %v to %v, want %q", i, got.Data, got.Peer, got.Local, want)
					}
					if withLocal && got.Peer.Addr().String() != local[i] {
						t.Errorf("client %d was told by %v, want %s", i, got.Peer, local[i])
					}
				}
			}
		})
	}
}

func TestAnswersToLinkLocalAddressesLeaveByTheirInterface(t *testing.T) {
	lans := []*netlab.LAN{netlab.New(t), netlab.New(t)}
	server := lans[0].Host("server", "fe80::1/64")
	lans[1].Attach(server, "eth1", "fe80::1/64")
	c := listenOn(t, server, "[::]:547")
	for i, lan := range lans {
		client := lan.Host("client", "fe80::2/64") // the same on either
		sender := listenOn(t, client, "[::]:546")
		ask := datagram("SOLICIT", "[fe80::1]:547")
		ask.Interface = index(t, client, "eth0")
		write(t, sender, ask)
		got := read(t, c, 1)[0]
		if dev := index(t, server, fmt.Sprint("eth", i)); got.Interface != dev || got.Local.String() != "fe80::1" {
			t.Errorf("asked at %v by interface %d, want fe80::1 by %d", got.Local, got.Interface, dev)
		}
		write(t, c, netio.Datagram{Data: []byte("ADVERTISE"), Peer: got.Peer, Local: got.Local, Interface: got.Interface})
		if p := read(t, sender, 1)[0]; p.Data != "ADVERTISE" {
			t.Errorf("client %d read %q", i, p.Data)
		}
	}
}

func TestSnooperRefusesWhatItCannotSend(t *testing.T) {
	lan := netlab.New(t)
	server := lan.Host("server", "192.0.2.1/24")
	c := snoop(t, server, 67)
	v6, long := datagram("x", "[2001:db8::1]:68"), datagram("x", "192.0.2.2:68")
	long.Data = make([]byte, 65508)
	mixed := datagram("x", "192.0.2.2:68")
	mixed.Local = netip.MustParseAddr("2001:db8::1")
	good := datagram("x", "192.0.2.2:68")
	for _, tt := range []struct {
		name string
		bad  netio.Datagram
		want error
	}{
		{"IPv6 peer", v6, syscall.EAFNOSUPPORT},
		{"IPv6 source", mixed, syscall.EAFNOSUPPORT},
		{"no peer", netio.Datagram{}, syscall.EAFNOSUPPORT},
		{"too long", long, syscall.EMSGSIZE},
	} {
		if n, err := c.WriteBatch([]netio.Datagram{good, tt.bad, good}); n != 1 || !errors.Is(err, tt.want) {
			t.Errorf("%s: WriteBatch = %d, %v; want 1, %v", tt.name, n, err, tt.want)
		}
	}
	if got, want := c.LocalAddr(), netip.MustParseAddrPort("0.0.0.0:67"); got != want {
		t.Errorf("LocalAddr = %v, want %v", got, want)
	}
}

func TestSnooperReadsUntilItsDeadline(t *testing.T) {
	c := snoop(t, netlab.New(t).Host("server"), 67)
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadBatch(netio.NewBatch(1, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ReadBatch = %v, want os.ErrDeadlineExceeded", err)
	}
}

// Also run as root: the thread gives the capability away for the time of the call.
func TestSnoopSaysWhichCapabilityItNeeds(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	without := caps
	without[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&head, &without[0]); err != nil {
		t.Fatal(err)
	}
	c, err := netio.Snoop(67)
	if err := unix.Capset(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		c.Close()
		t.Fatal("Snoop succeeded without CAP_NET_RAW")
	}
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("Snoop = %v, want a permission error that names CAP_NET_RAW", err)
	}
}
