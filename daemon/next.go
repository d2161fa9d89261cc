package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

const nextBucket = "next"

// nexts are what operators have chosen for machines; nil: nothing.
func (d *Daemon) nexts() *once.Nexts { return d.next.Load() }

// openNexts reads them, if that has not been done. One that went wrong is tried again.
// It is called under reloading, or by New.
func (d *Daemon) openNexts() (*once.Nexts, error) {
	if n := d.next.Load(); n != nil {
		return n, nil
	}
	file, err := d.stateFile()
	switch {
	case err != nil:
		return nil, err
	case file == nil:
		return nil, errors.New("there is no state directory to keep it in; name one with --state-dir")
	}
	n, err := once.NewNexts(keptNext{file.Bucket(nextBucket)}, time.Now())
	if err != nil {
		return nil, err
	}
	d.next.Store(n)
	return n, nil
}

// recallNexts reads what was chosen before the start. Where that cannot be read, the
// rules decide alone.
func (d *Daemon) recallNexts() {
	if _, err := os.Stat(filepath.Join(d.opts.StateDir, store.File)); d.opts.StateDir == "" || errors.Is(err, fs.ErrNotExist) {
		return
	}
	if _, err := d.openNexts(); err != nil {
		d.log.Warn("what was chosen for the next boot of machines is not known, so their rules decide", zap.Error(err))
	}
}

// checkNexts says which of them cannot be booted by a configuration.
func (d *Daemon) checkNexts(c *Compiled) {
	for _, one := range d.nexts().All(time.Now()) {
		if _, err := c.Table.Choose(&boot.Verdict{}, one.Boot); err != nil && one.ID == "" {
			d.log.Warn("what was chosen for the next boot is not booted, and the rule decides; `pixiecore next` chooses another, or takes it back by --cancel",
				zap.String("machine", one.Machine), zap.String("boot", one.Boot), zap.Error(err))
		}
	}
}

// keptNext are Nexts in a bucket, by key.
type keptNext struct{ store.Bucket }

// Load implements once.NextStore.
func (k keptNext) Load() (map[string]once.Next, error) {
	all := make(map[string]once.Next)
	err := k.Each(func(key, value []byte) error {
		var n once.Next
		if err := json.Unmarshal(value, &n); err != nil {
			return nil // of that machine, the rule decides
		}
		all[string(key)] = n
		return nil
	})
	return all, err
}

// Save implements once.NextStore.
func (k keptNext) Save(changed map[string]*once.Next) error {
	values, err := encoded(changed)
	if err != nil {
		return err
	}
	return k.Update(values)
}

// Next implements control.Daemon.
func (o operator) Next(want control.Next) (control.Chosen, error) {
	d := o.d
	var done control.Chosen
	d.reloading.Lock()
	nexts, err := d.openNexts()
	d.reloading.Unlock()
	if err != nil {
		return done, err
	}
	c := d.compiled().Explainable()
	t, err := d.target(c, want.Machine)
	if err != nil {
		return done, err
	}
	done.ArmedMachine = d.armed(t)
	if want.Cancel {
		was, found, err := nexts.Cancel(t.Machine, t.others, time.Now())
		switch {
		case err != nil:
			return done, err
		case !found:
			return done, fmt.Errorf("nothing is chosen for the next boot of %s", t)
		}
		done.Boot, done.Until, done.Begun = was.Boot, was.Until, was.ID != ""
		if !done.Begun {
			d.log.Info("next boot is that of the rule again", zap.Stringer("machine", t), zap.String("boot", was.Boot))
			d.tellOf(t, events.Event{Kind: events.Chosen, Detail: "the next boot is that of the rule again"})
		}
		return done, nil
	}
	name := strings.TrimPrefix(want.Boot, "boot.")
	if err := choosable(c.Config, name); err != nil {
		return done, err
	}
	if _, err := c.Table.Choose(&boot.Verdict{}, name); err != nil {
		return done, err
	}
	if !c.Answers(t.machines) {
		return done, fmt.Errorf("no rule boots %s, from the network or from its disk, and a machine that is ignored stays ignored; `pixiecore explain` says why", t)
	}
	done.Boot, done.Until = name, time.Now().Add(want.For)
	if err := nexts.Set(t.Machine, t.others, name, want.For, time.Now()); err != nil {
		return done, err
	}
	d.log.Info("next boot chosen", zap.Stringer("machine", t), zap.String("boot", name), zap.Time("until", done.Until))
	d.tellOf(t, events.Event{Kind: events.Chosen, Boot: name, Detail: fmt.Sprintf("boots boot.%s next", name)})
	return done, nil
}

// choosable says why nobody can choose the boot of that name; nil: somebody can.
func choosable(cfg *config.Config, name string) error {
	names := make([]string, 0, len(cfg.Boots))
	for _, b := range cfg.Boots {
		names = append(names, b.Action.Boot)
	}
	switch near := config.Suggest(name, names); {
	case cfg.URLKey != "":
		return errors.New("the key for addresses is shared with other servers (url_key), which would boot the machine by its rule: what is chosen for a machine is known to one server only")
	case slices.Contains(names, name):
		return nil
	case near != "":
		return fmt.Errorf("there is no boot.%s in the configuration that is served; did you mean boot.%s?", name, near)
	default:
		return fmt.Errorf("there is no boot.%s in the configuration that is served", name)
	}
}

// tellOf tells who follows the events what an operator has done to a machine.
func (d *Daemon) tellOf(t target, e events.Event) {
	for _, m := range t.machines {
		if mac := m.MAC; len(mac) == len(events.MAC{}) && slices.ContainsFunc(mac, func(b byte) bool { return b != 0 }) {
			d.events.Tell(events.MAC(mac), e)
		}
	}
}

// targetByUUID is the machine of a UUID.
func (d *Daemon) targetByUUID(c control.Configuration, uuid string) target {
	m := boot.Machine{MAC: make(net.HardwareAddr, 6), Facts: &boot.Facts{Known: boot.FactUUID, UUID: uuid}}
	if e := c.Config.Inventory.Lookup(m); e != nil {
		return d.ofEntry(c, e)
	}
	return target{Machine: once.Machine{UUID: uuid}, machines: []boot.Machine{m}, rules: c.Once([]boot.Machine{m})}
}
