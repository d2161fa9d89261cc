package httpboot

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// cork makes TCP send full frames only, until it is off (tcp(7), TCP_CORK). sendfile(2)
// hands over sixteen pages at a time, and with TCP_NODELAY, which net sets, the odd rest
// of each goes out by itself: a third of the rate of one connection. An error changes
// nothing but that.
func cork(c *net.TCPConn, on int) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) })
	}
}

const canTellAcknowledged = true

// acknowledged looks again after ackPause, and after twice as long each time, so that
// those who take their time cost next to nothing. Nothing tells when a queue is empty.
const (
	ackPause    = time.Millisecond
	maxAckPause = 64 * time.Millisecond
)

// acknowledged waits until the peer has all that was written to c (tcp(7), SIOCOUTQ),
// and for at most patience without any progress.
func acknowledged(c *net.TCPConn, patience time.Duration) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	pause := ackPause
	for last, since := -1, time.Now(); ; pause = min(2*pause, maxAckPause) {
		var queued int
		var failed error
		if err := raw.Control(func(fd uintptr) { queued, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			return err // it was closed
		}
		switch {
		case failed != nil:
			return os.NewSyscallError("ioctl", failed)
		case queued == 0:
			return nil
		case queued != last:
			last, since = queued, time.Now()
		case time.Since(since) > patience:
			return os.ErrDeadlineExceeded
		}
		time.Sleep(pause)
	}
}
