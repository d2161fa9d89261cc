package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/daemon/control"
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
// comes after the commit, so that no machine waits for it: see BenchmarkAffected
// for its cost, which control.MaxCompared bounds.
func (d *Daemon) logChanges(gen uint64, old, new *Compiled) {
	asked, all := control.Compared(d.seen(time.Now(), lately), new.Config, old.Config)
	before, after := control.Draw(old.Explainable(), asked), control.Draw(new.Explainable(), asked)
	after.All = all
	changes := control.Compare(before, after)
	said := sentences(changes)
	if more := len(said) - maxChanges; more > 0 {
		said = append(said[:maxChanges], fmt.Sprintf("and %d more: `pixiecore plan` tells all before a reload", more))
	}
	for _, s := range said {
		d.log.Info("generation differs", zap.Uint64("gen", gen), zap.String("change", s))
	}
	if names := affected(changes); len(names) > 0 {
		d.log.Info("machines differ", zap.Uint64("gen", gen), zap.Strings("machines", names[:min(len(names), maxNamed)]),
			zap.String("change", control.Tally(before, after, changes).String()))
	}
}

// sentences says, listener by listener, loader by loader and rule by rule, how
// a configuration differs from the one before it: what `pixiecore plan` would
// have said.
func sentences(changes []control.Change) []string {
	var all []string
	for _, c := range changes {
		switch {
		case c.What == "machine": // counted, and some of them named
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

// affected are the machines that would boot something else, by their names in
// the inventory or their addresses, once each.
func affected(changes []control.Change) []string {
	var names []string
	named := make(map[string]bool)
	for _, c := range changes {
		if name := cmp.Or(c.Machine, c.Name); c.What == "machine" && !named[name] {
			named[name] = true
			names = append(names, name)
		}
	}
	return names
}

// seen are the machines heard of within the time, as far as they are known.
func (d *Daemon) seen(now time.Time, within time.Duration) []control.Question {
	var all []control.Question
	for _, m := range slices.Backward(d.events.Machines()) { // asking for facts makes them the last ones
		if now.Sub(m.Latest()) > within {
			continue
		}
		q := control.Ask(m)
		if _, err := q.Machine(); err != nil {
			continue // it has said nothing of its platform
		}
		all = append(all, q.With(d.heard(m.MAC[:])))
	}
	slices.Reverse(all)
	return all
}
