package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	// followWaiting is how many updates may wait for a reader, and followTimeout how
	// long it may take none.
	followWaiting = 1024
	followTimeout = 30 * time.Second
	// stillThere is how often a reader is written an empty line when nothing happens,
	// so that one that has gone is noticed.
	stillThere = 15 * time.Second
)

// follow writes what machines do, a JSON document of events.Update in each line,
// until the reader goes or the daemon stops.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	sub := s.Daemon.Follow(followWaiting)
	defer sub.Close()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	tick := time.NewTicker(stillThere)
	defer tick.Stop()
	for err := out.Flush(); err == nil; err = out.Flush() {
		err := out.SetWriteDeadline(time.Now().Add(followTimeout))
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return
		}
		select {
		case u := <-sub.C:
			err = enc.Encode(u)
		case <-tick.C:
			_, err = io.WriteString(w, "\n")
		case <-r.Context().Done():
			return
		case <-s.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// Follow calls f with what machines do from now on, until ctx is done, f returns an
// error, which it returns, or the daemon stops, which is none.
func (c *Client) Follow(ctx context.Context, f func(events.Update) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/v1/events", nil)
	if err != nil {
		return err
	}
	endless := c.http
	endless.Timeout = 0
	resp, err := endless.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	if resp.StatusCode != http.StatusOK {
		var no refused
		if err := lines.Decode(&no); err != nil || no.Error == "" {
			return errors.New(resp.Status + ": is the daemon of another version?")
		}
		return errors.New(no.Error)
	}
	for {
		var u events.Update
		switch err := lines.Decode(&u); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // it has stopped
			return nil
		}
		if err := f(u); err != nil {
			return err
		}
	}
}
