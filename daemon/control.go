package daemon

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/page"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// bindControl opens the control socket, if there is to be one.
func (d *Daemon) bindControl() error {
	if d.opts.Control == "" {
		return nil
	}
	l, err := control.Listen(d.opts.Control)
	if err != nil {
		return err
	}
	d.close = append(d.close, l.Close)
	d.control = &control.Server{Listener: l, Daemon: operator{d}}
	return nil
}

// An operator is what the control socket can ask of a Daemon.
type operator struct{ d *Daemon }

// Status implements control.Daemon.
func (o operator) Status() status.Report { return o.d.report() }

// Reload implements control.Daemon.
func (o operator) Reload() (*config.Report, error) { return o.d.reload() }

// Running implements control.Daemon.
func (o operator) Running() control.Configuration {
	gen, c := o.d.swap.Current().Gen, o.d.compiled()
	x := c.Explainable()
	x.Gen, x.Holds = gen, o.d.hold.list()
	x.States, x.Nexts = o.d.states(), o.d.nexts()
	return x
}

// Heard implements control.Daemon.
func (o operator) Heard(mac net.HardwareAddr) *boot.Facts { return o.d.heard(mac) }

// Servers implements page.Daemon.
func (o operator) Servers() []events.Server { return o.d.events.Servers() }

// Follow implements page.Daemon.
func (o operator) Follow(waiting int) *events.Subscription { return o.d.events.Subscribe(waiting) }

// Served implements page.Daemon.
func (o operator) Served() page.Served {
	o.d.mu.Lock()
	defer o.d.mu.Unlock()
	s := page.Served{Generation: o.d.swap.Current().Gen, Reload: o.d.lastReload.Time, Holds: len(o.d.hold.list())}
	if o.d.heldEdit != nil {
		s.Held = o.d.heldEdit.Since
	}
	return s
}

// Ready implements page.Daemon.
func (o operator) Ready() error {
	if !o.d.serving.Load() {
		return errors.New("the daemon starts, or stops")
	}
	o.d.mu.Lock()
	defer o.d.mu.Unlock()
	for _, l := range o.d.listeners {
		if l.kind != config.Status {
			return nil
		}
	}
	if o.d.standin != "" {
		return errors.New(o.d.standin)
	}
	return errors.New("no listener boots machines: the configuration has none but status")
}

// Packets implements control.Daemon.
func (o operator) Packets() *capture.Ring { return o.d.packets }

// Hold implements control.Daemon.
func (o operator) Hold(rule, reason string) error {
	rules := o.d.compiled().Config.Rules
	if rule != "" && !slices.ContainsFunc(rules, func(r booters.Rule) bool { return r.Name == rule }) {
		return fmt.Errorf("there is no rule %q in the configuration that is served; `pixiecore status` lists them", rule)
	}
	if err := o.d.hold.set(rule, reason, time.Now()); err != nil {
		return err
	}
	o.d.log.Warn("on hold", zap.String("rule", rule), zap.String("reason", reason))
	return nil
}

// Resume implements control.Daemon.
func (o operator) Resume(rule string) error {
	was, err := o.d.hold.resume(rule)
	if err != nil {
		return err
	}
	if rule != "" && !was {
		return fmt.Errorf("rule %q is not on hold", rule)
	}
	o.d.log.Info("resumed", zap.String("rule", rule))
	return nil
}

// Explainable is c as package control explains and compares it.
func (c *Compiled) Explainable() control.Configuration {
	return control.Configuration{Config: c.Config, Table: c.Table, Loaders: c.Loaders}
}
