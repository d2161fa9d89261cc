package events

import (
	"cmp"
	"math"
	"strings"
	"time"
	"unique"
)

// What a Log keeps of each machine, in as little as it takes: a machine that has been
// offered something has some 400 bytes. What many have in common (a step's kind, rule,
// boot, protocol and detail; a boot's verdict; a model) is kept once, by package unique,
// as long as one has it.

// A stamp is a time.Time in nanoseconds since 1970; 0 is the zero Time. It is of the
// clock that people read, and has none that is monotonic: after the clock was set, what
// comes next is shown as it says then.
type stamp int64

func stampOf(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.UnixNano())
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(s))
}

func (s stamp) sub(earlier stamp) time.Duration { return time.Duration(s - earlier) }

// A machine is a Machine as it grows.
type machine struct {
	mac          MAC
	newer, older *machine
	changed      uint64 // Log.changes at its last change
	facts        facts
	boots        []run
}

// A run is a Boot as it grows.
type run struct {
	began    stamp
	steps    []step
	stall    *Stall
	of       unique.Handle[decision]
	told     string // the word of the last Stall
	attempts int32
	leftOut  int32
	result   Result
	reached  Kind // the furthest step
}

// A decision is what a boot was decided by.
type decision struct {
	rule, boot string
	gen        uint64
}

// A step is an Event as it grows.
type step struct {
	at, last stamp // Event.Time and Last
	what     unique.Handle[what]
	sent     *sent // nil for what is no file
	count    int32
}

// what is that of an Event which makes two the same.
type what struct {
	Kind                          Kind
	Fault                         Fault
	Final                         bool
	BlockSize                     uint16
	Gen                           uint64
	Rule, Boot, Via, File, Detail string
}

// sent is a file as far as it was sent.
type sent struct {
	bytes, size int64
	end         stamp
	transfer    *Transfer // while it runs
}

func whatOf(e *Event) what {
	return what{
		Kind: e.Kind, Fault: e.Fault, Final: e.Final, BlockSize: uint16(min(max(e.BlockSize, 0), math.MaxUint16)), Gen: e.Gen,
		Rule: e.Rule, Boot: e.Boot, Via: e.Via, File: clean(e.File, MaxText), Detail: clean(e.Detail, MaxDetail),
	}
}

// reset makes m another machine, in the memory that is there if it is little: a flood
// of invented addresses then costs no collection of it.
func (m *machine) reset(mac MAC) {
	boots := m.boots
	*m = machine{mac: mac}
	if cap(boots) > 1 || cap(boots) == 0 || cap(boots[:1][0].steps) > fewSteps {
		return
	}
	steps := boots[:1][0].steps
	clear(steps)
	boots[:1][0] = run{steps: steps[:0]}
	m.boots = boots[:0]
}

// fewSteps are those of a machine that was given an offer, and not more.
const fewSteps = 4

func (m *machine) begin(at stamp) *run {
	n := len(m.boots)
	if n < cap(m.boots) {
		m.boots = m.boots[:n+1] // with the room of reset
	} else {
		m.boots = append(m.boots, run{})
	}
	b := &m.boots[n]
	if b.steps == nil {
		b.steps = make([]step, 0, fewSteps/2)
	}
	*b = run{began: at, attempts: 1, steps: b.steps[:0]}
	return b
}

func (m *machine) current() *run {
	if len(m.boots) == 0 {
		return nil
	}
	return &m.boots[len(m.boots)-1]
}

// weight is what the machine's steps count for in MaxAll.
func (m *machine) weight() (n int) {
	for i := range m.boots {
		n += m.boots[i].weight()
	}
	return n
}

func (b *run) weight() (n int) {
	for i := range b.steps {
		w := b.steps[i].what.Value()
		n += w.weight()
	}
	return n
}

func (w *what) weight() int { return 1 + (len(w.File)+len(w.Detail))/textWeight }

// decision is what the boot was decided by, as far as it is known.
func (b *run) decision() decision {
	if b.of == (unique.Handle[decision]{}) {
		return decision{}
	}
	return b.of.Value()
}

// decided takes over what d knows.
func (b *run) decided(d decision) {
	was := b.decision()
	d = decision{cmp.Or(d.rule, was.rule), cmp.Or(d.boot, was.boot), cmp.Or(d.gen, was.gen)}
	if d != was {
		b.of = unique.Make(d)
	}
}

// unfinished reports whether a next step may be due.
func (b *run) unfinished() bool {
	return b.result == Running || b.result == BootFailed && b.stall == nil
}

// latest is Boot.Latest, of the last steps: an earlier one is only later where it
// was repeated since.
func (b *run) latest() stamp {
	at := b.began
	for i := max(0, len(b.steps)-foldBack); i < len(b.steps); i++ {
		at = max(at, b.steps[i].latest())
	}
	return at
}

func (s *step) active() bool { return s.sent != nil && s.sent.transfer != nil }

// latest is Event.Latest.
func (s *step) latest() stamp {
	at := s.at
	if s.last != 0 {
		at = max(at, s.last)
	}
	if s.sent != nil && s.sent.end != 0 {
		at = max(at, s.sent.end)
	}
	return at
}

// repeated reports whether w, with so many bytes, is the step once more.
func (s *step) repeated(w *what, bytes int64, at stamp) bool {
	if n := s.sent; n != nil && (n.transfer != nil || n.end != 0 || n.bytes != bytes) || n == nil && bytes != 0 {
		return false
	}
	if at.sub(s.latest()) >= FoldWithin {
		return false
	}
	v := s.what.Value()
	v.BlockSize = w.BlockSize // it is no part of what makes them the same
	return v == *w
}

// event is the step as it stands.
func (s *step) event() Event {
	w := s.what.Value()
	e := Event{
		Time: s.at.time(), Last: s.last.time(), Count: int(s.count),
		Kind: w.Kind, Rule: w.Rule, Boot: w.Boot, Gen: w.Gen, Via: w.Via, File: w.File, BlockSize: int(w.BlockSize), Fault: w.Fault, Final: w.Final, Detail: w.Detail,
	}
	if n := s.sent; n != nil {
		e.Bytes, e.Size, e.End, e.Active = n.bytes, n.size, n.end.time(), n.transfer != nil
		if n.transfer != nil {
			e.Bytes, e.Last = n.transfer.position(), n.transfer.moved
		}
	}
	return e
}

// boot is a boot of m as it stands.
func (m *machine) boot(b *run) Boot {
	d := b.decision()
	c := Boot{
		Began: b.began.time(), Attempts: int(b.attempts), Result: b.result, Rule: d.rule, Boot: d.boot, Gen: d.gen,
		Over: b != m.current(), Stall: b.stall, Steps: make([]Event, len(b.steps)), LeftOut: int(b.leftOut),
	}
	for i := range b.steps {
		c.Steps[i] = b.steps[i].event()
	}
	return c
}

func (m *machine) copy() Machine {
	all := Machine{MAC: m.mac, Facts: m.facts.all(), Boots: make([]Boot, len(m.boots))}
	for i := range m.boots {
		all.Boots[i] = m.boot(&m.boots[i])
	}
	return all
}

// facts are Facts: those that many machines have in common, and those of one.
type facts struct {
	model unique.Handle[model]
	uuid  string
	own   *own // nil: none is known
}

type model struct{ arch, firmware, manufacturer, product string }

// own are those that only iPXE tells.
type own struct{ serial, asset, hostname, ip string }

func (f *facts) common() model {
	if f.model == (unique.Handle[model]{}) {
		return model{}
	}
	return f.model.Value()
}

func (f *facts) all() Facts {
	m := f.common()
	all := Facts{Arch: m.arch, Firmware: m.firmware, Manufacturer: m.manufacturer, Product: m.product, UUID: f.uuid}
	if o := f.own; o != nil {
		all.Serial, all.Asset, all.Hostname, all.IP = o.serial, o.asset, o.hostname, o.ip
	}
	return all
}

// merge takes over what more knows, and reports whether that changed anything. A
// fact that more lacks stays: DHCP and iPXE each report their own.
func (f *facts) merge(more *Facts) (changed bool) {
	m := f.common()
	is := model{newer(m.arch, more.Arch), newer(m.firmware, more.Firmware), newer(m.manufacturer, more.Manufacturer), newer(m.product, more.Product)}
	if is != m {
		f.model, changed = unique.Make(is), true
	}
	// What the texts were cut from may be a whole packet.
	if s := newer(f.uuid, more.UUID); s != f.uuid {
		f.uuid, changed = strings.Clone(s), true
	}
	var was own
	if f.own != nil {
		was = *f.own
	}
	o := own{newer(was.serial, more.Serial), newer(was.asset, more.Asset), newer(was.hostname, more.Hostname), newer(was.ip, more.IP)}
	if o != was {
		f.own, changed = &own{strings.Clone(o.serial), strings.Clone(o.asset), strings.Clone(o.hostname), strings.Clone(o.ip)}, true
	}
	return changed
}

// newer is what a client says, if it says something, and else what was known.
func newer(was, said string) string {
	if said == "" || said == was {
		return was
	}
	return cmp.Or(clean(said, MaxText), was)
}
