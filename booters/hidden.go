package booters

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Hidden finds the rules that can never be reached because one earlier rule
// matches every machine that they match: index of the hidden rule → index of
// the first rule that hides it. A rule that only several earlier ones hide
// together is not found, for there would be no one to point at; neither is one
// whose condition no machine can meet, nor one behind a rule with Not, Any or
// When. Texts are compared as they are written: that "sw1/*" covers "sw1/7" is
// not seen.
func Hidden(rules []Rule) map[int]int {
	hidden := make(map[int]int)
	v := &visible{rules: rules, in: make([]classSet, len(rules)), asks: make([][]condition, len(rules)), byValue: make(map[asked][]int)}
	occurring := occurringClasses()
	for i := range rules {
		r := &rules[i]
		v.in[i] = r.Match.classes().and(occurring)
		if v.in[i] == (classSet{}) {
			continue
		}
		v.asks[i] = r.Match.conditions()
		if j := v.hider(i); j != none {
			hidden[i] = j
			continue // whatever it would hide, j hides as well
		}
		if x := r.Match.further(); len(x.Not) == 0 && len(x.Any) == 0 && x.When == nil {
			v.add(i)
		}
	}
	return hidden
}

// visible holds the rules that have been found to be reachable, so that those
// which cover a given pattern are found without walking them all.
type visible struct {
	rules []Rule
	in    []classSet    // by rule
	asks  [][]condition // by rule

	anyMAC  []int           // rules without MACs and conditions
	byValue map[asked][]int // rules without MACs: a value of one of their conditions → rules, ascending
	masks   []maskRules
}

// A condition is what a Match asks of one thing, beyond MACs and platform.
type condition struct {
	of     string   // "machine", "label role"
	values []string // of which one is enough
}

// asked is one value of a condition.
type asked struct{ of, value string }

// conditions are those of m that can be compared with another Match's.
func (m *Match) conditions() (all []condition) {
	add := func(of string, values []string) {
		if len(values) > 0 {
			all = append(all, condition{of, values})
		}
	}
	x := m.further()
	add("machine", m.Machines)
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		add("label "+key, []string{m.Labels[key]})
	}
	for i := range textConditions {
		c := &textConditions[i]
		add(c.name, texts(c.globs(x)))
	}
	add("subnet", texts(x.Subnets))
	add("relay", texts(x.Relays))
	add("transport", x.Transports)
	if x.IPXE != nil {
		add("ipxe", []string{strconv.FormatBool(*x.IPXE)})
	}
	return all
}

func texts[T fmt.Stringer](values []T) (all []string) {
	for _, v := range values {
		all = append(all, v.String())
	}
	return all
}

// maskRules are the rules with patterns of one mask: value → rules, ascending.
type maskRules struct {
	mask uint64
	at   map[uint64][]int
}

func (v *visible) add(i int) {
	switch {
	case len(v.rules[i].Match.MACs) > 0:
	case len(v.asks[i]) == 0:
		v.anyMAC = append(v.anyMAC, i)
	default:
		c := slices.MinFunc(v.asks[i], func(a, b condition) int { return cmp.Compare(v.crowd(a), v.crowd(b)) })
		for _, value := range c.values {
			key := asked{c.of, value}
			if list := v.byValue[key]; len(list) == 0 || list[len(list)-1] != i {
				v.byValue[key] = append(list, i)
			}
		}
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

// crowd is how many rules stand under a value of the condition already.
func (v *visible) crowd(c condition) (most int) {
	for _, value := range c.values {
		most = max(most, len(v.byValue[asked{c.of, value}]))
	}
	return most
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
	for _, c := range v.asks[i] {
		// What covers the condition has all of its values, so also the first.
		for _, j := range v.byValue[asked{c.of, c.values[0]}] {
			if best != none && j >= best {
				break
			}
			if v.coversClasses(j, i) && v.coversConditions(j, i) {
				best = j
				break
			}
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
			if v.coversClasses(j, i) && v.coversConditions(j, i) && v.coversMACs(j, macs) {
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

// coversConditions reports whether whatever meets the conditions of rule i meets
// those of rule j.
func (v *visible) coversConditions(j, i int) bool {
	for _, want := range v.asks[j] {
		covered := slices.ContainsFunc(v.asks[i], func(c condition) bool {
			return c.of == want.of && !slices.ContainsFunc(c.values, func(value string) bool { return !slices.Contains(want.values, value) })
		})
		if !covered {
			return false
		}
	}
	return true
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
