package daemon

import (
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/status"
)

// report is what the status listener tells.
func (d *Daemon) report() status.Report {
	gen := d.swap.Current().Gen
	d.mu.Lock()
	c, listeners, loaded, last, standin, held := d.current, d.listeners, d.loaded, d.lastReload, d.standin, d.heldEdit
	d.mu.Unlock()
	r := status.Report{
		Version: d.opts.Version, Started: d.started, Generation: gen, Loaded: loaded,
		Files: c.Config.Files, Standin: standin, HeldEdit: held, Holds: d.hold.list(), Machines: d.events.Machines(),
	}
	r.Problems = c.problems
	if !last.Time.IsZero() {
		r.LastReload = &last
	}
	here := d.interfaces.All()
	for _, l := range listeners {
		r.Listeners = append(r.Listeners, l.server.String())
		for _, why := range waiting(l.settings.Load().Listener, here) {
			r.Waiting = append(r.Waiting, status.Waiting{Listener: l.server.String(), Why: why})
		}
		for reason, n := range l.drops.All() {
			r.Dropped = append(r.Dropped, status.Dropped{Listener: l.server.String(), Reason: reason, Count: n})
		}
	}
	for _, s := range d.services {
		r.Listeners = append(r.Listeners, s.String())
	}
	if states := d.once.Load(); states != nil {
		for _, one := range states.All() {
			r.Once = append(r.Once, status.Once{Machine: one.Machine, State: string(one.State), Since: one.Since, By: one.By, Boot: one.Boot, Boots: one.Boots, Damage: one.Damage})
		}
		if err := states.Err(); err != nil {
			r.OnceError = err.Error()
		}
	}
	for _, one := range d.nexts().All(time.Now()) {
		r.Next = append(r.Next, status.Next{Machine: one.Machine, Boot: one.Boot, Since: one.Since, Until: one.Until, Used: one.Used})
	}
	for _, rule := range c.Config.Rules {
		x := status.Rule{Name: rule.Name, At: rule.Pos, Action: rule.Action.Do.String()}
		if rule.Action.Do == boot.Boot {
			x.Boot = rule.Action.Boot
		}
		r.Rules = append(r.Rules, x)
	}
	for _, l := range c.Loaders.All() {
		r.Loaders = append(r.Loaders, status.Loader{Firmware: l.Firmware.String(), File: l.Path, SHA256: l.SHA256(), Version: l.Version(), Warning: l.Warning})
	}
	if c.cache != nil {
		files, bytes, err := c.cache.Usage()
		r.Cache = &status.Cache{Dir: c.cache.Dir(), Files: files, Bytes: bytes, Max: c.Config.Cache.MaxSize, Prefetch: d.prefetch.status()}
		if err != nil {
			r.Cache.Error = err.Error()
		}
	}
	for _, m := range c.Missing {
		r.MissingLoaders = append(r.MissingLoaders, m.Error())
	}
	for _, m := range c.MissingNeeded() {
		r.NeededLoaders = append(r.NeededLoaders, m.Error())
	}
	return r
}
