package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// A port is how one transfer sends to its client, and hears nobody else.
type port interface {
	Write(p []byte) (int, error)
	// Ask sends out, unless that is empty, and waits for a packet until the deadline.
	Ask(out, in []byte) (int, error)
	// WriteBatch sends as ipv4.PacketConn does: as many as one call took.
	WriteBatch(m []ipv4.Message, flags int) (int, error)
	// Segment has each message sent as datagrams of size bytes, the last of which
	// may be shorter; 0: as one. An error says that this cannot be.
	Segment(size int) error
	SetReadDeadline(t time.Time) error
	Close() error
}

// An ownPort is a connected socket.
type ownPort struct {
	*net.UDPConn
	batch *ipv4.PacketConn // of either family
	raw   syscall.RawConn

	step    func(fd uintptr) bool // sendOrReceive, made once: each time, it would be an allocation
	out, in []byte                // of one Ask
	n       int                   // what came of its last step
	err     error
}

func newOwnPort(req Request, local netip.Addr) (port, error) {
	conn, err := dial(req, local)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p := &ownPort{UDPConn: conn, batch: ipv4.NewPacketConn(conn), raw: raw}
	p.step = p.sendOrReceive
	return p, nil
}

// Ask implements port. A read that finds nothing costs a tenth of the way of a block,
// and what answers out cannot be there yet: so it is the poller that is asked first.
// The poller tells of what comes after RawConn.Read has begun, which is why out is
// sent from within.
func (p *ownPort) Ask(out, in []byte) (int, error) {
	p.out, p.in = out, in
	err := p.raw.Read(p.step)
	if err == nil {
		err = p.err
	} else if len(out) > 0 {
		if len(p.out) > 0 { // the deadline had come before: out is sent nevertheless
			_ = p.raw.Control(p.once)
		}
		// What had come before out, of which nobody told.
		if p.raw.Control(p.once) == nil && p.err != syscall.EAGAIN {
			err = p.err
		}
	}
	if err != nil {
		return 0, err
	}
	return p.n, nil
}

func (p *ownPort) once(fd uintptr) { p.step(fd) }

// sendOrReceive does the next step of Ask, and reports whether there is no other.
func (p *ownPort) sendOrReceive(fd uintptr) bool {
	if len(p.out) > 0 {
		_, err := syscall.Write(int(fd), p.out)
		p.out, p.err = nil, os.NewSyscallError("write", err)
		return err != nil
	}
	n, err := syscall.Read(int(fd), p.in)
	if err == syscall.EAGAIN {
		p.err = err
		return false
	}
	p.n, p.err = n, os.NewSyscallError("read", err)
	return true
}

func (p *ownPort) WriteBatch(m []ipv4.Message, flags int) (int, error) {
	return p.batch.WriteBatch(m, flags)
}

func (p *ownPort) Segment(size int) error { return segment(p.UDPConn, size) }

// A sharedPort is the server's own port, with what the server's reader puts into
// the mailbox.
type sharedPort struct {
	*mailbox
	conn netio.Conn
	way  netio.Datagram // from us to the client, without Data
	out  []netio.Datagram
	text []byte // what out holds
}

func newSharedPort(conn netio.Conn, box *mailbox, req Request, local netip.Addr) port {
	return &sharedPort{mailbox: box, conn: conn, way: netio.Datagram{
		Peer:  netip.AddrPortFrom(zoned(req.Remote.Addr(), req.Interface), req.Remote.Port()),
		Local: local,
	}}
}

func (p *sharedPort) Write(b []byte) (int, error) {
	d := p.way
	d.Data = b
	if _, err := p.conn.WriteBatch([]netio.Datagram{d}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Ask implements port.
func (p *sharedPort) Ask(out, in []byte) (int, error) {
	if len(out) > 0 {
		if _, err := p.Write(out); err != nil {
			return 0, err
		}
	}
	return p.Read(in)
}

// WriteBatch copies each message into one piece, as a Datagram is.
func (p *sharedPort) WriteBatch(m []ipv4.Message, _ int) (int, error) {
	p.out, p.text = p.out[:0], p.text[:0]
	ends := make([]int, 0, len(m))
	for i := range m {
		for _, b := range m[i].Buffers {
			p.text = append(p.text, b...)
		}
		ends = append(ends, len(p.text))
	}
	start := 0
	for _, end := range ends {
		d := p.way
		d.Data, start = p.text[start:end], end
		p.out = append(p.out, d)
	}
	return p.conn.WriteBatch(p.out)
}

// Segment is refused: what is set on the server's port concerns every transfer.
func (p *sharedPort) Segment(int) error { return errors.ErrUnsupported }

// Close leaves the server's port to the others.
func (p *sharedPort) Close() error { return nil }

// maxMail is how many packets wait for one transfer. A client that sends more
// than its transfer reads loses the oldest: the last ACK says most.
const maxMail = 8

// A mailbox is between the reader of the server's port and one transfer.
type mailbox struct {
	mu       sync.Mutex
	mail     [][]byte
	deadline time.Time
	changed  chan struct{} // one is enough: there is one reader
}

func newMailbox() *mailbox { return &mailbox{changed: make(chan struct{}, 1)} }

// takes reports whether a packet is one that a client sends to its transfer.
func (*mailbox) takes(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	op := binary.BigEndian.Uint16(b)
	return op == opACK || op == opERROR
}

// put copies a packet.
func (m *mailbox) put(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mail) == maxMail {
		m.mail = append(m.mail[:0], m.mail[1:]...)
	}
	m.mail = append(m.mail, append([]byte(nil), b[:min(len(b), maxAnswer)]...))
	m.signal()
}

func (m *mailbox) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// SetReadDeadline is that of a net.Conn: it concerns a Read that waits, too.
func (m *mailbox) SetReadDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deadline = t
	m.signal()
	return nil
}

// Read waits for a packet until the deadline.
func (m *mailbox) Read(p []byte) (int, error) {
	for {
		m.mu.Lock()
		left := time.Until(m.deadline)
		if left <= 0 {
			m.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if len(m.mail) > 0 {
			n := copy(p, m.mail[0])
			m.mail = append(m.mail[:0], m.mail[1:]...)
			m.mu.Unlock()
			return n, nil
		}
		m.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-m.changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}
