package httpboot

import (
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// stallTimeout cuts a connection on which not even leastSent bytes could be sent
	// in that time: a network on which a thousand machines load is slow for each, and
	// those that are cut begin anew.
	stallTimeout = 60 * time.Second
	leastSent    = 16 << 10
	pieceSize    = 1 << 20
	// stallStep is how much earlier that may be: so often is the deadline moved on,
	// since it costs as much as a small script.
	stallStep = time.Second
	// heldBack is how much of a verified file goes out at last, in bytes.
	heldBack = 64 << 10
	// maxConns bounds the open connections, the next one included. If all of them are
	// being answered, more wait in the kernel's queue.
	maxConns = 4096
	// fairConns is how many of them one address keeps then: whoever downloads slowly by
	// all of them would keep everybody else away.
	fairConns = 64
	// askTime is how long a connection is spared on which nothing is asked: room is made
	// as soon as the last one is taken, before who has it can have asked.
	askTime = time.Second
)

// Listener wraps a TCP listener such that a client that stops reading is cut
// off after a minute without progress, and that at most a bounded
// number of connections is open: where there are as many, the one that has
// asked nothing for longest makes room for the next, and where all are being answered,
// one of the address that has most of them.
func Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, slots: make(chan struct{}, maxConns), fair: fairConns, askTime: askTime, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	slots     chan struct{}
	fair      int           // fairConns, but in tests
	askTime   time.Duration // askTime, likewise
	closed    chan struct{}
	closeOnce sync.Once

	mu   sync.Mutex
	open list.List // of *conn, the one whose last question was answered, or that came, first in front
}

func (l *listener) Accept() (net.Conn, error) {
	if !l.takeSlot() {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		<-l.slots
		return c, nil
	}
	own := &conn{TCPConn: t, of: l, from: t.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(), quiet: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	own.place = l.open.PushBack(own)
	return own, nil
}

// takeSlot waits for a slot, and reports whether one came before the listener closed.
func (l *listener) takeSlot() bool {
	for {
		select {
		case l.slots <- struct{}{}:
			return true
		default:
		}
		l.makeRoom()
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-time.After(l.askTime): // who was spared may have asked nothing until now
		}
	}
}

// makeRoom ends a connection, if there is one that can be spared.
func (l *listener) makeRoom() {
	l.mu.Lock()
	spare := l.spare(time.Now())
	l.mu.Unlock()
	if spare != nil {
		spare.evicted.Store(true)
		spare.Close() // its reader tells net/http
	}
}

// spare is the connection that has asked nothing for longest, if that is askTime, or else
// one of the address that has most, if they are more than is fair; nil: there is none.
// The caller holds l.mu.
func (l *listener) spare(now time.Time) (spare *conn) {
	held := make(map[netip.Addr]int)
	var most netip.Addr
	for e := l.open.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if !c.asked && now.Sub(c.quiet) >= l.askTime {
			return c
		}
		if held[c.from]++; held[c.from] > max(l.fair, held[most]) {
			most = c.from
		}
	}
	for e := l.open.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if c.from != most {
			continue
		}
		if !c.asked {
			return c
		}
		spare = c // the last one has come least far
	}
	return spare
}

func (l *listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// connOf is the conn in what net/http was given; nil: there is none.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// now takes note of what net/http does with the connection.
func (c *conn) now(s http.ConnState) {
	l := c.of
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateActive:
		c.asked = true
	case http.StateIdle:
		c.asked, c.quiet = false, time.Now()
		if c.place != nil {
			l.open.MoveToBack(c.place)
		}
	}
}

// conn moves its write deadline on with the pieces sent, and sets a read deadline when
// one is needed.
type conn struct {
	*net.TCPConn
	of      *listener
	from    netip.Addr
	place   *list.Element // in of.open, with of.mu held; nil: it is closed
	asked   bool          // whether a question is being answered; with of.mu held
	quiet   time.Time     // since when none is, or when it came; likewise
	evicted atomic.Bool
	reads   readLimit
	// moved is when the deadline was moved on, in nanoseconds since 1970; 0: by
	// somebody else.
	moved atomic.Int64
}

// SetWriteDeadline is also called by crypto/tls and net/http, for a handshake; and by the
// latter before each answer, to say that there is none: then that of moveOn stands.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.moved.Load() != 0 {
		return nil
	}
	c.moved.Store(0)
	return c.TCPConn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// moveOn gives the next piece its time.
func (c *conn) moveOn() error {
	now := time.Now()
	if at := now.UnixNano(); at-c.moved.Load() >= int64(stallStep) {
		c.moved.Store(at)
		return c.TCPConn.SetWriteDeadline(now.Add(stallTimeout))
	}
	return nil
}

// slow reports whether a piece that was not sent in its time has come on all the same,
// by n bytes: then the rest of it is one more piece.
func (c *conn) slow(n int64, err error) bool {
	return n >= leastSent && errors.Is(err, os.ErrDeadlineExceeded) && c.moved.Swap(0) != 0
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	if c.place != nil {
		c.of.open.Remove(c.place)
		c.place = nil
		defer func() { <-c.of.slots }()
	}
	c.of.mu.Unlock()
	return c.TCPConn.Close()
}

func (c *conn) Write(b []byte) (int, error) {
	sent := 0
	for {
		piece := b[sent:min(sent+pieceSize, len(b))]
		if err := c.moveOn(); err != nil {
			return sent, err
		}
		n, err := c.TCPConn.Write(piece)
		sent += n
		if c.slow(int64(n), err) {
			continue
		}
		if err != nil || sent == len(b) {
			return sent, err
		}
	}
}

// ReadFrom is what net/http calls for a file: it comes as an io.LimitedReader
// over an *os.File, or what holds one, which TCPConn.ReadFrom hands to sendfile(2).
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		switch f := limited.R.(type) {
		case syscall.Conn:
			return c.sendFile(limited, func(int64) error { return nil })
		case boot.Verified:
			return c.sendVerified(f, limited)
		}
	}
	return io.Copy(struct{ io.Writer }{c}, r) // by Write, with its deadlines
}

// sendFile sends a file by sendfile(2), and tells of each piece.
func (c *conn) sendFile(limited *io.LimitedReader, sentPiece func(n int64) error) (sent int64, err error) {
	if limited.N > pieceSize {
		cork(c.TCPConn, 1)
		defer cork(c.TCPConn, 0)
	}
	for limited.N > 0 {
		if err := c.moveOn(); err != nil {
			return sent, err
		}
		piece := io.LimitedReader{R: limited.R, N: min(limited.N, pieceSize)}
		n, err := c.TCPConn.ReadFrom(&piece)
		sent += n
		limited.N -= n
		if err == nil || c.slow(n, err) {
			err = sentPiece(n)
		}
		if err != nil || n == 0 {
			return sent, err
		}
	}
	return sent, nil
}

// sendVerified sends a file of known content. sendfile(2) puts the pages of the file
// themselves into the queue of the socket, so that what is written to the file goes out
// until the machine has acknowledged them. So the last of it is held back until it has
// acknowledged all the rest, and the file is the same then: a machine never has the whole
// of a wrong file. What was held back is read, and looked at.
func (c *conn) sendVerified(f boot.Verified, limited *io.LimitedReader) (sent int64, err error) {
	raw, at := f.Raw(), f.Offset()
	if bulk := limited.N - heldBack; canTellAcknowledged && raw != nil && bulk >= pieceSize {
		if _, err := raw.Seek(at, io.SeekStart); err != nil {
			return 0, err
		}
		sent, err = c.sendFile(&io.LimitedReader{R: raw, N: bulk}, func(n int64) error {
			if _, err := f.Seek(n, io.SeekCurrent); err != nil {
				return err
			}
			return f.Same()
		})
		if err == nil {
			err = acknowledged(c.TCPConn, stallTimeout)
		}
		if err == nil {
			err = f.Same()
		}
		if limited.N -= sent; err != nil {
			return sent, err
		}
	}
	n, err := io.Copy(struct{ io.Writer }{c}, limited)
	return sent + n, err
}
