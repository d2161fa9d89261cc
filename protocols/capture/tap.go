package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// A Tap is a Conn that notes in a Ring what goes through it.
type Tap struct {
	netio.Conn
	Ring       *Ring
	Interfaces *netio.Interfaces
	// Whose is the machine that sent a datagram, or is to get it; peer is at the
	// other end. It must be quick, and take any bytes. False: it is not noted.
	Whose func(data []byte, peer netip.Addr) (MAC, bool)
}

// ReadBatch implements netio.Conn.
func (t *Tap) ReadBatch(b []netio.Datagram) (int, error) {
	n, err := t.Conn.ReadBatch(b)
	t.noteAll(b[:n], true)
	return n, err
}

// WriteBatch implements netio.Conn.
func (t *Tap) WriteBatch(b []netio.Datagram) (int, error) {
	n, err := t.Conn.WriteBatch(b)
	t.noteAll(b[:n], false)
	return n, err
}

// noteAll notes a batch, which is of one moment and mostly of one interface.
func (t *Tap) noteAll(b []netio.Datagram, in bool) {
	var iface netio.Interface
	now := time.Now()
	for i := range b {
		d := &b[i]
		mac, ok := t.Whose(d.Data, d.Peer.Addr())
		if !ok {
			continue
		}
		if iface.Index != d.Interface || d.Interface == 0 {
			iface, _ = t.Interfaces.ByIndex(d.Interface)
		}
		t.note(mac, d, &iface, now, in)
	}
}

func (t *Tap) note(mac MAC, d *netio.Datagram, iface *netio.Interface, now time.Time, in bool) {
	own := d.Local
	if !own.IsValid() {
		var ok bool
		if own, ok = iface.AddrFor(d.Peer.Addr()); !ok {
			own = netip.IPv4Unspecified()
			if d.Peer.Addr().Is6() {
				own = netip.IPv6Unspecified()
			}
		}
	}
	p := pcap.Datagram{Time: now, Interface: iface.Name, Data: d.Data}
	us := netip.AddrPortFrom(own, t.LocalAddr().Port())
	if in {
		p.From, p.To, p.FromMAC = d.Peer, us, mac
	} else {
		p.From, p.To = us, d.Peer
		if d.Peer.Addr() != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			p.ToMAC = mac
		}
	}
	t.Ring.Add(mac, p)
}

// DHCP is whose a packet of DHCPv4 is: that of its chaddr, if it has one of Ethernet
// (RFC 2131 §2).
func DHCP(data []byte, _ netip.Addr) (mac MAC, ok bool) {
	const cookie, chaddr = 236, 28
	if len(data) < cookie+4 || data[0] != 1 && data[0] != 2 || data[2] != 6 || binary.BigEndian.Uint32(data[cookie:]) != 0x63825363 {
		return mac, false
	}
	return MAC(data[chaddr:]), true
}

// TFTP makes the Whose of a TFTP server's port: of a request, by the first element of
// the path that it asks for.
func TFTP(owner func(dir string) (MAC, bool)) func(data []byte, peer netip.Addr) (MAC, bool) {
	return func(data []byte, _ netip.Addr) (mac MAC, ok bool) {
		const rrq, maxDir = 1, 64
		if len(data) < 4 || data[0] != 0 || data[1] != rrq {
			return mac, false
		}
		path := bytes.TrimLeft(data[2:], "/")
		end := bytes.IndexAny(path[:min(len(path), maxDir+1)], "/\x00")
		if end <= 0 || path[end] == 0 {
			return mac, false
		}
		return owner(string(path[:end]))
	}
}
