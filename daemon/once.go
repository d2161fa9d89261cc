package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

const (
	onceBucket = "once"
	begunKey   = "begun" // no key of a record has that form
)

// states are what was armed and done, from the time on that a rule asks for it.
func (d *Daemon) states() *once.States {
	if s := d.once.Load(); s != nil {
		return s
	}
	return once.Broken(once.ErrUnused)
}

// openStates reads them, if that has not been done; one that went wrong is tried
// again. It is called under reloading.
func (d *Daemon) openStates() *once.States {
	if s := d.once.Load(); s != nil && s.Err() == nil {
		return s
	}
	var s *once.States
	switch file, err := d.stateFile(); {
	case err != nil:
		s = once.Broken(err)
	case file == nil:
		s = once.New(nil, time.Now())
	default:
		s = once.New(keptOnce{file.Bucket(onceBucket)}, time.Now())
	}
	d.once.Store(s)
	return s
}

// useStates opens them for a configuration, and says what is wrong with them. That
// keeps nothing from being served but what is booted once.
func (d *Daemon) useStates(cfg *config.Config) {
	var armed []string
	asked := false
	for _, r := range cfg.Rules {
		asked = asked || r.Once != nil
		if r.Once != nil && r.Once.Armed {
			armed = append(armed, r.Name)
		}
	}
	if !asked {
		return
	}
	s := d.openStates()
	switch err := s.Err(); {
	case err != nil:
		d.log.Error("every machine counts as spent for rules with a once block, since what they have booted cannot be read", zap.Error(err))
	case len(armed) > 0 && !s.Begun():
		d.log.Warn("start = \"armed\" has no effect yet: nothing is kept of what machines have booted once, which may have been lost; `pixiecore arm --begin` says that it has not",
			zap.Strings("rules", armed))
	}
	for _, r := range s.All() {
		if r.Damage != "" {
			d.log.Error("the machine counts as spent, since its record cannot be read", zap.String("machine", r.Machine), zap.String("why", r.Damage))
		}
	}
}

// keptOnce are records in a bucket, by key.
type keptOnce struct{ store.Bucket }

// Load implements once.Store.
func (k keptOnce) Load() (all map[string]once.Record, begun bool, err error) {
	all = make(map[string]once.Record)
	err = k.Each(func(key, value []byte) error {
		if string(key) == begunKey {
			begun = true
			return nil
		}
		var r once.Record
		if err := json.Unmarshal(value, &r); err != nil {
			r = once.Record{Damage: err.Error()}
		}
		all[string(key)] = r
		return nil
	})
	return all, begun, err
}

// Save implements once.Store.
func (k keptOnce) Save(changed map[string]*once.Record) error {
	values, err := encoded(changed)
	if err != nil {
		return err
	}
	return k.Update(values)
}

// encoded are records as a store keeps them; nil for those that are to go.
func encoded[R any](changed map[string]*R) (map[string][]byte, error) {
	values := make(map[string][]byte, len(changed))
	for key, r := range changed {
		if values[key] = nil; r == nil {
			continue
		}
		value, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

// Begin implements once.Store.
func (k keptOnce) Begin() error {
	return k.Update(map[string][]byte{begunKey: []byte(time.Now().UTC().Format(time.RFC3339))})
}

// Arm implements control.Daemon.
func (o operator) Arm(a control.Arming) (control.Armed, error) {
	return o.d.arming(a, true)
}

// Disarm implements control.Daemon.
func (o operator) Disarm(a control.Arming) (control.Armed, error) {
	return o.d.arming(a, false)
}

// A target is a machine that is to be armed.
type target struct {
	once.Machine
	others   []once.Machine // its other keys
	machines []boot.Machine // as which it may ask
	entry    *booters.Entry // nil for a stranger
	rules    []*booters.Rule
}

// arming arms machines, or disarms them. What is wrong with any of them is found
// before the first.
func (d *Daemon) arming(a control.Arming, arm bool) (done control.Armed, err error) {
	d.reloading.Lock()
	states := d.openStates()
	d.reloading.Unlock()
	if err := states.Err(); err != nil {
		return done, err
	}
	c := d.compiled().Explainable()
	targets, err := d.targets(c, a, arm, states)
	if err != nil {
		return done, err
	}
	if a.Limit > 0 && len(targets) > len(a.Machines)+a.Limit {
		done.Left = len(targets) - len(a.Machines) - a.Limit
		targets = targets[:len(a.Machines)+a.Limit]
	}
	if a.Begin {
		if err := states.Begin(); err != nil {
			return done, err
		}
		d.log.Info("what machines have booted once is complete, somebody says")
	}
	done.Machines = []control.ArmedMachine{}
	for _, t := range targets {
		set, word := states.Disarm, "disarmed"
		if arm {
			set, word = states.Arm, "armed"
		}
		if err := set(t.Machine, t.others, time.Now()); err != nil {
			return done, fmt.Errorf("%d of %d machines are %s, and %s is not: %w", len(done.Machines), len(targets), word, t, err)
		}
		one := d.armed(t)
		done.Machines = append(done.Machines, one)
		d.log.Info("machine "+word, zap.Stringer("machine", t), zap.Strings("rules", one.Rules))
		e := events.Event{Kind: events.Disarmed}
		if arm {
			e = events.Event{Kind: events.Armed, Rule: one.Rules[0], Boot: one.Boots[0]}
		}
		d.tellOf(t, e)
	}
	return done, nil
}

// armed is what there is to tell an operator of a machine.
func (d *Daemon) armed(t target) control.ArmedMachine {
	one := control.ArmedMachine{Machine: t.String()}
	for _, r := range t.rules {
		one.Rules, one.Boots = append(one.Rules, r.Name), append(one.Boots, r.Action.Boot)
	}
	if t.entry != nil {
		one.BMC = t.entry.Labels["bmc"]
	}
	for _, key := range append(t.others, t.Machine) {
		if len(key.MAC) != 6 {
			continue
		}
		if m, ok := d.events.Machine(events.MAC(key.MAC)); ok {
			one.UEFI = one.UEFI || m.Facts.Firmware != "" && m.Facts.Firmware != boot.FirmwareX86PC.String()
		}
	}
	return one
}

// targets are the machines that are meant, those that are named first.
func (d *Daemon) targets(c control.Configuration, a control.Arming, arm bool, states *once.States) (all []target, err error) {
	inv := c.Config.Inventory
	var wrong []error
	named := make(map[string]bool)
	for _, name := range a.Machines {
		t, err := d.target(c, name)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case named[t.String()]:
		case arm && len(t.rules) == 0:
			wrong = append(wrong, fmt.Errorf("no rule boots %s once, so that it cannot be armed for anything; `pixiecore explain` says what it boots", t))
		default:
			named[t.String()] = true
			all = append(all, t)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	if len(a.AllOf) == 0 {
		return all, nil
	}
	found := false
	for _, e := range inv.Entries() {
		if !e.Has(a.AllOf) || named[e.Name] {
			continue
		}
		t := d.ofEntry(c, inv.Named(e.Name))
		r, _ := states.Find(t.Machine)
		if arm && len(t.rules) == 0 {
			continue
		}
		found = true
		if arm && (r.State == once.Armed || r.State == once.Installing) {
			continue
		}
		all = append(all, t)
	}
	if !found {
		return nil, fmt.Errorf("no machine block with a rule that boots it once has all of these labels: %s", shownLabels(a.AllOf))
	}
	return all, nil
}

// target is the machine of a name of the inventory, of a MAC address or of a UUID.
func (d *Daemon) target(c control.Configuration, name string) (target, error) {
	inv := c.Config.Inventory
	if e := inv.Named(name); e != nil {
		return d.ofEntry(c, e), nil
	}
	if uuid, err := boot.ParseUUID(name); err == nil {
		return d.targetByUUID(c, uuid), nil
	}
	mac, err := net.ParseMAC(name)
	if err != nil || len(mac) != 6 {
		var names []string
		for _, e := range inv.Entries()[:min(len(inv.Entries()), 10_000)] { // nobody is helped by more
			names = append(names, e.Name)
		}
		hint := ""
		if near := config.Suggest(name, names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return target{}, fmt.Errorf("there is no machine %q in the configuration that is served, and it is neither a MAC address nor a UUID%s", name, hint)
	}
	m := boot.Machine{MAC: mac, Facts: d.heard(mac)}
	if e := inv.Lookup(m); e != nil {
		return d.ofEntry(c, e), nil
	}
	t := target{Machine: once.Of(&boot.Verdict{}, m), machines: []boot.Machine{m}}
	t.rules = c.Once([]boot.Machine{m})
	return t, nil
}

// ofEntry is a machine of the inventory, with all by which it is known.
func (d *Daemon) ofEntry(c control.Configuration, e *booters.Entry) target {
	t := target{Machine: once.Machine{Name: e.Name}, entry: e}
	for _, mac := range e.MACs {
		m := boot.Machine{MAC: mac, Facts: d.heard(mac)}
		t.machines = append(t.machines, m)
		t.others = append(t.others, once.Of(&boot.Verdict{}, m))
	}
	if e.UUID != "" {
		t.others = append(t.others, once.Machine{UUID: e.UUID})
		t.machines = append(t.machines, boot.Machine{MAC: make(net.HardwareAddr, 6), Facts: &boot.Facts{Known: boot.FactUUID, UUID: e.UUID}})
	}
	t.rules = c.Once(t.machines)
	return t
}

func shownLabels(all map[string]string) string {
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		shown = append(shown, name+"="+all[name])
	}
	return strings.Join(shown, ", ")
}
