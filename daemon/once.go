package daemon

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/store"
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
	values := make(map[string][]byte, len(changed))
	for key, r := range changed {
		if values[key] = nil; r == nil {
			continue
		}
		value, err := json.Marshal(r)
		if err != nil {
			return err
		}
		values[key] = value
	}
	return k.Update(values)
}

// Begin implements once.Store.
func (k keptOnce) Begin() error {
	return k.Update(map[string][]byte{begunKey: []byte(time.Now().UTC().Format(time.RFC3339))})
}
