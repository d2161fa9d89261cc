package events

import (
	"encoding/json"
	"net"
	"time"
)

// An Update is one change of a Log.
type Update struct {
	MAC    MAC
	Arch   string    // of the machine, as far as it is known
	Began  time.Time // of the boot
	Result Result    // of the boot, now
	Was    Result    // and before this update
	Rule   string    // likewise
	Stall  *Stall    // as in Boot; never modified
	Event  Event     // the step; Count is 0 where it is only Result that has changed
	New    bool      // whether Event is a new step; false: one that was repeated, has got on or ended
	Lost   int       // updates before this one that the reader was too slow for
}

type updateJSON struct {
	MAC    string    `json:"mac"`
	Arch   string    `json:"arch,omitempty"`
	Began  time.Time `json:"began"`
	Result Result    `json:"result"`
	Was    Result    `json:"was"`
	Rule   string    `json:"rule,omitempty"`
	Stall  *Stall    `json:"stall,omitempty"`
	Event  *Event    `json:"event,omitempty"`
	New    bool      `json:"new,omitempty"`
	Lost   int       `json:"lost,omitempty"`
}

// MarshalJSON writes an object; event is absent where only the result has changed.
func (u Update) MarshalJSON() ([]byte, error) {
	j := updateJSON{net.HardwareAddr(u.MAC[:]).String(), u.Arch, u.Began, u.Result, u.Was, u.Rule, u.Stall, nil, u.New, u.Lost}
	if u.Event.Count > 0 {
		j.Event = &u.Event
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (u *Update) UnmarshalJSON(b []byte) error {
	var j updateJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	mac, err := parseMAC(j.MAC)
	if err != nil {
		return err
	}
	*u = Update{mac, j.Arch, j.Began, j.Result, j.Was, j.Rule, j.Stall, Event{}, j.New, j.Lost}
	if j.Event != nil {
		u.Event = *j.Event
	}
	return nil
}

// A Subscription is one reader's updates.
type Subscription struct {
	C    <-chan Update // closed by Close
	c    chan Update
	log  *Log
	lost int
}

// Subscribe gives a reader every update from now on, of which at most so many wait
// for it. One that reads too slowly loses what comes then, and the next Update that
// it gets says how many that were: it is to look at Machines again.
func (l *Log) Subscribe(waiting int) *Subscription {
	c := make(chan Update, max(1, waiting))
	s := &Subscription{C: c, c: c, log: l}
	if l == nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers[s] = struct{}{}
	return s
}

// Close ends it. It may be called again.
func (s *Subscription) Close() {
	if s.log == nil {
		return
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if _, ok := s.log.readers[s]; ok {
		delete(s.log.readers, s)
		close(s.c)
	}
}

// Observe makes f see every update. It is to be called before the Log is used. f is
// called with a lock held, on the way of packets: it must be quick, must not use the
// Log, and must not keep the Update, which is the same one each time.
func (l *Log) Observe(f func(*Update)) { l.observer = f }

// tell tells the readers of a step, or, if that is nil, of the boot alone. The caller
// holds l.mu.
func (l *Log) tell(m *machine, b *run, was Result, s *step, first bool) {
	if l.observer == nil && len(l.readers) == 0 {
		return
	}
	u := &l.update
	*u = Update{MAC: m.mac, Arch: m.facts.common().arch, Began: b.began.time(), Result: b.result, Was: was, Rule: b.decision().rule, Stall: b.stall, New: first}
	if s != nil {
		u.Event = s.event()
	}
	if l.observer != nil {
		l.observer(u)
	}
	l.send(u)
}

// Tell tells the readers what an operator has done to the machine, which is no step of
// a boot: neither is it kept, nor does it make a machine known. A zero Time is filled in.
func (l *Log) Tell(mac MAC, e Event) {
	if l == nil {
		return
	}
	if e.Count = 1; e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Detail = clean(e.Detail, MaxDetail)
	u := Update{MAC: mac, Event: e, New: true}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, ok := l.machines[mac]; ok {
		u.Arch = m.facts.common().arch
		if b := m.current(); b != nil {
			u.Began, u.Result, u.Was, u.Rule, u.Stall = b.began.time(), b.result, b.result, b.decision().rule, b.stall
		}
	}
	l.send(&u)
}

// send gives an update to the readers. The caller holds l.mu.
func (l *Log) send(u *Update) {
	for s := range l.readers {
		u.Lost = s.lost
		select {
		case s.c <- *u:
			s.lost = 0
		default:
			s.lost++
		}
	}
}
