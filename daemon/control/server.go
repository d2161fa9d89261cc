package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// The bounds of one connection. Their number has none: whoever can open the
// socket could also stop the daemon.
const (
	maxHeaderBytes    = 16 << 10
	maxBody           = 64 << 10
	maxOthers         = 4 << 20 // of a picture's request: MaxCompared machines have less than 2 MB
	maxColumns        = 1000
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	// answerTimeout is for a reload, which reads and compiles everything.
	answerTimeout = 2 * time.Minute
	idleTimeout   = 10 * time.Second
	drainTimeout  = 2 * time.Second
)

// A Daemon is what the socket controls.
type Daemon interface {
	// Status is what the daemon does.
	Status() status.Report
	// Reload reads the configuration again and serves it. The error says why
	// the running one stays. The report is never nil.
	Reload() (*config.Report, error)
	// Running is the configuration that is served.
	Running() Configuration
	// Heard is what a machine said in DHCP, as far as it is remembered; nil: not
	// at all.
	Heard(mac net.HardwareAddr) *boot.Facts
	// Packets are those that machines sent and got.
	Packets() *capture.Ring
	// Hold keeps the machines of a rule unanswered, or all machines for "". The
	// error says that there is no such rule, or that it cannot be kept in mind.
	Hold(rule, reason string) error
	// Resume ends the hold of a rule, or every one for "".
	Resume(rule string) error
	// Arm arms machines, and Disarm disarms them: all, or none with an error.
	Arm(Arming) (Armed, error)
	Disarm(Arming) (Armed, error)
	// Next chooses what a machine boots one time, or takes that back.
	Next(Next) (Chosen, error)
	// Follow gives a reader all that machines do from now on: events.Log.Subscribe.
	Follow(waiting int) *events.Subscription
}

// A Verdict is how a reload went.
type Verdict struct {
	Applied    bool             `json:"applied"`
	Error      string           `json:"error,omitempty"` // why it was not
	Generation uint64           `json:"generation"`      // the one that is served now
	Problems   []config.Problem `json:"problems,omitempty"`
	HeldEdit   *status.HeldEdit `json:"held_edit,omitempty"` // an edit that goes on being held
	Text       string           `json:"text,omitempty"`      // the problems for people, with the lines of source
}

// A Server serves the socket.
type Server struct {
	Listener net.Listener // of Listen
	Daemon   Daemon
	Log      *zap.Logger

	stop <-chan struct{} // closed when Run is told to stop: what would never end does then
}

// String names the server in errors and status.
func (s *Server) String() string { return "control " + s.Listener.Addr().String() }

// Run serves until ctx is done, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	s.stop = ctx.Done()
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: zap.NewStdLog(s.Log), ConnContext: withPeer,
	}
	_, err := netio.ServeHTTP(ctx, srv, s.Listener, drainTimeout)
	return err
}

// A peer is who is at the other end of a connection.
type peer struct {
	uid int
	err error // the kernel did not say
}

type peerKey struct{}

// withPeer asks who it is once for each connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	p := peer{err: errors.New("not a unix socket")}
	if u, ok := c.(*net.UnixConn); ok {
		p.uid, p.err = peerUID(u)
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// authorize refuses everybody but root and the user that the daemon runs as.
func authorize(p peer, own int) error {
	switch {
	case p.err != nil:
		return fmt.Errorf("the kernel does not say who is asking: %w", p.err)
	case p.uid != 0 && p.uid != own:
		return fmt.Errorf("user %d may not control this daemon: only root and the user that it runs as (%d) may; use sudo", p.uid, own)
	}
	return nil
}

// Handler serves the paths of the package to those who may.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.Daemon.Status()) })
	mux.HandleFunc("POST /v1/reload", s.reload)
	mux.HandleFunc("POST /v1/explain", s.explain)
	mux.HandleFunc("POST /v1/hold", func(w http.ResponseWriter, r *http.Request) {
		s.held(w, s.Daemon.Hold(r.FormValue("rule"), clean(r.FormValue("reason"))))
	})
	mux.HandleFunc("POST /v1/resume", func(w http.ResponseWriter, r *http.Request) {
		s.held(w, s.Daemon.Resume(r.FormValue("rule")))
	})
	mux.HandleFunc("GET /v1/seen", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, Recognise(s.Daemon.Running(), s.Daemon.Status().Machines, s.Daemon.Heard))
	})
	mux.HandleFunc("POST /v1/picture", s.picture)
	mux.HandleFunc("POST /v1/arm", func(w http.ResponseWriter, r *http.Request) { s.arming(w, r, s.Daemon.Arm) })
	mux.HandleFunc("POST /v1/disarm", func(w http.ResponseWriter, r *http.Request) { s.arming(w, r, s.Daemon.Disarm) })
	mux.HandleFunc("POST /v1/next", s.next)
	mux.HandleFunc("GET /v1/capture", s.capture)
	mux.HandleFunc("GET /v1/events", s.follow)
	own := os.Getuid()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := r.Context().Value(peerKey{}).(peer)
		if !ok {
			p.err = errors.New("not asked")
		}
		if err := authorize(p, own); err != nil {
			s.Log.Warn("control refused", zap.Int("uid", p.uid), zap.Error(err))
			refuse(w, http.StatusForbidden, err)
			return
		}
		limit := int64(maxBody)
		if r.URL.Path == "/v1/picture" || r.URL.Path == "/v1/arm" || r.URL.Path == "/v1/disarm" {
			limit = maxOthers
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	width, err := strconv.Atoi(r.FormValue("width"))
	if err != nil || width < 0 || width > maxColumns {
		refuse(w, http.StatusBadRequest, fmt.Errorf("width %q: not a number of columns up to %d", r.FormValue("width"), maxColumns))
		return
	}
	report, err := s.Daemon.Reload()
	now := s.Daemon.Status()
	v := Verdict{Applied: err == nil, Generation: now.Generation, Problems: report.Problems(), HeldEdit: now.HeldEdit}
	if err != nil {
		v.Error = err.Error()
	}
	var text strings.Builder
	report.WriteText(&text, width, r.FormValue("color") == "true")
	v.Text = text.String()
	s.answer(w, v)
}

// held answers with what is on hold now.
func (s *Server) held(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	s.answer(w, append([]status.Hold{}, s.Daemon.Status().Holds...))
}

// maxReason bounds the reason of a hold, in bytes: it goes to the screens of
// machines.
const maxReason = 200

// clean makes a reason one printable line.
func clean(reason string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	var q Question
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("machine: %w", err))
		return
	}
	x, err := Explain(r.Context(), s.Daemon.Running(), q, r.URL.Query().Get("ask") == "true")
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.answer(w, x)
}

func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	var others []Question
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&others); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("machines: %w", err))
		return
	}
	if len(others) > MaxCompared {
		refuse(w, http.StatusBadRequest, fmt.Errorf("machines: %d are more than the %d that are compared", len(others), MaxCompared))
		return
	}
	seen := []Question{}
	for _, m := range s.Daemon.Status().Machines {
		seen = append(seen, Ask(m).With(s.Daemon.Heard(m.MAC[:])))
	}
	c := s.Daemon.Running()
	asked, all := Compared(seen, c.Config)
	known := make(map[string]bool, len(asked))
	for _, q := range asked {
		known[q.id()] = true
		known[q.Facts[boot.FactUUID.String()]] = true
	}
	for _, q := range others {
		if !known[q.id()] {
			known[q.id()] = true
			asked = append(asked, q)
			all++
		}
	}
	p := Draw(c, asked)
	p.All = all
	s.answer(w, p)
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.Log.Debug("control not answered", zap.Error(err))
	}
}

// refused is the body of every answer that is not 200.
type refused struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(refused{err.Error()})
}
