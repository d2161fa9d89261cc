package events

import (
	"time"
	"unique"
)

// A Transfer is a file on its way to a machine. A nil *Transfer takes everything.
type Transfer struct {
	log   *Log
	mac   MAC
	at    func() int64
	off   int64     // where position was when it was last told
	moved time.Time // when that was; zero: it has not moved
}

// Start records that a file is on its way: a step that is Active until End. at
// tells how many bytes of it are sent; it is called by others, with a lock held,
// from now until End has returned, so that it must be quick and safe for concurrent
// use. Nil: nobody knows until the end.
func (l *Log) Start(mac MAC, e Event, at func() int64) *Transfer {
	if l == nil {
		return nil
	}
	t := &Transfer{log: l, mac: mac, at: at}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active[t] = struct{}{}
	l.add(mac, &e, t)
	return t
}

// End records that the transfer is over, having sent so many bytes of the file.
// Where more than a word is to be said, it is the detail. How it ended is for an
// event of its own to tell, if it failed.
func (t *Transfer) End(bytes int64, detail string) {
	if t == nil {
		return
	}
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, t)
	t.at = nil
	m, b, s := t.find()
	if s == nil {
		return // forgotten
	}
	s.sent.bytes, s.sent.end, s.sent.transfer = bytes, stampOf(time.Now()), nil
	if detail != "" {
		w := s.what.Value()
		w.Detail = clean(detail, MaxDetail)
		s.what = unique.Make(w)
	}
	l.touch(m)
	l.tell(m, b, b.result, s, false)
}

// find is the step of the transfer. The caller holds l.mu.
func (t *Transfer) find() (*machine, *run, *step) {
	m, ok := t.log.machines[t.mac]
	if !ok {
		return nil, nil, nil
	}
	for i := range m.boots {
		b := &m.boots[i]
		for j := range b.steps {
			if s := &b.steps[j]; s.sent != nil && s.sent.transfer == t {
				return m, b, s
			}
		}
	}
	return nil, nil, nil
}

func (t *Transfer) position() int64 {
	if t.at == nil {
		return 0
	}
	return t.at()
}

// Tick tells the readers how far the transfers are that have got on since the last
// call, at the time of now. Somebody is to call it every second or so, since it is
// also how it is known that one does not get on.
func (l *Log) Tick(now time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range l.active {
		at := t.position()
		if at == t.off {
			continue
		}
		t.off, t.moved = at, now
		if m, b, s := t.find(); s != nil {
			l.tell(m, b, b.result, s, false)
		}
	}
}
