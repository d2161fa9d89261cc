package httpboot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A body that nobody has a use for costs a connection its time, and no more.
func TestTheBodyOfAQuestion(t *testing.T) {
	s := newServer(t, booter{verdict: byArch})
	addr := serve(t, s)
	ask := func(method, path, length, body string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s", method, path, length, body)
	}
	for _, tc := range []struct {
		name, request string
		status        int
		open          bool // whether the connection goes on
	}{
		{"none", ask("GET", "/boot.ipxe", "X-A: b", ""), 200, true},
		{"a whole one", ask("GET", "/boot.ipxe", "Content-Length: 5", "hello"), 200, true},
		{"a chunked one", ask("GET", "/boot.ipxe", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), 200, true},
		{"half of one", ask("GET", "/boot.ipxe", "Content-Length: 10", "hello"), 408, false},
		{"half of one that is refused", ask("POST", "/boot.ipxe", "Content-Length: 10", "hello"), 408, false},
		{"half of one, for a file", ask("GET", "/_/f/x/y", "Content-Length: 10", "hello"), 408, false},
		{"a large one", ask("GET", "/boot.ipxe", fmt.Sprintf("Content-Length: %d", maxWord+1), strings.Repeat("x", maxWord+1)), 413, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			go io.WriteString(c, tc.request) // the server may end it
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != tc.status || resp.Close == tc.open {
				t.Errorf("got %s, closing %v, %v; want %d, closing %v", resp.Status, resp.Close, err, tc.status, !tc.open)
			}
			if !tc.open {
				return
			}
			io.WriteString(c, ask("GET", "/boot.ipxe", "X-A: b", ""))
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("the next request: %v, %v", resp, err)
			}
		})
	}
}

// serve has s serve on loopback until the test ends, and returns where.
func serve(t *testing.T, s *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = Listener(l)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
