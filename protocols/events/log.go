package events

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of a Log.
const (
	MaxMachines = 4096             // machines remembered
	MaxBoots    = 5                // boots of one machine
	MaxSteps    = 48               // steps of one boot
	MaxAll      = 64 << 10         // steps of all machines
	MaxServers  = 32               // other DHCP servers remembered
	MaxText     = 160              // bytes of one text that a client may have written
	MaxDetail   = 480              // bytes of Event.Detail: a sentence of a server's, in which such a text may stand
	FoldWithin  = 30 * time.Second // since its last repetition, an event counts as the same one
	RetryWithin = 10 * time.Minute // since its last step, a boot that has not got further than DHCP goes on with the next DISCOVER
	// MaxSilence is how long after its last step a boot is over to which no next one
	// has begun: what comes then is of a boot whose beginning was not seen.
	MaxSilence = 2 * time.Hour

	foldBack = 4            // steps that an event may repeat
	keepHead = MaxSteps / 4 // steps of a boot's beginning that are not left out
)

// A Log is safe for concurrent use. Use New to make one; a nil *Log remembers
// nothing.
type Log struct {
	mu       sync.Mutex
	machines map[MAC]*list.Element // of *machine
	recent   *list.List            // the machine that was heard of last is in front
	steps    int                   // of all machines
	changes  uint64                // counts them
	active   map[*Transfer]struct{}
	servers  []Server
	readers  map[*Subscription]struct{}
	observer func(Update)
}

// machine is a Machine as it grows.
type machine struct {
	mac     MAC
	facts   Facts
	boots   []*run
	changed uint64 // Log.changes at its last change
}

// A run is a Boot as it grows. Its Steps are in steps.
type run struct {
	Boot
	steps   []step
	reached Kind   // the furthest step
	told    string // the word of the last Stall
}

// A step is an Event, and its transfer while that runs.
type step struct {
	Event
	transfer *Transfer
}

// New makes an empty Log.
func New() *Log {
	return &Log{
		machines: map[MAC]*list.Element{}, recent: list.New(),
		active: map[*Transfer]struct{}{}, readers: map[*Subscription]struct{}{},
	}
}

// Begin says that a boot of the machine begins, at a time that is not zero.
func (l *Log) Begin(mac MAC, at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.machine(mac)
	if b := m.current(); b != nil && b.reached <= BootServer && at.Sub(b.Boot.latest(b.steps)) < RetryWithin {
		b.Attempts++
		l.touch(m)
		return
	}
	l.begin(m, at)
}

// Trouble is why the boot before the one that the machine is in did not go on; empty
// where it did, or began longer ago than within.
func (l *Log) Trouble(mac MAC, within time.Duration, now time.Time) string {
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.machines[mac]
	if !ok {
		return ""
	}
	boots := e.Value.(*machine).boots
	if len(boots) < 2 {
		return ""
	}
	if b := boots[len(boots)-2]; b.Stall != nil && now.Sub(b.Began) < within {
		return b.Stall.Cause
	}
	return ""
}

// Began is when the boot began that the machine is in; zero where none is known, or
// it has come to an end.
func (l *Log) Began(mac MAC) time.Time {
	if l == nil {
		return time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.machines[mac]; ok {
		if b := e.Value.(*machine).current(); b != nil && (b.Result == Running || b.Result == Stalled || b.Result == BootFailed) {
			return b.Began
		}
	}
	return time.Time{}
}

// Add records that e happened to the machine, in the boot that it is in.
func (l *Log) Add(mac MAC, e Event) {
	if l == nil {
		return
	}
	e.Last, e.End, e.Count, e.Active = time.Time{}, time.Time{}, 1, false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(mac, e, nil)
}

// add is Add, of an event that may be a transfer. The caller holds l.mu.
func (l *Log) add(mac MAC, e Event, t *Transfer) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Detail, e.File = clean(e.Detail, MaxDetail), clean(e.File, MaxText)
	m := l.machine(mac)
	l.touch(m)
	b := m.current()
	if b == nil || e.Kind <= Script && e.Time.Sub(b.Boot.latest(b.steps)) >= MaxSilence {
		b = l.begin(m, e.Time)
	}
	if t == nil {
		for i := len(b.steps) - 1; i >= max(0, len(b.steps)-foldBack); i-- {
			if s := &b.steps[i]; e.repeats(&s.Event) {
				s.Last = e.Time
				s.Count++
				l.tell(m, b, b.goes(s.Event, false), s.Event, false)
				return
			}
		}
	}
	// What the texts were cut from may be a whole packet.
	e.Detail, e.File = strings.Clone(e.Detail), strings.Clone(e.File)
	if len(b.steps) == MaxSteps {
		b.leaveOut()
		l.steps--
	}
	b.steps = append(b.steps, step{e, t})
	l.steps++
	l.tell(m, b, b.goes(e, true), e, true)
	l.shrink()
}

// goes is what an event means for the boot as a whole. It returns what the result was.
func (b *run) goes(e Event, first bool) (was Result) {
	b.Rule, b.Boot.Boot, b.Gen = cmp.Or(e.Rule, b.Rule), cmp.Or(e.Boot, b.Boot.Boot), cmp.Or(e.Gen, b.Gen)
	further := first && e.Kind.Step() && e.Kind > b.reached
	if e.Kind.Step() {
		b.reached = max(b.reached, e.Kind)
	}
	was = b.Result
	switch {
	case e.Kind == Booting, e.Kind == PhonedHome, e.Kind == Script && e.Final:
		b.Result = Booted
	case e.Kind == Local:
		b.Result = BootedLocal
	case e.Kind == Ignored:
		b.Result = BootIgnored
	case e.Kind == Failed:
		if was != Booted && was != BootedLocal {
			b.Result = BootFailed
		}
	case !e.Kind.Step(), e.Kind == Asked && was != Running, e.Kind == Address && was != Running:
		// No step forward: what was said stands.
	case e.Kind == File && (was == Booted || was == BootedLocal):
		// The system fetches it.
	case (was == Stalled || was == BootFailed) && !further && !e.Active:
		// The same once more.
	default:
		b.Result = Running
	}
	if b.Result != Stalled && b.Result != BootFailed {
		b.Stall = nil
	}
	return was
}

// leaveOut forgets a step of the middle: a file, if there is one.
func (b *run) leaveOut() {
	at := slices.IndexFunc(b.steps, func(s step) bool { return s.Kind == File && !s.Active })
	if at < 0 {
		at = keepHead
	}
	b.steps = slices.Delete(b.steps, at, at+1)
	b.LeftOut++
}

// SetFacts records what is known of the machine. An empty fact leaves what was
// known before.
func (l *Log) SetFacts(mac MAC, f Facts) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.machine(mac); m.facts.merge(f) {
		l.touch(m)
	}
}

// Chose records that the machine takes an address from a DHCP server. A machine of
// which no boot goes on has no step of it, nor has one that the Log does not know:
// most who take addresses do not boot.
func (l *Log) Chose(mac MAC, server netip.Addr, at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.machines[mac]
	if !ok {
		return
	}
	b := e.Value.(*machine).current()
	if b == nil || at.Sub(b.Boot.latest(b.steps)) >= RetryWithin || b.Result == Booted || b.Result == BootedLocal {
		return
	}
	l.chosen(server, at)
	l.add(mac, Event{Time: at, Count: 1, Kind: Address, Via: "dhcp", Detail: server.String()}, nil)
}

// chosen counts a server. The caller holds l.mu.
func (l *Log) chosen(server netip.Addr, at time.Time) {
	i := slices.IndexFunc(l.servers, func(s Server) bool { return s.Addr == server })
	if i < 0 {
		if len(l.servers) == MaxServers { // the one that was silent longest makes room
			i = 0
			for j, s := range l.servers {
				if s.Last.Before(l.servers[i].Last) {
					i = j
				}
			}
			l.servers[i] = Server{Addr: server, First: at}
		} else {
			l.servers = append(l.servers, Server{Addr: server, First: at})
			i = len(l.servers) - 1
		}
	}
	l.servers[i].Last = at
	l.servers[i].Count++
}

// Servers are the DHCP servers that machines which boot took addresses from, the one
// chosen last first.
func (l *Log) Servers() []Server {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.servers)
	slices.SortFunc(all, func(a, b Server) int { return b.Last.Compare(a.Last) })
	return all
}

// Stall says why the boot of the machine that began then does not go on. It reports
// whether that is news: false where something has happened since it was judged, or the
// same was said of this boot before.
func (l *Log) Stall(mac MAC, began time.Time, s Stall) (news bool) {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.machines[mac]
	if !ok {
		return false
	}
	m := e.Value.(*machine)
	for _, b := range m.boots {
		if !b.Began.Equal(began) {
			continue
		}
		if !b.unfinished() || !s.Seen.IsZero() && !b.copy().Latest().Equal(s.Seen) {
			return false
		}
		was := b.Result
		if b.Stall = &s; was == Running {
			b.Result = Stalled
		}
		news, b.told = b.told != s.Word, s.Word
		l.touch(m)
		l.tell(m, b, was, Event{}, false)
		return news
	}
	return false
}

// Machines lists all machines, the one that was heard of last first. The
// result is the caller's own.
func (l *Log) Machines() []Machine {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Machine, 0, l.recent.Len())
	for e := l.recent.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*machine).copy())
	}
	return all
}

// Machine is one of Machines.
func (l *Log) Machine(mac MAC) (Machine, bool) {
	if l == nil {
		return Machine{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.machines[mac]
	if !ok {
		return Machine{}, false
	}
	return e.Value.(*machine).copy(), true
}

// Unfinished are the boots of which a next step may be due: those of Result Running,
// and those of BootFailed of which it is not said yet what that means. Each machine
// has those alone.
func (l *Log) Unfinished() []Machine {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Machine
	for e := l.recent.Front(); e != nil; e = e.Next() {
		m := e.Value.(*machine)
		one := Machine{MAC: m.mac, Facts: m.facts}
		for _, b := range m.boots {
			if b.unfinished() {
				one.Boots = append(one.Boots, b.copy())
			}
		}
		if one.Boots != nil {
			all = append(all, one)
		}
	}
	return all
}

// Changed lists the machines of which something has changed since the count that an
// earlier call returned, or all for 0, the one that was heard of last first.
func (l *Log) Changed(since uint64) (all []Machine, now uint64) {
	if l == nil {
		return nil, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.recent.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*machine); m.changed > since {
			all = append(all, m.copy())
		}
	}
	return all, l.changes
}

// Knows reports whether the machine is one of Machines.
func (l *Log) Knows(mac MAC) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.machines[mac]
	return ok
}

// Restore makes an empty Log know machines as Machines has listed them, of another
// process: its generations are not ours, and its transfers have ended. What they
// have too much is left out.
func (l *Log) Restore(machines []Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range slices.Backward(machines[:min(len(machines), MaxMachines)]) {
		m := l.machine(known.MAC)
		m.facts.merge(known.Facts)
		l.steps -= m.count() // of one that is listed twice
		m.boots = nil
		for _, b := range known.Boots[max(0, len(known.Boots)-MaxBoots):] {
			r := &run{Boot: b}
			r.Boot.Steps, r.Gen = nil, 0
			for _, e := range b.Steps[max(0, len(b.Steps)-MaxSteps):] {
				e.Detail, e.File, e.Gen = clean(e.Detail, MaxDetail), clean(e.File, MaxText), 0
				if e.Active {
					e.Active, e.End = false, e.Latest()
				}
				if e.Kind.Step() {
					r.reached = max(r.reached, e.Kind)
				}
				r.steps = append(r.steps, step{Event: e})
				l.steps++
			}
			m.boots = append(m.boots, r)
		}
		l.touch(m)
	}
	l.shrink()
}

// machine finds or makes the machine and moves it to the front. The caller
// holds l.mu.
func (l *Log) machine(mac MAC) *machine {
	if e, ok := l.machines[mac]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*machine)
	}
	if l.recent.Len() >= MaxMachines {
		l.forget()
	}
	m := &machine{mac: mac}
	l.machines[mac] = l.recent.PushFront(m)
	l.touch(m)
	return m
}

// forget forgets the machine that was silent longest. The caller holds l.mu.
func (l *Log) forget() {
	oldest := l.recent.Back()
	m := oldest.Value.(*machine)
	delete(l.machines, m.mac)
	l.recent.Remove(oldest)
	l.steps -= m.count()
}

// shrink keeps the steps within their bound. The caller holds l.mu.
func (l *Log) shrink() {
	for l.steps > MaxAll && l.recent.Len() > 1 {
		l.forget()
	}
}

// begin begins a boot. The caller holds l.mu.
func (l *Log) begin(m *machine, at time.Time) *run {
	if b := m.current(); b != nil && !at.After(b.Began) {
		at = b.Began.Add(1) // it is what tells boots apart
	}
	if len(m.boots) == MaxBoots {
		l.steps -= len(m.boots[0].steps)
		m.boots = slices.Delete(m.boots, 0, 1)
	}
	if b := m.current(); b != nil {
		b.Over = true
	}
	b := &run{Boot: Boot{Began: at, Attempts: 1}}
	m.boots = append(m.boots, b)
	l.touch(m)
	return b
}

// touch notes that something of the machine has changed. The caller holds l.mu.
func (l *Log) touch(m *machine) {
	l.changes++
	m.changed = l.changes
}

func (m *machine) current() *run {
	if len(m.boots) == 0 {
		return nil
	}
	return m.boots[len(m.boots)-1]
}

func (m *machine) count() int {
	n := 0
	for _, b := range m.boots {
		n += len(b.steps)
	}
	return n
}

func (m *machine) copy() Machine {
	all := Machine{MAC: m.mac, Facts: m.facts, Boots: make([]Boot, len(m.boots))}
	for i, b := range m.boots {
		all.Boots[i] = b.copy()
	}
	return all
}

// unfinished reports whether a next step may be due.
func (b *run) unfinished() bool {
	return b.Result == Running || b.Result == BootFailed && b.Stall == nil
}

func (b *run) copy() Boot {
	c := b.Boot
	c.Steps = make([]Event, len(b.steps))
	for i := range b.steps {
		c.Steps[i] = b.steps[i].now()
	}
	return c
}

// now is the step as it stands.
func (s *step) now() Event {
	e := s.Event
	if s.transfer != nil && s.Active {
		e.Bytes, e.Last = s.transfer.position(), s.transfer.moved
	}
	return e
}

// latest is Boot.Latest, of the last steps: an earlier one is only later where it
// was repeated since.
func (b *Boot) latest(steps []step) time.Time {
	at := b.Began
	for i := max(0, len(steps)-foldBack); i < len(steps); i++ {
		if t := steps[i].Latest(); t.After(at) {
			at = t
		}
	}
	return at
}
