package page

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	maxStreams = 64 // readers of events at a time
	maxWaiting = 256
	// lookEvery is how often it is looked whether something else is served.
	lookEvery = time.Second
	// sayEvery keeps proxies, which cut what is silent for a minute, from cutting.
	sayEvery = 15 * time.Second
	// streamTimeout is how long a reader may take for one event.
	streamTimeout = 10 * time.Second
)

// Served tells two states of the daemon apart, beside what machines do.
type Served struct {
	Generation uint64    `json:"generation"`
	Reload     time.Time `json:"reload,omitzero"` // the last one, whatever became of it
	Held       time.Time `json:"held,omitzero"`   // since when an edit is held
	Holds      int       `json:"holds"`           // how much is on hold
}

// stream tells what happens from now on, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): an "update" for
// each event, of the machine mac if that is given, and "served" at the beginning
// and when something else is served.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	var only *events.MAC
	if text := r.URL.Query().Get("mac"); text != "" {
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != len(events.MAC{}) {
			s.answer(w, r, http.StatusBadRequest, Refused{fmt.Sprintf("mac %q: not an address like 52:54:00:aa:00:01", text)})
			return
		}
		only = new(events.MAC(mac))
	}
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		w.Header().Set("Retry-After", "10")
		s.answer(w, r, http.StatusServiceUnavailable, Refused{fmt.Sprintf("%d readers follow the events, and that is the most", maxStreams)})
		return
	}
	defer s.streams.Add(-1)
	sub := s.Daemon.Follow(maxWaiting)
	defer sub.Close()

	header(w, "text/event-stream")
	out := http.NewResponseController(w)
	tell := func(kind string, v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		// A deadline of the whole answer would end what has no end. A writer without
		// deadlines is one of a test.
		out.SetWriteDeadline(time.Now().Add(streamTimeout))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, b); err != nil {
			return err
		}
		return out.Flush()
	}
	served := s.Daemon.Served()
	err := tell("served", served)
	look, say := time.NewTicker(lookEvery), time.NewTicker(sayEvery)
	defer look.Stop()
	defer say.Stop()
	for err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-s.Stop:
			return
		case u := <-sub.C:
			if only == nil || u.MAC == *only || u.Lost > 0 {
				err = tell("update", u)
			}
		case <-look.C:
			if now := s.Daemon.Served(); now != served {
				served = now
				err = tell("served", served)
			}
		case <-say.C:
			out.SetWriteDeadline(time.Now().Add(streamTimeout))
			if _, err = fmt.Fprint(w, ": still there\n\n"); err == nil {
				err = out.Flush()
			}
		}
	}
	s.Log.Debug("reader of events gone", zap.String("reader", r.RemoteAddr), zap.Error(err))
}
