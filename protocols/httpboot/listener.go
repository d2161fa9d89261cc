package httpboot

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// stallTimeout cuts a connection on which not even pieceSize bytes could
	// be sent in that time.
	stallTimeout = 60 * time.Second
	pieceSize    = 1 << 20
	// stallStep is how much earlier that may be: so often is the deadline moved on,
	// since it costs as much as a small script.
	stallStep = time.Second
	// maxConns bounds the open connections; more wait in the kernel's queue.
	maxConns = 4096
)

// Listener wraps a TCP listener such that a client that stops reading is cut
// off after a minute without a byte of progress, and that at most a bounded
// number of connections is open.
func Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, slots: make(chan struct{}, maxConns), closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	slots     chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	free := sync.OnceFunc(func() { <-l.slots })
	if t, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: t, free: free}, nil
	}
	free()
	return c, nil
}

func (l *listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// conn moves its write deadline on with the pieces sent.
type conn struct {
	*net.TCPConn
	free func()
	// moved is when the deadline was moved on, in nanoseconds since 1970; 0: by
	// somebody else.
	moved atomic.Int64
}

// SetWriteDeadline is also called by crypto/tls and net/http, for a handshake.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.moved.Store(0)
	return c.TCPConn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.moved.Store(0)
	return c.TCPConn.SetDeadline(t)
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

func (c *conn) Close() error {
	defer c.free()
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
		if err != nil || sent == len(b) {
			return sent, err
		}
	}
}

// ReadFrom is what net/http calls for a file: it comes as an io.LimitedReader
// over an *os.File, or what holds one, which TCPConn.ReadFrom hands to sendfile(2).
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if ok {
		_, ok = limited.R.(syscall.Conn)
	}
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r) // by Write, with its deadlines
	}
	if limited.N > pieceSize {
		cork(c.TCPConn, 1)
		defer cork(c.TCPConn, 0)
	}
	var sent int64
	for limited.N > 0 {
		if err := c.moveOn(); err != nil {
			return sent, err
		}
		piece := io.LimitedReader{R: limited.R, N: min(limited.N, pieceSize)}
		n, err := c.TCPConn.ReadFrom(&piece)
		sent += n
		limited.N -= n
		if err != nil || n == 0 {
			return sent, err
		}
	}
	return sent, nil
}
