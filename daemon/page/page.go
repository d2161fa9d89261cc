// Package page tells people and programs what the daemon does: over HTTP,
// read-only, on a listener of its own.
//
//	           ┌ /healthz /readyz                      anybody
//	Server ────┤
//	           └ Access ─┬▶ /api/v1/…    JSON          who may read
//	             (401,   └▶ / /machines/MAC …  pages ──┐
//	              403)      /assets/…                  │ page.js: at an event, the page is
//	                        /api/v1/events ◀───────────┘ fetched again, and what differs is taken
//
// The paths of the API, with every field, are in openapi.json, which is served as
// /api/v1/openapi.json and which a test holds against the code.
//
// # Decisions
//
// A page shows what every machine boots, so that it is not for everybody. What is
// asked for is settled in one place before anything is looked at: Access. Where the
// configuration names neither a token nor authorities, only programs of this host
// are answered, whatever address the socket has; a service manager may have passed
// another one than the file says. A browser of this host can be made to ask by any
// page that it has open, under a name that leads here (DNS rebinding), so that then
// the name asked for has to be this host's address, or localhost.
//
// The token is taken as the password of HTTP's basic scheme too, under any user's
// name: a browser asks for it by itself then, and shows it again with each request,
// the stream of events among them. A form and a cookie would need a page that
// writes.
//
// Health is told to anybody: a probe has no token, and learns nothing but that the
// daemon is there. A refused reload does not make it unhealthy, since it goes on
// serving, and a supervisor that killed it for that would turn a typing error into an
// outage; the refusal stands in the document. Ready is another question: whether
// machines that ask get answers from here.
//
// A page is made by the server, from the same values that the API tells, and is
// whole without JavaScript. With it, a page does not know how to show anything
// either: at an event it fetches itself once more, and takes over the parts that
// differ. So there is one description of what a page looks like, nothing to build,
// and no state in a browser that could be wrong. A page has rowsShown machines at
// most, so that to fetch it is cheap.
//
// Nothing on a page is from elsewhere, and nothing in it is run or styles it but
// files of its own: what a machine says of itself stands on the page, and the
// content security policy is the second lock behind html/template.
//
// There is no path that changes anything. What an operator may do is decided by who
// they are, at the control socket; a token that somebody has copied should show
// them no more than what they could see.
package page

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// The bounds of what a client can hold.
const (
	maxConns          = 256 // open connections; more wait in the kernel's queue
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 16 << 10
	drainTimeout      = 2 * time.Second
)

// A Daemon is what is shown.
type Daemon interface {
	// Status is what the daemon does.
	Status() status.Report
	// Running is the configuration that is served.
	Running() control.Configuration
	// Heard is what a machine said in DHCP, as far as it is remembered; nil: not
	// at all.
	Heard(mac net.HardwareAddr) *boot.Facts
	// Servers are the DHCP servers of others that machines were seen to choose.
	Servers() []events.Server
	// Follow gives a reader all that machines do from now on: events.Log.Subscribe.
	Follow(waiting int) *events.Subscription
	// Served is what tells this state of the daemon from another. It is asked often.
	Served() Served
	// Ready is nil while machines that ask are answered. The error says in a
	// sentence why not.
	Ready() error
}

// A Server serves one listener, by Run, or is the Handler of another's.
type Server struct {
	Listener net.Listener
	Daemon   Daemon
	// Access is who may read, as it is with the next request. Nil: this host.
	Access func() Access
	// Stop ends the streams when it is closed. Run does that by itself; nil: they end
	// when their reader goes.
	Stop <-chan struct{}
	// Assets are files in place of those of the same name that are built in: see
	// Files. They are read anew for each request, for whoever works on them. Nil:
	// there are none.
	Assets fs.FS
	// Metrics are served at /metrics, to those who may read. Nil: there are none.
	Metrics http.Handler
	Log     *zap.Logger

	streams atomic.Int32
}

// Listener wraps a TCP listener such that at most a bounded number of connections is
// open. It is the innermost, below TLS, which net/http has to see.
func Listener(l net.Listener) net.Listener { return netutil.LimitListener(l, maxConns) }

// String names the server in errors and status.
func (s *Server) String() string { return "status " + s.Listener.Addr().String() }

// Run serves until ctx is done, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	s.Stop = ctx.Done()
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: zap.NewStdLog(s.Log),
	}
	_, err := netio.ServeHTTP(ctx, srv, s.Listener, drainTimeout)
	return err
}

// Handler serves the paths of the package, and matches no others.
func (s *Server) Handler() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Daemon.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.guard(s.Metrics))
	}
	for _, handlers := range []map[string]http.Handler{s.api(), s.pages()} {
		for path, h := range handlers {
			mux.Handle("GET "+path, s.guard(h))
		}
	}
	return mux
}

// say answers with one line of text.
func say(w http.ResponseWriter, code int, line string) {
	header(w, "text/plain; charset=utf-8")
	w.WriteHeader(code)
	w.Write([]byte(line + "\n")) // an error is the client's
}

// header is what every answer has.
func header(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}
