package httpboot

import (
	"net"

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
