package tftp

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A stream is read as a transfer reads: on, and back by no more than a window.
func TestAStreamIsReadLikeAFile(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*maxWindowBytes/16)
	s := Stream(iotest.OneByteReader(bytes.NewReader(data)))
	b := make([]byte, maxWindowBytes)
	for _, off := range []int64{0, 0, 512, maxWindowBytes - 1, maxWindowBytes, 100, 2 * maxWindowBytes, int64(len(data)) - 10} {
		want := data[off:min(off+maxWindowBytes, int64(len(data)))]
		n, err := s.ReadAt(b, off)
		if off == 100 {
			if !errors.Is(err, errPassed) {
				t.Errorf("what has passed: got %d bytes, %v", n, err)
			}
			continue
		}
		if !bytes.Equal(b[:n], want) || n < len(b) && err != io.EOF {
			t.Errorf("at %d: got %d bytes, %v; want %d", off, n, err, len(want))
		}
	}
}

func TestAStreamThatBreaksOffFails(t *testing.T) {
	broken := errors.New("the server has gone")
	s := Stream(io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(broken)))
	if n, err := s.ReadAt(make([]byte, 200), 0); n != 100 || !errors.Is(err, broken) {
		t.Errorf("got %d, %v", n, err)
	}
}
