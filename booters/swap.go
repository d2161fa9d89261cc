package booters

import (
	"sync/atomic"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Swapper holds the snapshot that is served at the moment. It implements
// boot.Source. The zero Swapper holds none yet.
type Swapper struct{ cur atomic.Pointer[boot.Snapshot] }

// Publish makes s the current snapshot and returns its generation, which is
// one more than that of the last; s.Gen is not looked at. Nothing that s refers
// to may be modified any more.
func (w *Swapper) Publish(s boot.Snapshot) (gen uint64) {
	for {
		old := w.cur.Load()
		s.Gen = 1
		if old != nil {
			s.Gen = old.Gen + 1
		}
		gen = s.Gen // after the swap, s belongs to the readers
		if w.cur.CompareAndSwap(old, &s) {
			return gen
		}
	}
}

// Current implements boot.Source. It is nil before the first Publish.
func (w *Swapper) Current() *boot.Snapshot { return w.cur.Load() }
