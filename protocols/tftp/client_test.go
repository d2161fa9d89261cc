package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
	loopback6 = netip.MustParseAddrPort("[::1]:0")
)

// tree is a Files of byte slices.
type tree map[string][]byte

func (f tree) Open(_ context.Context, r Request) (File, error) {
	b, ok := f[r.Path]
	if !ok {
		return File{}, fmt.Errorf("%q: %w", r.Path, ErrNotFound)
	}
	return File{Name: "tree/" + r.Path, Size: int64(len(b)), Content: bytes.NewReader(b)}, nil
}

// openFunc is a Files that is a function.
type openFunc func(context.Context, Request) (File, error)

func (f openFunc) Open(ctx context.Context, r Request) (File, error) { return f(ctx, r) }

// pattern is n bytes in which no block is like another.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+4 <= n; i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(i)*2654435761)
	}
	return b
}

// A rig is a running server.
type rig struct {
	addr netip.AddrPort
	done chan Transfer
	stop context.CancelFunc
	err  chan error
}

// start runs a server of f. Nothing is sent again before 10 s, unless l says so.
func start(t testing.TB, listen netip.AddrPort, f Files, l limits, change ...func(*Server)) *rig {
	t.Helper()
	conn, err := netio.ListenUDP(listen)
	if err != nil {
		t.Skipf("needs %v: %v", listen.Addr(), err)
	}
	if l.transfers == 0 {
		l.transfers, l.perAddr = maxTransfers, maxTransfersPerAddr
	}
	if l.interval == 0 {
		l.interval = maxInterval
	}
	if l.dial == nil {
		l.dial = newOwnPort
	}
	if l.drain == 0 {
		l.drain = time.Nanosecond
	}
	r := &rig{addr: conn.LocalAddr(), done: make(chan Transfer, 4096), err: make(chan error, 1)}
	if r.addr.Addr().IsUnspecified() {
		r.addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.addr.Port())
	}
	s := &Server{
		Conn: conn, Files: f, Interfaces: netio.NewInterfaces(), Log: zap.NewNop(),
		Done:   func(t Transfer) { r.done <- t },
		limits: &l,
	}
	for _, c := range change {
		c(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		r.err <- s.Run(ctx)
		close(r.err)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-r.err; err != nil {
			t.Errorf("Run: %v", err)
		}
		conn.Close()
	})
	return r
}

// ended is the next transfer that ended.
func (r *rig) ended(t testing.TB) Transfer {
	t.Helper()
	select {
	case tr := <-r.done:
		return tr
	case <-time.After(patience):
		t.Fatal("no transfer ended")
		panic("unreachable")
	}
}

// settle returns when the server has read all that was sent to its port.
func (r *rig) settle(t testing.TB) {
	t.Helper()
	c := newClient(t, r.addr)
	c.request(request(opWRQ, "a", "octet"))
	c.wantError(codeDenied)
}

// A client speaks TFTP as a ROM does, and as no ROM should.
type client struct {
	testing.TB
	conn   *net.UDPConn
	server netip.AddrPort
	tid    netip.AddrPort // where the transfer comes from; invalid before the first answer
	buf    [1 << 16]byte
	// lose says which DATA to lose, by its number on the wire; nil loses none.
	lose func(block uint16) bool
}

func newClient(t testing.TB, server netip.AddrPort) *client {
	t.Helper()
	return newClientAt(t, server.Addr(), server) // both on loopback
}

func newClientAt(t testing.TB, own netip.Addr, server netip.AddrPort) *client {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 0)))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(1 << 20)
	t.Cleanup(func() { conn.Close() })
	return &client{TB: t, conn: conn, server: server}
}

// request begins a transfer.
func (c *client) request(b []byte) {
	c.Helper()
	c.tid = netip.AddrPort{}
	if _, err := c.conn.WriteToUDPAddrPort(b, c.server); err != nil {
		c.Fatal(err)
	}
}

// send sends to the transfer's port.
func (c *client) send(b []byte) {
	c.Helper()
	if _, err := c.conn.WriteToUDPAddrPort(b, c.tid); err != nil {
		c.Fatal(err)
	}
}

func (c *client) ack(block uint16) {
	c.Helper()
	c.send(binary.BigEndian.AppendUint16([]byte{0, opACK}, block))
}

func (c *client) abort(code uint16) {
	c.Helper()
	c.send((&refusal{code, "User aborted the transfer"}).packet())
}

// receive is the next packet, valid until the next. It must come from the address
// that was asked, and from one port only.
func (c *client) receive() []byte {
	c.Helper()
	p, ok := c.receiveWithin(patience)
	if !ok {
		c.Fatal("nothing came")
	}
	return p
}

func (c *client) receiveWithin(d time.Duration) ([]byte, bool) {
	c.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		c.Fatal(err)
	}
	n, from, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
	if os.IsTimeout(err) {
		return nil, false
	}
	if err != nil {
		c.Fatal(err)
	}
	if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); from.Addr() != c.server.Addr() {
		c.Fatalf("an answer from %v, asked %v", from, c.server)
	}
	if c.tid.IsValid() && c.tid != from {
		c.Fatalf("an answer from %v, the transfer is with %v", from, c.tid)
	}
	c.tid = from
	return c.buf[:n], true
}

// quiet holds if nothing more came: on loopback a datagram is there when the call
// that sends it returns.
func (c *client) quiet(r *rig) {
	c.Helper()
	r.settle(c)
	if p, ok := c.receiveWithin(time.Millisecond); ok {
		c.Fatalf("unexpected %q", p[:min(len(p), 40)])
	}
}

// wantError reads an ERROR and returns its text.
func (c *client) wantError(code uint16) string {
	c.Helper()
	p := c.receive()
	if len(p) < 5 || p[1] != opERROR || p[len(p)-1] != 0 {
		c.Fatalf("got %q, want an ERROR", p)
	}
	if got := binary.BigEndian.Uint16(p[2:]); got != code {
		c.Fatalf("got ERROR %d %q, want %d", got, p[4:], code)
	}
	return string(p[4 : len(p)-1])
}

// wantData reads the DATA of a block and returns what it holds.
func (c *client) wantData(block uint16) []byte {
	c.Helper()
	p := c.receive()
	if len(p) < 4 || p[1] != opDATA || binary.BigEndian.Uint16(p[2:]) != block {
		c.Fatalf("got %q, want DATA %d", p[:min(len(p), 40)], block)
	}
	return p[4:]
}

// fetch reads a whole file: in windows as RFC 7440 §4 has it, and every DATA out of
// order answered, as EDK2 does.
func (c *client) fetch(name string, options ...string) []byte {
	c.Helper()
	c.request(rrq(append([]string{name, "octet"}, options...)...))
	block, window := defaultBlock, 1
	var file []byte
	var has uint16
	counted := 0
	for {
		p := c.receive()
		switch p[1] {
		case opOACK:
			for name, value := range parseOACK(c, p) {
				var n int
				fmt.Sscan(value, &n)
				switch name {
				case "blksize":
					block = n
				case "windowsize":
					window = n
				}
			}
			if len(file) == 0 && has == 0 {
				c.ack(0)
			}
		case opDATA:
			n := binary.BigEndian.Uint16(p[2:])
			switch {
			case c.lose != nil && c.lose(n):
			case n != has+1:
				counted = 0
				c.ack(has)
			default:
				has++
				file = append(file, p[4:]...)
				last := len(p)-4 < block
				if counted++; counted == window || last {
					counted = 0
					c.ack(has)
				}
				if last {
					return file
				}
			}
		default:
			c.Fatalf("unexpected %q", p)
		}
	}
}
