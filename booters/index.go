package booters

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// none stands for the index of a rule that there is not.
const none = -1

// An index finds the first rule for a machine without walking the rules.
//
// Each rule stands under one key that a machine must have for the rule not to
// be false: a value under one of its MAC masks, else one of its machines, else
// one of its labels, else one of its subnets. A lookup goes through the rules under the keys that the
// machine has, ascending, and those without a key.
//
// What rules ask most beside that, the platform, is finite: a machine is of one
// class out of numClasses, and the platform part of a rule is the set of the
// classes that it is true of. Rules that ask nothing else therefore reduce to
// the first of each class. What a rule asks beyond its key and its classes is
// its rest, and evaluated only where the lookup comes across the rule.
//
// So what a lookup costs does not hang on how many rules there are for a MAC address, a
// machine, a label or a subnet each. What is walked are rules that ask for nothing of
// these, but for a serial number, a class or a condition of any kind (when): some 125 ns
// for each of them (BenchmarkDecideByWhen).
type index struct {
	rules []Rule

	any   [numClasses]int32 // by class: the first rule without key and rest
	rests []candidate       // rules without a key, but with a rest
	masks []maskTable       // ascending by the lowest rule in them

	asksInventory bool
	machines      []bucket  // by place in the inventory
	labels        []bucket  // by number of the label
	labelled      [][]int32 // by place in the inventory: the numbers of its labels
	// byUUID are the rules under machines and labels that may be of a machine
	// whose UUID is not known yet. Such a rule is unknown at best.
	byUUID []candidate

	subnets  subnetTable
	bySubnet []candidate // those in it, for a machine of which that is not known yet
}

// A subnetTable has the rules under each prefix that they ask for. A machine's own is
// looked for at each length that there is: a network has few.
type subnetTable struct {
	rules   map[netip.Prefix][]candidate
	lengths []int // ascending
}

func (t *subnetTable) add(p netip.Prefix, c candidate) {
	if t.rules == nil {
		t.rules = make(map[netip.Prefix][]candidate)
	}
	p = p.Masked()
	if list := t.rules[p]; len(list) == 0 || list[len(list)-1].rule != c.rule {
		t.rules[p] = append(list, c)
	}
	if i, ok := slices.BinarySearch(t.lengths, p.Bits()); !ok {
		t.lengths = slices.Insert(t.lengths, i, p.Bits())
	}
}

type maskTable struct {
	mask   uint64
	lowest int32
	macTable
}

// A bucket holds the rules under one key, ascending.
type bucket struct {
	first candidate // beside the key, where it costs no further cache miss; no class in it: the bucket is empty
	more  *more
}

type more struct {
	list  []candidate
	taken classSet // of the rules without a rest
}

// A candidate is a rule that may be the first of its key for some class.
type candidate struct {
	in   classSet
	rule int32
	rest bool
}

// add appends a rule, unless it can never be first: each of its classes is
// taken by an earlier rule of the same key without a rest. That bounds the
// rules without a rest by numClasses, however many name the same MAC.
func (b *bucket) add(c candidate) {
	if b.first.in == (classSet{}) {
		b.first = c
		return
	}
	taken := classSet{}
	if b.more != nil {
		taken = b.more.taken
	} else if !b.first.rest {
		taken = b.first.in
	}
	if c.in.without(taken) == (classSet{}) {
		return
	}
	if b.more == nil {
		b.more = &more{taken: taken}
	}
	b.more.list = append(b.more.list, c)
	if !c.rest {
		b.more.taken = taken.or(c.in)
	}
}

func newIndex(inv *Inventory, rules []Rule) *index {
	x := &index{rules: rules}
	for c := range x.any {
		x.any[c] = none
	}
	labels := newLabelKeys(inv, rules)
	masks := make(map[uint64]int) // mask → place in x.masks
	for i := range rules {
		m := &rules[i].Match
		rests := m.rests()
		x.asksInventory = x.asksInventory || m.asksInventory()
		c := candidate{rule: int32(i), in: m.classes()}
		if c.in == (classSet{}) {
			continue // no machine is of its platform
		}
		switch {
		case len(m.MACs) > 0:
			c.rest = rests > 0
			x.addMACs(masks, m.MACs, c)
		case len(m.Machines) > 0:
			c.rest = rests > 1
			x.addMachines(inv, m.Machines, c)
		case len(m.Labels) > 0:
			c.rest = rests > 1 || len(m.Labels) > 1
			x.addLabel(labels.rarest(m.Labels), c)
			if inv.labelledByUUID(m.Labels) {
				x.addByUUID(c)
			}
		case len(m.further().Subnets) > 0:
			c.rest = true
			for _, p := range m.Further.Subnets {
				x.subnets.add(p, c)
			}
			x.bySubnet = append(x.bySubnet, c)
		case rests > 0:
			c.rest = true
			x.rests = append(x.rests, c)
		default:
			for k := range x.any {
				if x.any[k] == none && c.in.has(class(k)) {
					x.any[k] = c.rule
				}
			}
		}
	}
	x.labelled = labels.byEntry()
	slices.SortFunc(x.masks, func(a, b maskTable) int { return cmp.Compare(a.lowest, b.lowest) })
	return x
}

func (x *index) addMACs(masks map[uint64]int, patterns []MACPattern, c candidate) {
	for _, p := range patterns {
		k, ok := masks[p.mask]
		if !ok {
			k = len(x.masks)
			masks[p.mask] = k
			x.masks = append(x.masks, maskTable{mask: p.mask, lowest: c.rule})
		}
		x.masks[k].add(p.value, c)
	}
}

func (x *index) addMachines(inv *Inventory, names []string, c candidate) {
	if inv == nil {
		return
	}
	if x.machines == nil {
		x.machines = make([]bucket, len(inv.entries))
	}
	for _, name := range names {
		if at, ok := inv.byName[name]; ok {
			x.machines[at].add(c)
		}
	}
	if inv.anyByUUID(names) {
		x.addByUUID(c)
	}
}

func (x *index) addByUUID(c candidate) {
	c.rest = true // that it is this machine is not settled by the key here
	x.byUUID = append(x.byUUID, c)
}

// addLabel puts a rule under the label of that number; none is a label that no
// machine has.
func (x *index) addLabel(number int32, c candidate) {
	if number == none {
		return
	}
	for int(number) >= len(x.labels) {
		x.labels = append(x.labels, bucket{})
	}
	x.labels[number].add(c)
}

// labelKeys numbers the labels that rules stand under.
type labelKeys struct {
	inv     *Inventory
	asked   map[label]int   // label of some rule → machines that have it
	numbers map[label]int32 // label that is a key → its number
}

func newLabelKeys(inv *Inventory, rules []Rule) *labelKeys {
	k := &labelKeys{inv: inv, asked: make(map[label]int), numbers: make(map[label]int32)}
	for i := range rules {
		for key, value := range rules[i].Match.Labels {
			k.asked[label{key, value}] = 0
		}
	}
	if len(k.asked) == 0 {
		return k
	}
	entries := inv.Entries()
	for i := range entries {
		for key, value := range entries[i].Labels {
			l := label{key, value}
			if n, ok := k.asked[l]; ok {
				k.asked[l] = n + 1
			}
		}
	}
	return k
}

// rarest is the number of that label which the fewest machines have, or none
// where one is on no machine: such labels hold for nobody.
func (k *labelKeys) rarest(labels map[string]string) int32 {
	var best label
	fewest := none
	for key, value := range labels {
		l := label{key, value}
		n := k.asked[l]
		if n == 0 {
			return none
		}
		if fewest == none || n < fewest || n == fewest && l.key < best.key {
			best, fewest = l, n
		}
	}
	number, ok := k.numbers[best]
	if !ok {
		number = int32(len(k.numbers))
		k.numbers[best] = number
	}
	return number
}

// byEntry lists for each machine the numbers of its labels, ascending.
func (k *labelKeys) byEntry() [][]int32 {
	if len(k.numbers) == 0 {
		return nil
	}
	entries := k.inv.Entries()
	all := make([][]int32, len(entries))
	for i := range entries {
		for key, value := range entries[i].Labels {
			if n, ok := k.numbers[label{key, value}]; ok {
				all[i] = append(all[i], n)
			}
		}
		slices.Sort(all[i])
	}
	return all
}

// A search looks for the first rule that is at least of some truth.
type search struct {
	subject
	at    int32 // place in the inventory, or none
	least Truth // Unknown or True
	class class // the one in which rules are of that truth
	found Truth // of the rule that was found last
}

// lookup finds the first rule that is not false for m, and the first that is
// true; none where there is none.
func (x *index) lookup(inv *Inventory, m *boot.Machine) (first, firstTrue int) {
	q := search{subject: subject{machine: *m}, at: none, least: Unknown, class: classOf(m)}
	if x.asksInventory {
		q.subject, q.at = newSubject(m, inv)
	}
	first = x.first(&q)
	if first == none {
		return none, none
	}
	if q.found == True {
		return first, first
	}
	q.least = True
	if q.class == classMaybeX86 {
		q.class = classBothX86
	}
	return first, x.first(&q)
}

// first is the first rule that q looks for, or none.
func (x *index) first(q *search) int {
	best := x.any[q.class]
	if best != none {
		q.found = x.truth(best, q)
	}
	if mac, ok := macValue(q.machine.MAC); ok {
		for i := range x.masks {
			t := &x.masks[i]
			if best != none && t.lowest > best {
				break
			}
			if mac == 0 && t.mask != exactMask {
				continue // see MACPattern.Match
			}
			if s := t.find(mac & t.mask); s != nil && (best == none || s.rule() < best) {
				if c := t.candidate(s); x.takes(&c, q) {
					best = c.rule
				} else if s.more != 0 {
					best = x.inList(t.mores[s.more-1].list, q, best)
				}
			}
		}
	}
	switch {
	case q.at != none:
		if x.machines != nil {
			best = x.inBucket(&x.machines[q.at], q, best)
		}
		if x.labelled != nil {
			for _, n := range x.labelled[q.at] {
				best = x.inBucket(&x.labels[n], q, best)
			}
		}
	case q.unidentified && q.least == Unknown:
		best = x.inList(x.byUUID, q, best)
	}
	best = x.inSubnets(q, best)
	return int(x.inList(x.rests, q, best))
}

// inBucket is the first rule of b that q looks for, if it comes before best.
func (x *index) inBucket(b *bucket, q *search, best int32) int32 {
	if best != none && b.first.rule >= best || b.first.in == (classSet{}) {
		return best
	}
	if x.takes(&b.first, q) {
		return b.first.rule
	}
	if b.more == nil {
		return best
	}
	return x.inList(b.more.list, q, best)
}

// inSubnets is the first rule under a subnet that q looks for, if it comes before best.
func (x *index) inSubnets(q *search, best int32) int32 {
	facts := q.machine.Facts
	switch {
	case len(x.bySubnet) == 0:
		return best
	case !facts.Knows(boot.FactSubnets):
		return x.inList(x.bySubnet, q, best)
	}
	for _, of := range facts.Subnets {
		for _, n := range x.subnets.lengths {
			if n > of.Bits() {
				break
			}
			if p, err := of.Addr().Prefix(n); err == nil {
				best = x.inList(x.subnets.rules[p], q, best)
			}
		}
	}
	return best
}

func (x *index) inList(list []candidate, q *search, best int32) int32 {
	for i := range list {
		c := &list[i]
		if best != none && c.rule >= best {
			break
		}
		if x.takes(c, q) {
			return c.rule
		}
	}
	return best
}

func (x *index) takes(c *candidate, q *search) bool {
	if !c.in.has(q.class) {
		return false
	}
	var t Truth
	if c.rest {
		t, _ = x.rules[c.rule].Match.eval(&q.subject)
	} else {
		t = x.truth(c.rule, q)
	}
	if t < q.least {
		return false
	}
	q.found = t
	return true
}

// truth is that of a rule which has q's class and no rest.
func (x *index) truth(rule int32, q *search) Truth {
	if q.class != classMaybeX86 {
		return True
	}
	t, _ := x.rules[rule].Match.eval(&q.subject)
	return t
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
func classOf(m *boot.Machine) class {
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

// or is the set of what is in either.
func (s classSet) or(t classSet) classSet {
	for i := range s {
		s[i] |= t[i]
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

// classes are those of which the condition on the platform is true.
func (m *Match) classes() (in classSet) {
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

// rests counts what the condition asks beyond MACs and platform.
func (m *Match) rests() (n int) {
	x := m.further()
	for _, used := range [...]bool{
		len(m.Machines) > 0, len(m.Labels) > 0, len(x.Transports) > 0, x.IPXE != nil, len(x.UUIDs) > 0, len(x.Interfaces) > 0,
		len(x.Listeners) > 0, len(x.Subnets) > 0, len(x.Relays) > 0, len(x.VendorClasses) > 0, len(x.UserClasses) > 0,
		len(x.CircuitIDs) > 0, len(x.RemoteIDs) > 0, len(x.Serials) > 0, len(x.Manufacturers) > 0, len(x.Products) > 0,
		len(x.Assets) > 0, len(x.Hostnames) > 0, len(x.Not) > 0, len(x.Any) > 0, x.When != nil,
	} {
		if used {
			n++
		}
	}
	return n
}
