package daemon

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	// lately is how long ago a machine was heard of that a reload is said to
	// concern.
	lately = 7 * 24 * time.Hour
	// maxChanges and maxNamed bound the lines and the machines in the log.
	maxChanges = 50
	maxNamed   = 10
)

// logChanges says what the generation does otherwise than the one before it. It
// comes after the commit, so that its cost (a thousand machines take four
// milliseconds) is nobody's wait.
func (d *Daemon) logChanges(gen uint64, old, new *Compiled) {
	said := changes(old, new)
	if more := len(said) - maxChanges; more > 0 {
		said = append(said[:maxChanges], fmt.Sprintf("and %d more: `pixiecore plan` tells all before a reload", more))
	}
	for _, s := range said {
		d.log.Info("generation differs", zap.Uint64("gen", gen), zap.String("change", s))
	}
	macs, seen := affected(old.Table, new.Table, d.machines(time.Now()))
	if len(macs) > 0 {
		named := macs[:min(len(macs), maxNamed)]
		d.log.Info("machines differ", zap.Uint64("gen", gen), zap.Stringers("mac", named),
			zap.String("change", fmt.Sprintf("%d of %d machines seen this week would boot something else", len(macs), seen)))
	}
}

// changes says, listener by listener, loader by loader and rule by rule, how a
// configuration differs from the one before it: what `pixiecore plan` would
// have said.
func changes(old, new *Compiled) []string {
	var all []string
	for _, c := range control.Compare(control.Draw(old.Explainable(), nil), control.Draw(new.Explainable(), nil)) {
		switch {
		case c.Old == "":
			all = append(all, fmt.Sprintf("%s %s is new: it %s", c.What, c.Name, c.New))
		case c.New == "":
			all = append(all, fmt.Sprintf("%s %s is gone (was: %s)", c.What, c.Name, c.Old))
		default:
			all = append(all, fmt.Sprintf("%s %s now %s (was: %s)", c.What, c.Name, c.New, c.Old))
		}
	}
	return all
}

// affected are the MAC addresses of those machines that the two tables do not
// let boot the same.
func affected(old, new *booters.Table, machines []boot.Machine) (macs []net.HardwareAddr, seen int) {
	for _, m := range machines {
		if outcome(old, m) != outcome(new, m) {
			macs = append(macs, m.MAC)
		}
	}
	return macs, len(machines)
}

// outcome tells what a machine boots apart. IDs in a Spec are made of the
// sources and the key alone, so that equal ones are of the same files.
func outcome(t *booters.Table, m boot.Machine) string {
	v, err := t.Decide(context.Background(), m)
	if err != nil {
		return err.Error() // what its rule asks of DHCP is not remembered
	}
	spec, err := v.SpecFor(m)
	if spec == nil {
		spec = &boot.Spec{}
	}
	return fmt.Sprintf("%v %q %+q %v", v.Action, v.Boot, *spec, err)
}

// machines are those heard of lately, as far as they are known.
func (d *Daemon) machines(now time.Time) []boot.Machine {
	var all []boot.Machine
	for _, seen := range slices.Backward(d.events.Machines()) { // asking for facts makes them the last ones
		if now.Sub(last(seen)) > lately {
			continue
		}
		m, err := control.Ask(seen).Machine()
		if err != nil {
			continue // it has said nothing of its platform
		}
		if heard := d.facts.Of(m.MAC); heard != nil {
			both, told := *heard, m.Facts
			both.Known |= told.Known
			both.Serial, both.Manufacturer, both.Product, both.Asset, both.Hostname = told.Serial, told.Manufacturer, told.Product, told.Asset, told.Hostname
			if told.Knows(boot.FactUUID) {
				both.UUID = told.UUID
			}
			m.Facts = &both
		}
		all = append(all, m)
	}
	slices.Reverse(all)
	return all
}

// last is when a machine was last heard of.
func last(m events.Machine) time.Time {
	var at time.Time
	for _, e := range m.Events {
		for _, t := range []time.Time{e.Time, e.Last} {
			if t.After(at) {
				at = t
			}
		}
	}
	return at
}
