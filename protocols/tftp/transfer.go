package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// Times and counts of sending again. A transfer without progress ends after
// (maxRetries + 1) × maxInterval = 60 s at most.
const (
	defaultInterval = time.Second
	minInterval     = 200 * time.Millisecond // however fast the client is: it may have to write to flash
	maxInterval     = 10 * time.Second       // whatever timeout the client asked for
	maxRetries      = 5
	// maxFirstRetries is for the first answer, while the client may be somebody
	// whose address was forged.
	maxFirstRetries = 3
	// burstPause is between the bursts of a window, after a loss.
	burstPause = time.Millisecond

	maxAnswer      = 516 // bytes of an ACK or ERROR that are read
	maxReadErrors  = 16  // of one wait, which are not about this client's port
	dataHeaderSize = 4

	// What one message may hold: the segments that every kernel takes (4.18's
	// UDP_MAX_SEGMENTS), and the bytes of a packet of IPv6 without its headers.
	maxSegments = 64
	maxMessage  = 65535 - 40 - 8
)

var (
	errSilent = errors.New("no answer from the client")
	errGone   = errors.New("the client has closed its port")
)

// A clientError is an ERROR packet of the client.
type clientError struct {
	code uint16
	text string
}

func (e *clientError) Error() string { return fmt.Sprintf("client error %d: %s", e.code, e.text) }

// A session sends one file over its own socket.
type session struct {
	*transfer
	terms
	window  window
	content io.ReaderAt
	size    int64

	pool     *pool
	out      *buffers  // nil before the first DATA
	segments int       // blocks that a message holds, at most: 1, or more where the kernel cuts them
	uncut    *sync.Map // interfaces, by index, that refused to send what is cut
	in       [maxAnswer]byte
	sendErr  error             // the last that passed
	answered bool              // the client has acknowledged something
	told     func(bytes int64) // of what it has acknowledged; nil: nobody is

	base    time.Duration // the first interval of sending again
	current time.Duration // adapted to the client's pace
	pace    time.Duration // smoothed time from a window to its ACK
}

// An event is what ends a wait.
type event int

const (
	acked    event = iota // the window has moved
	silent                // time is up
	repeated              // the request came again
)

// run sends the file and returns when the client has acknowledged it all.
func (s *session) run(ctx context.Context) error {
	if ctx.Err() != nil { // while the file was opened: a client that has moved on must not hear of it
		return context.Cause(ctx)
	}
	for retry := 0; !s.window.done(); {
		single, err := s.send(s.window.next())
		if err != nil {
			return err
		}
		complete, pause := s.window.complete(), burstPause
		if complete {
			pause = s.interval(retry)
		}
		start := time.Now()
		what, err := s.await(ctx, single, start.Add(pause))
		switch {
		case err != nil:
			return err
		case what == acked:
			if retry == 0 && complete {
				s.measure(time.Since(start))
			}
			s.answered = true
			retry = 0
			if s.told != nil {
				s.told(s.bytes())
			}
		case what == repeated:
			s.window.rewind()
		case !complete:
			// The window's next burst.
		case retry == s.retries():
			if s.sendErr != nil {
				return fmt.Errorf("%w: %w", errSilent, s.sendErr)
			}
			return errSilent
		default:
			retry++
			// DATA without an OACK may be fifty times its request: until the
			// client has answered, only the request's repetition repeats it.
			if s.answered || s.oack != nil {
				s.window.rewind()
			}
		}
	}
	return nil
}

// bytes is how many the client has acknowledged.
func (s *session) bytes() int64 {
	return min(max(s.window.acked, 0)*int64(s.blockSize), s.size)
}

func (s *session) retries() int {
	if !s.answered {
		return maxFirstRetries
	}
	return maxRetries
}

// interval is how long to wait for an ACK, at the first try and the retries.
func (s *session) interval(retry int) time.Duration {
	if retry == 0 {
		return s.current
	}
	return min(s.base<<(retry-1), maxInterval)
}

// measure adapts the interval to the time that the client took for a window that
// went out once (a repeated one's ACK could be for either). RFC 2349: a timeout
// that the client asked for stays.
func (s *session) measure(took time.Duration) {
	if s.timeout != 0 {
		return
	}
	if s.pace == 0 {
		s.pace = took
	}
	s.pace += (took - s.pace) / 8
	s.current = min(max(4*s.pace, minInterval), s.base)
}

// send puts the blocks from … to on the wire. This is the path that every byte
// takes: one read of the file and, on Linux, one system call for all of them. A packet
// that alone is to be answered is not sent but returned, for await.
//
// What does not go out counts as lost, unless the client is gone.
func (s *session) send(from, to int64) (single []byte, err error) {
	switch {
	case from > to:
		return nil, nil
	case to == 0:
		s.window.out(to)
		return s.oack, nil
	case s.out == nil:
		s.out = s.pool.get(s.terms)
		s.segment()
	}
	block := int64(s.blockSize)
	offset := (from - 1) * block
	payload := s.out.payload[:min((to-from+1)*block, s.size-offset)]
	if err := readFull(s.content, payload, offset); err != nil {
		return nil, fmt.Errorf("read at %d: %w", offset, err)
	}
	s.window.out(to)
	if s.windowSize == 1 {
		return s.out.packet(to, len(payload)), nil
	}
	pieces := s.out.pieces[:2*(to-from+1)]
	for i := 0; i < len(pieces); i += 2 {
		binary.BigEndian.PutUint16(pieces[i][2:], uint16(from+int64(i/2))) // wraps to 0 after 65535
		n := min(len(payload), s.blockSize)
		pieces[i+1], payload = payload[:n], payload[n:]
	}
	for len(pieces) > 0 {
		messages := s.out.pack(pieces, s.segments)
		n, err := s.conn.WriteBatch(messages, 0)
		switch {
		case err == nil:
			for _, m := range messages[:n] {
				pieces = pieces[len(m.Buffers):]
			}
		case s.segments > 1 && s.refused(err):
			// Once more, a message for each.
		default:
			return nil, s.passing(err)
		}
	}
	return nil, nil
}

// segment has the kernel cut windows into blocks, where it can: then one packet in
// place of one for each block passes through its layers, and what the card can do
// is left to the card.
func (s *session) segment() {
	s.segments = 1
	size := s.blockSize + dataHeaderSize
	fit := min(s.windowSize, maxSegments, maxMessage/size)
	_, refused := s.uncut.Load(s.Interface)
	if fit > 1 && !refused && s.conn.Segment(size) == nil {
		s.segments = fit
	}
}

// refused reports whether sending failed because of the segments, which this
// transfer then does without.
func (s *session) refused(err error) bool {
	refused, byInterface := refusesSegments(err)
	if !refused || s.conn.Segment(0) != nil {
		return false
	}
	if s.segments = 1; byInterface {
		s.uncut.Store(s.Interface, true)
	}
	return true
}

// passing keeps an error that may be over when the next packet goes out: no memory
// in the kernel, a neighbour that is not found at once, an interface that goes down.
func (s *session) passing(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED): // ICMP: port unreachable
		return errGone
	case errors.Is(err, net.ErrClosed):
		return err
	}
	s.sendErr = err
	return nil
}

// await sends single, if there is one, and reads until something happens or deadline
// comes. Nothing that the client sends makes it later.
func (s *session) await(ctx context.Context, single []byte, deadline time.Time) (event, error) {
	failed := 0
	for {
		if err := s.conn.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		// Who wakes this transfer says why first and moves the deadline then, so
		// that it is either seen here or ends the read.
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if s.repeated.Swap(false) && !s.answered {
			return repeated, nil
		}
		n, err := s.conn.Ask(single, s.in[:])
		single = nil
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Now().Before(deadline) {
				continue // woken
			}
			return silent, nil
		default:
			if err := s.passing(err); err != nil {
				return 0, err
			}
			if failed++; failed == maxReadErrors {
				return 0, err
			}
			continue
		}
		p := s.in[:n]
		if n < 4 {
			continue
		}
		switch number := binary.BigEndian.Uint16(p[2:]); binary.BigEndian.Uint16(p) {
		case opACK:
			if s.window.ack(number) {
				return acked, nil
			}
		case opERROR:
			text, _, _ := bytes.Cut(p[4:], []byte{0})
			return 0, &clientError{number, printable(string(text))}
		}
	}
}

// buffers are what a window is made in.
type buffers struct {
	frame    []byte // room for a header, and payload
	payload  []byte
	headers  []byte
	pieces   [][]byte // for each block its header, and a part of payload
	messages []ipv4.Message
}

// fits makes room for windows of t.
func (b *buffers) fits(t terms) {
	if need := t.windowSize * t.blockSize; len(b.payload) < need {
		b.frame = make([]byte, dataHeaderSize+need)
		b.payload = b.frame[dataHeaderSize:]
	}
	if len(b.messages) >= t.windowSize {
		return
	}
	b.headers = make([]byte, t.windowSize*dataHeaderSize)
	b.pieces = make([][]byte, 2*t.windowSize)
	b.messages = make([]ipv4.Message, t.windowSize)
	for i := range t.windowSize {
		h := b.headers[i*dataHeaderSize : (i+1)*dataHeaderSize]
		h[1] = opDATA
		b.pieces[2*i] = h
	}
}

// packet is the DATA of a block whose n bytes are at the beginning of payload.
func (b *buffers) packet(block int64, n int) []byte {
	binary.BigEndian.PutUint16(b.frame, opDATA)
	binary.BigEndian.PutUint16(b.frame[2:], uint16(block)) // wraps to 0 after 65535
	return b.frame[:dataHeaderSize+n]
}

// pack makes messages of pieces, each of as many blocks at most.
func (b *buffers) pack(pieces [][]byte, blocks int) []ipv4.Message {
	n := 0
	for ; len(pieces) > 0; n++ {
		end := min(2*blocks, len(pieces))
		b.messages[n].Buffers, pieces = pieces[:end], pieces[end:]
	}
	return b.messages[:n]
}

// A pool keeps the buffers of transfers that have ended for others.
type pool struct{ p sync.Pool }

func (p *pool) get(t terms) *buffers {
	b, ok := p.p.Get().(*buffers)
	if !ok {
		b = new(buffers)
	}
	b.fits(t)
	return b
}

func (p *pool) put(b *buffers) { p.p.Put(b) }
