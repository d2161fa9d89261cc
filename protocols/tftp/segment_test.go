package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
)

// senders are the ways in which a window can go out. What a client sees of them is
// the same.
var senders = map[string]func(*Server){
	"cut by the kernel, where it can": func(*Server) {},
	"a message for each block":        over(func(p port) port { return uncutPort{p} }),
	"refused by the interface":        over(func(p port) port { return &refusingPort{port: p, err: syscall.EIO} }),
	"refused by the path":             over(func(p port) port { return &refusingPort{port: p, err: syscall.EINVAL} }),
	"the server's port":               singlePort,
}

// each runs a test with each of the senders.
func each(t *testing.T, test func(t *testing.T, sender func(*Server))) {
	for name, sender := range senders {
		t.Run(name, func(t *testing.T) { test(t, sender) })
	}
}

// over has the transfers of a server use ports made of their own.
func over(wrap func(port) port) func(*Server) {
	return func(s *Server) {
		s.limits.dial = func(req Request, local netip.Addr) (port, error) {
			p, err := newOwnPort(req, local)
			if err != nil {
				return nil, err
			}
			return wrap(p), nil
		}
	}
}

// uncutPort is that of a system that knows nothing of segments.
type uncutPort struct{ port }

func (uncutPort) Segment(int) error { return errors.ErrUnsupported }

// refusingPort takes the setting, and fails where it is made use of.
type refusingPort struct {
	port
	err   error
	size  int
	asked *atomic.Int64 // counts what was refused; nil: nobody asks
}

func (p *refusingPort) Segment(size int) error {
	p.size = size
	return nil
}

func (p *refusingPort) WriteBatch(m []ipv4.Message, flags int) (int, error) {
	if p.size == 0 {
		return p.port.WriteBatch(m, flags)
	}
	if p.asked != nil {
		p.asked.Add(1)
	}
	return 0, p.err
}

// The edges of a window, and of what one message holds: 44 blocks of 1468 bytes, 64
// of 512.
func TestWindowsArriveWhole(t *testing.T) {
	const block = 512
	files := tree{}
	for _, blocks := range []int{0, 1, 2, 43, 44, 45, 63, 64, 65, 128, 200} {
		for _, more := range []int{-1, 0, 1} {
			if size := blocks*block + more; size >= 0 {
				files[fmt.Sprint(size)] = pattern(size)
			}
		}
	}
	each(t, func(t *testing.T, sender func(*Server)) {
		r := start(t, loopback4, files, limits{}, sender)
		c := newClient(t, r.addr)
		for file, want := range files {
			for _, options := range [][]string{
				{"windowsize", "64"}, {"windowsize", "7"}, {"windowsize", "64", "blksize", "1468"}, {"windowsize", "64", "blksize", "8"},
			} {
				if got := c.fetch(file, options...); !bytes.Equal(got, want) {
					t.Errorf("%s with %v: %d bytes, or other ones", file, options, len(got))
				}
				if tr := r.ended(t); tr.Err != nil {
					t.Errorf("%s with %v: %v", file, options, tr.Err)
				}
			}
		}
	})
}

// What one transfer has learned of an interface, the next need not try. What a path
// refused says nothing of another.
func TestRefusedSegmentsAreRemembered(t *testing.T) {
	for err, want := range map[error]int64{syscall.EIO: 1, syscall.EINVAL: 3} {
		var asked atomic.Int64
		r := start(t, loopback4, tree{"a": pattern(100_000)}, limits{}, over(func(p port) port { return &refusingPort{port: p, err: err, asked: &asked} }))
		c := newClient(t, r.addr)
		for range 3 {
			c.fetch("a", "windowsize", "16")
			r.ended(t)
		}
		if refusesNothing := asked.Load() == 0; refusesNothing {
			t.Skip("this system cuts nothing")
		}
		if got := asked.Load(); got != want {
			t.Errorf("%v: refused %d times, want %d", err, got, want)
		}
	}
}
