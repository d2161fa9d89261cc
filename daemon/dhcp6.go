package daemon

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// duidFile is the name, in the state directory, of the DHCPv6 server's identifier.
const duidFile = "dhcp6.duid"

// dhcp6State is what all DHCPv6 listeners have in common, and outlives them.
type dhcp6State struct {
	duid   []byte
	leases *dhcp6.Leases
	store  *store.Store // nil: leases end with the process
}

// close gives up the file.
func (s *dhcp6State) close() {
	if s.store != nil {
		s.store.Close()
	}
}

// forDHCP6 makes the identifier and reads the leases when the first listener needs
// them. Leases that cannot be read are no reason to answer nobody: a client asks to
// keep its address, and does if that is free.
func (d *Daemon) forDHCP6() (*dhcp6State, error) {
	if d.dhcp6.leases != nil {
		return &d.dhcp6, nil
	}
	s := dhcp6State{}
	var err error
	if s.duid, err = loadDUID(d.opts.StateDir); err != nil {
		return nil, err
	}
	var kept dhcp6.Store
	if d.opts.StateDir != "" {
		if s.store, err = store.Open(d.opts.StateDir); err == nil {
			kept = keptLeases{s.store.Bucket("dhcp6 leases")}
		} else {
			d.log.Warn("DHCPv6 leases are kept in memory only", zap.Error(err))
		}
	}
	if s.leases, err = dhcp6.NewLeases(kept); err != nil {
		d.log.Warn("DHCPv6 leases of before are not known", zap.Error(err))
	}
	d.dhcp6 = s
	return &d.dhcp6, nil
}

// loadDUID reads the server's identifier, by which clients know it again, or makes
// one: of a random UUID (RFC 6355), since a MAC address can move to another host.
// Without a directory it dies with the process.
func loadDUID(dir string) ([]byte, error) {
	const head, length = "\x00\x04", 2 + 16
	path := filepath.Join(dir, duidFile)
	if dir != "" {
		duid, err := os.ReadFile(path)
		switch {
		case err == nil && len(duid) == length && string(duid[:2]) == head:
			return duid, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("the DHCPv6 server's identifier: %w", err)
		}
	}
	uuid := make([]byte, 16)
	rand.Read(uuid)               // never fails
	uuid[6] = uuid[6]&0x0f | 4<<4 // RFC 9562 §5.4: version 4
	uuid[8] = uuid[8]&0x3f | 2<<6 // and its variant
	duid := append([]byte(head), uuid...)
	if dir == "" {
		return duid, nil
	}
	if err := replaceFile(path, duid); err != nil {
		return nil, fmt.Errorf("the DHCPv6 server's identifier: %w", err)
	}
	return duid, nil
}

// keptLeases are leases in a bucket, by address.
type keptLeases struct{ store.Bucket }

// A keptLease is a lease as it is stored.
type keptLease struct {
	DUID     []byte    `json:"duid,omitempty"`
	IAID     [4]byte   `json:"iaid"`
	Until    time.Time `json:"until"`
	Declined bool      `json:"declined,omitempty"`
}

// Load implements dhcp6.Store.
func (k keptLeases) Load() (all []dhcp6.Lease, err error) {
	err = k.Each(func(key, value []byte) error {
		var l keptLease
		addr, err := netip.ParseAddr(string(key))
		if err == nil {
			err = json.Unmarshal(value, &l)
		}
		if err != nil {
			return fmt.Errorf("lease of %q: %w", key, err)
		}
		all = append(all, dhcp6.Lease{Owner: dhcp6.Owner{DUID: string(l.DUID), IAID: l.IAID}, Addr: addr, Until: l.Until, Declined: l.Declined})
		return nil
	})
	return all, err
}

// Save implements dhcp6.Store.
func (k keptLeases) Save(changed []dhcp6.Lease) error {
	values := make(map[string][]byte, len(changed))
	for _, l := range changed {
		value, err := json.Marshal(keptLease{DUID: []byte(l.DUID), IAID: l.IAID, Until: l.Until, Declined: l.Declined})
		if err != nil {
			return err
		}
		values[l.Addr.String()] = value
	}
	return k.Update(values)
}

// dhcp6 is what a DHCPv6 server does with a request by the current settings.
func (l *listener) dhcp6() dhcp6.Settings {
	s := l.settings.Load()
	v := s.DHCP6
	return dhcp6.Settings{
		Only: s.Interfaces, Advertise: s.Advertise, TFTP: s.tftp, Web: s.web, Plain: s.plain,
		Pool:       dhcp6.Pool{Start: v.Pool.Start, Size: v.Pool.Size, Lifetime: v.Pool.Lifetime},
		Preference: v.Preference, DNS: v.DNS,
	}
}
