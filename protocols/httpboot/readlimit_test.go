package httpboot

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// accepted is a connection as net/http has it, and its other end.
func accepted(t *testing.T) (c *conn, client net.Conn) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(tcp)
	t.Cleanup(func() { l.Close() })
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.(*conn), client
}

// A read deadline that is noted ends a read as the connection's own would, whenever it is
// moved on or taken back.
func TestReadDeadlines(t *testing.T) {
	past, far := time.Unix(1, 0), time.Now().Add(time.Hour)
	soon := func() time.Time { return time.Now().Add(20 * time.Millisecond) }
	for _, tc := range []struct {
		name  string
		do    func(t *testing.T, c *conn)
		comes bool // whether what the client sends at last is read
	}{
		{"none", func(*testing.T, *conn) {}, true},
		{"far away", func(_ *testing.T, c *conn) { c.SetReadDeadline(far) }, true},
		{"past", func(_ *testing.T, c *conn) { c.SetReadDeadline(past) }, false},
		{"past, for both ways", func(_ *testing.T, c *conn) { c.SetDeadline(past) }, false},
		{"past, and taken back", func(_ *testing.T, c *conn) { c.SetReadDeadline(past); c.SetReadDeadline(time.Time{}) }, true},
		{"soon", func(_ *testing.T, c *conn) { c.SetReadDeadline(soon()) }, false},
		{"the connection's has passed, and none is noted", func(t *testing.T, c *conn) {
			expire(t, c, soon())
			c.SetReadDeadline(time.Time{})
		}, true},
		{"the connection's has passed, and one far away is noted", func(t *testing.T, c *conn) {
			expire(t, c, soon())
			c.SetReadDeadline(far)
		}, true},
		{"the connection's has passed, and so has the one that is noted", func(t *testing.T, c *conn) {
			expire(t, c, soon())
			c.SetReadDeadline(past)
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, client := accepted(t)
			tc.do(t, c)
			if tc.comes {
				io.WriteString(client, "x")
			}
			n, err := c.Read(make([]byte, 1))
			if tc.comes && (n != 1 || err != nil) || !tc.comes && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %d bytes, %v", n, err)
			}
		})
	}
}

// expire has a read end by a deadline, which the connection then has.
func expire(t *testing.T, c *conn, by time.Time) {
	t.Helper()
	c.SetReadDeadline(by)
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v", n, err)
	}
}

// A read that waits is ended by a deadline that is set meanwhile, and not by one that was
// moved on.
func TestReadDeadlineOfAReadThatWaits(t *testing.T) {
	c, client := accepted(t)
	type result struct {
		n   int
		err error
	}
	read := func() chan result {
		done := make(chan result, 1)
		go func() {
			n, err := c.Read(make([]byte, 1))
			done <- result{n, err}
		}()
		for { // until it waits
			c.reads.mu.Lock()
			waiting := c.reads.waiting
			c.reads.mu.Unlock()
			if waiting {
				return done
			}
			time.Sleep(time.Millisecond)
		}
	}

	c.SetReadDeadline(time.Now().Add(time.Hour))
	done := read()
	c.SetReadDeadline(time.Unix(1, 0))
	if r := <-done; !errors.Is(r.err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v", r.n, r.err)
	}

	c.SetReadDeadline(time.Now().Add(time.Hour))
	done = read()
	c.SetReadDeadline(time.Time{})
	c.TCPConn.SetReadDeadline(time.Unix(1, 0)) // as if the hour were over
	for {
		c.reads.mu.Lock()
		set := c.reads.set
		c.reads.mu.Unlock()
		if set.IsZero() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	io.WriteString(client, "x")
	if r := <-done; r.n != 1 || r.err != nil {
		t.Errorf("got %d bytes, %v", r.n, r.err)
	}
}
