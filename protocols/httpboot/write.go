package httpboot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// Bounds of what a machine writes.
const (
	maxWrite     = 16 << 20 // bytes; it goes on as it comes, and is never held
	writeTimeout = 2 * time.Minute
)

// write hands what a machine posts or puts to a sealed ID on to the Booter.
func (s *Server) write(w http.ResponseWriter, r *http.Request) {
	// A machine that stops writing would keep a read of its body going, of net/http too, which no
	// context ends.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.Log.Debug("write without a time limit", zap.Error(err))
	}
	q := parseQuery(r.URL.RawQuery)
	id := q.name
	if id == "" {
		s.drop(w, drops.Malformed, "missing name", http.StatusBadRequest)
		return
	}
	d, refused := s.admit(r, &q, id)
	if refused != "" {
		s.Log.Info("write refused", zap.String("peer", r.RemoteAddr), zap.String("reason", refused))
		s.fileEvent(&q, d, events.Event{Kind: events.Ignored, Detail: refused})
		s.drop(w, refusedBy(d), refused, http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	body := &counting{Reader: http.MaxBytesReader(w, r.Body, maxWrite)}
	err := boot.PutFile(ctx, d.Snapshot.Booter, boot.ID(id), body)
	if err == nil {
		s.Log.Info("file written", zap.String("mac", boots.Text(q.mac)), zap.Int64("bytes", body.n.Load()), zap.Uint64("gen", d.Gen()))
		s.fileEvent(&q, d, events.Event{Kind: events.Written, Bytes: body.n.Load()})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Context().Err() != nil {
		return // the machine has gone
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, boot.ErrNotFound):
		s.drop(w, drops.NotFound, "no such file", http.StatusNotFound)
	case errors.Is(err, errors.ErrUnsupported):
		w.Header().Set("Allow", "GET, HEAD")
		s.drop(w, drops.Malformed, "this file is read only", http.StatusMethodNotAllowed)
	case errors.As(err, &tooLarge):
		s.drop(w, drops.Malformed, fmt.Sprintf("more than %d bytes", maxWrite), http.StatusRequestEntityTooLarge)
	default:
		s.Log.Warn("file not written", zap.String("peer", r.RemoteAddr), zap.Error(err))
		s.fileEvent(&q, d, events.Event{Kind: events.Failed, Detail: "file not written: " + err.Error()})
		s.drop(w, drops.Failed, "couldn't write file", http.StatusBadGateway)
	}
}

// upload takes what a machine sends to an address for that, or says what is wrong with it.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, l linked, err error) {
	log := s.Log.With(zap.String("file", boots.Text(l.Name)), zap.Stringer("mac", l.machine.MAC), zap.Uint64("gen", l.by.Gen()))
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		log.Debug("upload without a time limit", zap.Error(err))
	}
	w.Header().Set("Connection", "close") // what is refused is not read to its end
	if err != nil {
		s.refuseLink(w, l, log.With(zap.String("peer", r.RemoteAddr), zap.Error(err)), err)
		return
	}
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		w.Header().Set("Allow", "PUT, POST")
		s.drop(w, drops.Malformed, "nothing can be fetched here: send it by PUT or POST", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	n, err := l.Put(ctx, l.machine, r.Body)
	if err == nil {
		log.Info("file received", zap.String("peer", r.RemoteAddr), zap.Int64("bytes", n))
		s.linkEvent(l, events.Event{Kind: events.Written, File: l.Name, Bytes: n})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Context().Err() != nil {
		return // the machine has gone
	}
	status, text := http.StatusInternalServerError, "it could not be kept"
	switch {
	case errors.Is(err, boot.ErrTooLarge):
		status, text = http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, boot.ErrNoRoom):
		status, text = http.StatusInsufficientStorage, err.Error()
	}
	log.Warn("file not received", zap.String("peer", r.RemoteAddr), zap.Error(err))
	s.linkEvent(l, events.Event{Kind: events.Failed, Detail: l.Name + " not received: " + err.Error()})
	s.drop(w, drops.Failed, text, status)
}
