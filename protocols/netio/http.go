package netio

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// maxHello bounds how long a stop waits for connections on which nothing has been
// asked yet: some clients open one that they may need.
const maxHello = 2 * time.Second

// ServeHTTP serves l by srv until ctx is done. Then it takes no more connections,
// gives the requests of those that it has the time of drain, and cuts what is left,
// which cut reports. It returns when the last handler has, so that what they use can be
// closed: one must end when its connection does. The error is one of the listener, before
// ctx was done.
//
// A connection that the kernel has accepted and ServeHTTP has not stays in l's
// queue, if another process has the socket, too.
func ServeHTTP(ctx context.Context, srv *http.Server, l net.Listener, drain time.Duration) (cut bool, err error) {
	waiting := conversations{of: make(map[net.Conn]http.ConnState), changed: make(chan struct{}, 1)}
	told := srv.ConnState
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		waiting.note(c, s)
		if told != nil {
			told(c, s)
		}
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		srv.Close()
		waiting.gone()
		return false, err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	// Not by Shutdown: it closes without an answer each connection whose request is
	// read after it has begun (net/http's conn.serve).
	l.Close()
	<-done // now every accepted connection is noted
	srv.SetKeepAlivesEnabled(false)
	cut = !waiting.answered(wait)
	srv.Close() // which waits for nobody
	waiting.gone()
	return cut, nil
}

// conversations are the connections, and whether a request is read or answered there.
type conversations struct {
	mu      sync.Mutex
	of      map[net.Conn]http.ConnState
	ending  bool // whether anybody waits for changed
	changed chan struct{}
}

// note takes what http.Server.ConnState is told.
func (c *conversations) note(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == http.StateClosed || s == http.StateHijacked {
		delete(c.of, conn)
	} else {
		c.of[conn] = s
	}
	if !c.ending {
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// answered waits until there are none, and is false if ctx is done before. New ones
// get maxHello to ask something.
func (c *conversations) answered(ctx context.Context) bool {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	hello := time.NewTimer(maxHello)
	defer hello.Stop()
	patient := true
	for {
		c.mu.Lock()
		left := 0
		for _, s := range c.of {
			if s == http.StateActive || s == http.StateNew && patient {
				left++
			}
		}
		c.mu.Unlock()
		if left == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-hello.C:
			patient = false
		case <-c.changed:
		}
	}
}

// gone waits until there are no connections, each of which is noted as closed when its
// handler has returned.
func (c *conversations) gone() {
	for {
		c.mu.Lock()
		c.ending = true
		left := len(c.of)
		c.mu.Unlock()
		if left == 0 {
			return
		}
		<-c.changed
	}
}

// Asker is the address that a request comes from; the zero Addr: it cannot be told.
func Asker(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

// FromThisHost reports whether a request comes from the host that it goes to: from an
// address of loopback, or from the very one that it was sent to, which is how a server
// that listens on one address is reached from its own host.
func FromThisHost(r *http.Request) bool {
	from := Asker(r).WithZone("")
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return from.IsLoopback() || ok && local.AddrPort().Addr().Unmap().WithZone("") == from
}
