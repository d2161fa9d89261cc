package stalls

import (
	"context"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/events"
)

// every is how often a Watch looks.
const every = time.Second

// A Watch tells an events.Log of the boots that do not go on, and how far its
// transfers are.
type Watch struct {
	Events  *events.Log
	Network func() Network
	Started time.Time // what happened before is of another process
	Log     *zap.Logger
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
	unfinished := w.Events.Unfinished()
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
