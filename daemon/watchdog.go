package daemon

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/systemd"
)

// A heart tells a loop that waits for its socket, however long, from one that hangs
// in what it does with what it read.
type heart struct{ busySince atomic.Int64 } // nanoseconds of Unix; 0: it waits, or does not run

func (h *heart) waits()              { h.busySince.Store(0) }
func (h *heart) worksAt(t time.Time) { h.busySince.Store(t.UnixNano()) }

// busy is for how long the loop has not come back to its socket.
func (h *heart) busy(now time.Time) time.Duration {
	since := h.busySince.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}

// A beatingConn notes when its one reader waits.
type beatingConn struct {
	netio.Conn
	heart *heart
}

func (c *beatingConn) ReadBatch(b []netio.Datagram) (int, error) {
	c.heart.waits()
	n, err := c.Conn.ReadBatch(b)
	c.heart.worksAt(time.Now())
	return n, err
}

// A beatingListener notes when its one accepter waits: for a connection, or for one
// to end where there are as many as there may be.
type beatingListener struct {
	net.Listener
	heart *heart
}

func (l beatingListener) Accept() (net.Conn, error) {
	l.heart.waits()
	c, err := l.Listener.Accept()
	l.heart.worksAt(time.Now())
	return c, err
}

// watchdog feeds the service manager's watchdog, which bites after so long, until ctx
// is done; but not while a listener's loop hangs.
func (d *Daemon) watchdog(ctx context.Context, bites time.Duration) {
	if bites <= 0 {
		return
	}
	tick := time.NewTicker(bites / 4)
	defer tick.Stop()
	for {
		if l := d.hanging(time.Now(), bites/2); l != nil {
			d.log.Error("listener hangs: the watchdog is not fed", zap.Stringer("listener", l.server), zap.Duration("for", l.beat.busy(time.Now())))
		} else {
			d.notified(systemd.Alive)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// hanging is a listener whose loop has been busy for so long; nil: there is none.
func (d *Daemon) hanging(now time.Time, most time.Duration) *listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.listeners {
		if l.beat.busy(now) > most {
			return l
		}
	}
	return nil
}

const (
	extendEvery = 5 * time.Second
	extendBy    = 3 * extendEvery
	extendMost  = 10 * time.Minute // what takes longer than that hangs
)

// extend asks the service manager for more time until it is told to stop: large
// files take theirs.
func (d *Daemon) extend() (stop func()) {
	if !d.supervised() {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), extendMost)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(extendEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = systemd.Extend(extendBy) // it is asked again
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
