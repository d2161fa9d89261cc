package tftp

import (
	"errors"
	"io"
	"sync"
)

// Stream makes Content of a file that can only be read from its beginning to its
// end, as one that comes from a URL is. It keeps the last maxWindowBytes, which
// are all that a transfer in octet mode ever reads again.
func Stream(r io.Reader) io.ReaderAt { return &stream{r: r} }

type stream struct {
	mu   sync.Mutex
	r    io.Reader
	tail []byte // the bytes that end at end
	end  int64
}

// errPassed is of a part of a stream that is not kept any more.
var errPassed = errors.New("the file can be read once, and this part of it has passed: netascii cannot be had of it")

// ReadAt implements io.ReaderAt.
func (s *stream) ReadAt(p []byte, off int64) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.end - int64(len(s.tail))
	if off < start || off > s.end {
		return 0, errPassed
	}
	n = copy(p, s.tail[off-start:])
	if n == len(p) {
		return n, nil
	}
	more, err := io.ReadFull(s.r, p[n:])
	s.keep(p[n : n+more])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n + more, err
}

// keep appends what was read to the tail.
func (s *stream) keep(b []byte) {
	s.end += int64(len(b))
	s.tail = append(s.tail, b...)
	if over := len(s.tail) - maxWindowBytes; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
}
