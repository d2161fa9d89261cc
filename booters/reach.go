package booters

import (
	"net"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Reach says which rules could decide about machines of which little is known:
// what files a configuration may need is asked before any machine boots.
type Reach struct {
	inv   *Inventory
	rules []Rule
	index *index
}

// NewReach is for the rules of a Table, which must not be modified afterwards.
func NewReach(inv *Inventory, rules []Rule) *Reach {
	return &Reach{inv, rules, newIndex(inv, rules)}
}

// A Platform is an architecture, as iPXE reports it, with a firmware.
type Platform struct {
	Arch     boot.Architecture
	Firmware boot.Firmware
}

// String is "x64 efi64".
func (p Platform) String() string { return p.Arch.Name() + " " + p.Firmware.String() }

// AllPlatforms are those that a machine can have.
func AllPlatforms() (all []Platform) {
	for i := range boot.ArchitectureNames() {
		for _, f := range boot.Platforms() {
			if a := boot.Architecture(i); boot.Possible(a, f) {
				all = append(all, Platform{a, f})
			}
		}
	}
	return all
}

// Named are the rules that could decide about a machine of the inventory on that
// platform, whatever else it says: those that are unknown, up to the first that is
// true. They are indices of the rules.
func (r *Reach) Named(e *Entry, p Platform) (rules []int) {
	m := boot.Machine{Arch: p.Arch, Firmware: p.Firmware}
	if e.UUID != "" {
		m.Facts = &boot.Facts{Known: boot.FactUUID, UUID: e.UUID}
	}
	macs := e.MACs
	if len(macs) == 0 {
		macs = []net.HardwareAddr{make(net.HardwareAddr, 6)}
	}
	for _, m.MAC = range macs {
		first, firstTrue := r.index.lookup(r.inv, &m)
		if first == none {
			continue
		}
		if first == firstTrue && m.ArchCertain() {
			rules = append(rules, first)
			continue
		}
		s, _ := newSubject(&m, r.inv)
		s.probed = true
		rules = r.walk(rules, first, &s)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// Anybody are the rules that could decide about some machine of that platform, with
// any name, or none.
func (r *Reach) Anybody(p Platform) []int {
	s := subject{machine: boot.Machine{Arch: p.Arch, Firmware: p.Firmware}, inv: r.inv, probed: true, anybody: true}
	return r.walk(nil, 0, &s)
}

func (r *Reach) walk(rules []int, from int, s *subject) []int {
	for i := from; i < len(r.rules); i++ {
		truth, _ := r.rules[i].Match.eval(s)
		if truth != False {
			rules = append(rules, i)
		}
		if truth == True {
			break
		}
	}
	return rules
}
