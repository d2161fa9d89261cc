package control

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
)

const (
	// MaxCompared bounds the addresses of the inventory that are compared, so
	// that the comparison takes about a second where each is rendered on three
	// platforms for both configurations (see BenchmarkCompare). Those that were
	// seen are all compared: package events bounds them.
	MaxCompared = 5_000
	// maxWalked bounds the rules that are walked for them when none of them can
	// be told apart before iPXE asks it: machines times rules.
	maxWalked = 2_000_000
	// judged is how much wider these bounds are where the comparison decides
	// whether an edit is served: a hundred thousand addresses.
	judged = 20
)

// Compared are the machines that a change of configuration may concern: those
// that were seen, and every address of the inventories, once each. Where an
// inventory has more than MaxCompared, the rest is left out, and all tells how
// many there are.
func Compared(seen []Question, cfgs ...*config.Config) (asked []Question, all int) {
	return compared(1, seen, cfgs)
}

// Judged is Compared with wider bounds, for what decides rather than tells.
func Judged(seen []Question, cfgs ...*config.Config) (asked []Question, all int) {
	return compared(judged, seen, cfgs)
}

func compared(times int, seen []Question, cfgs []*config.Config) (asked []Question, all int) {
	asked = slices.Clone(seen)
	known := make(map[string]bool)
	for _, q := range seen {
		known[q.id()] = true
		known[q.Facts[boot.FactUUID.String()]] = true
	}
	left := times * MaxCompared
	for _, cfg := range cfgs {
		left = min(left, max(times*maxWalked/max(len(cfg.Rules), 1), 1))
	}
	all = len(seen)
	add := func(q Question) {
		if id := q.id(); !known[id] {
			known[id] = true
			all++
			if left > 0 {
				asked = append(asked, q)
				left--
			}
		}
	}
	for _, cfg := range cfgs {
		for _, e := range cfg.Inventory.Entries() {
			var facts map[string]string
			if e.UUID != "" {
				facts = map[string]string{boot.FactUUID.String(): e.UUID}
			}
			for _, mac := range e.MACs {
				add(Question{MAC: mac.String(), Facts: facts, Early: true, Unseen: true})
			}
			if len(e.MACs) == 0 {
				add(Question{MAC: noMAC.String(), Facts: facts, Early: true, Unseen: true})
			}
		}
	}
	return asked, all
}

// noMAC is the address of a machine that is known by its UUID only. No glob
// matches it.
var noMAC = make(net.HardwareAddr, 6)

// id tells machines apart: by the MAC, else by the UUID.
func (q Question) id() string {
	if q.MAC == noMAC.String() {
		return cmp.Or(q.Facts[boot.FactUUID.String()], q.MAC)
	}
	return q.MAC
}

// commonPlatforms stand for that of a machine which was never seen.
var commonPlatforms = [...]struct {
	firmware boot.Firmware
	arch     boot.Architecture
}{
	{boot.FirmwareX86PC, boot.ArchIA32}, // RFC 4578 §2.1: of either kind
	{boot.FirmwareEFI64, boot.ArchX64},
	{boot.FirmwareEFIARM64, boot.ArchARM64},
}

// onPlatforms are the machines that the question may be about: one, unless its
// platform is not known.
func (q Question) onPlatforms() ([]boot.Machine, error) {
	m, err := q.Machine()
	if err != nil || !q.Unseen {
		return []boot.Machine{m}, err
	}
	return everywhere(m), nil
}

func everywhere(m boot.Machine) (all []boot.Machine) {
	for _, p := range commonPlatforms {
		m.Firmware, m.Arch = p.firmware, p.arch
		all = append(all, m)
	}
	return all
}

// A painter makes the Elements of a Configuration's rules and machines.
type painter struct {
	Configuration
	rules map[string]*booters.Rule
	specs map[string]string // digests of constant ones, by rule
}

func newPainter(c Configuration) *painter {
	p := &painter{Configuration: c, rules: make(map[string]*booters.Rule), specs: make(map[string]string)}
	for i := range c.Config.Rules {
		r := &c.Config.Rules[i]
		p.rules[r.Name] = r
		switch {
		case r.Action.API != nil:
			p.specs[r.Name] = digest(asks(r.Action.API))
		case r.Action.Render == nil:
			p.specs[r.Name] = digest(spec(r.Action.Spec))
		}
	}
	return p
}

// rule is what the rule does. What it boots is rendered for a stranger on each
// platform, so that a local value or a template which changes it is seen; where
// that fails, for want of a label perhaps, its text stands in.
func (p *painter) rule(r *booters.Rule) (e Element) {
	e = Element{Name: r.Name, Does: does(r.Action.Do, r.Action.Boot, "") + whenArmed(r.Once), Digest: digest(describe(r.Match), r.Probe, says(r.Once), r.Offer), Boots: p.specs[r.Name]}
	defer func() {
		if r.Action.Loader != boot.LoaderAuto {
			all := []any{e.Boots}
			for _, m := range everywhere(boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0}}) {
				all = append(all, loading(r.Action, booters.Preview(nil, filled(m)))...)
			}
			e.Boots = digest(all...)
		}
	}()
	if r.Action.Render == nil {
		return e
	}
	var all, files []string
	for _, m := range everywhere(boot.Machine{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0}}) {
		req := booters.Preview(nil, filled(m))
		s, err := r.Action.Render(req)
		if err != nil {
			s = r.Action.Spec
		}
		all = append(all, digest(spec(s)))
		if len(r.Action.Files) > 0 {
			files = append(files, digest(contents(r.Action.Files, req)...))
		}
	}
	if len(files) > 0 {
		e.Files = digest(files)
	}
	if all = slices.Compact(all); len(all) == 1 {
		e.Boots = all[0] // as if it were constant
	} else {
		e.Boots = digest(all)
	}
	return e
}

// machine is what becomes of a machine.
func (p *painter) machine(q Question) Element {
	e := Element{Name: q.id()}
	machines, err := q.onPlatforms()
	if err != nil {
		e.Does = "is no machine that this version knows: " + err.Error()
		return e
	}
	if entry := p.Config.Inventory.Lookup(machines[0]); entry != nil {
		e.Machine, e.Labels = entry.Name, digest(entry.Labels)
	}
	var said, gets []string
	for i, m := range machines {
		o := p.outcome(m)
		if !slices.Contains(said, o.does) {
			said = append(said, o.does)
		}
		gets = append(gets, o.gets)
		e.Given += string(o.given)
		e.Unsure = e.Unsure || o.unsure
		for _, name := range o.installs {
			if !slices.Contains(e.Installs, name) {
				e.Installs = append(e.Installs, name)
			}
		}
		if i == 0 {
			e.Rule = o.rule
		} else if e.Rule != o.rule {
			e.Rule = ""
		}
	}
	e.Does, e.Digest = strings.Join(said, " or "), digest(gets)
	return e
}

// An outcome is what becomes of a machine on one platform.
type outcome struct {
	does   string // for people
	rule   string
	gets   string // equal where the machine gets the same, by whatever rule
	given  rune   // whether it boots something: see Element.Given
	unsure bool   // it hangs on what is not known of the machine: gets tells all that may come of it
	// installs are the boots that write disks which it may be given, armed or not.
	installs []string
}

// whenArmed ends what is said of a rule or a machine: it boots that once.
func whenArmed(o *boot.Once) string {
	if o == nil {
		return ""
	}
	return ", when armed"
}

// says tells what rules boot once apart.
func says(o *boot.Once) string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf("%+v", *o)
}

// mayInstall are the boots of r that write disks, if the machine is one that it does
// this to.
func (p *painter) mayInstall(r *booters.Rule, m boot.Machine) []string {
	if r.Once == nil || !r.Once.Installs || !r.Once.AnyMachine && p.Config.Inventory.Lookup(m) == nil {
		return nil
	}
	return []string{r.Action.Boot}
}

func (p *painter) outcome(m boot.Machine) outcome {
	v, err := p.Table.Decide(context.Background(), m)
	if err == nil && v.Action != boot.Probe {
		if v.Stranger() {
			v = v.Pass("")
		}
		o := outcome{does: does(v.Action, v.Boot, v.Rule), rule: v.Rule, given: none}
		if v.Action == boot.Boot && v.Once != nil {
			o.does += whenArmed(v.Once)
			o.installs = p.mayInstall(p.rules[v.Rule], m)
		}
		if v.Action == boot.Boot {
			o.given = given
		}
		if o.gets, err = p.gets(v.Rule, v.Action, m); err != nil {
			o.does += ", which fails: " + err.Error()
		}
		if v.Action == boot.Boot && v.Once != nil {
			o.gets = digest(o.gets, says(v.Once))
		}
		return o
	}
	o := outcome{does: does(v.Action, v.Boot, v.Rule), rule: v.Rule, unsure: true}
	if err != nil {
		o.does = fmt.Sprintf("is decided by what rule %q learns from its next DHCP request", v.Rule)
	}
	// Each rule that is not false may decide, up to the first that is true. What
	// iPXE could not report counts as unknown too: that finds too much rather
	// than too little.
	m.Probed = false
	var all []string
	decided, boots, otherwise := false, false, false
	for _, step := range p.Table.Explain(m).Steps {
		if step.Truth == booters.False {
			continue
		}
		r := p.rules[step.Rule]
		gets, _ := p.gets(r.Name, r.Action.Do, m) // an error is among what it gets
		all = append(all, gets)
		for _, name := range p.mayInstall(r, m) {
			if !slices.Contains(o.installs, name) {
				o.installs = append(o.installs, name)
			}
		}
		boots, otherwise = boots || r.Action.Do == boot.Boot, otherwise || r.Action.Do != boot.Boot
		if decided = step.Truth == booters.True; !decided {
			all = append(all, describe(p.open(r.Match, m)))
		}
	}
	if !decided {
		all = append(all, boot.Ignore.String())
		otherwise = true
	}
	switch {
	case boots && otherwise:
		o.given = maybe
	case boots:
		o.given = given
	default:
		o.given = none
	}
	o.gets = digest(all)
	return o
}

// gets tells apart what a rule gives the machine.
func (p *painter) gets(rule string, do boot.Action, m boot.Machine) (string, error) {
	if do != boot.Boot {
		return do.String(), nil
	}
	req, action := booters.Preview(p.Config.Inventory, filled(m)), p.rules[rule].Action
	by := loading(action, req)
	if constant, ok := p.specs[rule]; ok {
		if len(by) == 0 {
			return constant, nil
		}
		return digest(append(by, constant)...), nil
	}
	s, err := action.Render(req)
	if err != nil {
		return digest(err.Error()), err
	}
	if len(action.Files) == 0 && len(by) == 0 {
		return digest(spec(s)), nil
	}
	return digest(append(append(contents(action.Files, req), by...), spec(s))...), nil
}

// loading tells apart by what the machine would load what it boots; empty where that
// is any iPXE.
func loading(a booters.Action, req booters.Request) []any {
	if a.Do != boot.Boot || a.Loader == boot.LoaderAuto || !req.Machine.Firmware.UEFI() {
		return nil
	}
	all := []any{a.Loader.String()}
	if a.Programs != nil {
		p, err := a.Programs(req)
		all = append(all, string(p.Shim), string(p.GRUB), fmt.Sprint(err))
	}
	return all
}

// contents tells apart what is in files.
func contents(files []*booters.File, req booters.Request) (all []any) {
	for _, f := range files {
		for _, member := range f.Parts() {
			c, err := f.Render(req, member)
			all = append(all, f.Name, member, f.Secret, c.Text, c.Source, c.Mode, fmt.Sprint(err))
		}
	}
	return all
}

// open is the part of a match that is not settled for a machine of which the
// match is unknown: what is left out holds.
func (p *painter) open(match booters.Match, m boot.Machine) booters.Match {
	match.MACs, match.Firmwares = nil, nil
	if m.ArchCertain() {
		match.Archs = nil
	}
	if p.Config.Inventory.Lookup(m) != nil {
		match.Machines, match.Labels = nil, nil
	}
	return match
}

// filled is a machine with a word for each fact that it may still report, so
// that what hangs on it can be rendered, and compared. A machine that has
// reported keeps what it said, and what it did not.
func filled(m boot.Machine) boot.Machine {
	if m.Probed {
		return m
	}
	f := boot.Facts{}
	if m.Facts != nil {
		f = *m.Facts
	}
	word := func(fact boot.Fact, to *string, word string) {
		if !f.Knows(fact) {
			*to = word
		}
	}
	for fact, text := range texts(&f) {
		word(fact, text, fact.String())
	}
	word(boot.FactTransport, &f.Transport, boot.TransportPXE)
	word(boot.FactUUID, &f.UUID, boot.FormatUUID([16]byte{}))
	if !f.Knows(boot.FactRelay) {
		f.Relay = netip.IPv4Unspecified()
	}
	if !f.Knows(boot.FactIP) {
		f.IP = netip.IPv4Unspecified()
	}
	f.Known = boot.DHCPFacts | boot.IPXEFacts
	m.Facts, m.Probed = &f, true
	return m
}

// A Count is how many machines a change concerns. A machine of the inventory
// with several addresses counts once.
type Count struct {
	Differ  int // would boot something else, or may
	Unsure  int // of Differ: it hangs on what they report to iPXE
	Removed int // of Differ: would boot nothing from here any more, or may
	Gained  int // of Differ: may be given a boot that writes disks, which they could not be before
	Of      int // that were compared
	All     int // that were to be compared: addresses
	Asked   int // that were: likewise
}

// Tally counts the machines that Compare has found.
func Tally(old, new Picture, changes []Change) Count {
	n := Count{All: max(old.All, new.All), Asked: len(new.Machines)}
	all, differ, sure, removed, gains := make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for i, e := range new.Machines {
		var was Element
		if i < len(old.Machines) {
			was = old.Machines[i]
		}
		who := cmp.Or(e.Machine, was.Machine, e.Name)
		all[who] = true
		if takenAway(was.Given, e.Given) {
			removed[who] = true
		}
		if len(gained(was.Installs, e.Installs)) > 0 {
			gains[who] = true
		}
	}
	for _, c := range changes {
		if c.What == "machine" {
			who := cmp.Or(c.Machine, c.Name)
			differ[who] = true
			if !c.Unsure {
				sure[who] = true
			}
		}
	}
	n.Differ, n.Unsure, n.Of = len(differ), len(differ)-len(sure), len(all)
	n.Removed, n.Gained = len(removed), len(gains)
	return n
}

// String says it in a sentence, as the log does.
func (n Count) String() string {
	s := fmt.Sprintf("%d of %d machines would boot something else", n.Differ, n.Of)
	if n.Removed > 0 {
		s += fmt.Sprintf("; %d of these would boot nothing from here any more, or may", n.Removed)
	}
	if n.Gained > 0 {
		s += fmt.Sprintf("; %d of these would get a boot that writes disks", n.Gained)
	}
	if n.Unsure > 0 {
		s += fmt.Sprintf("; %d of these cannot be told apart before iPXE asks them", n.Unsure)
	}
	if n.Asked < n.All {
		s += fmt.Sprintf("; compared are %d of %d addresses", n.Asked, n.All)
	}
	return s
}
