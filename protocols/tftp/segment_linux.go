package tftp

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// segment has the kernel cut what is sent by one message into datagrams of size
// bytes, the last of which may be shorter (udp(7), UDP_SEGMENT; Linux 4.18). 0 ends
// it. It is set on the socket, for an older kernel would pass over a control message
// without a word and send a datagram of 64 KiB.
func segment(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size))
	})
	return errors.Join(err, set)
}

// refusesSegments reports whether an error of sending is about segments. EIO is of an
// interface that leaves checksums to us (before Linux 6.11) or of IPsec. EMSGSIZE,
// before Linux 6.14 EINVAL, is of a path which takes no datagram of that size whole:
// what is cut into datagrams is not cut into fragments as well.
func refusesSegments(err error) (refused, byInterface bool) {
	byInterface = errors.Is(err, unix.EIO)
	return byInterface || errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.EINVAL), byInterface
}
