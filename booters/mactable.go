package booters

import (
	"math/bits"
	"slices"
)

// A macTable finds the candidates under a MAC address, or the part of one that a mask
// leaves, by one look at memory: among 100,000 rules that is where the time of a lookup
// goes. A map of Go takes several, and half as much room again: 6.3 MB for them, and this
// 4.2. So a lookup by MAC address takes 40 to 80 ns among 1,000 rules and among 100,000
// (BenchmarkDecide).
//
// It is a hash table with open addressing, of which at most half is taken. Who sends
// MAC addresses chooses neither what is in it nor where: the worst that he can do is to
// ask for the longest run of slots.
type macTable struct {
	slots []macSlot // 2^n of them; nil: the table is empty
	taken int
	mores []more
	sets  []classSet // those of first candidates, each once; the first of them is all classes
}

// A macSlot is a bucket.
type macSlot struct {
	key  uint64 // the value in its lower 48 bits, the first candidate's set in the next 15, and its rest in the highest
	next int32  // the first candidate's rule, plus 1; 0: the slot is free
	more int32  // place in mores, plus 1; 0: there is but one candidate
}

const (
	restBit = 1 << 63
	maxSets = 256 // few files have more than ten
)

func (s *macSlot) rule() int32 { return s.next - 1 }

// at is where the value stands, or the free slot where it may.
func (t *macTable) at(value uint64) *macSlot {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: neighbours are spread
	n := uint64(len(t.slots))
	for i := value * golden >> (64 - bits.TrailingZeros64(n)); ; i++ {
		if s := &t.slots[i&(n-1)]; s.next == 0 || s.key&exactMask == value {
			return s
		}
	}
}

// find is the slot of a value; nil if there is none.
func (t *macTable) find(value uint64) *macSlot {
	if s := t.at(value); s.next != 0 {
		return s
	}
	return nil
}

// candidate is the first one of the slot.
func (t *macTable) candidate(s *macSlot) candidate {
	return candidate{in: t.sets[s.key&^restBit>>macBits], rule: s.rule(), rest: s.key&restBit != 0}
}

// add appends a candidate under a value, see bucket.add.
func (t *macTable) add(value uint64, c candidate) {
	if 2*(t.taken+1) > len(t.slots) {
		t.grow()
	}
	s := t.at(value)
	if s.next == 0 {
		t.taken++
		s.key, s.next = value|t.set(&c)<<macBits, c.rule+1
		if c.rest {
			s.key |= restBit
		}
		return
	}
	b := bucket{first: t.candidate(s)}
	if s.more != 0 {
		b.more = &t.mores[s.more-1]
	}
	if b.add(c); b.more != nil && s.more == 0 {
		t.mores = append(t.mores, *b.more)
		s.more = int32(len(t.mores))
	}
}

// set is the number of c's classes. Should there be more kinds of them than anybody
// needs, the rule is one for all classes, which its rest then tells apart.
func (t *macTable) set(c *candidate) uint64 {
	if i := slices.Index(t.sets, c.in); i >= 0 {
		return uint64(i)
	}
	if len(t.sets) == maxSets {
		c.rest = true
		return 0
	}
	if len(t.sets) == 0 {
		var all classSet
		for k := range numClasses {
			all.add(class(k))
		}
		t.sets = []classSet{all}
		return t.set(c)
	}
	t.sets = append(t.sets, c.in)
	return uint64(len(t.sets) - 1)
}

func (t *macTable) grow() {
	old := t.slots
	t.slots = make([]macSlot, max(4, 2*len(old)))
	for _, s := range old {
		if s.next != 0 {
			*t.at(s.key & exactMask) = s
		}
	}
}
