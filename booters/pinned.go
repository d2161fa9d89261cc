package booters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	maxDigests = 4096 // local files whose digest is remembered; beyond it, those longest unused are hashed anew
	hashBuffer = 256 << 10
	// maxAhead is the size of a local file, in bytes, up to which it is hashed
	// before a machine's script goes out: half a second at most. A larger one that
	// was never hashed is refused when it is fetched, if it must be.
	maxAhead = 256 << 20
	// aheadTimeout is how long that may take where the disk is slow.
	aheadTimeout = 5 * time.Second
	// clockTick is more than the steps in which file systems tell the time of a
	// change: with what is older, a later change shows (10 ms at HZ=100).
	clockTick = 20 * time.Millisecond
)

// A stamp is the same as long as a file is. The time of change (ctime) cannot be
// set back, as that of modification can.
type stamp struct {
	dev, ino           uint64
	size, mtime, ctime int64 // bytes, and nanoseconds since 1970
}

func stampOf(f *os.File) (s stamp, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return s, err
	}
	var st unix.Stat_t
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = unix.Fstat(int(fd), &st) }); err != nil {
		return s, err
	}
	return stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, failed
}

// digests remembers what files were found to be. It is safe for concurrent use.
type digests struct {
	mu sync.Mutex
	// Of two generations, the older is dropped when the younger is full.
	young, old map[hashed]boot.Digest
	hashing    map[hashed]chan struct{} // closed when somebody has done, or given up
}

// hashed is a file, or one that lies in an image.
type hashed struct {
	stamp
	part string // where it lies in the image; empty: it is the file itself
}

func newDigests() *digests {
	return &digests{young: make(map[hashed]boot.Digest), hashing: make(map[hashed]chan struct{})}
}

// of is the digest of what was opened in a file, which is read once however many ask. The
// stamp is that of what was read: if the file has another one, it is another.
func (d *digests) of(ctx context.Context, f *os.File, c io.ReaderAt, part string) (boot.Digest, stamp, error) {
	for {
		now, err := stampOf(f)
		if err != nil {
			return boot.Digest{}, now, err
		}
		at := hashed{now, part}
		d.mu.Lock()
		sum, known := d.lookup(at)
		others := d.hashing[at]
		if !known && others == nil {
			d.hashing[at] = make(chan struct{})
		}
		d.mu.Unlock()
		switch {
		case known:
			return sum, now, nil
		case others == nil:
			sum, err := d.hash(ctx, f, c, at)
			return sum, now, err
		}
		select {
		case <-others: // it may have been given up, so look again
		case <-ctx.Done():
			return boot.Digest{}, now, context.Cause(ctx)
		}
	}
}

// known reports whether the digest of what was opened in a file need not be computed.
func (d *digests) known(f *os.File, part string) bool {
	at, err := stampOf(f)
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.lookup(hashed{at, part})
	return ok && err == nil
}

// lookup is called with d.mu held.
func (d *digests) lookup(at hashed) (boot.Digest, bool) {
	sum, ok := d.young[at]
	if !ok {
		if sum, ok = d.old[at]; ok {
			d.remember(at, sum)
		}
	}
	return sum, ok
}

func (d *digests) remember(at hashed, sum boot.Digest) {
	if len(d.young) >= maxDigests/2 {
		d.old, d.young = d.young, make(map[hashed]boot.Digest)
	}
	d.young[at] = sum
}

func (d *digests) hash(ctx context.Context, f *os.File, c io.ReaderAt, at hashed) (sum boot.Digest, err error) {
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if err == nil {
			d.remember(at, sum)
		}
		close(d.hashing[at])
		delete(d.hashing, at)
	}()
	// A change within the tick of the one before would not show.
	if age := time.Since(time.Unix(0, at.ctime)); age < clockTick {
		tick := time.NewTimer(clockTick)
		defer tick.Stop()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return sum, context.Cause(ctx)
		}
	}
	h, buf := sha256.New(), make([]byte, hashBuffer)
	for off := int64(0); ; {
		if ctx.Err() != nil {
			return sum, context.Cause(ctx)
		}
		n, err := c.ReadAt(buf, off) // the offset of f is its reader's
		h.Write(buf[:n])
		off += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return sum, bare(err)
		}
	}
	if now, err := stampOf(f); err != nil || now != at.stamp {
		return sum, errChanged
	}
	return boot.Digest(h.Sum(nil)), nil
}

var errChanged = errors.New("it was changed while it was read; it is refused until it stays as it is")

// A local is an open file of this host, or one that lies in such an image.
type local struct {
	*os.File
	info   fs.FileInfo // of the file, or of the image
	member string      // its name in the image; empty: it is the file itself
	whole  bool        // the digest is that of the image
}

func openLocal(src Source) (local, error) {
	at := src.At
	image, name, ok := CutImage(src.At)
	if ok {
		at = image
	}
	f, info, err := openRegular(at)
	if err != nil {
		return local{}, fmt.Errorf("open %q: %w", at, bare(err))
	}
	return local{f, info, name, src.Whole}, nil
}

// find is what the source means in the file as it is now: the image may have been
// changed in its place. part is where that lies.
func (l local) find() (content io.ReaderAt, size int64, part string, err error) {
	info, err := l.Stat()
	if err != nil {
		return nil, 0, "", bare(err)
	}
	if l.member == "" {
		return l.File, info.Size(), "", nil
	}
	m, err := member(l.File, info.Size(), l.member)
	return m, m.Size, m.Place(), err
}

// hashed is what has the digest in the file as it is now, and which part that is.
func (l local) hashed() (content io.ReaderAt, size int64, part string, err error) {
	if l.whole {
		l.member = ""
	}
	return l.find()
}

// openPinned opens a local file that has the digest.
func (s *Sources) openPinned(ctx context.Context, src Source) (*pinnedFile, error) {
	f, err := openLocal(src)
	if err != nil {
		return nil, err
	}
	p := &pinnedFile{f: f.File, info: f.info}
	p.verify = func() error {
		var sum boot.Digest
		content, size, part, err := f.hashed()
		if err == nil {
			sum, p.at, err = s.digests.of(ctx, f.File, content, part)
		}
		if err == nil && sum != src.SHA256 {
			return &boot.DigestError{File: fmt.Sprintf("%q", src.Fetched().At), Want: src.SHA256, Got: sum}
		}
		if err == nil && f.whole { // only now is it said where the file is
			content, size, _, err = f.find()
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", src.At, err)
		}
		p.content, p.size = content, size
		return nil
	}
	if err := p.verify(); err != nil {
		f.Close()
		return nil, err
	}
	if f.member != "" {
		p.info = memberInfo{f.info, path.Base(f.member), p.size}
	}
	return p, nil
}

// ahead says whether a local file would be refused for its digest, if that is
// known or can be in a moment. Every other error is a matter of opening it.
func (s *Sources) ahead(ctx context.Context, src Source) error {
	f, err := openLocal(src)
	if err != nil {
		return nil
	}
	defer f.Close()
	content, size, part, err := f.hashed()
	if err != nil || size > maxAhead && !s.digests.known(f.File, part) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, aheadTimeout)
	defer cancel()
	sum, _, err := s.digests.of(ctx, f.File, content, part)
	if err != nil || sum == src.SHA256 {
		return nil
	}
	return &boot.DigestError{File: fmt.Sprintf("%q", src.Fetched().At), Want: src.SHA256, Got: sum}
}

// A pinnedFile is an open file of known content: a boot.Verified. Each Read looks
// whether it still is the file that was hashed. If it is not, it is hashed again: a
// rename over its name changes the time, but not the content.
//
// What a program writes by way of memory that it has mapped is seen when the kernel
// notes its time, which may be later; boot files are replaced by renames.
type pinnedFile struct {
	f       *os.File
	info    fs.FileInfo
	content io.ReaderAt // f, or what lies in it
	size    int64       // of content
	at      stamp
	off     atomic.Int64 // of the next Read
	verify  func() error
	err     error // set for good when the content has changed
}

func (p *pinnedFile) Read(b []byte) (int, error) {
	for p.err == nil {
		n, err := p.content.ReadAt(b, p.off.Load())
		now, failed := stampOf(p.f)
		if failed == nil && now == p.at { // so b was read before any change
			p.off.Add(int64(n))
			if n > 0 {
				err = nil
			}
			return n, err
		}
		p.err = p.verify()
	}
	return 0, p.err
}

// Seek implements io.Seeker.
func (p *pinnedFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.off.Load()
	case io.SeekEnd:
		offset += p.size
	}
	if p.err == nil && offset < 0 {
		return 0, fs.ErrInvalid
	}
	p.off.Store(offset)
	return offset, p.err
}

// Raw implements boot.Verified.
func (p *pinnedFile) Raw() *os.File {
	if p.content != io.ReaderAt(p.f) {
		return nil
	}
	return p.f
}

// Same implements boot.Verified. Who asks has taken bytes that nobody has looked at, so
// that to hash the file again says nothing of them if it was written to.
func (p *pinnedFile) Same() error {
	if p.err != nil {
		return p.err
	}
	now, err := stampOf(p.f)
	switch {
	case err != nil:
		p.err = err
	case now == p.at:
	case now.size != p.at.size || now.mtime != p.at.mtime:
		p.err = errWritten
	default: // a rename, a link, another mode
		p.err = p.verify()
	}
	return p.err
}

var errWritten = errors.New("it was changed while it was sent, so what the machine has may be wrong; the next one that asks gets it if it has the digest then")

// Offset implements boot.Verified.
func (p *pinnedFile) Offset() int64 { return p.off.Load() }

// Stat is that of os.File.
func (p *pinnedFile) Stat() (fs.FileInfo, error) { return p.info, nil }

// Close implements io.Closer.
func (p *pinnedFile) Close() error { return p.f.Close() }
