package daemon

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/leases"
)

// stateFile is the file of what outlives the process, opened when something is to be
// kept for the first time; nil where there is no state directory. It is called under
// reloading.
func (d *Daemon) stateFile() (*store.Store, error) {
	if d.kept == nil && d.opts.StateDir != "" {
		var err error
		if d.kept, err = store.Open(d.opts.StateDir); err != nil {
			return nil, err
		}
	}
	return d.kept, nil
}

// closeStateFile gives up the file.
func (d *Daemon) closeStateFile() {
	if d.kept != nil {
		d.kept.Close()
		d.kept = nil
	}
}

// leases are those of the bucket of that name. Leases that cannot be read are no
// reason to answer nobody: a client asks to keep its address, and does if that is
// free. It is called under reloading.
func (d *Daemon) leases(bucket string) *leases.Leases {
	file, err := d.stateFile()
	if err != nil {
		d.log.Warn("leases are kept in memory only", zap.Error(err))
	}
	var kept leases.Store
	if file != nil {
		kept = keptLeases{file.Bucket(bucket)}
	}
	l, err := leases.New(kept)
	if err != nil {
		d.log.Warn("leases of before are not known", zap.String("of", bucket), zap.Error(err))
	}
	return l
}

// keptLeases are leases in a bucket, by address.
type keptLeases struct{ store.Bucket }

// A keptLease is a lease as it is stored.
type keptLease struct {
	Owner    []byte    `json:"owner,omitempty"`
	Until    time.Time `json:"until"`
	Declined bool      `json:"declined,omitempty"`
}

// Load implements leases.Store.
func (k keptLeases) Load() (all []leases.Lease, err error) {
	err = k.Each(func(key, value []byte) error {
		var l keptLease
		addr, err := netip.ParseAddr(string(key))
		if err == nil {
			err = json.Unmarshal(value, &l)
		}
		if err != nil {
			return fmt.Errorf("lease of %q: %w", key, err)
		}
		all = append(all, leases.Lease{Owner: leases.Owner(l.Owner), Addr: addr, Until: l.Until, Declined: l.Declined})
		return nil
	})
	return all, err
}

// Save implements leases.Store.
func (k keptLeases) Save(changed []leases.Lease) error {
	values := make(map[string][]byte, len(changed))
	for _, l := range changed {
		value, err := json.Marshal(keptLease{Owner: []byte(l.Owner), Until: l.Until, Declined: l.Declined})
		if err != nil {
			return err
		}
		values[l.Addr.String()] = value
	}
	return k.Update(values)
}
