package httpboot

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A step is a file on its way, as a step of the boot that it is for.
type step struct {
	*Server
	events.Event
	mac    net.HardwareAddr // without one there is no boot
	secret bool             // its size says something of what is in it

	transfer *events.Transfer
}

// begin begins the step, unless r asks for something else than the whole file, and
// returns f or what takes its place.
func (s *step) begin(r *http.Request, f io.Reader, size int64) io.Reader {
	c := &counting{Reader: f}
	s.start(r, size, c.n.Load)
	return c
}

// beginFile is begin for what can be sought.
func (s *step) beginFile(r *http.Request, f io.ReadSeeker, size int64) io.ReadSeeker {
	if file, ok := f.(boot.Verified); ok {
		s.start(r, size, file.Offset)
		return f
	}
	if file, ok := f.(interface {
		io.Seeker
		syscall.Conn
	}); ok {
		// Who counted what is read of it would lose sendfile(2). The kernel counts.
		s.start(r, size, func() int64 {
			at, err := file.Seek(0, io.SeekCurrent)
			if err != nil {
				return 0
			}
			return at
		})
		return f
	}
	c := &countingSeeker{counting{Reader: f}, f}
	s.start(r, size, c.n.Load)
	return c
}

func (s *step) start(r *http.Request, size int64, at func() int64) {
	wanted := r.Header.Get("Range")
	if len(s.mac) != 6 || r.Method != http.MethodGet || wanted != "" && wanted != "bytes=0-" {
		return
	}
	e := s.Event
	if e.Size = size; s.secret {
		e.Size, at = 0, nil
	}
	s.transfer = s.Events.Start([6]byte(s.mac), e, at)
}

// end ends the step, which has come to so many bytes of the file.
func (s *step) end(sent int64, detail string) {
	if s.secret {
		sent = 0
	}
	s.transfer.End(sent, detail)
}

// counting knows how much was read of it.
type counting struct {
	io.Reader
	n atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A countingSeeker knows where it stands.
type countingSeeker struct {
	counting
	to io.Seeker
}

func (c *countingSeeker) Seek(offset int64, whence int) (int64, error) {
	at, err := c.to.Seek(offset, whence)
	if err == nil && whence != io.SeekEnd { // which is how its size is asked for
		c.n.Store(at)
	}
	return at, err
}
