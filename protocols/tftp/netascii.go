package tftp

import (
	"errors"
	"io"
	"sort"
)

const (
	// maxNetASCII is the largest file in bytes that is read as netascii. It has
	// to be read once to tell its length.
	maxNetASCII   = 1 << 20
	netASCIIChunk = 4 << 10
)

// netASCII is a file as mode netascii sends it (RFC 764, the NVT of Telnet): CR LF
// for LF, CR NUL for CR. Only where each chunk of the file begins is held.
type netASCII struct {
	file   io.ReaderAt
	size   int64   // of the file
	starts []int64 // where each chunk begins as netascii; the last is the length
}

// newNetASCII reads the whole file once.
func newNetASCII(file io.ReaderAt, size int64) (*netASCII, error) {
	if size > maxNetASCII {
		return nil, &refusal{codeUndefined, "too large for netascii: use octet"}
	}
	n := &netASCII{file: file, size: size, starts: []int64{0}}
	var length int64
	for i := int64(0); i*netASCIIChunk < size; i++ {
		chunk, err := n.chunk(i)
		if err != nil {
			return nil, err
		}
		length += int64(len(chunk))
		n.starts = append(n.starts, length)
	}
	return n, nil
}

// length is the number of bytes as netascii.
func (n *netASCII) length() int64 { return n.starts[len(n.starts)-1] }

// chunk is the i-th chunk of the file as netascii.
func (n *netASCII) chunk(i int64) ([]byte, error) {
	b := make([]byte, min(netASCIIChunk, n.size-i*netASCIIChunk))
	if err := readFull(n.file, b, i*netASCIIChunk); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		switch c {
		case '\n':
			out = append(out, '\r', '\n')
		case '\r':
			out = append(out, '\r', 0)
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// ReadAt implements io.ReaderAt.
func (n *netASCII) ReadAt(p []byte, off int64) (int, error) {
	read := 0
	// The chunk that holds off is the last which begins at or before it.
	i := sort.Search(len(n.starts), func(i int) bool { return n.starts[i] > off }) - 1
	for ; i < len(n.starts)-1 && read < len(p); i++ {
		chunk, err := n.chunk(int64(i))
		if err != nil {
			return read, err
		}
		skip := off + int64(read) - n.starts[i]
		if skip >= int64(len(chunk)) {
			break // the file has changed
		}
		read += copy(p[read:], chunk[skip:])
	}
	if read < len(p) {
		return read, io.EOF
	}
	return read, nil
}

// readFull fills b from off on. The error is io.ErrUnexpectedEOF if the file is
// shorter than it said to be.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil // io.ReaderAt: io.EOF can come with the last byte
	case err == nil, errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	default:
		return err
	}
}
