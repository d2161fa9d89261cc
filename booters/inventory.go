package booters

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// An Entry is a machine that the operator has named.
type Entry struct {
	Name   string
	MACs   []net.HardwareAddr
	UUID   string // as boot.ParseUUID writes it; empty: known by its MACs only
	Labels map[string]string
	IP     netip.Addr // that DHCP leases to it; the zero Addr: any
}

// An Inventory finds the Entry of a machine. It is never modified after
// NewInventory and may be used by many goroutines. A nil *Inventory is empty.
type Inventory struct {
	entries []Entry
	byName  map[string]int32
	byMAC   map[uint64]int32
	byUUID  map[string]int32
	// labels are those of the machines that have a UUID.
	labels map[label]struct{}
}

type label struct{ key, value string }

// NewInventory makes an inventory of entries, which must not be modified
// afterwards. The error names every name, MAC and UUID that stands in two
// entries, with both, and every MAC that is not six octets.
func NewInventory(entries []Entry) (*Inventory, error) {
	v := &Inventory{
		entries: entries,
		byName:  make(map[string]int32, len(entries)),
		byMAC:   make(map[uint64]int32, len(entries)),
		byUUID:  make(map[string]int32),
		labels:  make(map[label]struct{}),
	}
	var errs []error
	for i := range entries {
		e, at := &entries[i], int32(i)
		if _, ok := v.byName[e.Name]; ok {
			errs = append(errs, fmt.Errorf("there are two machines %q", e.Name))
			continue
		}
		v.byName[e.Name] = at
		for _, hw := range e.MACs {
			mac, ok := macValue(hw)
			if !ok {
				errs = append(errs, fmt.Errorf("machine %q: MAC %s: not six octets", e.Name, hw))
				continue
			}
			if other, ok := v.byMAC[mac]; ok && other != at {
				errs = append(errs, fmt.Errorf("machines %q and %q have the same MAC %s", entries[other].Name, e.Name, hw))
				continue
			}
			v.byMAC[mac] = at
		}
		if e.UUID == "" {
			continue
		}
		uuid, err := boot.ParseUUID(e.UUID)
		if err != nil {
			errs = append(errs, fmt.Errorf("machine %q: %w", e.Name, err))
			continue
		}
		if other, ok := v.byUUID[uuid]; ok {
			errs = append(errs, fmt.Errorf("machines %q and %q have the same UUID %s", entries[other].Name, e.Name, uuid))
			continue
		}
		v.byUUID[uuid] = at
		for key, value := range e.Labels {
			v.labels[label{key, value}] = struct{}{}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// Lookup finds the machine by its MAC, else by its UUID; nil where it is a
// stranger, or its UUID is not known yet.
func (v *Inventory) Lookup(m boot.Machine) *Entry {
	if i := v.lookup(&m); i != none {
		return &v.entries[i]
	}
	return nil
}

// Named is the entry of that name, or nil.
func (v *Inventory) Named(name string) *Entry {
	if v != nil {
		if i, ok := v.byName[name]; ok {
			return &v.entries[i]
		}
	}
	return nil
}

// Entries are all machines, as they were given to NewInventory. They must not
// be modified.
func (v *Inventory) Entries() []Entry {
	if v == nil {
		return nil
	}
	return v.entries
}

// lookup is the place of the machine's entry, or none.
func (v *Inventory) lookup(m *boot.Machine) int32 {
	if v == nil {
		return none
	}
	if mac, ok := macValue(m.MAC); ok {
		if i, ok := v.byMAC[mac]; ok {
			return i
		}
	}
	if len(v.byUUID) > 0 && m.Facts.Knows(boot.FactUUID) {
		if i, ok := v.byUUID[m.Facts.UUID]; ok {
			return i
		}
	}
	return none
}

// Has reports whether the entry carries all of the labels.
func (e *Entry) Has(labels map[string]string) bool {
	for k, want := range labels {
		if got, ok := e.Labels[k]; !ok || got != want {
			return false
		}
	}
	return true
}

// anyByUUID reports whether one of the named machines can be known by its UUID.
func (v *Inventory) anyByUUID(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		e := v.Named(name)
		return e != nil && e.UUID != ""
	})
}

// labelledByUUID reports whether each of the labels is on some machine that can
// be known by its UUID. That one machine has them all is not looked for.
func (v *Inventory) labelledByUUID(labels map[string]string) bool {
	if v == nil {
		return false
	}
	for key, value := range labels {
		if _, ok := v.labels[label{key, value}]; !ok {
			return false
		}
	}
	return true
}
