// The tag lets Linux run the loopback tests over this file (those of any user).

//go:build !linux || netio_portable

package netio

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// udpIO is the state of reads of one socket.
type udpIO struct{ oob []byte }

func (io *udpIO) init(*net.UDPConn) error {
	io.oob = append(ipv4.NewControlMessage(ipv4.FlagDst|ipv4.FlagInterface),
		ipv6.NewControlMessage(ipv6.FlagDst|ipv6.FlagInterface)...) // room for either
	return nil
}

// ReadBatch implements Conn. It reads one datagram.
func (c *udpConn) ReadBatch(b []Datagram) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	d := &b[0]
	for {
		n, oobn, _, peer, err := c.conn.ReadMsgUDPAddrPort(d.buf, c.oob)
		if err != nil {
			return 0, err
		}
		if n >= len(d.buf) { // did not fit
			continue
		}
		d.Data = d.buf[:n]
		d.Peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
		d.Local, d.Interface = c.parseControl(c.oob[:oobn])
		return 1, nil
	}
}

// parseControl reads to which address and by which interface a datagram came.
func (c *udpConn) parseControl(oob []byte) (netip.Addr, int) {
	var dst net.IP
	var index int
	if c.v4() {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) == nil {
			dst, index = cm.Dst, cm.IfIndex
		}
	} else {
		var cm ipv6.ControlMessage
		if cm.Parse(oob) == nil {
			dst, index = cm.Dst, cm.IfIndex
		}
	}
	local, _ := netip.AddrFromSlice(dst)
	return local.Unmap(), index
}

// WriteBatch implements Conn.
func (c *udpConn) WriteBatch(b []Datagram) (int, error) {
	for i := range b {
		if _, _, err := c.conn.WriteMsgUDPAddrPort(b[i].Data, c.marshalControl(&b[i]), b[i].Peer); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// marshalControl makes d leave from d.Local by d.Interface. For IPv4 on a socket
// of both families the systems differ too much: there the routes decide.
func (c *udpConn) marshalControl(d *Datagram) []byte {
	switch {
	case !d.Local.IsValid() && d.Interface == 0:
		return nil
	case c.v4():
		cm := ipv4.ControlMessage{Src: d.Local.AsSlice(), IfIndex: d.Interface}
		return cm.Marshal()
	case d.Peer.Addr().Is4():
		return nil
	default:
		cm := ipv6.ControlMessage{Src: d.Local.AsSlice(), IfIndex: d.Interface}
		return cm.Marshal()
	}
}
