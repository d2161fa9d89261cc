package httpboot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who sends headers that never end takes all connections that there are, and a machine
// that means well is answered at once all the same.
func TestASilentConnectionMakesRoom(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(tcp).(*listener)
	const most = 8
	l.slots, l.askTime = make(chan struct{}, most), 0
	s := newServer(t, booter{verdict: byArch})
	s.Listener = l
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(l.slots) + l.open.Len(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	}()
	ask := func(c net.Conn) (*http.Response, error) {
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, "GET /boot.ipxe HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		return resp, err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var silent []net.Conn
	for range 3 * most {
		c := dial()
		if _, err := io.WriteString(c, "GET /"); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
		if resp, err := ask(dial()); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("beside %d silent ones: %v, %v", len(silent), resp, err)
		}
		if n := len(l.slots); n > most {
			t.Fatalf("%d connections are open, want at most %d", n, most)
		}
	}
	// Those that came first have made room.
	silent[0].SetDeadline(time.Now().Add(time.Minute))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the first silent connection was answered")
	}
}

// One address that downloads slowly by all connections that there are keeps nobody else
// away, also not who has come just now, and one that has no more than is fair keeps what
// it has.
func TestWhoHasMostConnectionsMakesRoom(t *testing.T) {
	now := time.Now()
	l := &listener{fair: 2, askTime: time.Second}
	add := func(from string, asked bool, came time.Time) *conn {
		c := &conn{of: l, from: netip.MustParseAddr(from), asked: asked, quiet: came}
		c.place = l.open.PushBack(c)
		return c
	}
	want := func(c *conn, why string) {
		t.Helper()
		if got := l.spare(now); got != c {
			t.Errorf("got %+v, want %+v, %s", got, c, why)
		}
	}
	const many, some, one = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	var last *conn
	for _, from := range []string{one, some, many, some, many, some, many, many} {
		last = add(from, true, now)
	}
	add(one, false, now)
	want(last, "of the address that has most, and not one that had no time to ask")
	quiet := add(many, false, now)
	want(quiet, "of the address that has most the one that loads nothing")
	silent := add(one, false, now.Add(-time.Second))
	want(silent, "which has asked nothing for a second")
	l.open.Remove(silent.place)
	l.fair = 5
	want(nil, "since nobody has more than is fair")
}

// Who has come just now is spared, and makes room once there was time to ask.
func TestWhoHasJustComeIsSpared(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(tcp).(*listener)
	defer l.Close()
	l.slots, l.askTime = make(chan struct{}, 1), 50*time.Millisecond
	var first *conn
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if first == nil {
			first = c.(*conn)
		}
	}
	if spared := time.Since(first.quiet); !first.evicted.Load() || spared < l.askTime {
		t.Errorf("made room %t, after %s", first.evicted.Load(), spared)
	}
}

// A client that takes little in the time of a piece is not cut, and one that takes
// nothing is.
func TestASlowClientIsNotCut(t *testing.T) {
	const size = 64 << 20 // more than the sockets hold
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for way, send := range map[string]func(c *conn) (int64, error){
		"sendfile": func(c *conn) (int64, error) { return c.ReadFrom(&io.LimitedReader{R: file, N: size}) },
		"write": func(c *conn) (int64, error) {
			n, err := c.Write(make([]byte, size))
			return int64(n), err
		},
	} {
		t.Run(way, func(t *testing.T) {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := Listener(tcp)
			defer l.Close()
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			c := accepted.(*conn)
			// What the sockets hold is less than a piece.
			c.SetWriteBuffer(64 << 10)
			client.(*net.TCPConn).SetReadBuffer(64 << 10)
			far := time.Now().Add(time.Hour).UnixNano() // so that the deadline is ours
			c.moved.Store(far)
			type result struct {
				n   int64
				err error
			}
			done := make(chan result, 1)
			go func() {
				n, err := send(c)
				done <- result{n, err}
			}()
			begun, err := io.CopyN(io.Discard, client, leastSent)
			if err != nil {
				t.Fatal(err)
			}
			c.TCPConn.SetWriteDeadline(time.Now())
			for c.moved.Load() == far { // nobody reads until it has been told
				select {
				case r := <-done:
					t.Fatalf("cut after %d bytes: %v", r.n, r.err)
				default:
					time.Sleep(time.Millisecond)
				}
			}
			if got, err := io.CopyN(io.Discard, client, size-begun); err != nil {
				t.Fatalf("%d bytes came: %v", got, err)
			}
			if r := <-done; r.n != size || r.err != nil {
				t.Errorf("sent %d of %d: %v", r.n, size, r.err)
			}

			c.moved.Store(far)
			c.TCPConn.SetWriteDeadline(time.Now())
			if n, err := c.Write(make([]byte, pieceSize)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("to a client that takes nothing: %d bytes, %v", n, err)
			}
		})
	}
}
