package booters

import (
	"context"
	"fmt"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Choice is a boot that an operator can choose for a machine, by Action.Boot.
type Choice struct {
	Action   Action
	Installs bool // it writes disks, and so is for machines that are armed
}

// choice is a Choice with everything made that can fail.
type choice struct {
	*boot.Verdict
	action   *Action
	installs bool
}

// choose prepares the choices. What a rule boots is prepared with that already.
func (t *Table) choose(choices []Choice) error {
	byBoot := make(map[string]int, len(t.rules))
	for i := range t.rules {
		r := &t.rules[i]
		if r.Action.Do == boot.Boot {
			byBoot[r.Action.Boot] = i
		}
	}
	t.choices = make(map[string]choice, len(choices))
	for _, c := range choices {
		name := c.Action.Boot
		if i, ok := byBoot[name]; ok {
			t.choices[name] = choice{t.ready(i), &t.rules[i].Action, c.Installs}
			continue
		}
		r := &Rule{Action: c.Action}
		if err := t.prepare(r); err != nil {
			return fmt.Errorf("boot.%s: %w", name, err)
		}
		t.choices[name] = choice{t.prepared(r), &r.Action, c.Installs}
	}
	return nil
}

// Called implements boot.Chooser.
func (t *Table) Called(m boot.Machine) string {
	if e := t.inv.Lookup(m); e != nil {
		return e.Name
	}
	return ""
}

// Choose implements boot.Chooser.
func (t *Table) Choose(v *boot.Verdict, name string) (*boot.Verdict, error) {
	c, ok := t.choices[name]
	switch {
	case !ok:
		return v, fmt.Errorf("there is no boot.%s in the configuration that is served", name)
	case c.installs:
		return v, fmt.Errorf("boot.%s writes disks, and so is for machines that are armed: `pixiecore arm` arms one whose rule boots it", name)
	}
	chosen := func(of *boot.Verdict) *boot.Verdict {
		c := *of
		c.Rule, c.Pos, c.Offer, c.Once, c.Machine, c.Chosen = v.Rule, v.Pos, v.Offer, nil, "", true
		return &c
	}
	got := chosen(t.whole(c.Verdict, c.action))
	if ask := got.Ask; ask != nil {
		got.Ask = func(ctx context.Context, m boot.Machine) (*boot.Verdict, error) {
			v, err := ask(ctx, m)
			return chosen(v), err
		}
	}
	return got, nil
}
