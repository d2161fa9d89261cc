package booters

import (
	"iter"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Hidden finds the rules that can never be reached because one earlier rule
// matches every machine that they match: index of the hidden rule → index of
// the first rule that hides it. A rule that only several earlier ones hide
// together is not found, for there would be no one to point at; neither is one
// whose condition no machine can meet, nor one behind a rule that asks more than
// MACs and platform.
func Hidden(rules []Rule) map[int]int {
	hidden := make(map[int]int)
	v := &visible{rules: rules, in: make([]classSet, len(rules))}
	occurring := occurringClasses()
	for i := range rules {
		r := &rules[i]
		v.in[i] = r.Match.classes().and(occurring)
		if v.in[i] == (classSet{}) {
			continue
		}
		if j := v.hider(i); j != none {
			hidden[i] = j
			continue // whatever it would hide, j hides as well
		}
		if r.Match.rests() == 0 {
			v.add(i)
		}
	}
	return hidden
}

// visible holds the rules that have been found to be reachable, so that those
// which cover a given pattern are found without walking them all.
type visible struct {
	rules  []Rule
	in     []classSet // by rule
	anyMAC []int      // rules without MACs
	masks  []maskRules
}

// maskRules are the rules with patterns of one mask: value → rules, ascending.
type maskRules struct {
	mask uint64
	at   map[uint64][]int
}

func (v *visible) add(i int) {
	if len(v.rules[i].Match.MACs) == 0 {
		v.anyMAC = append(v.anyMAC, i)
	}
	for _, p := range v.rules[i].Match.MACs {
		k := slices.IndexFunc(v.masks, func(m maskRules) bool { return m.mask == p.mask })
		if k < 0 {
			k = len(v.masks)
			v.masks = append(v.masks, maskRules{p.mask, make(map[uint64][]int)})
		}
		at := v.masks[k].at
		if list := at[p.value]; len(list) == 0 || list[len(list)-1] != i { // else it stands in the rule twice
			at[p.value] = append(list, i)
		}
	}
}

// hider is the first rule that covers rule i, or none.
func (v *visible) hider(i int) int {
	best := none
	for _, j := range v.anyMAC {
		if v.coversClasses(j, i) {
			best = j
			break
		}
	}
	macs := v.rules[i].Match.MACs
	if len(macs) == 0 {
		return best
	}
	// Whatever hides the rule covers each of its patterns. It is looked for at
	// the one that the fewest rules cover.
	rarest, fewest := macs[0], -1
	for _, q := range macs {
		n := 0
		for list := range v.covering(q) {
			n += len(list)
		}
		if fewest < 0 || n < fewest {
			rarest, fewest = q, n
		}
	}
	for list := range v.covering(rarest) {
		for _, j := range list {
			if best != none && j >= best {
				break
			}
			if v.coversClasses(j, i) && v.coversMACs(j, macs) {
				best = j
				break
			}
		}
	}
	return best
}

func (v *visible) coversClasses(j, i int) bool {
	return v.in[i].without(v.in[j]) == (classSet{})
}

func (v *visible) coversMACs(j int, macs []MACPattern) bool {
	for _, q := range macs {
		covered := false
		for list := range v.covering(q) {
			if _, covered = slices.BinarySearch(list, j); covered {
				break
			}
		}
		if !covered {
			return false
		}
	}
	return true
}

// covering yields, mask by mask, the rules with a pattern that covers q.
func (v *visible) covering(q MACPattern) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for _, m := range v.masks {
			p := MACPattern{value: q.value & m.mask, mask: m.mask}
			if !p.Covers(q) {
				continue
			}
			if list := m.at[p.value]; len(list) > 0 && !yield(list) {
				return
			}
		}
	}
}

// occurringClasses are those that a machine can be of.
func occurringClasses() (all classSet) {
	all.add(classBothX86)
	all.add(classMaybeX86)
	for a := boot.Architecture(0); int(a) < numArchs; a++ {
		for f := boot.Firmware(0); int(f) < numFirmwares; f++ {
			if boot.Possible(a, f) {
				all.add(classAt(a, f))
			}
		}
	}
	return all
}
