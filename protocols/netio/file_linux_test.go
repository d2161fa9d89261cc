package netio_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// The .socket units give more room than a daemon without CAP_NET_ADMIN may ask for.
func TestFileConnKeepsTheReceiveBuffer(t *testing.T) {
	f := handOver(t, listen(t, "127.0.0.1:0"))
	const large = 32 << 20 // more than is asked for; without the capability it is less
	fd := int(f.Fd())
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, large) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, large); err != nil {
			t.Fatal(err)
		}
	}
	had, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	c, err := netio.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := sockopt(t, c, unix.SO_RCVBUF); got < had {
		t.Errorf("room for %d bytes, had %d", got, had)
	}
}
