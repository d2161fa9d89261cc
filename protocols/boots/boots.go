package boots

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

const (
	// MaxMachines is how many machines a Memory remembers.
	MaxMachines = 16384
	// MaxGenerations is how many generations boots may hang on at a time, the
	// current one included.
	MaxGenerations = 8
	// MaxBoot is how long a boot lasts at most.
	MaxBoot = 2 * time.Hour
	// SameBoot is how long after a boot began a request of iPXE belongs to it.
	SameBoot = 10 * time.Minute
	// MaxText is the length of a text in bytes.
	MaxText = 255

	// retransmits is how long after the last DISCOVER one of the same
	// transaction is a repetition. A ROM gives up after a minute (PXE 2.1 §2.2.3).
	retransmits = 2 * time.Minute
	// repeatGap is between two requests of which the second is a repetition, and no copy
	// by another way. A ROM waits for four seconds (PXE 2.1 §2.2.3), EDK2 for some more.
	repeatGap = time.Second
	// sweepEvery is how often boots that are over are looked for.
	sweepEvery = 10 * time.Minute
	// maxFiles is how many files that a boot has begun to fetch are remembered.
	maxFiles = 64
)

// A MAC is a machine's Ethernet address.
type MAC = [6]byte

// A Program is which of the programs of a boot sends a request, in the order in
// which they run.
type Program uint8

const (
	Firmware    Program = iota // the ROM's own PXE, or UEFI HTTP Boot
	LimitedIPXE                // an iPXE that cannot load by HTTP
	IPXE                       // an iPXE that can
	Chained                    // one that says by its user class that we started it
)

// A Request is what a DHCP request tells of the boot that it belongs to.
type Request struct {
	MAC         MAC
	Transaction [4]byte
	Program     Program
	// Discover is false for a request on the boot server's port, which begins
	// no boot if there is one.
	Discover bool
	// Facts must not be modified afterwards.
	Facts *boot.Facts
	// Type is what the program calls its platform.
	Type boot.ArchType
}

// A Memory is safe for concurrent use. Source must be set.
type Memory struct {
	Source boot.Source
	// Held says in a clause why nobody is to boot by the rule at the moment, for
	// the machine's screen; empty: it is not on hold. The name is empty where no
	// rule decides. Nil: nothing is on hold, ever.
	Held func(rule string) string
	// Events are told when a boot begins, and of one that cannot go on as it began; nil:
	// nobody is.
	Events *events.Log
	// Once tells which machines are armed, for rules that boot them once. It is asked
	// at each request. Nil: none is.
	Once func() *once.States
	// Next tells what machines boot next in place of what their rule says. It is asked
	// at each request. Nil: none has such a thing.
	Next func() *once.Nexts

	mu          sync.Mutex
	machines    map[MAC]*machine
	serials     map[string]MAC // of machines that told theirs in DHCP
	recent      order
	quiet       order                  // those before them: see pack
	common      [maxCommon]*boot.Facts // without UUID, of machines that were packed lately
	replaced    int                    // which of common is, next
	generations map[uint64]int         // how many boots hang on each
	swept       time.Time
	seed        maphash.Seed
}

// A machine is one with the boot that it is in. Another boot is another machine.
type machine struct {
	newer, older *machine // in their order

	mac      MAC
	transact [4]byte
	first    Program       // that the boot began with
	last     Program       //
	typ      boot.ArchType // of facts
	style    boot.Style    // of the last offer; auto: the usual one
	wentOn   bool          // whether it has gone on
	quiet    bool          // which order it is in
	packed   bool          // whether facts are those of others, too, and uuid its own
	seen     bool          // whether the machine itself began it, and not this process
	repeats  int32         // how often the firmware has asked again without going on
	counted  time.Duration // the request that was counted last, after began
	began    time.Time
	heard    time.Time // the last request of transaction, or for a script without any
	uuid     [16]byte
	facts    *boot.Facts // nil: no DHCP request of this boot is known

	snap    *boot.Snapshot // that verdict is of; nil: nothing is fixed
	verdict *boot.Verdict  // nil, likewise
	further *further       // nil: there is nothing in it
}

// further is what is known of a machine that has done more than ask for an offer. Most
// whose addresses are invented have not.
type further struct {
	began    time.Time    // when the machine did, where that is longer ago than MaxBoot; else zero
	lost     uint64       // the generation that had to be given up; 0: none
	reported boot.Machine // with a MAC: what iPXE reported
	files    []uint64     // hashes of their names
	arm      string       // the once.Boot's ID; empty: it has used none
	next     string       // likewise, of what was chosen for it
	passed   string       // why it was not given what its rule boots, as far as that was told
	missed   string       // likewise, what was chosen for it
}

// had is what is known further, to be looked at.
func (b *machine) had() further {
	if b.further == nil {
		return further{}
	}
	return *b.further
}

// has is what is known further, to be added to.
func (b *machine) has() *further {
	if b.further == nil {
		b.further = &further{}
	}
	return b.further
}

// Heard takes a DHCP request that came at the time of now, begins a boot if it is
// the first of one, and returns the facts to go by: those of the boot. A request
// that cannot tell all of boot.DHCPFacts but the UUID, as one on the boot server's
// port, replaces none that could, and is replaced by any that can.
func (m *Memory) Heard(r Request, now time.Time) *boot.Facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(r.MAC, now)
	if b == nil || !b.continues(r, now) {
		// One whose beginning this process has not seen may go on after a restart.
		if b != nil || r.Program == Firmware && r.Discover || now.Sub(m.Events.Began(r.MAC)) >= SameBoot {
			m.Events.Begin(r.MAC, now)
		}
		before := b
		b = m.begin(r.MAC, now)
		b.first, b.seen = r.Program, true
		// There is firmware that begins anew instead of asking again.
		if before != nil && r.Program == Firmware && before.stands() && now.Sub(before.heard) < retransmits {
			b.repeats = before.repeats + 1
		}
	} else {
		b.again(r, now)
	}
	if b.facts == nil || !b.facts.Knows(whole) && r.Facts.Knows(whole) {
		m.forgetSerial(b)
		b.facts, b.typ = r.Facts, r.Type
		if r.Facts.Knows(boot.FactSerial) {
			if m.serials == nil {
				m.serials = map[string]MAC{}
			}
			m.serials[r.Facts.Serial] = r.MAC
		}
	}
	b.asked(r, now)
	return b.facts
}

// whole is what a DHCP request tells, but for what some ROMs do not.
const whole = boot.DHCPFacts &^ boot.FactUUID

// HeardAgain is Heard for a request whose Facts are not made yet, if it goes on with a
// boot of which all is known that it can tell. Else ok is false, and nothing has been
// heard; facts are what the machine told last, nil if that is not known.
func (m *Memory) HeardAgain(r Request, now time.Time) (facts *boot.Facts, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(r.MAC, now)
	if b == nil {
		return nil, false
	}
	if b.facts == nil || !b.facts.Knows(whole) || !b.continues(r, now) {
		return b.facts, false
	}
	b.again(r, now)
	b.asked(r, now)
	return b.facts, true
}

// again counts a request that goes on with the boot, if it is a repetition.
func (b *machine) again(r Request, now time.Time) {
	if r.Discover && r.Program == Firmware && b.stands() && now.Sub(b.began)-b.counted >= repeatGap {
		b.repeats++
		b.counted = now.Sub(b.began)
	}
}

// asked notes a request of the boot.
func (b *machine) asked(r Request, now time.Time) {
	if r.Discover {
		b.transact, b.heard, b.last = r.Transaction, now, r.Program
	}
}

// stands reports whether the firmware has done nothing but ask.
func (b *machine) stands() bool { return b.first == Firmware && b.last == Firmware && !b.wentOn }

// Repeats is how often the machine's firmware has asked again, in this boot and in those
// right before it that came to nothing, without going on to port 4011 or to a file.
func (m *Memory) Repeats(mac MAC) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.of(mac, time.Time{}); b != nil {
		return int(b.repeats)
	}
	return 0
}

// Offered notes the style of the last offer to the machine's firmware.
func (m *Memory) Offered(mac MAC, s boot.Style) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.of(mac, time.Time{}); b != nil {
		b.style = s
	}
}

// WentOn says that the machine has done more than ask: it has taken an offer. Where that
// was only in another style than the usual one, pin is what makes it that at once, for
// the log; it is empty when it was told before.
func (m *Memory) WentOn(mac MAC) (pin string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(mac, time.Time{})
	if b == nil || b.wentOn {
		return ""
	}
	b.wentOn = true
	if b.repeats == 0 || b.style == boot.StyleAuto || b.snap == nil || b.verdict.Offer != boot.StyleAuto {
		return ""
	}
	pin = fmt.Sprintf("offer = %q", b.style)
	m.Events.Add(mac, events.Event{Kind: events.Noticed, Rule: b.verdict.Rule, Boot: b.verdict.Boot, Gen: b.snap.Gen, Detail: fmt.Sprintf("took its offer after %d others; in the rule, %s makes it that at once", b.repeats, pin)})
	return pin
}

// continues reports whether the request belongs to the boot.
func (b *machine) continues(r Request, now time.Time) bool {
	switch {
	case !r.Discover:
		return true
	case r.Transaction == b.transact && r.Program == b.last && now.Sub(b.heard) < retransmits:
		return true
	case r.Program == Firmware || now.Sub(b.began) >= SameBoot:
		return false
	default:
		return r.Program > b.first || r.Program == Chained
	}
}

// Script begins a boot of a machine that comes for its script unannounced:
// another DHCP server has sent it. Nothing happens where a DHCP request of it is
// known, or for what is no Ethernet address. Where the machine comes again in a boot
// that began less than SameBoot ago and has come to no end, as from a screen that waits,
// it is in that boot, and what it boots is decided anew. It returns what Of does.
func (m *Memory) Script(mac net.HardwareAddr, now time.Time) *boot.Facts {
	if len(mac) != len(MAC{}) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(MAC(mac), now)
	if b != nil && b.facts != nil {
		return b.facts
	}
	goesOn := m.Events == nil || now.Sub(m.Events.Began(MAC(mac))) < SameBoot
	if b != nil && b.seen && now.Sub(b.began) < SameBoot && goesOn {
		m.release(b)
		b.heard = now
		return nil
	}
	if !goesOn { // else the process before this one has seen its beginning
		m.Events.Begin(MAC(mac), now)
	}
	b = m.begin(MAC(mac), now)
	b.first, b.seen = IPXE, true
	return nil
}

// Started is when the machine began the boot that it is in. It is zero where that
// is not known: nothing has been heard of it since the server was started.
func (m *Memory) Started(mac net.HardwareAddr) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(mac) == len(MAC{}) {
		if b := m.of(MAC(mac), time.Time{}); b != nil && b.seen {
			if long := b.had().began; !long.IsZero() {
				return long
			}
			return b.began
		}
	}
	return time.Time{}
}

// Of is what the machine said in DHCP; nil where that is not known. It must not
// be modified.
func (m *Memory) Of(mac net.HardwareAddr) *boot.Facts {
	if len(mac) != len(MAC{}) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.of(MAC(mac), time.Time{}); b != nil {
		return b.facts
	}
	return nil
}

// Announced is what the machine calls its platform in the boot that it is in; ok is
// false where no DHCP request of it is known.
func (m *Memory) Announced(mac MAC) (t boot.ArchType, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.of(mac, time.Time{}); b != nil && b.facts != nil {
		return b.typ, true
	}
	return 0, false
}

// BySerial is the machine that told this serial number in DHCP.
func (m *Memory) BySerial(serial string) (mac MAC, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mac, ok = m.serials[serial]
	return mac, ok
}

// Reported is the machine as it was when it was last decided for with all that
// iPXE reports, in the boot that it is in.
func (m *Memory) Reported(mac net.HardwareAddr) (boot.Machine, bool) {
	if len(mac) != len(MAC{}) {
		return boot.Machine{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(MAC(mac), time.Time{})
	if b == nil {
		return boot.Machine{}, false
	}
	reported := b.had().reported
	return reported, reported.MAC != nil
}

// Fixed is what is fixed for the boot that the machine is in, for a note of what
// it did. It is of the current generation where nothing is.
func (m *Memory) Fixed(mac net.HardwareAddr) Decision {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(mac) == len(MAC{}) {
		if b := m.of(MAC(mac), time.Time{}); b != nil && b.snap != nil {
			return Decision{Verdict: b.verdict, Snapshot: b.snap, of: b}
		}
	}
	d := Undecided()
	d.Snapshot = m.Source.Current()
	return d
}

// A Decision is the Verdict, never nil, for a machine at one stage of its boot, with the
// generation that it is of. boot.Ignore is a refusal: see Refusal.
type Decision struct {
	*boot.Verdict
	Snapshot *boot.Snapshot
	Held     bool // whether it is a hold that refuses
	// Stopped is whether what the machine fetches is refused, too, since nobody has
	// armed it for that, or somebody has taken it back.
	Stopped bool

	of   *machine // for Await
	once *once.States
	asks once.Boot // for once
}

// Undecided is the Decision while there is none.
func Undecided() Decision { return Decision{Verdict: &undecided} }

// undecided is never modified.
var undecided boot.Verdict

// Refuses reports whether the machine is sent away, also with what it was given before:
// its files. Who has booted once and is done goes on with what it has begun, unless
// somebody takes it back.
func (d Decision) Refuses() bool {
	if d.Once != nil {
		return d.Stopped
	}
	return d.Action == boot.Ignore
}

// Gen is the generation; 0 where nothing was decided.
func (d Decision) Gen() uint64 {
	if d.Snapshot == nil {
		return 0
	}
	return d.Snapshot.Gen
}

// Refusal says in one line why a machine is sent away.
func (d Decision) Refusal(m boot.Machine) string {
	who := fmt.Sprintf("%s (%s, %s)", m.MAC, m.Arch.Name(), m.Firmware)
	switch {
	case d.Reason != "":
		return who + " is not booted: " + d.Reason
	case d.Rule != "":
		return fmt.Sprintf("the rule %q ignores %s", d.Rule, who)
	default:
		return "no rule of the server boots " + who
	}
}

// Decide says what is to become of a machine that asks at the time of now: what
// was fixed for its boot, unless the current table ignores it, or its rule is on
// hold. Where nothing is fixed yet, it is what the current table says, which from
// now on is fixed if it is to boot. The error is that of the Booter; the Decision
// tells the rule, where one is known.
func (m *Memory) Decide(ctx context.Context, asks boot.Machine, now time.Time) (Decision, error) {
	d, err := m.DecideNow(ctx, asks, now)
	if err != nil || d.Ask == nil {
		return d, err
	}
	return m.Await(ctx, d, asks, now)
}

// DecideNow is Decide as far as it goes without waiting (boot.DecideNow): the
// Decision may have an Ask, and is then for Await.
func (m *Memory) DecideNow(ctx context.Context, asks boot.Machine, now time.Time) (Decision, error) {
	cur := m.Source.Current() // once: one request, one generation
	d := m.recall(asks, cur, now)
	if d.Chosen && !m.stillChosen(d, asks, now) {
		d = m.unfix(d)
	}
	var err error
	switch {
	case d.Snapshot == nil:
		d.Snapshot = cur
		if d.Verdict, err = boot.DecideNow(ctx, cur.Booter, asks); err == nil {
			d = m.fix(m.choose(d, asks, now), now)
		}
	case d.Snapshot.Gen != cur.Gen:
		// Who would have to be asked for the last word is not: the table boots it.
		if v, err := boot.DecideNow(ctx, cur.Booter, asks); err == nil && v.Action == boot.Ignore {
			d.Verdict, d.Snapshot = v, cur
		}
	}
	return m.conclude(d, err, asks, now)
}

// Await waits for whoever has the last word on d, which DecideNow has returned for
// the same machine.
func (m *Memory) Await(ctx context.Context, d Decision, asks boot.Machine, now time.Time) (Decision, error) {
	v, err := d.Ask(ctx, asks)
	if err != nil {
		failed := *d.Verdict
		failed.Ask = nil
		d.Verdict = &failed
		return m.conclude(d, err, asks, now)
	}
	if d.Verdict = v; v == nil {
		d.Verdict = &undecided
	}
	return m.conclude(m.fix(d, now), nil, asks, now)
}

// OnHold says in a clause why nobody is to boot at all; empty: everything is not on
// hold. It is for requests that name no machine.
func (m *Memory) OnHold() string {
	if m.Held == nil {
		return ""
	}
	return m.Held("")
}

// conclude is what comes of a verdict at this moment: nothing of what is on hold, and
// what a machine boots once only if it is armed.
func (m *Memory) conclude(d Decision, err error, asks boot.Machine, now time.Time) (Decision, error) {
	if m.Held != nil {
		if why := m.Held(d.Rule); why != "" {
			d.Verdict = &boot.Verdict{Action: boot.Ignore, Rule: d.Rule, Pos: d.Pos, Reason: why}
			d.Held = true
			return d, nil
		}
	}
	if err == nil && d.Once != nil && d.Action == boot.Boot {
		d = m.onlyArmed(d, asks, now)
	}
	return d, err
}

// settled reports whether nothing that the machine may still say can change v.
func settled(v *boot.Verdict) bool {
	return (v.Action == boot.Boot || v.Action == boot.Local) && v.Ask == nil && !v.Provisional
}

// recall finds the boot that a machine is in, or begins one, and what is fixed
// for it.
func (m *Memory) recall(asks boot.Machine, cur *boot.Snapshot, now time.Time) Decision {
	if len(asks.MAC) != len(MAC{}) {
		return Undecided()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(MAC(asks.MAC), now)
	if b == nil {
		b = m.begin(MAC(asks.MAC), now)
	}
	if asks.Probed {
		b.has().reported = asks
	}
	if b.had().lost != 0 {
		m.Events.Add(b.mac, events.Event{Kind: events.Moved, Gen: cur.Gen, Detail: fmt.Sprintf("began with generation %d, which is too old to be kept", b.further.lost)})
		b.further.lost = 0
	}
	return Decision{Verdict: cmp.Or(b.verdict, &undecided), Snapshot: b.snap, of: b}
}

// fix keeps d for the rest of the boot, if it is settled. The result is what holds:
// another request may have been faster.
func (m *Memory) fix(d Decision, now time.Time) Decision {
	b := d.of
	if b == nil || !settled(d.Verdict) {
		return d
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.machines[b.mac] != b {
		return d // of a boot that is over
	}
	if b.snap != nil {
		return Decision{Verdict: b.verdict, Snapshot: b.snap, of: b}
	}
	b.snap, b.verdict = d.Snapshot, d.Verdict
	if m.generations == nil {
		m.generations = map[uint64]int{}
	}
	m.generations[d.Snapshot.Gen]++
	if len(m.generations) > MaxGenerations {
		m.sweep(now)
	}
	for len(m.generations) > MaxGenerations {
		m.giveUp()
	}
	return d
}

// giveUp lets go of the oldest generation. The caller holds m.mu.
func (m *Memory) giveUp() {
	var oldest uint64
	for gen := range m.generations {
		if oldest == 0 || gen < oldest {
			oldest = gen
		}
	}
	for _, b := range m.machines {
		if b.snap != nil && b.snap.Gen == oldest {
			m.release(b)
			b.has().lost = oldest
		}
	}
}

// sweep lets go of boots that are over. The caller holds m.mu.
func (m *Memory) sweep(now time.Time) {
	m.swept = now
	for _, b := range m.machines {
		if now.Sub(b.began) >= MaxBoot {
			m.release(b)
		}
	}
}

// release unfixes a boot. The caller holds m.mu.
func (m *Memory) release(b *machine) {
	if b.snap == nil {
		return
	}
	if m.generations[b.snap.Gen]--; m.generations[b.snap.Gen] == 0 {
		delete(m.generations, b.snap.Gen)
	}
	b.snap, b.verdict = nil, nil
}

// forget lets go of a machine, but for its place in m.machines. The caller holds m.mu.
func (m *Memory) forget(b *machine) {
	m.leave(b)
	m.release(b)
	m.forgetSerial(b)
}

// forgetSerial takes the machine out of those that are known by what they said last.
// The caller holds m.mu.
func (m *Memory) forgetSerial(b *machine) {
	if b.facts.Knows(boot.FactSerial) && m.serials[b.facts.Serial] == b.mac {
		delete(m.serials, b.facts.Serial)
	}
}

// of finds a machine and moves it to the front. A boot that has lasted too long
// is over at now, unless that is zero; what the machine has said stays, since
// nothing else will say it. The caller holds m.mu.
func (m *Memory) of(mac MAC, now time.Time) *machine {
	if len(m.generations) > 1 && now.Sub(m.swept) >= sweepEvery {
		m.sweep(now)
	}
	b := m.recent.front // an answer asks for its machine some times in a row
	if b == nil || b.mac != mac {
		if b = m.machines[mac]; b == nil {
			return nil
		}
		m.leave(b)
		m.come(b)
	}
	if now.Sub(b.began) >= MaxBoot {
		m.release(b)
		f := b.has()
		if f.began.IsZero() {
			f.began = b.began
		}
		b.counted -= now.Sub(b.began) // which is as long ago as before
		b.began = now
		f.arm, f.next = "", ""
	}
	return b
}

// begin begins a boot. The caller holds m.mu.
func (m *Memory) begin(mac MAC, now time.Time) *machine {
	b := &machine{mac: mac, began: now, heard: now}
	switch before := m.machines[mac]; {
	case before != nil:
		m.forget(before)
	case m.machines == nil:
		m.machines = map[MAC]*machine{}
		m.seed = maphash.MakeSeed()
	case len(m.machines) >= MaxMachines:
		oldest := cmp.Or(m.quiet.back, m.recent.back)
		m.forget(oldest)
		delete(m.machines, oldest.mac)
	}
	m.machines[mac] = b
	m.come(b)
	return b
}

// Fetches notes that the machine's boot has begun to fetch a file.
func (m *Memory) Fetches(mac MAC, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(mac, time.Time{})
	if b == nil {
		return
	}
	h := maphash.String(m.seed, name)
	f := b.has()
	if slices.Contains(f.files, h) {
		return
	}
	if len(f.files) == maxFiles {
		f.files = slices.Delete(f.files, 0, 1)
	}
	f.files = append(f.files, h)
}

// Fetched reports whether the boot has begun to fetch it, as far as that is
// remembered.
func (m *Memory) Fetched(mac MAC, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(mac, time.Time{})
	return b != nil && slices.Contains(b.had().files, maphash.String(m.seed, name))
}

// Text makes a client's text fit for a fact: what prints of its first MaxText
// bytes, without spaces at either end. It does not keep s in memory.
func Text(s string) string {
	// It is cut before it is looked at, so that the cost is bounded too.
	return strings.Clone(strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), MaxText)])))
}
