package netio

import (
	"context"
	"errors"
	"syscall"
	"time"
)

const (
	// A socket that reports an error is asked again after a pause, which doubles
	// from the first to the last…
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
	// …and given up after so many errors in a row (about 10 s). An error of the
	// network is told once by each socket that it struck; one that comes back
	// this often is a fault of the socket.
	maxReadErrors = 16
)

// Serve reads from c, up to batch datagrams of up to size bytes at a time, and
// calls handle with each batch until ctx is done; then it returns nil and leaves
// c open. What handle is given is valid until handle returns.
//
// An error that passes (a peer's ICMP, an interface that goes down, no memory) is
// waited out. Serve returns one that does not pass.
func Serve(ctx context.Context, c Conn, batch, size int, handle func([]Datagram)) error {
	// A socket that was idle for a generation still has the deadline of its last.
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		_ = c.SetReadDeadline(time.Unix(1, 0)) // fails if c is closed, and then the read has, too
	})
	defer func() {
		if !stop() {
			<-stopped
		}
	}()

	b := NewBatch(batch, size)
	failed := 0
	for {
		n, err := c.ReadBatch(b)
		if err == nil {
			// Also when ctx is done: nobody else will read what this has.
			failed = 0
			handle(b[:n])
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
		case !passing(err):
			return err
		default:
			if failed++; failed == maxReadErrors {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(firstPause<<(failed-1), lastPause)):
			}
		}
	}
}

// passing reports whether a socket that gave err can work again.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		// A peer or a router said by ICMP that it did not get what we sent.
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EMSGSIZE,
		// The interface went down.
		syscall.ENETDOWN,
		// The host is short of memory, or a signal came.
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
