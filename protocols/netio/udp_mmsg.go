//go:build linux && !netio_portable

package netio

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// udpIO is the state of batches of one socket.
type udpIO struct {
	in    *mailbox  // the one reader's
	out   sync.Pool // *mailbox, one for each writer at work
	zones zones
}

func (io *udpIO) init(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	io.in = newMailbox(raw, unix.SYS_RECVMMSG)
	io.out.New = func() any { return newMailbox(raw, unix.SYS_SENDMMSG) }
	return nil
}

// ReadBatch implements Conn.
func (c *udpConn) ReadBatch(b []Datagram) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in.room(len(b))
	for {
		for i := range b {
			c.in.put(i, 0, b[i].buf)
		}
		got, err := c.in.receive(len(b))
		if err != nil {
			return 0, c.failed("read", err)
		}
		n := 0
		for i := range got {
			h, msg := &c.in.headers[i], &c.in.messages[i]
			peer := msg.peer(&c.zones)
			if !peer.IsValid() || int(h.length) >= len(b[i].buf) { // did not fit
				continue
			}
			d := &b[n]
			d.buf, b[i].buf = b[i].buf, d.buf // the dropped one's goes to the rear
			d.Data = d.buf[:h.length]
			d.Peer = peer
			d.Local, d.Interface = parsePacketInfo(msg.control.bytes()[:h.Controllen])
			n++
		}
		if n > 0 {
			return n, nil
		}
	}
}

// WriteBatch implements Conn.
func (c *udpConn) WriteBatch(b []Datagram) (int, error) {
	out := c.out.Get().(*mailbox)
	defer c.out.Put(out)
	out.room(len(b))
	for i := range b {
		out.put(i, 0, b[i].Data)
		out.address(i, &b[i], &c.zones)
	}
	n, err := out.send(len(b))
	if err != nil {
		err = c.failed("write", err)
	}
	return n, err
}

// failed says of which socket an error is.
func (c *udpConn) failed(op string, err error) error {
	if _, ok := err.(*net.OpError); ok {
		return err
	}
	return &net.OpError{Op: op, Net: "udp", Source: c.conn.LocalAddr(), Err: err}
}
