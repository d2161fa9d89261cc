package netio

import (
	"context"
	"net"
	"net/http"
	"time"
)

// ServeHTTP serves l by srv until ctx is done. Then it takes no more requests,
// gives those that run the time of drain, and cuts what is left, which cut
// reports. The error is one of the listener, before ctx was done.
func ServeHTTP(ctx context.Context, srv *http.Server, l net.Listener, drain time.Duration) (cut bool, err error) {
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return false, err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if srv.Shutdown(wait) != nil {
		cut = true
		srv.Close()
	}
	<-done
	return cut, nil
}
