//go:build linux && !netio_portable

package netio

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
)

// udpIO is the state of batches of one socket.
type udpIO struct {
	// The batch calls of x/net's ipv4 and ipv6 are the same code: the family is
	// in the addresses. One serves sockets of either.
	batch *ipv4.PacketConn
	in    inbox     // the one reader's
	out   sync.Pool // *outbox, one for each writer at work
}

func (io *udpIO) init(c *net.UDPConn) {
	io.batch = ipv4.NewPacketConn(c)
	io.out.New = func() any { return new(outbox) }
}

// ReadBatch implements Conn.
func (c *udpConn) ReadBatch(b []Datagram) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	msgs := c.in.messages(len(b))
	for {
		for i := range b {
			msgs[i].Buffers[0] = b[i].buf
		}
		got, err := c.batch.ReadBatch(msgs, 0)
		if err != nil {
			return 0, err
		}
		n := 0
		for i := range got {
			from, ok := msgs[i].Addr.(*net.UDPAddr)
			if !ok || msgs[i].N >= len(b[i].buf) { // did not fit
				continue
			}
			d := &b[n]
			d.buf, b[i].buf = b[i].buf, d.buf // the dropped one's goes to the rear
			d.Data = d.buf[:msgs[i].N]
			peer := from.AddrPort()
			d.Peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
			d.Local, d.Interface = parsePacketInfo(msgs[i].OOB[:msgs[i].NN])
			n++
		}
		if n > 0 {
			return n, nil
		}
	}
}

// WriteBatch implements Conn.
func (c *udpConn) WriteBatch(b []Datagram) (int, error) {
	out := c.out.Get().(*outbox)
	defer c.out.Put(out)
	return writeAll(c.batch, out.messages(b))
}

// outbox holds the messages that a writer reuses.
type outbox struct {
	msgs  []ipv4.Message
	addrs []net.UDPAddr
}

// messages returns the messages that send b.
func (out *outbox) messages(b []Datagram) []ipv4.Message {
	if n := len(b); n > len(out.msgs) {
		out.msgs, out.addrs = make([]ipv4.Message, n), make([]net.UDPAddr, n)
		for i := range n {
			out.msgs[i] = ipv4.Message{Buffers: make([][]byte, 1), Addr: &out.addrs[i]}
		}
	}
	for i := range b {
		peer := b[i].Peer
		out.addrs[i] = net.UDPAddr{IP: setIP(out.addrs[i].IP, peer.Addr()), Port: int(peer.Port())}
		if b[i].Interface == 0 { // else the index says it, without looking up a name
			out.addrs[i].Zone = peer.Addr().Zone()
		}
		out.msgs[i].Buffers[0] = b[i].Data
		out.msgs[i].OOB = packetInfo(&b[i])
	}
	return out.msgs[:len(b)]
}
