package boots

import "github.com/pixiecore/pixiecore/booters/boot"

// Of the machines that a Memory remembers, those that boot at the moment are the recent
// ones. What the others have said lies packed until they are heard or asked for again:
// machines of one model on one network differ in their UUID only, so that 16 bytes are
// left for each of 340.
//
//	heard, asked for ─▶ recent ── more than maxRecent ─▶ quiet ── more than MaxMachines ─▶ forgotten
//	                      ▲            pack                │
//	                      └───────────── unpack ───────────┘
//
// So the answer to a machine that boots makes nothing anew, and what has been handed out
// stays as it is.
const (
	// maxRecent is how many machines have their Facts at hand. One that asks among more
	// than these costs some 1.5 µs more.
	maxRecent = 4096
	// maxCommon is how many Facts are looked through for those that a machine has in
	// common with others. A network has as many as it has kinds of firmware, and relays;
	// where a relay tells each port from the next (RFC 3046), there is nothing to share.
	maxCommon = 16
)

// order is that in which machines were heard or asked for: the last is in front. The zero
// value has none. A place in a container/list would be 64 bytes more for each.
type order struct {
	front, back *machine
	n           int
}

// add puts in front a machine that is in no order.
func (o *order) add(b *machine) {
	b.newer, b.older = nil, o.front
	if o.front == nil {
		o.back = b
	} else {
		o.front.newer = b
	}
	o.front = b
	o.n++
}

// remove takes out one of them.
func (o *order) remove(b *machine) {
	if b.newer == nil {
		o.front = b.older
	} else {
		b.newer.older = b.older
	}
	if b.older == nil {
		o.back = b.newer
	} else {
		b.older.newer = b.newer
	}
	b.newer, b.older = nil, nil
	o.n--
}

// come makes a machine that is in no order the most recent. The caller holds m.mu.
func (m *Memory) come(b *machine) {
	b.unpack()
	b.quiet = false
	m.recent.add(b)
	if m.recent.n > maxRecent {
		last := m.recent.back
		m.recent.remove(last)
		m.pack(last)
		last.quiet = true
		m.quiet.add(last)
	}
}

// leave takes a machine out of the order that it is in. The caller holds m.mu.
func (m *Memory) leave(b *machine) {
	if b.quiet {
		m.quiet.remove(b)
	} else {
		m.recent.remove(b)
	}
}

// pack makes what the machine has said one with what others have, but for its UUID. The
// caller holds m.mu.
func (m *Memory) pack(b *machine) {
	if b.facts == nil {
		return
	}
	if b.facts.Knows(boot.FactUUID) {
		id, err := boot.UUIDOctets(b.facts.UUID)
		var text [36]byte
		if err != nil || string(boot.AppendUUID(text[:0], id)) != b.facts.UUID {
			return
		}
		b.uuid = id
	}
	for _, c := range m.common {
		if c != nil && c.Alike(b.facts) {
			b.facts, b.packed = c, true
			return
		}
	}
	c := *b.facts
	c.UUID = ""
	b.facts, b.packed = &c, true
	m.common[m.replaced] = &c
	m.replaced = (m.replaced + 1) % maxCommon
}

// unpack undoes what pack did.
func (b *machine) unpack() {
	if b.packed && b.facts.Knows(boot.FactUUID) { // else there is nothing of its own
		own := *b.facts
		own.UUID = boot.FormatUUID(b.uuid)
		b.facts = &own
	}
	b.packed = false
}
