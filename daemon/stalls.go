package daemon

import (
	"slices"

	"github.com/pixiecore/pixiecore/protocols/stalls"
)

// stalls says why boots do not go on.
func (d *Daemon) stalls() *stalls.Watch {
	return &stalls.Watch{Events: d.events, Network: d.network, Started: d.started, Log: d.log.Named("boots")}
}

// network is what diagnoses go by, beside the boots.
func (d *Daemon) network() stalls.Network {
	d.mu.Lock()
	listeners := d.listeners
	d.mu.Unlock()
	return stalls.Network{
		Servers: d.events.Servers(),
		Leases: slices.ContainsFunc(listeners, func(l *listener) bool {
			s := l.settings.Load()
			return s != nil && s.dhcp.Addresses != nil
		}),
	}
}
