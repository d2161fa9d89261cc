package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	seenFile = "seen.json" // in the state directory
	// maxSeenFile bounds what is read of it: events.MaxMachines with the longest
	// texts have half of it.
	maxSeenFile = 64 << 20
	// recordFor is how long a machine is remembered that is not heard of.
	recordFor = 30 * 24 * time.Hour
	// recordEvery is how much of what machines did a crash may lose.
	recordEvery = time.Minute
)

// A recorded is a machine in the file: its facts, its boots, and what it said in
// DHCP by the words of the language.
type recorded struct {
	Machine events.Machine    `json:"machine"`
	Heard   map[string]string `json:"heard,omitempty"`
}

// A record is the file of the machines that were seen, so that an edit can be
// compared for them after a restart, too. It is written behind, never on the
// way of a packet.
type record struct {
	path    string   // empty: there is none
	written [32]byte // digest of what is in it
	failed  bool     // the last attempt to write it
}

// loadRecord reads the machines that were heard of since recordFor. A file that
// cannot be read is as good as none, and is replaced; the error says so.
func loadRecord(stateDir string, now time.Time) (r *record, all []recorded, err error) {
	r = &record{}
	if stateDir == "" {
		return r, nil, nil
	}
	r.path = filepath.Join(stateDir, seenFile)
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil, nil
	}
	if err != nil {
		return r, nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxSeenFile)).Decode(&all); err != nil {
		return r, nil, fmt.Errorf("%s: %w", r.path, err)
	}
	all = slices.DeleteFunc(all, func(m recorded) bool { return now.Sub(m.Machine.Latest()) > recordFor })
	return r, all, nil
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
			d.writeRecord(time.Now())
		case <-ctx.Done():
			d.writeRecord(time.Now())
			return
		}
	}
}

// writeRecord writes the record, if it is another than before.
func (d *Daemon) writeRecord(now time.Time) {
	if d.record.path == "" {
		return
	}
	all := []recorded{}
	for _, m := range slices.Backward(d.events.Machines()) { // asking for facts makes them the last ones
		if now.Sub(m.Latest()) > recordFor {
			continue
		}
		all = append(all, recorded{m, control.Question{}.With(d.heard(m.MAC[:])).Facts})
	}
	slices.Reverse(all)
	b, err := json.Marshal(all)
	sum := sha256.Sum256(b)
	if err == nil && sum == d.record.written {
		return
	}
	if err == nil {
		err = replaceFile(d.record.path, append(b, '\n'))
	}
	switch {
	case err == nil:
		d.record.written, d.record.failed = sum, false
	case !d.record.failed:
		d.record.failed = true
		d.log.Warn("machines seen are not kept for a restart", zap.Error(err))
	}
}
