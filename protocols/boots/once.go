package boots

import (
	"context"
	"net"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// noStates are those of a Memory without any.
func noStates() *once.States { return once.New(nil, time.Time{}) }

// withheld says why the machine is not given what its rule boots, armed or not; empty:
// it may be.
func withheld(d Decision) string {
	switch o := d.Once; {
	case !o.Installs:
		return ""
	case d.Snapshot.Standin != "":
		return "this boot writes disks, and what is served stands in for the operator's file: " + d.Snapshot.Standin
	case d.Stranger():
		return "this boot writes disks, and the machine is in no machine block"
	}
	return ""
}

// onlyArmed makes of a Decision to boot what the state of the machine allows.
func (m *Memory) onlyArmed(d Decision, asks boot.Machine, now time.Time) Decision {
	if d.once = noStates(); m.Once != nil {
		d.once = m.Once()
	}
	who := once.Of(d.Verdict, asks)
	d.asks = m.bootOf(d.of, asks)
	v := once.Verdict{Reason: withheld(d), State: once.Disarmed, Stop: true}
	if v.Reason == "" {
		v = d.once.Look(who, d.Once, d.asks, now)
	}
	d.Stopped = v.Stop
	switch v.Do {
	case once.Give:
		return d
	case once.Wait:
		d.Verdict = d.Pass(v.Reason)
		d.Action = boot.Park
	default:
		d.Verdict = d.Pass(v.Reason)
	}
	m.tellPassed(d)
	return d
}

// bootOf is what is known of the boot that the machine is in.
func (m *Memory) bootOf(b *machine, asks boot.Machine) once.Boot {
	o := once.Boot{Token: asks.Issued}
	if b != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		o.ID, o.Began, o.Heard = b.had().arm, b.began, b.facts != nil
	}
	return o
}

// tellPassed notes why a machine is not given what its rule boots, once in a boot.
func (m *Memory) tellPassed(d Decision) {
	if d.of == nil {
		return
	}
	m.mu.Lock()
	told := d.of.had().passed == d.Reason
	d.of.has().passed = d.Reason
	m.mu.Unlock()
	if told {
		return
	}
	m.Events.Add(d.of.mac, events.Event{Kind: events.Noticed, Rule: d.Rule, Gen: d.Gen(), Detail: d.Reason})
}

// SpecFor is what the machine boots, as Verdict.SpecFor, whose files would be served.
// It is for whoever is about to give that to the machine, and for nobody else: where
// the machine boots it once, the arm is used up when SpecFor returns, and so is what was
// chosen for this boot. The error is a sentence for the machine's screen.
func (m *Memory) SpecFor(ctx context.Context, d Decision, asks boot.Machine, base string, now time.Time) (*boot.Spec, error) {
	spec, err := d.Verdict.SpecFor(asks, base)
	if err == nil {
		err = boot.CheckSpec(ctx, d.Snapshot.Booter, spec)
	}
	switch {
	case err != nil || d.Action != boot.Boot:
		return spec, err
	case d.Chosen:
		return spec, m.useNext(d, asks, now)
	case d.Once == nil:
		return spec, nil
	}
	id, err := d.once.Use(once.Of(d.Verdict, asks), d.Once, d.asks, d.Boot, now)
	if err != nil {
		return nil, err
	}
	if d.of != nil {
		m.mu.Lock()
		d.of.has().arm = id
		m.mu.Unlock()
	}
	return spec, nil
}

// Done says that the machine's boot has done what it was for, see once.States.Done.
func (m *Memory) Done(mac net.HardwareAddr, by boot.DoneBy, issued, now time.Time) (changed bool, err error) {
	if m.Once == nil {
		return false, nil
	}
	states := m.Once()
	if by == boot.DoneByBooting && states.Err() != nil && m.Fixed(mac).Once == nil {
		return false, nil // every machine comes by, also where nothing is booted once
	}
	return states.Done(mac, by, issued, now)
}
