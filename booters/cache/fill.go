package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	maxResumes  = 10              // of one transfer
	resumePause = time.Second / 4 // before the first; the nth waits n times as long
	fillBuffer  = 256 << 10
	reserveStep = 64 << 20 // bytes at most, where upstream does not tell the length
	partPrefix  = "fill-"
)

// A fill is one transfer from upstream into the cache.
type fill struct {
	cancel context.CancelCauseFunc

	ready chan struct{} // closed when part and size are set, or there will be none
	part  *os.File      // nil: nothing was transferred
	size  int64         // bytes; -1: upstream does not tell
	done  chan struct{} // closed at the end, when err is set
	err   error

	mu      sync.Mutex
	users   int // who may read part; the last closes it
	written int64
	more    chan struct{} // closed and made anew when written grows
}

func (f *fill) use() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users++
}

func (f *fill) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users == 0 && f.part != nil {
		f.part.Close()
	}
}

func (f *fill) advance(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written += int64(n)
	close(f.more)
	f.more = make(chan struct{})
}

func (f *fill) progress() (written int64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written, f.more
}

// await waits for the end of a fill.
func (f *fill) await(ctx context.Context, seen func(have, size int64)) error {
	for {
		written, more := f.progress()
		select {
		case <-f.ready: // so that the size is known, if it is
			if f.part != nil {
				seen(written, f.size)
			}
		default:
		}
		select {
		case <-more:
		case <-f.done:
			return f.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f *fill) finish(err error) {
	f.err = err
	close(f.done)
	if f.part == nil {
		close(f.ready)
	}
}

// A reader reads a file while it fills.
type reader struct {
	fill  *fill
	off   int64
	left  <-chan struct{} // closed when the reader has gone
	cause func() error    // why
	once  sync.Once
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if len(p) == 0 {
			return 0, nil
		}
		written, more := r.fill.progress()
		switch {
		case r.off < written:
			n, err := r.fill.part.ReadAt(p[:min(int64(len(p)), written-r.off)], r.off)
			r.off += int64(n)
			if n > 0 {
				err = nil
			}
			return n, err
		case r.off == r.fill.size:
			return 0, io.EOF // whole for this reader; the file gets its name meanwhile
		}
		select {
		case <-more:
		case <-r.fill.done:
			if r.fill.err != nil {
				return 0, r.fill.err
			}
			if written, _ := r.fill.progress(); r.off == written {
				return 0, io.EOF
			}
		case <-r.left:
			return 0, r.cause()
		}
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.once.Do(r.fill.release)
	return nil
}

// run asks upstream, and fills what it sends. When it returns nil, the ref of the
// URL says which blob it is.
func (c *Cache) run(ctx context.Context, f *fill, k key, get Get) error {
	header, old, have := http.Header{}, ref{Digest: k.want}, !k.want.IsZero()
	if !have {
		old, have = c.readRef(k.url)
	}
	have = have && exists(c.path(blobs, old.Digest.String()))
	if have && (!k.want.IsZero() || old.fresh(c.now())) {
		return nil // a fill that has just ended was faster
	}
	if have && old.ETag != "" {
		header.Set("If-None-Match", old.ETag)
	}
	if have && old.LastModified != "" {
		header.Set("If-Modified-Since", old.LastModified)
	}
	resp, err := get(ctx, k.url, header)
	switch {
	case err == nil && !down(resp.StatusCode):
	case have && ctx.Err() == nil:
		why := "the server answers with an error"
		if err == nil {
			resp.Body.Close()
			why = "the server answers " + resp.Status
		} else {
			why = err.Error()
		}
		old.Asked = c.now()
		old.Trouble = fmt.Sprintf("%s, so this is the copy of %s", why, old.Fetched.UTC().Format(time.RFC3339))
		return onDisk(c.writeRef(k.url, old))
	case err != nil:
		return err
	}
	if unchanged(resp, old, have) {
		resp.Body.Close()
		old.Fetched, old.Asked, old.Trouble = c.now(), c.now(), ""
		return onDisk(c.writeRef(k.url, old))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return &AnswerError{resp.StatusCode, resp.Status}
	}
	return c.store(ctx, f, k, get, resp)
}

// down reports whether a status says that the server, and not the file, has a
// problem (RFC 9110 §15.5.9, §15.6; RFC 6585 §4).
func down(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// unchanged reports whether upstream has what the ref says. Some servers do not
// know If-None-Match, but send the ETag.
func unchanged(resp *http.Response, old ref, have bool) bool {
	if !have || resp.StatusCode == http.StatusNotModified {
		return have
	}
	return resp.StatusCode == http.StatusOK && old.ETag != "" && !strings.HasPrefix(old.ETag, "W/") && resp.Header.Get("ETag") == old.ETag
}

// validator is what If-Range takes (RFC 9110 §13.1.5): a strong ETag, else a time
// of modification, which is a strong one only if it is a minute before Date
// (§8.8.2.2). Empty: upstream has none.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	date, none := http.ParseTime(h.Get("Date"))
	if err != nil || none != nil || date.Sub(modified) < time.Minute {
		return ""
	}
	return h.Get("Last-Modified")
}

// newPart makes a locked file for a fill.
func (c *Cache) newPart() (*os.File, error) {
	for range maxAgain {
		f, err := os.CreateTemp(c.path(parts, ""), partPrefix+"*") // mode 0600
		if err != nil {
			return nil, err
		}
		// Another process may have swept it up before it was locked.
		if err := lock(f); err == nil && exists(f.Name()) {
			return f, nil
		}
		f.Close()
	}
	return nil, errors.New("no file in it can be locked")
}

// lock locks a file for as long as its process lives and has it open.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// A transfer is a fill with what only its goroutine needs.
type transfer struct {
	*fill
	c         *Cache
	url       string
	get       Get
	header    http.Header // of the first response
	validator string
	hash      hash.Hash
	reserved  int64
}

// store fills a part from upstream, and gives it its name.
func (c *Cache) store(ctx context.Context, f *fill, k key, get Get, resp *http.Response) error {
	t := &transfer{fill: f, c: c, url: k.url, get: get, header: resp.Header, validator: validator(resp.Header), hash: sha256.New()}
	body := resp.Body
	defer func() { body.Close() }() // the last of them
	defer func() { c.unreserve(t.reserved) }()
	if err := t.reserve(max(resp.ContentLength, 1)); err != nil {
		return err
	}
	part, err := c.newPart()
	if err != nil {
		return &DiskError{bare(err)}
	}
	defer os.Remove(part.Name()) // fails when all went well
	f.part, f.size = part, resp.ContentLength
	close(f.ready)

	for n := 1; ; n++ {
		err := t.pour(body)
		if err == nil && f.size >= 0 && f.written < f.size {
			err = &brokenError{io.ErrUnexpectedEOF}
		}
		if err == nil {
			return t.name(k)
		}
		if !errors.As(err, new(*brokenError)) {
			return err
		}
		body.Close()
		if body, err = t.resume(ctx, n, err); err != nil {
			body = http.NoBody
			return err
		}
	}
}

// reserve makes room for size bytes.
func (t *transfer) reserve(size int64) error {
	if size <= t.reserved {
		return nil
	}
	err := t.c.reserve(t.reserved, size-t.reserved)
	if err == nil {
		t.reserved = size
	}
	return err
}

// A brokenError is one of upstream, and not of our disk.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

// pour adds what upstream sends to the part.
func (t *transfer) pour(body io.Reader) error {
	buf := make([]byte, fillBuffer)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if t.size >= 0 && t.written+int64(n) > t.size {
				return errChanged // it would have been cut there, had the transfer not been resumed
			}
			if need := t.written + int64(n); t.size < 0 && need > t.reserved {
				if t.reserve(max(need, t.reserved+min(t.reserved, reserveStep))) != nil {
					if err := t.reserve(need); err != nil { // there may be room for so much
						return err
					}
				}
			}
			if err := t.write(buf[:n]); err != nil {
				return &DiskError{bare(err)}
			}
			t.hash.Write(buf[:n])
			t.advance(n)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return &brokenError{err}
		}
	}
}

// write writes at the end of the part. On a disk that somebody else fills, the room
// is taken from what was used longest ago.
func (t *transfer) write(b []byte) error {
	off := t.written
	for {
		n, err := t.part.WriteAt(b, off)
		if !errors.Is(err, syscall.ENOSPC) || !t.c.evictOldest() {
			return err
		}
		b, off = b[n:], off+int64(n)
	}
}

// resume asks for the rest of a transfer that broke for the nth time, with cause.
// What it returns is what comes next.
func (t *transfer) resume(ctx context.Context, n int, cause error) (io.ReadCloser, error) {
	for ; ; n++ {
		if n > maxResumes {
			return nil, fmt.Errorf("%w, after %d of %s bytes and %d attempts to resume", cause, t.written, sizeText(t.size), maxResumes)
		}
		pause := time.NewTimer(time.Duration(n) * t.c.pause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, context.Cause(ctx)
		}
		header := http.Header{}
		if t.validator != "" && t.written > 0 {
			header.Set("Range", fmt.Sprintf("bytes=%d-", t.written))
			header.Set("If-Range", t.validator)
		}
		resp, err := t.get(ctx, t.url, header)
		if err == nil && down(resp.StatusCode) {
			resp.Body.Close()
			err = fmt.Errorf("the server answers %s", resp.Status)
		}
		if err != nil {
			cause = err
			continue
		}
		if err := t.continues(resp); err != nil {
			resp.Body.Close()
			var broken *brokenError
			if errors.As(err, &broken) {
				cause = err
				continue
			}
			return nil, err
		}
		return resp.Body, nil
	}
}

// continues checks that a response continues what has been read, and reads what
// of it has been read already.
func (t *transfer) continues(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		from, size, ok := ContentRange(resp.Header.Get("Content-Range"))
		tag := resp.Header.Get("ETag")
		if !ok || from != t.written || size >= 0 && t.size >= 0 && size != t.size || tag != "" && tag != t.header.Get("ETag") {
			return errChanged
		}
		return nil
	case http.StatusOK:
		if t.size >= 0 && resp.ContentLength >= 0 && resp.ContentLength != t.size {
			return errChanged
		}
		return t.compare(resp.Body)
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("the server announced %s bytes and has %d", sizeText(t.size), t.written)
	default:
		return fmt.Errorf("the server answers %s", resp.Status)
	}
}

var errChanged = errors.New("the file was replaced on the server while it was fetched; the next machine that asks gets the new one")

// compare reads the bytes that the part has from body, which must be the same:
// readers have them.
func (t *transfer) compare(body io.Reader) error {
	theirs, ours := make([]byte, fillBuffer), make([]byte, fillBuffer)
	for off := int64(0); off < t.written; {
		n := min(t.written-off, fillBuffer)
		if _, err := io.ReadFull(body, theirs[:n]); err != nil {
			return &brokenError{err}
		}
		if _, err := t.part.ReadAt(ours[:n], off); err != nil {
			return &DiskError{bare(err)}
		}
		if !bytes.Equal(theirs[:n], ours[:n]) {
			return errChanged
		}
		off += n
	}
	return nil
}

// ContentRange reads "bytes FROM-TO/SIZE" (RFC 9110 §14.4). The size is -1 for
// "*".
func ContentRange(s string) (from, size int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, total, found := strings.Cut(s, "/")
	first, _, dash := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	size = -1
	if total != "*" {
		var bad error
		size, bad = strconv.ParseInt(total, 10, 64)
		err = errors.Join(err, bad)
	}
	return from, size, ok && found && dash && err == nil && size >= -1
}

func sizeText(size int64) string {
	if size < 0 {
		return "an unknown number of"
	}
	return strconv.FormatInt(size, 10)
}

// name makes a part that is whole a blob.
func (t *transfer) name(k key) error {
	digest := boot.Digest(t.hash.Sum(nil))
	if !k.want.IsZero() && digest != k.want {
		return &boot.DigestError{Want: k.want, Got: digest}
	}
	// The content before the name, the name before whoever refers to it.
	path := t.c.path(blobs, digest.String())
	err := t.part.Sync()
	if err == nil {
		err = os.Rename(t.part.Name(), path)
	}
	if err == nil {
		err = syncDir(t.c.path(blobs, ""))
	}
	if err != nil {
		return &DiskError{err}
	}
	t.c.mu.Lock()
	t.c.verified[digest] = true
	t.c.mu.Unlock()
	now := t.c.now()
	return onDisk(t.c.writeRef(t.url, ref{
		Digest: digest, ETag: t.header.Get("ETag"), LastModified: t.header.Get("Last-Modified"), Fetched: now, Asked: now,
	}))
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
