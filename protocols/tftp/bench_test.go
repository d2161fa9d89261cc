package tftp

import (
	"fmt"
	"testing"
)

// BenchmarkTransfer is 8 MiB over loopback, the client's work included. Each
// iteration is a whole transfer.
func BenchmarkTransfer(b *testing.B) {
	const size = 8 << 20
	r := start(b, loopback4, tree{"a": pattern(size)}, limits{})
	for _, window := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("windowsize=%d", window), func(b *testing.B) {
			c := newClient(b, r.addr)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				c.drain(rrq("a", "octet", "blksize", "1468", "windowsize", fmt.Sprint(window)), 1468, window)
				r.ended(b)
			}
		})
	}
}

// drain reads a file in order and drops it.
func (c *client) drain(request []byte, block, window int) {
	c.request(request)
	c.receive()
	c.ack(0)
	for n := uint16(1); ; n++ {
		p := c.wantData(n)
		last := len(p) < block
		if last || int(n)%window == 0 {
			c.ack(n)
		}
		if last {
			return
		}
	}
}
