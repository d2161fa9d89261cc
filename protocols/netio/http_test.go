package netio_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// One server after the other on a socket that stays, as under systemd: no client
// notices.
func TestARestartLosesNoRequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := handOver(t, l)
	addr := l.Addr().String()
	l.Close()

	const restarts, clients, between = 40, 3, 5
	answered := make(chan struct{}, clients)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
			for ctx.Err() == nil {
				resp, err := client.Get("http://" + addr + "/")
				if err != nil {
					t.Error(err)
				} else {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				select {
				case answered <- struct{}{}:
				case <-ctx.Done():
				}
			}
		})
	}
	for i := range restarts {
		if i == restarts-1 { // the last one serves until all clients have gone
			stop()
		}
		own, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		serving, end := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
			if cut, err := netio.ServeHTTP(serving, srv, own, patience); cut || err != nil {
				t.Errorf("cut %v, %v", cut, err)
			}
		}()
		if i == restarts-1 {
			asking.Wait()
		} else {
			for range between {
				<-answered
			}
		}
		end()
		<-done
	}
}

// A client that connects and says nothing does not hold up the stop.
func TestASilentConnectionDoesNotHoldUpAStop(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	srv := &http.Server{}
	seen := &accepted{Listener: l, first: cancel}
	start := time.Now()
	if _, err := netio.ServeHTTP(ctx, srv, seen, time.Hour); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("the stop took %s", took)
	}
}

// accepted calls first after the first connection.
type accepted struct {
	net.Listener
	first func()
}

func (a *accepted) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	a.first()
	return c, err
}

func TestFromThisHost(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"127.0.0.1:1", "127.0.0.1:80", true},
		{"[::1]:1", "[::1]:80", true},
		{"[::ffff:127.0.0.1]:1", "192.0.2.1:80", true},
		{"192.0.2.1:1", "192.0.2.1:80", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:80", true},
		{"[fe80::1%eth0]:1", "[fe80::1%eth0]:80", true},
		{"192.0.2.9:1", "192.0.2.1:80", false},
		{"[fe80::2%eth0]:1", "[fe80::1%eth0]:80", false},
		{"nobody", "192.0.2.1:80", false},
		{"192.0.2.1:1", "", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.from
		if tc.to != "" {
			to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tc.to))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, to))
		}
		if got := netio.FromThisHost(r); got != tc.want {
			t.Errorf("from %s to %s: got %v", tc.from, tc.to, got)
		}
	}
}

// What handlers use is closed when the server has ended, so that one which is cut is
// waited for.
func TestHandlersEndBeforeTheServer(t *testing.T) {
	for name, end := range map[string]func(stop func(), l net.Listener){
		"it is told to stop":     func(stop func(), _ net.Listener) { stop() },
		"its listener is broken": func(_ func(), l net.Listener) { l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			asked, ended := make(chan struct{}), false
			srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(asked)
				<-r.Context().Done()
				ended = true
			})}
			var asking sync.WaitGroup
			defer asking.Wait()
			asking.Go(func() {
				client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
				if resp, err := client.Get("http://" + l.Addr().String()); err == nil {
					resp.Body.Close()
				}
			})
			go func() {
				<-asked
				end(stop, l)
			}()
			netio.ServeHTTP(ctx, srv, l, time.Millisecond)
			if !ended {
				t.Error("a handler outlives the server")
			}
		})
	}
}
