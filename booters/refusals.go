package booters

import (
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// refusedFor is how long a file of another server that had the wrong digest is
	// refused without being asked for: as long as a cache takes its word (cache.FreshFor).
	refusedFor  = time.Minute
	maxRefusals = 1024
)

// refusals are files of other servers that had another digest just now, so that a
// machine is told so by its script, and not only by a transfer that fails.
type refusals struct {
	mu  sync.Mutex
	all map[Source]refused
}

type refused struct {
	when time.Time
	err  *boot.DigestError
}

func newRefusals() *refusals { return &refusals{all: make(map[Source]refused)} }

func (r *refusals) add(src Source, err *boot.DigestError, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) >= maxRefusals {
		clear(r.all)
	}
	r.all[src] = refused{now, err}
}

func (r *refusals) forget(src Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, src)
}

// of is the refusal of a source; nil: there was none lately.
func (r *refusals) of(src Source, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.all[src]
	if age := now.Sub(known.when); !ok || age < 0 || age >= refusedFor {
		return nil
	}
	return known.err
}
