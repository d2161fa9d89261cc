package boots

import (
	"fmt"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// nexts are those of the Memory; nil: there are none.
func (m *Memory) nexts() *once.Nexts {
	if m.Next == nil {
		return nil
	}
	return m.Next()
}

// choose makes of a Decision what an operator has chosen for the boot, if anything. A
// machine that the table ignores stays ignored, and one that must tell more first tells
// it.
func (m *Memory) choose(d Decision, asks boot.Machine, now time.Time) Decision {
	nexts := m.nexts()
	chooser, ok := d.Snapshot.Booter.(boot.Chooser)
	if !ok || !nexts.Any() || d.Action != boot.Boot && d.Action != boot.Local {
		return d
	}
	next, ok := nexts.Look(called(chooser, asks), m.nextOf(d.of, asks), now)
	if !ok {
		return d
	}
	v, err := chooser.Choose(d.Verdict, next.Boot)
	if err != nil {
		m.tellMissed(d, fmt.Sprintf("boot.%s was chosen for this boot, and the rule decides all the same: %v", next.Boot, err))
		return d
	}
	if d.Once != nil && m.Once != nil {
		// The boot that has used the machine's arm is over: see States.Look.
		m.Once().Look(once.Of(d.Verdict, asks), d.Once, m.bootOf(d.of, asks), now)
	}
	d.Verdict = v
	return d
}

// stillChosen reports whether nobody has taken back what was chosen for the boot before
// it was used.
func (m *Memory) stillChosen(d Decision, asks boot.Machine, now time.Time) bool {
	next, ok := m.nexts().Look(called(d.Snapshot.Booter, asks), m.nextOf(d.of, asks), now)
	return ok && next.Boot == d.Boot
}

// called is the machine as a Next knows it.
func called(by any, asks boot.Machine) once.Machine {
	var v boot.Verdict
	if c, ok := by.(boot.Chooser); ok {
		v.Machine = c.Called(asks)
	}
	return once.Of(&v, asks)
}

// nextOf is what is known of the boot that the machine is in. Where no DHCP request tells
// a boot from the next, what is chosen counts from when the machine asks again.
func (m *Memory) nextOf(b *machine, asks boot.Machine) once.Boot {
	o := m.bootOf(b, asks)
	o.ID = ""
	if b != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		o.ID = b.had().next
		if b.facts == nil {
			o.Began = b.heard
		}
	}
	return o
}

// unfix makes the boot one for which nothing is decided yet.
func (m *Memory) unfix(d Decision) Decision {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machines[d.of.mac] == d.of {
		m.release(d.of)
	}
	u := Undecided()
	u.of = d.of
	return u
}

// useNext uses up what was chosen for the boot. The error is a sentence for the
// machine's screen.
func (m *Memory) useNext(d Decision, asks boot.Machine, now time.Time) error {
	id, err := m.nexts().Use(called(d.Snapshot.Booter, asks), m.nextOf(d.of, asks), d.Boot, now)
	if err != nil || d.of == nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d.of.has().next = id
	return nil
}

// tellMissed notes why a boot does not get what was chosen for it, once.
func (m *Memory) tellMissed(d Decision, why string) {
	if d.of == nil {
		return
	}
	m.mu.Lock()
	told := d.of.had().missed == why
	d.of.has().missed = why
	m.mu.Unlock()
	if !told {
		m.Events.Add(d.of.mac, events.Event{Kind: events.Noticed, Rule: d.Rule, Gen: d.Gen(), Detail: why})
	}
}
