package netio

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A Wire is a network in memory: what one of its Conns writes to a port is read by
// the Conn that listens there. It carries a simulated boot past the ports of the
// host, which a daemon may have. The zero Wire is ready.
type Wire struct {
	// Interface is the index that every datagram is said to have come in by.
	Interface int

	mu    sync.Mutex
	conns []*wireConn
}

const (
	// maxWaiting bounds the datagrams that wait in one Conn of a Wire. More are
	// lost, as in a socket's buffer.
	maxWaiting = 64
	// firstFree is where a Wire looks for a port that nobody asked for.
	firstFree = 49152 // RFC 6335 §6: dynamic ports begin here
)

// Listen makes a Conn at an address of the Wire. Port 0 is a free one.
func (w *Wire) Listen(at netip.AddrPort) (Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := func(port uint16) bool {
		return slices.ContainsFunc(w.conns, func(c *wireConn) bool { return c.at.Port() == port })
	}
	if at.Port() == 0 {
		port := uint16(firstFree)
		for taken(port) {
			port++
		}
		at = netip.AddrPortFrom(at.Addr(), port)
	}
	if taken(at.Port()) {
		return nil, fmt.Errorf("listen %v: %w", at, syscall.EADDRINUSE)
	}
	c := &wireConn{wire: w, at: at, changed: make(chan struct{})}
	w.conns = append(w.conns, c)
	return c, nil
}

// send delivers a datagram to whom it is for, or to nobody. Everybody on a Wire is
// reached by every address: a port is all that tells them apart.
func (w *Wire) send(from *wireConn, d Datagram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		if c.at.Port() == d.Peer.Port() {
			sender := d.Local
			if !sender.IsValid() {
				sender = from.at.Addr()
			}
			c.put(Datagram{Data: slices.Clone(d.Data), Peer: netip.AddrPortFrom(sender, from.at.Port()), Local: d.Peer.Addr(), Interface: w.Interface})
		}
	}
}

// wireConn is one end of a Wire.
type wireConn struct {
	wire *Wire
	at   netip.AddrPort

	mu       sync.Mutex
	waiting  []Datagram
	deadline time.Time
	closed   bool
	changed  chan struct{} // closed at every change of what is above, and replaced
}

// change does something to c that a reader must see.
func (c *wireConn) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *wireConn) put(d Datagram) {
	c.change(func() {
		if !c.closed && len(c.waiting) < maxWaiting {
			c.waiting = append(c.waiting, d)
		}
	})
}

// ReadBatch implements Conn.
func (c *wireConn) ReadBatch(b []Datagram) (int, error) {
	for {
		c.mu.Lock()
		n := 0
		for len(c.waiting) > 0 && n < len(b) {
			d := c.waiting[0]
			c.waiting = c.waiting[1:]
			if buf := b[n].buf; len(d.Data) < len(buf) { // else it did not fit
				size := copy(buf, d.Data)
				b[n] = Datagram{Data: buf[:size], Peer: d.Peer, Local: d.Local, Interface: d.Interface, buf: buf}
				n++
			}
		}
		closed, deadline, changed := c.closed, c.deadline, c.changed
		c.mu.Unlock()
		switch left := time.Until(deadline); {
		case n > 0:
			return n, nil
		case closed:
			return 0, net.ErrClosed
		case deadline.IsZero():
			<-changed
		case left <= 0:
			return 0, os.ErrDeadlineExceeded
		default:
			select {
			case <-changed:
			case <-time.After(left):
			}
		}
	}
}

// WriteBatch implements Conn.
func (c *wireConn) WriteBatch(b []Datagram) (int, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	for _, d := range b {
		c.wire.send(c, d)
	}
	return len(b), nil
}

// LocalAddr implements Conn.
func (c *wireConn) LocalAddr() netip.AddrPort { return c.at }

// SetReadDeadline implements Conn.
func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.change(func() { c.deadline = t })
	return nil
}

// Close implements Conn.
func (c *wireConn) Close() error {
	c.wire.mu.Lock()
	c.wire.conns = slices.DeleteFunc(c.wire.conns, func(other *wireConn) bool { return other == c })
	c.wire.mu.Unlock()
	c.change(func() { c.closed = true })
	return nil
}
