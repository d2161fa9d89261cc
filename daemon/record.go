package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	bootsBucket = "boots"
	// recordFor is how long a machine is remembered that is not heard of.
	recordFor = 30 * 24 * time.Hour
	// recordEvery is how much of what machines did a crash may lose.
	recordEvery = time.Minute
	// maxRecorded bounds what is stored of all machines, in bytes: those that were
	// silent longest go first. A machine with five whole boots has some 20 kB.
	maxRecorded = 16 << 20
)

// A recorded is a machine in the store: its facts, its boots, and what it said in
// DHCP by the words of the language.
type recorded struct {
	Machine events.Machine    `json:"machine"`
	Heard   map[string]string `json:"heard,omitempty"`
}

// A record is what is stored of the machines that were seen, so that an operator
// finds their boots, and an edit can be compared for them, after a restart too. It
// is written behind, never on the way of a packet.
type record struct {
	bucket store.Bucket   // nil: there is none
	sizes  map[string]int // in bytes, of what is in it, by key
	upTo   uint64         // the count of events.Log.Changed that it has
	limit  int            // maxRecorded, but in tests
	failed bool           // the last attempt to write it
}

// loadRecord reads the machines that were heard of since recordFor, the one that was
// heard of last first. The error says which could not be read; they are forgotten,
// and what comes is stored all the same, where there is a store.
func (d *Daemon) loadRecord(now time.Time) (all []recorded, err error) {
	d.record = &record{sizes: map[string]int{}, limit: maxRecorded}
	if d.opts.StateDir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(d.opts.StateDir, 0o700); err != nil {
		return nil, err
	}
	file, err := d.stateFile()
	if err != nil {
		return nil, err
	}
	d.record.bucket = file.Bucket(bootsBucket)
	var damaged error
	err = d.record.bucket.Each(func(key, value []byte) error {
		d.record.sizes[string(key)] = len(value)
		var one recorded
		if err := json.Unmarshal(value, &one); err != nil {
			damaged = fmt.Errorf("machine %q: %w", key, err)
			return nil
		}
		if now.Sub(one.Machine.Latest()) <= recordFor {
			all = append(all, one)
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b recorded) int { return b.Machine.Latest().Compare(a.Machine.Latest()) })
	if err == nil {
		err = damaged
	}
	return all, err
}

// recall makes the daemon know the machines of a record. What they said in DHCP
// is kept apart from what they say now: it is for comparisons, and no boot is
// decided by what a machine said in another month.
func (d *Daemon) recall(all []recorded) {
	machines := make([]events.Machine, len(all))
	d.past = make(map[events.MAC]*boot.Facts, len(all))
	for i, one := range all {
		machines[i] = one.Machine
		q := control.Question{MAC: net.HardwareAddr(one.Machine.MAC[:]).String(), Facts: one.Heard}
		if m, err := q.Machine(); err == nil && len(one.Heard) > 0 {
			d.past[one.Machine.MAC] = m.Facts
		}
	}
	d.events.Restore(machines)
}

// heard is what a machine said in DHCP, before a restart if not since; nil where
// that is not known.
func (d *Daemon) heard(mac net.HardwareAddr) *boot.Facts {
	if f := d.boots.Of(mac); f != nil || len(mac) != len(events.MAC{}) {
		return f
	}
	return d.past[events.MAC(mac)]
}

// remember keeps the record up to date until ctx is done, and once more then.
func (d *Daemon) remember(ctx context.Context) {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.writeRecord()
		case <-ctx.Done():
			d.writeRecord()
			return
		}
	}
}

// writeRecord stores the machines of which something has changed.
func (d *Daemon) writeRecord() {
	r := d.record
	if r.bucket == nil {
		return
	}
	machines, upTo := d.events.Changed(r.upTo)
	changed := map[string][]byte{}
	for _, m := range slices.Backward(machines) { // asking for facts makes them the last ones
		value, err := json.Marshal(recorded{m, control.Question{}.With(d.heard(m.MAC[:])).Facts})
		if err != nil {
			d.log.Warn("machine not stored", zap.Error(err))
			continue
		}
		changed[net.HardwareAddr(m.MAC[:]).String()] = value
	}
	sizes := r.fit(changed, d.events)
	if len(changed) == 0 {
		r.upTo = upTo
		return
	}
	switch err := r.bucket.Update(changed); {
	case err == nil:
		r.sizes, r.upTo, r.failed = sizes, upTo, false
	case !r.failed:
		r.failed = true
		d.log.Warn("boots are not kept for a restart", zap.Error(err))
	}
}

// fit makes changed remove what is known no more, and the machines silent longest
// that there is no room for. It returns the sizes of what is stored then.
func (r *record) fit(changed map[string][]byte, log *events.Log) map[string]int {
	sizes, total := make(map[string]int, len(r.sizes)), 0
	for key, n := range r.sizes {
		if mac, err := net.ParseMAC(key); err != nil || !log.Knows(events.MAC(mac)) {
			changed[key] = nil
			continue
		}
		sizes[key] = n
	}
	for key, value := range changed {
		if value != nil {
			sizes[key] = len(value)
		}
	}
	for _, n := range sizes {
		total += n
	}
	if total <= r.limit {
		return sizes
	}
	for _, m := range slices.Backward(log.Machines()) {
		key := net.HardwareAddr(m.MAC[:]).String()
		if n, ok := sizes[key]; ok && total > r.limit {
			total -= n
			delete(sizes, key)
			changed[key] = nil
		}
	}
	return sizes
}
