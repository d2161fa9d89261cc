package pxeclient

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Bounds of a TFTP download.
const (
	maxFetch       = 256 << 20       // bytes that Fetch holds in memory
	maxRetries     = 5               // without one new block
	defaultTimeout = 2 * time.Second // before a packet is sent again
	defaultBlock   = 512             // RFC 1350 §2
	maxBlock       = 65464           // RFC 2348
)

// TFTP's opcodes and the errors that a client sends (RFC 1350 §5, RFC 2347).
const (
	opRRQ   = 1
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6

	codeUnknownTID = 5
	codeOptions    = 8
)

// FetchOptions is how a client asks for a file. The zero value asks as RFC 1350
// does: 512 bytes in lock-step.
type FetchOptions struct {
	BlockSize  int           // blksize, in bytes; 0: not asked for
	WindowSize int           // windowsize, in blocks; 0: not asked for
	Size       bool          // ask for tsize
	Timeout    time.Duration // before a packet is sent again; 0: 2 s
	Local      netip.Addr    // the client's address; the zero Addr leaves it to the kernel
}

// A TFTPError is an ERROR packet of the server.
type TFTPError struct {
	Code    uint16
	Message string
}

func (e *TFTPError) Error() string { return fmt.Sprintf("tftp error %d: %s", e.Code, e.Message) }

// Fetch downloads a file of at most 256 MiB by TFTP (RFC 1350, 2347, 2348,
// 2349 and 7440). The error is a *TFTPError where the server refused.
func Fetch(ctx context.Context, addr netip.AddrPort, path string, o FetchOptions) ([]byte, error) {
	var b bytes.Buffer
	_, err := fetchTFTP(ctx, addr, path, o, &limitWriter{w: &b, left: maxFetch})
	return b.Bytes(), err
}

// Probe asks for a file's size as EDK2 and some ROMs do: with a request that
// it aborts by ERROR 8 as soon as the OACK has told the size in bytes.
func Probe(ctx context.Context, addr netip.AddrPort, path string, o FetchOptions) (int64, error) {
	o.Size = true
	t, err := request(ctx, addr, path, o)
	if err != nil {
		return 0, err
	}
	defer t.close()
	if t.data != nil {
		t.abort("no OACK")
		return 0, fmt.Errorf("tftp %q: the server does not tell the size", path)
	}
	t.abort("User aborted the transfer")
	if t.size < 0 {
		return 0, fmt.Errorf("tftp %q: the OACK lacks tsize", path)
	}
	return t.size, nil
}

// transfer is a download whose options are settled.
type transfer struct {
	conn   *net.UDPConn
	server netip.AddrPort // after the first answer, with the transfer's own port (its TID)
	stop   func() bool
	o      FetchOptions

	block, window int
	size          int64  // tsize, or -1
	data          []byte // the first DATA, where the server answered without an OACK
	buf           []byte
}

func (t *transfer) close() {
	t.stop()
	t.conn.Close()
}

// request sends the read request until it is answered.
func request(ctx context.Context, addr netip.AddrPort, path string, o FetchOptions) (*transfer, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Local, 0)))
	if err != nil {
		return nil, err
	}
	t := &transfer{
		conn: conn, server: addr, o: o, block: defaultBlock, window: 1, size: -1,
		buf: make([]byte, 4+max(o.BlockSize, defaultBlock)+1),
	}
	t.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := t.open(ctx, path); err != nil {
		t.close()
		return nil, fmt.Errorf("tftp %q: %w", path, err)
	}
	return t, nil
}

func (t *transfer) open(ctx context.Context, path string) error {
	rrq := []byte{0, opRRQ}
	for _, s := range append([]string{path, "octet"}, t.options()...) {
		if strings.IndexByte(s, 0) >= 0 {
			return errors.New("the name holds a zero byte")
		}
		rrq = append(append(rrq, s...), 0)
	}
	for range maxRetries {
		if err := t.send(ctx, rrq); err != nil {
			return err
		}
		p, from, err := t.receive(ctx, true)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return err
		}
		t.server = from
		if binary.BigEndian.Uint16(p) == opOACK {
			if err := t.settle(p[2:]); err != nil {
				t.abort(err.Error()) // RFC 2347: options that were not asked for
				return err
			}
			return nil
		}
		t.data = p
		return nil
	}
	return fmt.Errorf("%v does not answer", t.server)
}

func (t *transfer) options() (o []string) {
	if t.o.Size {
		o = append(o, "tsize", "0")
	}
	if t.o.BlockSize > 0 {
		o = append(o, "blksize", strconv.Itoa(t.o.BlockSize))
	}
	if t.o.WindowSize > 0 {
		o = append(o, "windowsize", strconv.Itoa(t.o.WindowSize))
	}
	return o
}

// settle reads an OACK. A server may lower a value and leave options out, and
// must not add any (RFC 2347).
func (t *transfer) settle(b []byte) error {
	fields := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	if len(fields)%2 != 0 {
		return errors.New("malformed OACK")
	}
	for i := 0; i < len(fields); i += 2 {
		name := strings.ToLower(fields[i])
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		ok := err == nil
		switch name {
		case "tsize":
			ok = ok && t.o.Size && n >= 0
			t.size = n
		case "blksize":
			ok = ok && n >= 8 && n <= int64(min(t.o.BlockSize, maxBlock))
			t.block = int(n)
		case "windowsize":
			ok = ok && n >= 1 && n <= int64(t.o.WindowSize)
			t.window = int(n)
		default:
			ok = false
		}
		if !ok {
			return fmt.Errorf("the OACK says %s=%s, which was not asked for", fields[i], fields[i+1])
		}
	}
	return nil
}

// fetchTFTP downloads a file into w and returns its size in bytes.
func fetchTFTP(ctx context.Context, addr netip.AddrPort, path string, o FetchOptions, w io.Writer) (int64, error) {
	t, err := request(ctx, addr, path, o)
	if err != nil {
		return 0, err
	}
	defer t.close()
	n, err := t.run(ctx, w)
	if err != nil {
		return n, fmt.Errorf("tftp %q: %w", path, err)
	}
	if t.size >= 0 && n != t.size {
		return n, fmt.Errorf("tftp %q: %d bytes came of the %d that tsize said", path, n, t.size)
	}
	return n, nil
}

func (t *transfer) run(ctx context.Context, w io.Writer) (n int64, err error) {
	var (
		last     uint16 // the last block that came in order; block numbers wrap
		inWindow int    // blocks since the last ACK
		gap      bool   // a block is missing and the server was told so
		silent   int    // timeouts since the last new block
		p        = t.data
	)
	if p == nil {
		if err := t.ack(ctx, 0); err != nil { // RFC 2347: ACK 0 answers the OACK
			return 0, err
		}
	}
	for {
		if p == nil {
			p, _, err = t.receive(ctx, false)
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				if silent++; silent > maxRetries {
					return n, fmt.Errorf("%v is silent after block %d", t.server, last)
				}
				inWindow, gap = 0, false
				if err := t.ack(ctx, last); err != nil {
					return n, err
				}
				continue
			case err != nil:
				return n, err
			}
		}
		op, block, payload := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]), p[4:]
		p = nil
		switch {
		case op != opDATA: // a repeated OACK: our ACK 0 was lost, and the timeout repeats it
		case block == last+1:
			if len(payload) > t.block {
				t.abort("block too large")
				return n, fmt.Errorf("block %d has %d bytes, more than %d", block, len(payload), t.block)
			}
			m, err := w.Write(payload)
			n += int64(m)
			if err != nil {
				t.abort(err.Error())
				return n, err
			}
			last, silent, gap = block, 0, false
			inWindow++
			if final := len(payload) < t.block; final || inWindow >= t.window {
				inWindow = 0
				if err := t.ack(ctx, last); err != nil || final {
					return n, err
				}
			}
		case block-last < 1<<15 && !gap:
			// RFC 7440 §4: a gap is answered once, by an ACK of the last
			// block in order; the server sends from there.
			gap, inWindow = true, 0
			if err := t.ack(ctx, last); err != nil {
				return n, err
			}
		}
	}
}

func (t *transfer) ack(ctx context.Context, block uint16) error {
	return t.send(ctx, []byte{0, opACK, byte(block >> 8), byte(block)})
}

// abort sends ERROR 8, and hopes: the connection is given up anyway.
func (t *transfer) abort(message string) {
	_, _ = t.conn.WriteToUDPAddrPort(errorPacket(codeOptions, message), t.server)
}

func errorPacket(code byte, message string) []byte {
	return append(append([]byte{0, opERROR, 0, code}, message...), 0)
}

func (t *transfer) send(ctx context.Context, p []byte) error {
	_, err := t.conn.WriteToUDPAddrPort(p, t.server)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// receive waits for one packet of the server: an OACK or DATA, at least 4 bytes
// of DATA. first is set until the server's port for this transfer is known.
// What it returns is valid until the next call.
func (t *transfer) receive(ctx context.Context, first bool) ([]byte, netip.AddrPort, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.o.Timeout)); err != nil && ctx.Err() == nil {
		return nil, netip.AddrPort{}, err
	}
	for {
		n, from, err := t.conn.ReadFromUDPAddrPort(t.buf)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, from, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Addr() != t.server.Addr().Unmap() {
			continue // as EDK2: who was not asked is not heard
		}
		if !first && from != t.server {
			// RFC 1350 §4: another transfer's packet, which this one survives.
			_, _ = t.conn.WriteToUDPAddrPort(errorPacket(codeUnknownTID, "unknown transfer ID"), from)
			continue
		}
		p := t.buf[:n]
		switch {
		case n >= 4 && p[0] == 0 && p[1] == opERROR:
			return nil, from, &TFTPError{binary.BigEndian.Uint16(p[2:]), strings.TrimRight(string(p[4:]), "\x00")}
		case n >= 4 && p[0] == 0 && (p[1] == opDATA || p[1] == opOACK):
			return p, from, nil
		}
	}
}

// limitWriter refuses what is more than left bytes.
type limitWriter struct {
	w    io.Writer
	left int64
}

var errTooLarge = errors.New("the file is too large")

func (l *limitWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, errTooLarge
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}
