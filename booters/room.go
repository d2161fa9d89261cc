package booters

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/cpio"
)

const (
	// maxRendered bounds a file that is made for a machine, in bytes.
	maxRendered = 1 << 20
	// maxMade bounds all that lies in memory until the machines that it was made for have
	// taken it, in bytes: clients may be thousands, and slow.
	maxMade = 256 << 20
	// madeWait is how long a machine waits for that room.
	madeWait = 10 * time.Second
)

// A madeRoom is the memory for files that are made for machines.
type madeRoom struct {
	left *semaphore.Weighted
	wait time.Duration
}

func newMadeRoom() *madeRoom { return &madeRoom{semaphore.NewWeighted(maxMade), madeWait} }

// open opens what render makes once there is room for it. It holds the room until it is
// closed. The error for who has waited in vain wraps boot.ErrNoRoom.
func (m *madeRoom) open(ctx context.Context, kind FileKind, render func() (string, error)) (io.ReadCloser, int64, error) {
	most := int64(maxRendered)
	if kind == FileArchive {
		most = 2 * cpio.MaxBytes // a thousand headers are beside it
	}
	waiting, enough := context.WithTimeout(ctx, m.wait)
	defer enough()
	if err := m.left.Acquire(waiting, most); err != nil {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		return nil, 0, fmt.Errorf("%w: too many machines are being sent files that were made for them, and none was done in time; start the machine again", boot.ErrNoRoom)
	}
	kept := int64(0)
	defer func() { m.left.Release(most - kept) }() // after a panic in render, too
	text, err := render()
	if err != nil {
		return nil, 0, err
	}
	kept = min(int64(len(text)), most)
	return &madeFile{strings.NewReader(text), sync.OnceFunc(func() { m.left.Release(kept) })}, int64(len(text)), nil
}

// A madeFile is a file that lies in memory.
type madeFile struct {
	*strings.Reader
	done func()
}

func (f *madeFile) Close() error {
	f.done()
	return nil
}
