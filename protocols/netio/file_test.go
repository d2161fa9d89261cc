package netio_test

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// handOver returns the socket of a Conn as another process would get it.
func handOver(t *testing.T, c any) *os.File {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := raw.Control(func(p uintptr) { fd, err = syscall.Dup(int(p)) }); err != nil || fd < 0 {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "pixiecore-test")
	t.Cleanup(func() { f.Close() })
	return f
}

// What queued in a socket while nobody had it is read by whoever gets it, with its
// way.
func TestFileConn(t *testing.T) {
	first, client := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	at := first.LocalAddr()
	f := handOver(t, first)
	first.Close()
	write(t, client, netio.Datagram{Data: []byte("queued"), Peer: at})

	second, err := netio.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	want := []packet{{"queued", client.LocalAddr(), at.Addr(), loopback(t)}}
	if diff := cmp.Diff(want, read(t, second, 1), netipValues); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if second.LocalAddr() != at {
		t.Errorf("is at %v, want %v", second.LocalAddr(), at)
	}
	if got := sockopt(t, second, syscall.SO_BROADCAST); got == 0 {
		t.Error("must not broadcast")
	}
}

func sockopt(t *testing.T, c any, option int) (value int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, option) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return value
}

func TestFileConnRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, f := range map[string]*os.File{"a stream": handOver(t, l), "no socket": null} {
		if c, err := netio.FileConn(f); err == nil || !strings.Contains(err.Error(), f.Name()) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
		if c, err := netio.SnoopFile(f, 67); err == nil {
			t.Errorf("%s, raw: got %v", name, c)
		}
	}
}

// What has been read when the stop comes is handled: nobody else has it.
func TestServeHandlesWhatItHasRead(t *testing.T) {
	c, client := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	write(t, client, netio.Datagram{Data: []byte("last"), Peer: c.LocalAddr()})
	ctx, cancel := context.WithCancel(t.Context())
	stopping := &stopAfterRead{Conn: c, stop: cancel}
	handled := 0
	if err := netio.Serve(ctx, stopping, 4, 16, func(b []netio.Datagram) { handled += len(b) }); err != nil || handled != 1 {
		t.Errorf("%d handled, %v; want 1", handled, err)
	}
}

// A stopAfterRead is told to stop between a read and its handling.
type stopAfterRead struct {
	netio.Conn
	stop func()
}

func (s *stopAfterRead) ReadBatch(b []netio.Datagram) (int, error) {
	n, err := s.Conn.ReadBatch(b)
	s.stop()
	return n, err
}
