package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The bounds on how long what is chosen for a machine waits for its boot.
const (
	MinNext = time.Minute
	MaxNext = 30 * 24 * time.Hour
)

// A Next says what a machine is to boot one time, in place of what its rule says.
type Next struct {
	// Machine is a name of the inventory, a MAC address, or a UUID.
	Machine string `json:"machine"`
	Boot    string `json:"boot,omitempty"`
	// For is how long it waits for the boot, in nanoseconds.
	For time.Duration `json:"for,omitempty"`
	// Cancel takes back what was chosen.
	Cancel bool `json:"cancel,omitempty"`
}

// A Chosen is what a Next did.
type Chosen struct {
	ArmedMachine
	Boot  string    `json:"boot"`
	Until time.Time `json:"until"`
	// Begun is, of what is taken back, whether a boot has begun with it, which goes on.
	Begun bool `json:"begun,omitempty"`
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	var n Next
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("next boot: %w", err))
		return
	}
	if !n.Cancel && (n.For < MinNext || n.For > MaxNext) {
		refuse(w, http.StatusBadRequest, fmt.Errorf("next boot: it is waited for from %v to %v, not %v", MinNext, MaxNext, n.For))
		return
	}
	done, err := s.Daemon.Next(n)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	s.answer(w, done)
}

// Next chooses what a machine boots one time, or takes that back.
func (c *Client) Next(ctx context.Context, n Next) (Chosen, error) {
	var done Chosen
	return done, c.do(ctx, http.MethodPost, "/v1/next", nil, n, &done)
}
