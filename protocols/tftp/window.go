package tftp

// window says which blocks to send. It counts them from 1 without wrapping; on the
// wire a number is its lower 16 bits. Block 0 is the OACK, where there is one.
//
//	   1 … acked         acked+1 … sent        … acked+size        … last
//	the client has them   on their way    may be sent before an ACK
type window struct {
	size  int64 // blocks for each ACK
	last  int64 // the number of the last block
	acked int64 // -1 while an OACK is not acknowledged
	sent  int64
	high  int64 // the highest that was ever sent; above sent after a rewind
	// mend is what high was at the last rewind. Until acked comes there, ACKs
	// may be for blocks that the client got twice, and report no new gap.
	mend  int64
	burst int64 // blocks that go out without a pause, size or less
}

// newWindow begins a file of size bytes.
func newWindow(t terms, size int64) window {
	w := window{
		size:  int64(t.windowSize),
		burst: int64(t.windowSize),
		// RFC 1350 §6: the last block is shorter than the others, so there is an
		// empty one if need be.
		last: size/int64(t.blockSize) + 1,
	}
	if t.oack != nil {
		w.acked, w.sent, w.high = -1, -1, -1
	}
	return w
}

// next is the first and the last block to send now. There is none if from > to.
func (w *window) next() (from, to int64) {
	end := min(w.acked+w.size, w.last)
	if w.acked < 0 {
		end = 0
	}
	return w.sent + 1, min(w.sent+w.burst, end)
}

// out notes that all blocks up to to went out.
func (w *window) out(to int64) {
	w.sent = to
	w.high = max(w.high, to)
}

// complete reports whether only an ACK, or time, lets more go out.
func (w *window) complete() bool {
	from, to := w.next()
	return from > to
}

// done reports whether the client has everything.
func (w *window) done() bool { return w.acked == w.last }

// ack takes the number of an ACK and reports whether it says anything new. The 16
// bits are enough: no more than 2×maxWindow blocks are under way.
func (w *window) ack(number uint16) bool {
	step := int64(number - uint16(w.acked))
	if step == 0 || step > w.high-w.acked {
		return false // a duplicate, or of a block that was never sent
	}
	w.acked += step
	switch {
	case w.acked >= w.sent: // all that is out
		w.sent = w.acked
		w.burst = min(w.burst+1, w.size)
	case w.acked >= w.mend: // a gap
		w.rewind()
	}
	return true
}

// rewind begins the window anew after the last block that the client has.
func (w *window) rewind() {
	w.mend = w.high
	w.sent = w.acked
	w.burst = max(w.burst/2, 1)
}
