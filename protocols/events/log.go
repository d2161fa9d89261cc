package events

import (
	"net/netip"
	"slices"
	"sync"
	"time"
	"unique"
)

// The bounds of a Log.
const (
	MaxMachines = 4096             // machines remembered
	MaxBoots    = 5                // boots of one machine
	MaxSteps    = 48               // steps of one boot
	MaxAll      = 64 << 10         // steps of all machines; one counts as more for every textWeight bytes of what it says
	MaxServers  = 32               // other DHCP servers remembered
	MaxText     = 160              // bytes of one text that a client may have written
	MaxDetail   = 480              // bytes of Event.Detail: a sentence of a server's, in which such a text may stand
	FoldWithin  = 30 * time.Second // since its last repetition, an event counts as the same one
	RetryWithin = 10 * time.Minute // since its last step, a boot that has not got further than DHCP goes on with the next DISCOVER
	// MaxSilence is how long after its last step a boot is over to which no next one
	// has begun: what comes then is of a boot whose beginning was not seen.
	MaxSilence = 2 * time.Hour

	textWeight = 128 // bytes of File and Detail

	foldBack = 8            // steps that an event may repeat: an offer in each of its styles, what was asked, and some more
	keepHead = MaxSteps / 4 // steps of a boot's beginning that are not left out
)

// A Log is safe for concurrent use. Use New to make one; a nil *Log remembers
// nothing.
type Log struct {
	mu       sync.Mutex
	machines map[MAC]*machine
	newest   *machine // that was heard of last, and first in a list of all
	oldest   *machine // the last in it
	steps    int      // the weight of those of all machines
	changes  uint64   // counts them
	active   map[*Transfer]struct{}
	servers  []Server
	readers  map[*Subscription]struct{}
	observer func(*Update)
	update   Update // what the observer is shown
}

// New makes an empty Log.
func New() *Log {
	return &Log{
		machines: map[MAC]*machine{},
		active:   map[*Transfer]struct{}{}, readers: map[*Subscription]struct{}{},
	}
}

// Begin says that a boot of the machine begins, at a time that is not zero.
func (l *Log) Begin(mac MAC, at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m, stamp := l.machine(mac), stampOf(at)
	if b := m.current(); b != nil && b.reached <= BootServer && stamp.sub(b.latest()) < RetryWithin {
		b.attempts++
		l.touch(m)
		return
	}
	l.begin(m, stamp)
}

// Trouble is why the boot before the one that the machine is in did not go on; empty
// where it did, or began longer ago than within.
func (l *Log) Trouble(mac MAC, within time.Duration, now time.Time) string {
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.machines[mac]
	if !ok || len(m.boots) < 2 {
		return ""
	}
	if b := &m.boots[len(m.boots)-2]; b.stall != nil && stampOf(now).sub(b.began) < within {
		return b.stall.Cause
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
	if m, ok := l.machines[mac]; ok {
		if b := m.current(); b != nil && (b.result == Running || b.result == Stalled || b.result == BootFailed) {
			return b.began.time()
		}
	}
	return time.Time{}
}

// Add records that e happened to the machine, in the boot that it is in. It allocates
// nothing when a step is repeated, and does not keep e's texts.
func (l *Log) Add(mac MAC, e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(mac, &e, nil)
}

// add is Add, of an event that may be a transfer. The caller holds l.mu.
func (l *Log) add(mac MAC, e *Event, t *Transfer) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	at, w := stampOf(e.Time), whatOf(e)
	m := l.machine(mac)
	l.touch(m)
	b := m.current()
	if b == nil || e.Kind <= Script && at.sub(b.latest()) >= MaxSilence {
		b = l.begin(m, at)
	}
	if t == nil {
		for i := len(b.steps) - 1; i >= max(0, len(b.steps)-foldBack); i-- {
			if s := &b.steps[i]; s.repeated(&w, e.Bytes, at) {
				s.last = at
				s.count++
				l.tell(m, b, b.goes(&w, false, false), s, false)
				return
			}
		}
	}
	if len(b.steps) == MaxSteps {
		l.steps -= b.leaveOut()
	}
	b.steps = append(b.steps, step{at: at, what: unique.Make(w), count: 1})
	s := &b.steps[len(b.steps)-1]
	if t != nil || e.Bytes != 0 || e.Size != 0 {
		s.sent = &sent{bytes: e.Bytes, size: e.Size, transfer: t}
	}
	l.steps += w.weight()
	l.tell(m, b, b.goes(&w, t != nil, true), s, true)
	l.shrink()
}

// goes is what an event means for the boot as a whole, which may be a transfer that has
// begun, and a step for the first time. It returns what the result was.
func (b *run) goes(e *what, active, first bool) (was Result) {
	b.decided(decision{e.Rule, e.Boot, e.Gen})
	further := first && e.Kind.Step() && e.Kind > b.reached
	if e.Kind.Step() {
		b.reached = max(b.reached, e.Kind)
	}
	was = b.result
	switch {
	case e.Kind == Booting, e.Kind == PhonedHome, e.Kind == Script && e.Final:
		b.result = Booted
	case e.Kind == Local:
		b.result = BootedLocal
	case e.Kind == Ignored:
		b.result = BootIgnored
	case e.Kind == Failed:
		if was != Booted && was != BootedLocal {
			b.result = BootFailed
		}
	case !e.Kind.Step(), e.Kind == Asked && was != Running, e.Kind == Address && was != Running:
		// No step forward: what was said stands.
	case e.Kind == File && (was == Booted || was == BootedLocal):
		// The system fetches it.
	case (was == Stalled || was == BootFailed) && !further && !active:
		// The same once more.
	default:
		b.result = Running
	}
	if b.result != Stalled && b.result != BootFailed {
		b.stall = nil
	}
	return was
}

// leaveOut forgets a step of the middle: a file, if there is one. It returns what that
// weighed.
func (b *run) leaveOut() (weight int) {
	at := slices.IndexFunc(b.steps, func(s step) bool { return s.what.Value().Kind == File && !s.active() })
	if at < 0 {
		at = keepHead
	}
	w := b.steps[at].what.Value()
	b.steps = slices.Delete(b.steps, at, at+1)
	b.leftOut++
	return w.weight()
}

// SetFacts records what is known of the machine. An empty fact leaves what was
// known before.
func (l *Log) SetFacts(mac MAC, f Facts) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.machine(mac); m.facts.merge(&f) {
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
	m, ok := l.machines[mac]
	if !ok {
		return
	}
	b := m.current()
	if b == nil || stampOf(at).sub(b.latest()) >= RetryWithin || b.result == Booted || b.result == BootedLocal {
		return
	}
	l.chosen(server, at)
	l.add(mac, &Event{Time: at, Kind: Address, Via: "dhcp", Detail: server.String()}, nil)
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
	m, ok := l.machines[mac]
	if !ok {
		return false
	}
	at := stampOf(began)
	for i := range m.boots {
		b := &m.boots[i]
		if b.began != at {
			continue
		}
		if !b.unfinished() || !s.Seen.IsZero() && !m.boot(b).Latest().Equal(s.Seen) {
			return false
		}
		was := b.result
		if b.stall = &s; was == Running {
			b.result = Stalled
		}
		news, b.told = b.told != s.Word, s.Word
		l.touch(m)
		l.tell(m, b, was, nil, false)
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
	all := make([]Machine, 0, len(l.machines))
	for m := l.newest; m != nil; m = m.older {
		all = append(all, m.copy())
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
	m, ok := l.machines[mac]
	if !ok {
		return Machine{}, false
	}
	return m.copy(), true
}

// Unfinished are the boots of which a next step may be due: those of Result Running,
// and those of BootFailed of which it is not said yet what that means. Each machine
// has those alone, and the one that nothing was heard of for longest is the first. There
// are at most limit machines; next is where a later call goes on, the zero MAC at the
// beginning.
func (l *Log) Unfinished(from MAC, limit int) (some []Machine, next MAC) {
	if l == nil {
		return nil, next
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.machines[from]
	if m == nil { // forgotten meanwhile
		m = l.oldest
	}
	for ; m != nil; m = m.newer {
		if len(some) == limit {
			return some, m.mac
		}
		one := Machine{MAC: m.mac, Facts: m.facts.all()}
		for i := range m.boots {
			if b := &m.boots[i]; b.unfinished() {
				one.Boots = append(one.Boots, m.boot(b))
			}
		}
		if one.Boots != nil {
			some = append(some, one)
		}
	}
	return some, next
}

// Changed lists the machines of which something has changed since the count that an
// earlier call returned, or all for 0, the one that was heard of last first.
func (l *Log) Changed(since uint64) (all []Machine, now uint64) {
	if l == nil {
		return nil, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for m := l.newest; m != nil; m = m.older {
		if m.changed > since {
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
		m.facts.merge(&known.Facts)
		l.steps -= m.weight() // of one that is listed twice
		m.boots = nil
		for _, b := range known.Boots[max(0, len(known.Boots)-MaxBoots):] {
			m.boots = append(m.boots, restored(b))
		}
		l.steps += m.weight()
		l.touch(m)
	}
	l.shrink()
}

// restored is a boot of another process.
func restored(b Boot) run {
	r := run{
		began: stampOf(b.Began), attempts: int32(b.Attempts), result: b.Result, stall: b.Stall, leftOut: int32(b.LeftOut),
	}
	r.decided(decision{b.Rule, b.Boot, 0})
	for _, e := range b.Steps[max(0, len(b.Steps)-MaxSteps):] {
		if e.Gen = 0; e.Active {
			e.End = e.Latest()
		}
		if e.Kind.Step() {
			r.reached = max(r.reached, e.Kind)
		}
		s := step{at: stampOf(e.Time), last: stampOf(e.Last), what: unique.Make(whatOf(&e)), count: int32(e.Count)}
		if e.Bytes != 0 || e.Size != 0 || !e.End.IsZero() {
			s.sent = &sent{bytes: e.Bytes, size: e.Size, end: stampOf(e.End)}
		}
		r.steps = append(r.steps, s)
	}
	return r
}

// machine finds or makes the machine and moves it to the front. The caller
// holds l.mu.
func (l *Log) machine(mac MAC) *machine {
	if l.newest != nil && l.newest.mac == mac { // as one answer does some times in a row
		return l.newest
	}
	m, ok := l.machines[mac]
	switch {
	case ok:
		l.unlink(m)
	case len(l.machines) >= MaxMachines:
		m = l.forget()
		m.reset(mac)
	default:
		m = &machine{mac: mac}
	}
	if m.older = l.newest; m.older != nil {
		m.older.newer = m
	} else {
		l.oldest = m
	}
	l.newest = m
	if !ok {
		l.machines[mac] = m
		l.touch(m)
	}
	return m
}

// unlink takes the machine out of the list. The caller holds l.mu.
func (l *Log) unlink(m *machine) {
	if m.newer != nil {
		m.newer.older = m.older
	} else {
		l.newest = m.older
	}
	if m.older != nil {
		m.older.newer = m.newer
	} else {
		l.oldest = m.newer
	}
	m.newer, m.older = nil, nil
}

// forget forgets the machine that was silent longest. The caller holds l.mu.
func (l *Log) forget() *machine {
	m := l.oldest
	l.unlink(m)
	delete(l.machines, m.mac)
	l.steps -= m.weight()
	return m
}

// shrink keeps the steps within their bound. The caller holds l.mu.
func (l *Log) shrink() {
	for l.steps > MaxAll && len(l.machines) > 1 {
		l.forget()
	}
}

// begin begins a boot. The caller holds l.mu.
func (l *Log) begin(m *machine, at stamp) *run {
	if b := m.current(); b != nil && at <= b.began {
		at = b.began + 1 // it is what tells boots apart
	}
	if len(m.boots) == MaxBoots {
		l.steps -= m.boots[0].weight()
		m.boots = slices.Delete(m.boots, 0, 1)
	}
	l.touch(m)
	return m.begin(at)
}

// touch notes that something of the machine has changed. The caller holds l.mu.
func (l *Log) touch(m *machine) {
	l.changes++
	m.changed = l.changes
}
