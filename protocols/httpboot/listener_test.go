package httpboot

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
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
	l.slots = make(chan struct{}, most)
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
