package httpboot

import (
	"errors"
	"os"
	"sync"
	"time"
)

// A readLimit is the read deadline of a conn. net/http sets one six times for each
// request, nearly always to move on what is far away, or to take it back; each is a
// timer of the runtime's. So a deadline is only noted here, and the connection has one
// that is never later than that: it is set when a read would wait beyond the one noted,
// and a read that is woken too early goes on.
type readLimit struct {
	mu      sync.Mutex
	noted   time.Time // what SetReadDeadline has said; zero: none
	set     time.Time // the connection's; zero: none
	spent   bool      // whether that has passed
	waiting bool      // whether a read is under way: net/http and crypto/tls have one at a time
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	l := &c.reads
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = t
	if l.waiting && l.late() {
		return c.setReadLimit()
	}
	return nil
}

// late reports whether the connection's deadline is later than the one that was noted.
// The caller holds l.mu.
func (l *readLimit) late() bool {
	return !l.noted.IsZero() && (l.set.IsZero() || l.noted.Before(l.set))
}

// over reports whether the deadline that was noted has passed. The caller holds l.mu.
func (l *readLimit) over() bool { return !l.noted.IsZero() && time.Until(l.noted) <= 0 }

// setReadLimit gives the connection the deadline that was noted. The caller holds
// c.reads.mu.
func (c *conn) setReadLimit() error {
	c.reads.set, c.reads.spent = c.reads.noted, false
	return c.TCPConn.SetReadDeadline(c.reads.noted)
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		if err := c.beforeRead(); err != nil {
			return 0, err
		}
		n, err := c.TCPConn.Read(b)
		if err = c.afterRead(err); err != errEarly {
			return n, err
		}
	}
}

// beforeRead is os.ErrDeadlineExceeded where nothing need be asked of the kernel: that is
// how net/http takes back the read by which it notices that a client goes.
func (c *conn) beforeRead() error {
	l := &c.reads
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spent || l.late() {
		if l.over() {
			return os.ErrDeadlineExceeded
		}
		if err := c.setReadLimit(); err != nil {
			return err
		}
	}
	l.waiting = true
	return nil
}

// errEarly says that a read was woken before its time.
var errEarly = errors.New("the read goes on")

func (c *conn) afterRead(err error) error {
	l := &c.reads
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if l.spent = l.over(); l.spent {
		return err
	}
	if failed := c.setReadLimit(); failed != nil {
		return failed
	}
	return errEarly
}
