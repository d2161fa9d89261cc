package once

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// MaxRecords bounds the keys that are kept. A stranger, of whom there can be any
// number, begins nothing beyond it.
const MaxRecords = 1 << 18

// A State is how far a machine has come.
type State string

// The states.
const (
	Disarmed   State = "disarmed"
	Armed      State = "armed"
	Installing State = "installing" // a boot has used the arm
	Spent      State = "spent"      // and has said that it is done
)

// permits orders states by what they allow, the least first.
var permits = map[State]int{Spent: 0, Installing: 1, Disarmed: 2, Armed: 3}

// A Record is what is kept of a machine.
type Record struct {
	Machine string      `json:"machine"` // its name, else its UUID, else its MAC address
	State   State       `json:"state"`
	Since   time.Time   `json:"since"`
	By      string      `json:"by,omitempty"`    // what brought it there: "operator", or a boot.DoneBy
	Boots   int         `json:"boots,omitempty"` // that have used the arm
	Boot    string      `json:"boot,omitempty"`  // the name of what they boot
	DoneBy  boot.DoneBy `json:"done_by,omitempty"`
	// ID is of the boot that used the arm last, which Began and at the time of Used
	// did so. Over is set when the machine has begun another.
	ID    string    `json:"id,omitempty"`
	Began time.Time `json:"began,omitzero"`
	Used  time.Time `json:"used,omitzero"`
	Over  bool      `json:"over,omitzero"`
	Keys  []string  `json:"keys"` // under which it stands
	// Damage is why the record cannot be read, and counts as spent.
	Damage string `json:"-"`

	seen time.Time // Used by this process's clock, or when it was loaded
}

// A Machine is who asks.
type Machine struct {
	Name string // of the inventory; empty for a stranger
	UUID string // as boot.ParseUUID writes it; empty where it is not known
	MAC  net.HardwareAddr
}

// Of is the machine of a verdict.
func Of(v *boot.Verdict, m boot.Machine) Machine {
	who := Machine{Name: v.Machine, MAC: m.MAC}
	if m.Facts.Knows(boot.FactUUID) {
		who.UUID = m.Facts.UUID
	}
	return who
}

// String is what people call it.
func (m Machine) String() string {
	switch {
	case m.Name != "":
		return m.Name
	case m.UUID != "":
		return m.UUID
	default:
		return m.MAC.String()
	}
}

// keys are those under which it may stand, the one that it is called by first.
func (m Machine) keys() (all []string) {
	if m.Name != "" {
		all = append(all, "name:"+m.Name)
	}
	if m.UUID != "" {
		all = append(all, "uuid:"+m.UUID)
	}
	if len(m.MAC) > 0 {
		all = append(all, macKey(m.MAC))
	}
	return all
}

func macKey(mac net.HardwareAddr) string { return "mac:" + mac.String() }

// A Boot is the one in which a machine asks, as far as it is known.
type Boot struct {
	ID    string    // that Use gave it; empty: it has used no arm, or before a restart
	Began time.Time // zero where that is not known
	Heard bool      // whether this process was told of it by DHCP
	Token time.Time // when the address was made that it asks by; zero: it has none
}

// A Verdict is what becomes of a machine by a boot.Once.
type Verdict struct {
	Do     Do
	Reason string // a clause for people; empty for Give
	State  State
	// Stop is whether what the machine fetches is refused, too: nobody has armed it,
	// or somebody has taken that back.
	Stop bool
}

// Do is the outcome of a Verdict.
type Do int

// The outcomes.
const (
	Pass Do = iota // boot.Once.Spent
	Give           // what the rule boots
	Wait           // a screen that waits
)

// A Store keeps records over a restart. Save returns when they are durable, all or
// none; a nil Record removes the key. Load also tells whether Begin was called.
type Store interface {
	Load() (all map[string]Record, begun bool, err error)
	Save(changed map[string]*Record) error
	Begin() error
}

// States are those of all machines. They are safe for concurrent use.
type States struct {
	store   Store
	broken  error      // nobody is given anything
	writing sync.Mutex // held by who changes something, until it is durable

	mu    sync.Mutex
	all   map[string]*Record // never modified once they are in here
	begun bool
}

// New reads what is kept. Where that is not possible, or there is no store (nil), the
// States say so of every machine, and Err tells why.
func New(store Store, now time.Time) *States {
	s := &States{store: store, all: map[string]*Record{}}
	if store == nil {
		s.broken = errors.New("there is no state directory to keep it in; name one with --state-dir")
		return s
	}
	all, begun, err := store.Load()
	if err != nil {
		s.broken = err
		return s
	}
	s.begun = begun
	for key, r := range all {
		if _, known := permits[r.State]; !known || r.Damage != "" {
			if r.Damage == "" {
				r.Damage = fmt.Sprintf("there is no state %q", r.State)
			}
			r.State, r.Machine, r.Keys = Spent, key[strings.IndexByte(key, ':')+1:], nil
		}
		if len(r.Keys) == 0 {
			r.Keys = []string{key}
		}
		r.seen = now
		s.all[key] = &r
	}
	return s
}

// ErrUnused is for Broken, where nothing has been read since nothing is booted once.
var ErrUnused = errors.New("no rule of the configuration that is served has a once block")

// Broken makes States of which nothing is known, for the reason of err.
func Broken(err error) *States { return &States{broken: err, all: map[string]*Record{}} }

// Err is why nothing is known of any machine; nil: it is.
func (s *States) Err() error { return s.broken }

// Begun reports whether somebody has said that the store is new and complete: see
// Begin.
func (s *States) Begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// Begin says that what is kept is all that ever happened, so that a machine without a
// record may count as armed. It is durable when Begin returns nil.
func (s *States) Begin() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if err := s.store.Begin(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	return nil
}

// find is the record of the machine that permits least; nil: there is none.
func (s *States) find(keys []string) (least *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if r := s.all[key]; r != nil && (least == nil || permits[r.State] < permits[least.State]) {
			least = r
		}
	}
	return least
}

// Find is what is kept of a machine.
func (s *States) Find(who Machine) (Record, bool) {
	r := s.find(who.keys())
	if r == nil {
		return Record{}, false
	}
	return *r, true
}

// All are the machines of which something is kept, each once.
func (s *States) All() (all []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.all {
		if key == r.Keys[0] {
			all = append(all, *r)
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Machine, b.Machine) })
	return all
}

// Look says what becomes of a machine that asks at the time of now. Where its boot is
// another than the one that used its arm, that is noted durably: see the package.
func (s *States) Look(who Machine, o *boot.Once, b Boot, now time.Time) Verdict {
	v, r := s.look(who, o, b, now)
	if r != nil && r.State == Installing && b.Heard && !r.Over && !r.is(b) {
		// Where it cannot be kept, this process knows it all the same.
		s.change(r, func(r *Record) { r.Over = true })
	}
	return v
}

func (s *States) look(who Machine, o *boot.Once, b Boot, now time.Time) (Verdict, *Record) {
	if s.broken != nil {
		return Verdict{Reason: fmt.Sprintf("what has been installed cannot be read, so that every machine counts as spent: %v", s.broken), State: Spent}, nil
	}
	r := s.find(who.keys())
	if r == nil {
		r = &Record{State: Disarmed}
		if o.Armed && s.Begun() {
			r.State = Armed
		}
	}
	return r.decide(who, o, b, now), r
}

// is reports whether the boot is the one that used the arm last.
func (r *Record) is(b Boot) bool {
	if b.ID != "" || b.Heard {
		return b.ID == r.ID && r.ID != ""
	}
	t := b.Token.Unix()
	return !r.Over && !b.Token.IsZero() && r.Began.Unix() <= t && t <= r.Used.Unix()
}

// decide is the state machine, as far as a machine asks and nothing is changed.
func (r *Record) decide(who Machine, o *boot.Once, b Boot, now time.Time) Verdict {
	v := Verdict{State: r.State}
	switch r.State {
	case Armed:
		v.Do = Give
	case Disarmed:
		v.Stop = true
		v.Reason = fmt.Sprintf("the machine is not armed; `pixiecore arm %s` arms it", who)
	case Spent:
		v.Reason = fmt.Sprintf("it has booted %s once, and was done %s (%s)", r.Boot, when(r.Since), r.By)
		if r.Damage != "" {
			v.Reason = fmt.Sprintf("the record of what it has installed cannot be read, so that it counts as spent: %s", r.Damage)
		}
	case Installing:
		late := o.Timeout > 0 && now.Sub(r.seen) >= o.Timeout
		switch {
		case r.is(b):
			v.Do = Give
		case late && o.OnTimeout == boot.TimeoutRearm:
			v.Do = Give
		case late && o.OnTimeout == boot.TimeoutLocal:
			v.Reason = fmt.Sprintf("it began to boot %s %s and did not say within %v that it is done", r.Boot, when(r.Used), o.Timeout)
		case !late && r.Boots < o.Attempts:
			v.Do = Give
		default:
			v.Do = Wait
			v.Reason = fmt.Sprintf("it began to boot %s %s in an earlier boot and has not said that it is done; `pixiecore arm %s` lets it begin anew, and `pixiecore disarm %[3]s` ends the waiting", r.Boot, when(r.Used), who)
		}
	}
	return v
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// Use notes that the boot uses the machine's arm, and returns the ID by which it is
// known from then on. That is durable when Use returns without an error, and only then
// may the machine be given the first byte. Repeats within the boot change nothing.
func (s *States) Use(who Machine, o *boot.Once, b Boot, name string, now time.Time) (id string, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	v, r := s.look(who, o, b, now)
	switch {
	case v.Do != Give: // since it was asked about
		return "", errors.New(v.Reason)
	case r.State == Installing && r.is(b):
		return r.ID, nil
	}
	next := Record{
		Machine: who.String(), State: Installing, Since: now.Round(0), Boots: 1, Boot: name, DoneBy: o.DoneBy,
		ID: rand.Text(), Began: b.Began.Round(0), Used: now.Round(0), Keys: who.keys(), seen: now,
	}
	if b.Began.IsZero() {
		next.Began = now.Round(0)
	}
	if late := o.Timeout > 0 && now.Sub(r.seen) >= o.Timeout; r.State == Installing && !late {
		next.Boots += r.Boots
	}
	for _, key := range r.Keys { // those by which it came in another boot
		if !slices.Contains(next.Keys, key) {
			next.Keys = append(next.Keys, key)
		}
	}
	if err := s.put(&next, nil); err != nil {
		return "", fmt.Errorf("it is not begun, since that could not be kept: %w", err)
	}
	return next.ID, nil
}

// Arm arms the machine, whatever it has done before. others are what else it is known
// by: the UUID and the MAC addresses of a machine that has a name.
func (s *States) Arm(who Machine, others []Machine, now time.Time) error {
	return s.set(who, others, Armed, now)
}

// Disarm ends at once what a machine is armed for, or is doing.
func (s *States) Disarm(who Machine, others []Machine, now time.Time) error {
	return s.set(who, others, Disarmed, now)
}

func (s *States) set(who Machine, others []Machine, to State, now time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.broken != nil {
		return s.broken
	}
	next := Record{Machine: who.String(), State: to, Since: now.Round(0), By: "operator", Keys: who.keys(), seen: now}
	if who.Name != "" {
		next.Keys = next.Keys[:1]
	}
	var gone []string
	for _, m := range append([]Machine{who}, others...) {
		for _, key := range m.keys() {
			if r := s.find([]string{key}); r != nil {
				gone = append(gone, r.Keys...)
			}
			gone = append(gone, key)
		}
	}
	return s.put(&next, gone)
}

// put keeps a record under its keys, in place of what stands there and under those
// that are gone.
func (s *States) put(next *Record, gone []string) error {
	changed := make(map[string]*Record, len(next.Keys)+len(gone))
	for _, key := range gone {
		changed[key] = nil
	}
	for _, key := range next.Keys {
		changed[key] = next
	}
	s.mu.Lock()
	full := len(s.all)+len(next.Keys) > MaxRecords
	for key := range changed {
		if s.all[key] == nil && changed[key] == nil {
			delete(changed, key)
		}
	}
	s.mu.Unlock()
	if full && next.State == Installing {
		return fmt.Errorf("records of %d machines are kept, and that is the most", MaxRecords)
	}
	if err := s.store.Save(changed); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range changed {
		if r == nil {
			delete(s.all, key)
		} else {
			s.all[key] = r
		}
	}
	return nil
}

// change is put of a record that is kept already, unless it is another by now. It
// holds for this process where it could not be kept.
func (s *States) change(r *Record, how func(*Record)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if now := s.find(r.Keys); now == nil || now.ID != r.ID || now.State != r.State {
		return nil
	}
	next := *r
	how(&next)
	err := s.put(&next, nil)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range next.Keys {
			s.all[key] = &next
		}
	}
	return err
}

// Done says that the machine has done what it was armed for, as its boot shows by the
// one way or the other. issued is when the address was made by which it says so; zero:
// its boot says so itself. It reports whether that changed anything: what is not
// waited for does not, nor does a repetition. The error wraps boot.ErrExpired for an
// address of an earlier boot than the one that used the arm last, or is that of the
// store, and then the machine may try again.
func (s *States) Done(mac net.HardwareAddr, by boot.DoneBy, issued time.Time, now time.Time) (changed bool, err error) {
	if errors.Is(s.broken, ErrUnused) {
		return false, nil // as every machine that boots anything else comes here
	}
	if s.broken != nil {
		return false, s.broken
	}
	r := s.find([]string{macKey(mac)})
	switch {
	case r == nil || r.DoneBy != by || r.State != Installing && r.State != Spent:
		return false, nil
	case !issued.IsZero() && issued.Unix() < r.Began.Unix():
		return false, fmt.Errorf("%w: it was that of an earlier boot, and the machine has begun anew since", boot.ErrExpired)
	case r.State == Spent:
		return false, nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if now := s.find([]string{macKey(mac)}); now == nil || now.ID != r.ID || now.State != Installing {
		return false, nil
	}
	next := *r
	next.State, next.Since, next.By = Spent, now.Round(0), string(by)
	if err := s.put(&next, nil); err != nil {
		return false, err
	}
	return true, nil
}
