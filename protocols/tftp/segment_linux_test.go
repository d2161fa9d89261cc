package tftp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// Linux refuses to cut what must also be put into fragments (udp(7)), and that is
// how refusesSegments knows it.
func TestAPathThatTakesNoWholeBlock(t *testing.T) {
	r, c, server := onALink(t)
	server.Run("ip", "route", "change", "192.0.2.0/24", "dev", "eth0", "mtu", "1000")
	server.Do(func() {
		p, err := newOwnPort(Request{Remote: netip.MustParseAddrPort("192.0.2.2:9")}, netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Segment(1472); err != nil {
			t.Fatal(err)
		}
		_, err = p.Write(make([]byte, 2*1472))
		if refused, byInterface := refusesSegments(err); !refused || byInterface {
			t.Errorf("got %v, which is no refusal of the path", err)
		}
	})
	want := pattern(300_000)
	if got := c.fetch("a", "blksize", "1468", "windowsize", "64"); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or other ones", len(got), len(want))
	}
	if tr := r.ended(t); tr.Err != nil {
		t.Error(tr.Err)
	}
}

// A queue on the way that holds a third of a window loses the rest of it.
func TestAShortQueue(t *testing.T) {
	r, c, server := onALink(t)
	server.Run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1gbit", "burst", "16k", "limit", "32k")
	want := pattern(300_000)
	if got := c.fetch("a", "blksize", "1468", "windowsize", "64"); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or other ones", len(got), len(want))
	}
	if tr := r.ended(t); tr.Err != nil {
		t.Error(tr.Err)
	}
}

// onALink is a server of the file "a", and a client of it, on two hosts.
func onALink(t *testing.T) (*rig, *client, *netlab.Host) {
	t.Helper()
	netlab.Require(t, "ip", "tc")
	lan := netlab.New(t)
	server, host := lan.Host("server", "192.0.2.1/24"), lan.Host("client", "192.0.2.2/24")
	var r *rig
	there := func(req Request, local netip.Addr) (p port, err error) {
		server.Do(func() { p, err = newOwnPort(req, local) })
		return p, err
	}
	server.Do(func() {
		r = start(t, netip.MustParseAddrPort("192.0.2.1:0"), tree{"a": pattern(300_000)}, limits{interval: 50 * time.Millisecond, dial: there})
	})
	var c *client
	host.Do(func() { c = newClientAt(t, netip.MustParseAddr("192.0.2.2"), r.addr) })
	return r, c, server
}
