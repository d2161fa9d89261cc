package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// FreshFor is for how long upstream is not asked again about a URL.
	FreshFor = time.Minute
	// RetryAfter is when upstream is asked again that could not be asked.
	RetryAfter = 15 * time.Second

	maxFills   = 32      // transfers at a time; more wait
	maxBlobs   = 10_000  // files kept, however small
	maxRef     = 8 << 10 // bytes of a file in urls
	maxAgain   = 3       // looks at what another process removes under our hands
	blockSize  = 4096    // that a small file takes at least, and its ref too
	maxMisfits = 1024    // files remembered for that they did not fit; more: all are tried again
	hashBuffer = 256 << 10

	// misfitFor is for how long a file is not tried again of which upstream does not
	// tell the length, and which did not fit: whoever reads it meanwhile is cut.
	misfitFor = time.Hour
)

// Get asks upstream for a URL with a header of the cache's, and follows
// redirects. The response's body must end with ctx, and should with an error when
// upstream stalls. Errors need not name the URL.
type Get func(ctx context.Context, url string, header http.Header) (*http.Response, error)

// A Request is for one file.
type Request struct {
	URL  string
	Want boot.Digest // that the content must have; zero: any
	Get  Get
}

// key tells transfers apart.
type key struct {
	url  string
	want boot.Digest
}

// A File is open for one reader.
type File struct {
	io.ReadCloser       // an *os.File where the whole is on disk
	Size          int64 // bytes; -1: upstream does not tell
	// Note is a sentence for the operator where something is wrong although the
	// file can be served; else empty.
	Note string
}

// A TooLargeError is the answer for what the cache has no room for.
type TooLargeError struct {
	Size int64 // bytes; -1: not known, but more than there is room for
	Max  int64 // bytes that the cache may hold
}

func (e *TooLargeError) Error() string {
	if e.Size > e.Max {
		return fmt.Sprintf("it has %d bytes or more, and the cache may hold %d: raise max_size of the cache", e.Size, e.Max)
	}
	return fmt.Sprintf("the cache may hold %d bytes, and other transfers fill it: raise max_size of the cache", e.Max)
}

// An AnswerError is a server's answer that there is no file.
type AnswerError struct {
	Code   int    // of HTTP
	Status string // with the reason
}

func (e *AnswerError) Error() string { return "the server answers " + e.Status }

// A DiskError is one of the cache's own directory, and not of upstream.
type DiskError struct{ Err error }

func (e *DiskError) Error() string { return "cache: " + e.Err.Error() }
func (e *DiskError) Unwrap() error { return e.Err }

// onDisk is err, unless that is nil, as a *DiskError.
func onDisk(err error) error {
	if err == nil {
		return nil
	}
	return &DiskError{err}
}

// A misfit is why a file was not kept, once it was half read.
type misfit struct {
	when time.Time
	err  error
}

// A Cache is a directory. It is safe for concurrent use, and may share the
// directory with other processes.
type Cache struct {
	dir   string
	now   func() time.Time
	free  func(dir string) (int64, error)
	pause time.Duration       // before a broken transfer is resumed; grows with each
	slots *semaphore.Weighted // for fills
	// verifying is held by whoever hashes a blob: the disk is the limit, not the CPU.
	verifying chan struct{}

	mu       sync.Mutex
	max      int64
	reserved int64         // bytes of the fills that run
	fills    map[key]*fill // that run
	verified map[boot.Digest]bool
	misfits  map[key]misfit
	closed   bool
	running  sync.WaitGroup
}

// New opens the cache in dir, and makes it where it does not exist: for its owner
// only, since boot files may hold secrets. It keeps at most size bytes.
func New(dir string, size int64) (*Cache, error) {
	c := &Cache{
		dir: dir, now: time.Now, free: free, pause: resumePause, slots: semaphore.NewWeighted(maxFills), verifying: make(chan struct{}, 1),
		max: size, fills: make(map[key]*fill), verified: make(map[boot.Digest]bool), misfits: make(map[key]misfit),
	}
	for _, room := range []string{blobs, refs, parts} {
		if err := os.MkdirAll(filepath.Join(dir, room), 0o700); err != nil {
			return nil, &DiskError{err}
		}
	}
	// A directory that can be read only is found now and not by a machine.
	f, err := os.CreateTemp(filepath.Join(dir, parts), "probe-*")
	if err != nil {
		return nil, &DiskError{err}
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name()), c.sweep()); err != nil {
		return nil, &DiskError{err}
	}
	return c, nil
}

// SetMax changes how many bytes are kept. What is too much goes with the next
// transfer.
func (c *Cache) SetMax(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max = size
	clear(c.misfits)
}

// Dir is the directory.
func (c *Cache) Dir() string { return c.dir }

// Usage is how many files are kept, and the bytes that they take on disk.
func (c *Cache) Usage() (files int, bytes int64, err error) {
	all, bytes, err := c.list()
	return len(all), bytes, onDisk(err)
}

// Close ends all transfers and waits for them. Files that are open can be read
// on, as far as they were filled.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	for _, f := range c.fills {
		f.cancel(errClosed)
	}
	c.mu.Unlock()
	c.running.Wait()
}

var errClosed = errors.New("the cache was closed")

// Open opens a file: what is on disk, or a transfer from upstream as it fills. A
// reader of the latter fails when ctx ends. With r.Want, the file is whole and
// has that digest, and the error for another is a *boot.DigestError.
//
// Errors do not name the URL.
func (c *Cache) Open(ctx context.Context, r Request) (File, error) {
	note := ""
	for range maxAgain {
		file, ok, err := c.onHand(ctx, r, &note)
		if ok || err != nil {
			return file, err
		}
		f, err := c.join(ctx, r)
		if err != nil {
			return File{}, err
		}
		file, again, err := c.follow(ctx, f, r)
		if !again {
			file.Note = cmp.Or(file.Note, note)
			return file, err
		}
	}
	return File{}, errVanishes
}

var errVanishes = errors.New("it vanishes from the cache as soon as it is fetched: max_size of the cache is too small for what is booted at a time")

// onHand opens a file that need not be asked for. ok is false where there is none, and
// note then says so if there was one.
func (c *Cache) onHand(ctx context.Context, r Request, note *string) (file File, ok bool, err error) {
	digest, said := r.Want, ""
	if digest.IsZero() {
		if ref, ok := c.readRef(r.URL); ok && ref.fresh(c.now()) {
			digest, said = ref.Digest, ref.Trouble
		}
	}
	if digest.IsZero() {
		return File{}, false, nil
	}
	file, err = c.blob(ctx, digest)
	switch {
	case err == nil:
		file.Note = cmp.Or(said, *note)
		return file, true, nil
	case errors.Is(err, errDamaged):
		*note = "the copy in the cache was damaged, and has been fetched again"
	case !errors.Is(err, fs.ErrNotExist):
		return File{}, false, err
	}
	return File{}, false, nil
}

// A Kept is a file that is in the cache.
type Kept struct {
	Size    int64  // bytes
	Fetched bool   // whether it was transferred for that
	Note    string // as of a File
}

// Keep sees to it that a file is whole in the cache, and what it should be: as Open
// does for a machine, with whom it shares a transfer. seen is called as bytes come, of
// size or, where that is -1, of an unknown number.
func (c *Cache) Keep(ctx context.Context, r Request, seen func(have, size int64)) (k Kept, err error) {
	for range maxAgain {
		file, ok, err := c.onHand(ctx, r, &k.Note)
		if err != nil {
			return Kept{}, err
		}
		if ok {
			k.Size, k.Note = file.Size, file.Note
			return k, file.Close()
		}
		f, err := c.join(ctx, r)
		if err == nil {
			err = f.await(ctx, seen)
			k.Fetched = k.Fetched || err == nil && f.part != nil
			f.release()
		}
		if err != nil {
			return Kept{}, err
		}
	}
	return Kept{}, errVanishes
}

// Holds reports whether the cache in dir, which need not exist, has a copy of a file,
// be it one of which the server must be asked whether it is still the same.
func Holds(dir, url string, want boot.Digest) bool {
	c := &Cache{dir: dir}
	if want.IsZero() {
		ref, ok := c.readRef(url)
		if !ok {
			return false
		}
		want = ref.Digest
	}
	return exists(c.path(blobs, want.String()))
}

// join returns the fill for r, which it starts if none runs. The caller is a user
// of it.
func (c *Cache) join(ctx context.Context, r Request) (*fill, error) {
	k := key{r.URL, r.Want}
	for slot := false; ; slot = true {
		c.mu.Lock()
		f := c.fills[k]
		switch {
		case c.closed:
		case f != nil:
			f.use()
		case c.misfit(k) != nil:
			err := c.misfit(k)
			c.mu.Unlock()
			if slot {
				c.slots.Release(1)
			}
			return nil, err
		case slot:
			f = c.start(ctx, k, r.Get)
			c.mu.Unlock()
			return f, nil
		}
		closed := c.closed
		c.mu.Unlock()
		if slot {
			c.slots.Release(1)
		}
		if closed {
			return nil, errClosed
		}
		if f != nil {
			return f, nil
		}
		if err := c.slots.Acquire(ctx, 1); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// misfit is why a file is not tried; nil: it is. It is called with c.mu held.
func (c *Cache) misfit(k key) error {
	m, ok := c.misfits[k]
	if age := c.now().Sub(m.when); !ok || age < 0 || age >= misfitFor {
		return nil
	}
	return m.err
}

// start starts a fill that outlives the reader who asks first, but not the cache.
// It is called with c.mu and a slot held.
func (c *Cache) start(ctx context.Context, k key, get Get) *fill {
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &fill{size: -1, ready: make(chan struct{}), done: make(chan struct{}), more: make(chan struct{}), cancel: cancel}
	f.use() // the goroutine's
	f.use() // the caller's
	c.fills[k] = f
	c.running.Go(func() {
		err := c.run(own, f, k, get)
		if cause := context.Cause(own); err != nil && cause != nil {
			err = cause
		}
		c.mu.Lock()
		delete(c.fills, k)
		if f.part != nil && f.size < 0 && (errors.As(err, new(*TooLargeError)) || errors.As(err, new(*DiskError))) {
			if len(c.misfits) >= maxMisfits {
				clear(c.misfits)
			}
			c.misfits[k] = misfit{c.now(), err}
		}
		c.mu.Unlock()
		f.finish(err)
		f.release()
		cancel(nil)
		c.slots.Release(1)
	})
	return f
}

// follow opens what a fill makes, of which the caller is a user. again: it is, or
// may be, on disk now.
func (c *Cache) follow(ctx context.Context, f *fill, r Request) (file File, again bool, err error) {
	until := f.ready
	if !r.Want.IsZero() {
		until = f.done // nobody sees a byte that is not verified
	}
	select {
	case <-until:
	case <-ctx.Done():
		f.release()
		return File{}, false, context.Cause(ctx)
	}
	if f.part != nil && r.Want.IsZero() {
		return File{ReadCloser: &reader{fill: f, left: ctx.Done(), cause: func() error { return context.Cause(ctx) }}, Size: f.size}, false, nil
	}
	f.release()
	<-f.done // what it found stands in the ref now
	return File{}, f.err == nil, f.err
}

// blob opens a whole file. The error is fs.ErrNotExist where there is none, and
// errDamaged where there was one.
func (c *Cache) blob(ctx context.Context, digest boot.Digest) (File, error) {
	path := c.path(blobs, digest.String())
	f, err := os.Open(path)
	if err != nil {
		return File{}, bare(err)
	}
	err = c.verify(ctx, f, digest)
	var info fs.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		f.Close()
		return File{}, err
	}
	// For eviction. It fails where the blob has just been evicted.
	os.Chtimes(path, c.now(), time.Time{})
	return File{ReadCloser: f, Size: info.Size()}, nil
}

var errDamaged = errors.New("the copy in the cache is damaged")

// verify hashes a blob that was not used since the start, and removes one that
// is not what its name says.
func (c *Cache) verify(ctx context.Context, f *os.File, digest boot.Digest) error {
	known := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.verified[digest]
	}
	if known() {
		return nil
	}
	select {
	case c.verifying <- struct{}{}:
		defer func() { <-c.verifying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if known() {
		return nil
	}
	h, buf := sha256.New(), make([]byte, hashBuffer)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return &DiskError{err}
		}
	}
	if boot.Digest(h.Sum(nil)) != digest {
		return errors.Join(errDamaged, os.Remove(f.Name()))
	}
	c.mu.Lock()
	c.verified[digest] = true
	c.mu.Unlock()
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// The rooms of the directory.
const (
	blobs = "blobs" // whole files, by their digest
	refs  = "urls"  // what each URL was last, by its hash
	parts = "part"  // what is being filled
)

func (c *Cache) path(room, name string) string { return filepath.Join(c.dir, room, name) }

// A ref is what is known of a URL.
type ref struct {
	Digest       boot.Digest `json:"-"`
	SHA256       string      `json:"sha256"`
	ETag         string      `json:"etag,omitempty"`
	LastModified string      `json:"last_modified,omitempty"`
	Fetched      time.Time   `json:"fetched"`           // or found unchanged
	Asked        time.Time   `json:"asked"`             // last, also in vain
	Trouble      string      `json:"trouble,omitempty"` // why it was in vain
}

// fresh reports whether upstream need not be asked. A time in the future is that
// of a clock which was set.
func (r ref) fresh(now time.Time) bool {
	most := FreshFor
	if r.Trouble != "" {
		most = RetryAfter
	}
	age := now.Sub(r.Asked)
	return age >= 0 && age < most
}

// readRef reads what is known of a URL. What cannot be read is not known.
func (c *Cache) readRef(url string) (r ref, ok bool) {
	f, err := os.Open(c.refPath(url))
	if err != nil {
		return r, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRef))
	if err != nil || json.Unmarshal(b, &r) != nil {
		return r, false
	}
	r.Digest, err = boot.ParseDigest(r.SHA256)
	return r, err == nil
}

func (c *Cache) refPath(url string) string {
	sum := sha256.Sum256([]byte(url)) // a URL may hold a password, and a slash
	return c.path(refs, hex.EncodeToString(sum[:]))
}

// writeRef replaces what is known of a URL.
func (c *Cache) writeRef(url string, r ref) error {
	r.SHA256 = r.Digest.String()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.path(parts, ""), "ref-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when all went well
	_, err = f.Write(b)
	// Without fsync a power cut may leave an empty file, which is one that is
	// not known.
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.refPath(url))
}

// An entry is one blob.
type entry struct {
	name string
	size int64
	used int64 // nanoseconds since 1970
}

func cost(size int64) int64 { return (size+blockSize-1)/blockSize*blockSize + blockSize }

// list is all blobs, the one used longest ago first.
func (c *Cache) list() (all []entry, total int64, err error) {
	names, err := os.ReadDir(c.path(blobs, ""))
	if err != nil {
		return nil, 0, err
	}
	for _, n := range names {
		var st unix.Stat_t
		if unix.Stat(c.path(blobs, n.Name()), &st) != nil {
			continue // another process was faster
		}
		all = append(all, entry{n.Name(), st.Size, st.Atim.Nano()})
		total += cost(st.Size)
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.used, b.used) })
	return all, total, nil
}

// reserve makes room for n more bytes of a fill that has had bytes already.
func (c *Cache) reserve(had, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size := cost(had + n); size > c.max {
		return &TooLargeError{had + n, c.max}
	}
	all, total, err := c.list()
	if err != nil {
		return &DiskError{err}
	}
	for len(all) > 0 && (total+c.reserved+cost(n) > c.max || len(all) >= maxBlobs) {
		c.evict(all[0])
		total -= cost(all[0].size)
		all = all[1:]
	}
	if total+c.reserved+cost(n) > c.max {
		return &TooLargeError{-1, c.max}
	}
	for {
		left, err := c.room()
		switch {
		case err != nil:
			return &DiskError{err}
		case left >= cost(n):
			c.reserved += n
			return nil
		case len(all) == 0:
			return &DiskError{fmt.Errorf("%w: %d bytes are left, and the file has %d or more; make room, or name another directory by dir of the cache", syscall.ENOSPC, max(left, 0), had+n)}
		}
		c.evict(all[0])
		all = all[1:]
	}
}

// room is how many bytes the disk has left beside those that the fills which run
// are yet to write. It is called with c.mu held.
func (c *Cache) room() (int64, error) {
	left, err := c.free(c.dir)
	if err != nil {
		return 0, err
	}
	left -= c.reserved
	for _, f := range c.fills {
		written, _ := f.progress()
		left += written
	}
	return left, nil
}

// evict removes a blob. It is called with c.mu held.
func (c *Cache) evict(e entry) {
	os.Remove(c.path(blobs, e.name)) // unless another process was faster
	if digest, err := boot.ParseDigest(e.name); err == nil {
		delete(c.verified, digest)
	}
}

// evictOldest makes room on a disk that is full.
func (c *Cache) evictOldest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, _, err := c.list()
	if err != nil || len(all) == 0 {
		return false
	}
	c.evict(all[0])
	return true
}

func (c *Cache) unreserve(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved -= n
}

// sweep removes what dead processes left half done, and what is known of URLs
// whose file has gone.
func (c *Cache) sweep() error {
	left, err := os.ReadDir(c.path(parts, ""))
	if err != nil {
		return err
	}
	for _, e := range left {
		name := c.path(parts, e.Name())
		if !strings.HasPrefix(e.Name(), partPrefix) {
			// Written in a moment, so not by a process that lives.
			if info, err := e.Info(); err == nil && c.now().Sub(info.ModTime()) > time.Minute {
				os.Remove(name)
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			continue // its process has just finished it
		}
		if lock(f) == nil {
			os.Remove(name)
		}
		f.Close()
	}
	known, err := os.ReadDir(c.path(refs, ""))
	if err != nil {
		return err
	}
	for _, e := range known {
		b, err := os.ReadFile(c.path(refs, e.Name()))
		var r ref
		if err != nil || json.Unmarshal(b, &r) == nil && exists(c.path(blobs, filepath.Base(r.SHA256))) {
			continue
		}
		os.Remove(c.path(refs, e.Name()))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// bare takes the operation and path off an error.
func bare(err error) error {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err
	}
	return err
}
