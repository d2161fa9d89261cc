package booters

import (
	"net/netip"
	"slices"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A subject is a machine with what the inventory says of it.
type subject struct {
	machine boot.Machine
	inv     *Inventory
	entry   *Entry // nil for a stranger
	// unidentified is whether a stranger may still prove to be in the
	// inventory, by a UUID that is not known yet.
	unidentified bool
	// For Reach: probed is whether the architecture is as iPXE reports it, though
	// nothing else is known that iPXE tells; anybody is whether it may be any machine.
	probed, anybody bool
}

// newSubject finds the machine's place in the inventory, or none.
func newSubject(m *boot.Machine, inv *Inventory) (s subject, at int32) {
	s = subject{machine: *m, inv: inv}
	if at = inv.lookup(m); at != none {
		s.entry = &inv.entries[at]
	} else if inv != nil && len(inv.byUUID) > 0 {
		// Whoever ran iPXE and has no UUID is a stranger.
		s.unidentified = !m.Probed && !m.Facts.Knows(boot.FactUUID)
	}
	return s, at
}

// A level is how true a condition is. Between no and yes stands a condition on
// a fact that iPXE could not report: it does not hold, and neither does its
// negation.
type level int8

const (
	no level = iota
	missing
	yes
)

// A span is all that a condition may prove to be when more is known: from the
// lowest level to the highest. AND and OR are minimum and maximum of both ends,
// NOT turns the span round: Kleene's logic, with missing as a fixed point.
type span struct{ low, high level }

var (
	isFalse   = span{no, no}
	isTrue    = span{yes, yes}
	isMissing = span{missing, missing}
	isUnknown = span{no, yes}
)

func spanOf(b bool) span {
	if b {
		return isTrue
	}
	return isFalse
}

func (v span) not() span { return span{yes - v.high, yes - v.low} }

func (v span) truth() Truth {
	switch {
	case v.low == yes:
		return True
	case v.high < yes:
		return False
	default:
		return Unknown
	}
}

// unknown is the value of a condition that hangs on facts which are not known.
func (s *subject) unknown(facts boot.Fact) span {
	const reported = boot.IPXEFacts | boot.FactUUID
	if s.machine.Probed && facts&^reported == 0 {
		return isMissing
	}
	return isUnknown
}

// A fold puts conditions together, by AND or by OR, and remembers the first
// that keeps an AND from being true.
type fold struct {
	or    bool
	value span
	// The first condition that cannot be true, and the first that may not be.
	failed, doubtful string
}

func newFold(or bool) fold {
	if or {
		return fold{or: true, value: isFalse}
	}
	return fold{value: isTrue}
}

func (f *fold) add(name string, v span) {
	if f.or {
		f.value = span{max(f.value.low, v.low), max(f.value.high, v.high)}
		return
	}
	f.value = span{min(f.value.low, v.low), min(f.value.high, v.high)}
	if v.high < yes && f.failed == "" {
		f.failed = name
	}
	if v.low < yes && f.doubtful == "" {
		f.doubtful = name
	}
}

// settled reports whether no further condition can change the value.
func (f *fold) settled() bool {
	if f.or {
		return f.value.low == yes
	}
	return f.value.high == no
}

// eval says whether the condition holds for a machine, and, unless it is True,
// which part of it is to blame, by the word of the configuration. A part that
// is false is blamed before one that is unknown.
func (m *Match) eval(s *subject) (truth Truth, failed string) {
	f := newFold(false)
	m.fold(&f, s)
	switch truth = f.value.truth(); truth {
	case False:
		return truth, f.failed
	case Unknown:
		return truth, f.doubtful
	default:
		return truth, ""
	}
}

// span is the value of a nested Match.
func (m *Match) span(s *subject, or bool) span {
	f := newFold(or)
	m.fold(&f, s)
	return f.value
}

// A textCondition is a field of Further that holds globs over one text of Facts.
type textCondition struct {
	name  string
	fact  boot.Fact
	globs func(*Further) []Glob
	text  func(*boot.Facts) string
}

var textConditions = [...]textCondition{
	{"uuid", boot.FactUUID, func(x *Further) []Glob { return x.UUIDs }, func(f *boot.Facts) string { return f.UUID }},
	{"interface", boot.FactInterface, func(x *Further) []Glob { return x.Interfaces }, func(f *boot.Facts) string { return f.Interface }},
	{"listener", boot.FactListener, func(x *Further) []Glob { return x.Listeners }, func(f *boot.Facts) string { return f.Listener }},
	{"vendor_class", boot.FactVendorClass, func(x *Further) []Glob { return x.VendorClasses }, func(f *boot.Facts) string { return f.VendorClass }},
	{"user_class", boot.FactUserClass, func(x *Further) []Glob { return x.UserClasses }, func(f *boot.Facts) string { return f.UserClass }},
	{"circuit_id", boot.FactCircuitID, func(x *Further) []Glob { return x.CircuitIDs }, func(f *boot.Facts) string { return f.CircuitID }},
	{"remote_id", boot.FactRemoteID, func(x *Further) []Glob { return x.RemoteIDs }, func(f *boot.Facts) string { return f.RemoteID }},
	{"serial", boot.FactSerial, func(x *Further) []Glob { return x.Serials }, func(f *boot.Facts) string { return f.Serial }},
	{"manufacturer", boot.FactManufacturer, func(x *Further) []Glob { return x.Manufacturers }, func(f *boot.Facts) string { return f.Manufacturer }},
	{"product", boot.FactProduct, func(x *Further) []Glob { return x.Products }, func(f *boot.Facts) string { return f.Product }},
	{"asset", boot.FactAsset, func(x *Further) []Glob { return x.Assets }, func(f *boot.Facts) string { return f.Asset }},
	{"hostname", boot.FactHostname, func(x *Further) []Glob { return x.Hostnames }, func(f *boot.Facts) string { return f.Hostname }},
}

// fold adds the conditions of m to f.
func (m *Match) fold(f *fold, s *subject) {
	switch {
	case len(m.MACs) == 0:
	case s.anybody:
		f.add("mac", isUnknown)
	default:
		f.add("mac", spanOf(slices.ContainsFunc(m.MACs, func(p MACPattern) bool { return p.Match(s.machine.MAC) })))
	}
	if len(m.Archs) > 0 {
		f.add("arch", m.evalArch(s))
	}
	if len(m.Firmwares) > 0 {
		f.add("firmware", spanOf(slices.Contains(m.Firmwares, s.machine.Firmware)))
	}
	if f.settled() {
		return
	}
	if len(m.Machines) > 0 {
		f.add("machine", m.evalMachines(s))
	}
	if len(m.Labels) > 0 {
		f.add("labels", m.evalLabels(s))
	}
	if x := m.Further; x != nil {
		x.fold(f, s)
	}
}

// fold adds the conditions of x to f.
func (x *Further) fold(f *fold, s *subject) {
	x.foldFacts(f, s)
	for i := range x.Not {
		if f.settled() {
			return
		}
		f.add("not", x.Not[i].span(s, false).not())
	}
	for i := range x.Any {
		if f.settled() {
			return
		}
		f.add("any", x.Any[i].span(s, true))
	}
	if x.When != nil && !f.settled() {
		f.add("when", x.evalWhen(s))
	}
}

// foldFacts adds the conditions on boot.Facts.
func (x *Further) foldFacts(f *fold, s *subject) {
	facts := s.machine.Facts
	known := func(fact boot.Fact, holds func() bool) span {
		if !facts.Knows(fact) {
			return s.unknown(fact)
		}
		return spanOf(holds())
	}
	if len(x.Transports) > 0 {
		f.add("transport", known(boot.FactTransport, func() bool { return slices.Contains(x.Transports, facts.Transport) }))
	}
	if x.IPXE != nil {
		f.add("ipxe", known(boot.FactIPXE, func() bool { return facts.IPXE == *x.IPXE }))
	}
	if len(x.Subnets) > 0 {
		f.add("subnet", known(boot.FactSubnets, func() bool {
			return slices.ContainsFunc(facts.Subnets, func(of netip.Prefix) bool {
				return slices.ContainsFunc(x.Subnets, func(p netip.Prefix) bool { return p.Bits() <= of.Bits() && p.Contains(of.Addr()) })
			})
		}))
	}
	if len(x.Relays) > 0 {
		f.add("relay", known(boot.FactRelay, func() bool {
			return slices.ContainsFunc(x.Relays, func(p netip.Prefix) bool { return p.Contains(facts.Relay) })
		}))
	}
	for i := range textConditions {
		c := &textConditions[i]
		globs := c.globs(x)
		if len(globs) == 0 {
			continue
		}
		f.add(c.name, known(c.fact, func() bool {
			text := c.text(facts)
			return slices.ContainsFunc(globs, func(g Glob) bool { return g.Match(text) })
		}))
	}
}

func (m *Match) evalArch(s *subject) span {
	if s.probed || s.machine.ArchCertain() {
		return spanOf(slices.Contains(m.Archs, s.machine.Arch))
	}
	// RFC 4578 §2.1, type 0: an x86 of either kind.
	ia32, x64 := slices.Contains(m.Archs, boot.ArchIA32), slices.Contains(m.Archs, boot.ArchX64)
	if ia32 != x64 {
		return isUnknown
	}
	return spanOf(ia32)
}

func (m *Match) evalMachines(s *subject) span {
	if s.anybody {
		return isUnknown
	}
	if s.entry != nil {
		return spanOf(slices.Contains(m.Machines, s.entry.Name))
	}
	if s.unidentified && s.inv.anyByUUID(m.Machines) {
		return isUnknown
	}
	return isFalse
}

func (m *Match) evalLabels(s *subject) span {
	if s.anybody {
		return isUnknown
	}
	if s.entry != nil {
		return spanOf(s.entry.Has(m.Labels))
	}
	if s.unidentified && s.inv.labelledByUUID(m.Labels) {
		return isUnknown
	}
	return isFalse
}

func (x *Further) evalWhen(s *subject) span {
	if s.anybody {
		return isUnknown
	}
	switch x.When(s.machine, s.entry) {
	case False:
		return isFalse
	case True:
		return isTrue
	default:
		return s.unknown(s.machine.Facts.Unknown(x.WhenNeeds))
	}
}
