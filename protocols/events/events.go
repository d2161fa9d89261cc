package events

import (
	"container/list"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of a Log.
const (
	MaxMachines = 4096             // machines remembered
	MaxEvents   = 16               // events of one machine
	MaxText     = 160              // bytes of one text that a client may have written
	FoldWithin  = 30 * time.Second // since its last repetition, an event counts as the same one
)

// Kind is what happened.
type Kind uint8

// The kinds, in the order of a boot that goes well.
const (
	Offered    Kind = iota // a DHCP offer was sent
	BootServer             // the machine asked port 4011 and was answered
	Loader                 // the network boot program was sent
	Script                 // an iPXE script was sent
	Kernel                 // a kernel was sent, to its last byte
	Initrd                 // an initial RAM disk was sent, likewise
	File                   // another file was sent, likewise
	Booting                // the machine has all it needs and starts the kernel
	Local                  // the machine was told to boot its own disk
	Ignored                // the machine is not to boot from here
	Failed                 // something went wrong: the detail says what
	Moved                  // the boot goes on with another generation than it began with
	Written                // the machine has written to the address of a file
)

var kindWords = [...]string{
	"offered", "boot-server", "loader", "script", "kernel", "initrd", "file", "booting", "local", "ignored", "failed", "moved", "written",
}

// String is the fixed word that logs and JSON use.
func (k Kind) String() string {
	if int(k) < len(kindWords) {
		return kindWords[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText writes the word of String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the word of String.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindWords[:], string(text))
	if i < 0 {
		return fmt.Errorf("event kind %q: not one of %v", text, kindWords)
	}
	*k = Kind(i)
	return nil
}

// An Event is one thing that a machine did or was given.
type Event struct {
	Time   time.Time `json:"time"`                 // when it happened (first); Add fills in a zero Time
	Last   time.Time `json:"last,omitzero"`        // when it was last repeated; zero where it was not
	Count  int       `json:"count"`                // how often; Add counts
	Kind   Kind      `json:"kind"`                 //
	Rule   string    `json:"rule,omitempty"`       // the rule that decided; empty where none did
	Gen    uint64    `json:"generation,omitempty"` // the generation of the configuration
	Detail string    `json:"detail,omitempty"`     // a file, an address, a reason; cut to MaxText bytes
}

// repeats reports whether e is the same event as the earlier one, once more.
func (e Event) repeats(earlier Event) bool {
	return e.Kind == earlier.Kind && e.Rule == earlier.Rule && e.Gen == earlier.Gen && e.Detail == earlier.Detail &&
		e.Time.Sub(earlier.latest()) < FoldWithin
}

func (e Event) latest() time.Time {
	if e.Last.IsZero() {
		return e.Time
	}
	return e.Last
}

// Facts is what is known of a machine. Each text is as the machine reported it,
// cut to MaxText bytes and without what does not print.
type Facts struct {
	Arch         string `json:"arch,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	UUID         string `json:"uuid,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Asset        string `json:"asset,omitempty"`
	Hostname     string `json:"hostname,omitempty"`
	IP           string `json:"ip,omitempty"`
}

// merge takes over what more knows. A fact that more lacks stays: DHCP and
// iPXE each report their own.
func (f *Facts) merge(more Facts) {
	for _, p := range [...]struct {
		to   *string
		from string
	}{
		{&f.Arch, more.Arch}, {&f.Firmware, more.Firmware}, {&f.UUID, more.UUID}, {&f.Serial, more.Serial},
		{&f.Manufacturer, more.Manufacturer}, {&f.Product, more.Product}, {&f.Asset, more.Asset},
		{&f.Hostname, more.Hostname}, {&f.IP, more.IP},
	} {
		if s := clean(p.from); s != "" && s != *p.to {
			*p.to = strings.Clone(s) // what s was cut from may be a whole packet
		}
	}
}

// MAC is a machine's Ethernet address.
type MAC = [6]byte

// A Machine is what a Log knows of one machine.
type Machine struct {
	MAC    MAC
	Facts  Facts
	Events []Event // oldest first, at most MaxEvents
}

// machineJSON is a Machine with the address as people write it, with colons.
type machineJSON struct {
	MAC    string  `json:"mac"`
	Facts  Facts   `json:"facts"`
	Events []Event `json:"events"`
}

// MarshalJSON writes an object with mac, facts and events.
func (m Machine) MarshalJSON() ([]byte, error) {
	return json.Marshal(machineJSON{net.HardwareAddr(m.MAC[:]).String(), m.Facts, m.Events})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Machine) UnmarshalJSON(b []byte) error {
	var j machineJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	mac, err := net.ParseMAC(j.MAC)
	if err != nil {
		return err
	}
	if len(mac) != len(MAC{}) {
		return fmt.Errorf("machine %q: not an Ethernet address", j.MAC)
	}
	*m = Machine{MAC(mac), j.Facts, j.Events}
	return nil
}

// A Log is safe for concurrent use. Use New to make one; a nil *Log remembers
// nothing.
type Log struct {
	mu       sync.Mutex
	machines map[MAC]*list.Element // of *machine
	recent   *list.List            // the machine that was heard of last is in front
}

// machine is a Machine whose events are a ring: once there are MaxEvents of
// them, the oldest is at next.
type machine struct {
	mac    MAC
	facts  Facts
	events []Event
	next   int
}

// New makes an empty Log.
func New() *Log {
	return &Log{machines: map[MAC]*list.Element{}, recent: list.New()}
}

// Add records that e happened to the machine.
func (l *Log) Add(mac MAC, e Event) {
	if l == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Last, e.Count, e.Detail = time.Time{}, 1, clean(e.Detail)

	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.machine(mac)
	if len(m.events) > 0 {
		if latest := &m.events[(m.next+len(m.events)-1)%len(m.events)]; e.repeats(*latest) {
			latest.Last = e.Time
			latest.Count++
			return
		}
	}
	e.Detail = strings.Clone(e.Detail) // what it was cut from may be a whole packet
	if len(m.events) < MaxEvents {
		m.events = append(m.events, e)
		return
	}
	m.events[m.next] = e
	m.next = (m.next + 1) % MaxEvents
}

// SetFacts records what is known of the machine. An empty fact leaves what was
// known before.
func (l *Log) SetFacts(mac MAC, f Facts) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.machine(mac).facts.merge(f)
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
		m := e.Value.(*machine)
		all = append(all, Machine{
			MAC:    m.mac,
			Facts:  m.facts,
			Events: slices.Concat(m.events[m.next:], m.events[:m.next]),
		})
	}
	return all
}

// Restore makes an empty Log know machines as Machines has listed them. What
// they have too much is left out.
func (l *Log) Restore(machines []Machine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range slices.Backward(machines[:min(len(machines), MaxMachines)]) {
		m := l.machine(known.MAC)
		m.facts.merge(known.Facts)
		m.events = slices.Clone(known.Events[max(0, len(known.Events)-MaxEvents):])
		for i := range m.events {
			m.events[i].Detail = clean(m.events[i].Detail)
		}
	}
}

// machine finds or makes the machine and moves it to the front. The caller
// holds l.mu.
func (l *Log) machine(mac MAC) *machine {
	if e, ok := l.machines[mac]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*machine)
	}
	if l.recent.Len() >= MaxMachines {
		oldest := l.recent.Back()
		delete(l.machines, oldest.Value.(*machine).mac)
		l.recent.Remove(oldest)
	}
	m := &machine{mac: mac}
	l.machines[mac] = l.recent.PushFront(m)
	return m
}

// clean makes a client's text fit to be shown: printable, on one line, at most
// MaxText bytes.
func clean(s string) string {
	// A longer text is cut before it is looked at, so that the cost is bounded
	// too. What is cut may be half a rune, which is no printable one.
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), MaxText)])
	return strings.TrimSpace(s)
}
