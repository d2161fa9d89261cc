package stalls

import (
	"context"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	// every is how often a Watch looks.
	every = time.Second
	// atOnce bounds the machines that it looks at each time, so that a rack, or a flood
	// of addresses, does not keep those waiting that are to be answered. Where more
	// boot at a time, a diagnosis comes some seconds later.
	atOnce = 1024
)

// A Watch tells an events.Log of the boots that do not go on, and how far its
// transfers are.
type Watch struct {
	Events  *events.Log
	Network func() Network
	Started time.Time // what happened before is of another process
	Log     *zap.Logger

	next events.MAC // whom it looks at first, the next time
}

// Run looks every second until ctx is done.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			w.Check(now)
		case <-ctx.Done():
			return
		}
	}
}

// Check looks once, at the time of now.
func (w *Watch) Check(now time.Time) {
	w.Events.Tick(now)
	var unfinished []events.Machine
	unfinished, w.next = w.Events.Unfinished(w.next, atOnce)
	if len(unfinished) == 0 {
		return
	}
	network := w.Network()
	for _, m := range unfinished {
		for _, b := range m.Boots {
			seen := b.Latest()
			if seen.Before(w.Started) {
				w.Events.Stall(m.MAC, b.Began, events.Stall{Time: now, Since: seen, Word: Unseen, Due: "anything", Cause: "nothing has been heard of this boot since this server was started anew", Seen: seen})
				continue
			}
			s, ok := Diagnose(m, b, network, now)
			if !ok || !w.Events.Stall(m.MAC, b.Began, s) {
				continue
			}
			w.Log.Warn("boot does not go on", zap.Stringer("mac", net.HardwareAddr(m.MAC[:])), zap.String("rule", b.Rule), zap.String("boot", b.Boot),
				zap.String("arch", m.Facts.Arch), zap.String("firmware", m.Facts.Firmware), zap.String("due", s.Due),
				zap.Duration("for", now.Sub(s.Since).Round(time.Second)), zap.String("diagnosis", s.Word), zap.String("cause", s.Cause))
		}
	}
}
