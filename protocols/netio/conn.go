package netio

import (
	"net/netip"
	"time"
)

// A Datagram is one UDP payload with what the protocols need to know of its way.
type Datagram struct {
	// Data is the payload. After ReadBatch it is a part of the buffer that
	// NewBatch made, valid until the next ReadBatch of the same slice.
	Data []byte
	// Peer is who sent it, or who is to get it. IPv4 addresses are never in
	// the IPv6-mapped form.
	Peer netip.AddrPort
	// Local is the address that it was sent to (which may be a broadcast or
	// multicast address), or is to be sent from. The zero Addr when writing
	// leaves the choice to the kernel.
	Local netip.Addr
	// Interface is the index of the interface that it came in by, or is to go
	// out by. 0 when writing leaves the choice to the kernel's routes.
	Interface int

	buf []byte
}

// A Conn reads and writes datagrams in batches. One goroutine may read while
// others write.
type Conn interface {
	// ReadBatch blocks until at least one datagram is there, fills b from the
	// front and returns how many. b must come from NewBatch. Datagrams that
	// are larger than their buffer are dropped, never cut short.
	ReadBatch(b []Datagram) (int, error)
	// WriteBatch sends all of b and returns how many went out before the
	// first error, if any.
	WriteBatch(b []Datagram) (int, error)
	// LocalAddr is the address that the Conn is bound to.
	LocalAddr() netip.AddrPort
	// SetReadDeadline makes ReadBatch return os.ErrDeadlineExceeded at t. A
	// server's Run stops its reading loop with a deadline in the past.
	SetReadDeadline(t time.Time) error
	Close() error
}

// NewBatch makes n datagrams for ReadBatch, each with room for size bytes.
func NewBatch(n, size int) []Datagram {
	b := make([]Datagram, n)
	for i := range b {
		b[i].buf = make([]byte, size+1) // one more, to tell a datagram that did not fit
	}
	return b
}
