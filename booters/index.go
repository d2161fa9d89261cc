package booters

import (
	"cmp"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// none stands for the index of a rule that there is not.
const none = -1

// An index finds the first rule for a machine without walking the rules.
//
// All that a rule can ask beside the MAC is finite: a machine is of one class
// out of numClasses, and the platform part of a rule is the set of the classes
// that it is true of. Rules without MACs therefore reduce to an array: class →
// first rule. Those with MACs stand in one hash table per distinct mask, each
// entry with the few rules that can still be first there.
type index struct {
	any   [numClasses]int32 // by class: the first rule without MACs
	masks []maskTable       // ascending by the lowest rule in them
}

type maskTable struct {
	mask    uint64
	lowest  int32
	entries map[uint64]entry
}

// An entry holds the rules with one value under one mask, ascending.
type entry struct {
	first candidate // beside the key, where it costs no further cache miss
	more  []candidate
}

// A candidate is a rule that is the first of its entry for some class.
type candidate struct {
	rule int32
	in   classSet
}

func newIndex(rules []Rule) *index {
	x := new(index)
	for c := range x.any {
		x.any[c] = none
	}
	at := make(map[uint64]int) // mask → place in x.masks
	for i, r := range rules {
		rule, in := int32(i), r.Match.classes()
		if len(r.Match.MACs) == 0 {
			for c := range x.any {
				if x.any[c] == none && in.has(class(c)) {
					x.any[c] = rule
				}
			}
			continue
		}
		for _, p := range r.Match.MACs {
			k, ok := at[p.mask]
			if !ok {
				k = len(x.masks)
				at[p.mask] = k
				x.masks = append(x.masks, maskTable{mask: p.mask, lowest: rule, entries: make(map[uint64]entry)})
			}
			// A rule whose every class is taken by earlier ones of the same
			// entry can never be first there. Leaving it out bounds the entry
			// by numClasses, however many rules name the same MAC.
			entries := x.masks[k].entries
			e, ok := entries[p.value]
			if !ok {
				entries[p.value] = entry{first: candidate{rule, in}}
				continue
			}
			left := in.without(e.first.in)
			for _, c := range e.more {
				left = left.without(c.in)
			}
			if left != (classSet{}) {
				e.more = append(e.more, candidate{rule, in})
				entries[p.value] = e
			}
		}
	}
	slices.SortFunc(x.masks, func(a, b maskTable) int { return cmp.Compare(a.lowest, b.lowest) })
	return x
}

// lookup finds the first rule that is not false for m, and the first that is
// true; none where there is none.
func (x *index) lookup(m boot.Machine) (first, firstTrue int) {
	c := classOf(m)
	first = x.first(c, m)
	if c != classMaybeX86 {
		return first, first
	}
	return first, x.first(classBothX86, m)
}

func (x *index) first(c class, m boot.Machine) int {
	best := x.any[c]
	mac, ok := macValue(m.MAC)
	if !ok {
		return int(best)
	}
	for i := range x.masks {
		t := &x.masks[i]
		if best != none && t.lowest > best {
			break
		}
		if mac == 0 && t.mask != exactMask {
			continue // see MACPattern.Match
		}
		e, ok := t.entries[mac&t.mask]
		if !ok {
			continue
		}
		rule := int32(none)
		if e.first.in.has(c) {
			rule = e.first.rule
		} else if i := slices.IndexFunc(e.more, func(m candidate) bool { return m.in.has(c) }); i >= 0 {
			rule = e.more[i].rule
		}
		if rule != none && (best == none || rule < best) {
			best = rule
		}
	}
	return int(best)
}

// A class is everything about a machine, beside its MAC, that a rule can ask
// for: firmware and architecture, each with one value more for those that boot
// has no name for.
type class uint8

const (
	numArchs     = int(boot.ArchLoongArch64) + 1 + 1
	numFirmwares = int(boot.FirmwareUBoot) + 1 + 1

	// Of a BIOS machine whose CPU is not known yet, a rule may be true or
	// unknown. That are two classes: the rules that are true, and those that
	// are not false.
	classBothX86  = class(numArchs * numFirmwares)
	classMaybeX86 = classBothX86 + 1
	numClasses    = int(classMaybeX86) + 1
)

func classAt(a boot.Architecture, f boot.Firmware) class {
	if a < 0 || int(a) >= numArchs {
		a = boot.Architecture(numArchs - 1)
	}
	if f < 0 || int(f) >= numFirmwares {
		f = boot.Firmware(numFirmwares - 1)
	}
	return class(int(f)*numArchs + int(a))
}

// classOf is the class in which to look for the first rule that is not false.
func classOf(m boot.Machine) class {
	if !m.ArchCertain() {
		return classMaybeX86
	}
	return classAt(m.Arch, m.Firmware)
}

// A classSet has one bit for each class.
type classSet [(numClasses + 63) / 64]uint64

func (s *classSet) add(c class)      { s[c/64] |= 1 << (c % 64) }
func (s *classSet) has(c class) bool { return s[c/64]>>(c%64)&1 != 0 }

// without is the set of what is in s and not in t.
func (s classSet) without(t classSet) classSet {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}

// and is the set of what is in both.
func (s classSet) and(t classSet) classSet {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// classes are those of which the condition, but for its MACs, is true.
func (m Match) classes() (in classSet) {
	for f := boot.Firmware(0); int(f) < numFirmwares; f++ {
		if len(m.Firmwares) > 0 && !slices.Contains(m.Firmwares, f) {
			continue
		}
		for a := boot.Architecture(0); int(a) < numArchs; a++ {
			if len(m.Archs) == 0 || slices.Contains(m.Archs, a) {
				in.add(classAt(a, f))
			}
		}
	}
	ia32 := in.has(classAt(boot.ArchIA32, boot.FirmwareX86PC))
	x64 := in.has(classAt(boot.ArchX64, boot.FirmwareX86PC))
	if ia32 && x64 {
		in.add(classBothX86)
	}
	if ia32 || x64 {
		in.add(classMaybeX86)
	}
	return in
}
