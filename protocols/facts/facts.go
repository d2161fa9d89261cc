// Package facts remembers what each machine said in DHCP, for the servers that
// it comes to afterwards: TFTP and HTTP hear nothing of a relay or a circuit,
// and a rule that hangs on one must decide there as it did in DHCP.
//
//	dhcp4 ── Heard ──▶ Table: MAC → *boot.Facts ── Of ──▶ bootfiles (TFTP, HTTP)
//	                                                          │
//	                   serial, product, … from inside iPXE ───┴─▶ Machine.Facts
//	                                              │
//	                              Report ──▶ Reported, for the files of this boot
//
// # Decisions
//
// The token in a boot file's name carries what cannot be done without (MAC and
// architecture type) and this table the rest, because file names have room for
// little. What is lost with it, by a restart or by eviction, the machine tells
// again: its loader is served all the same, and iPXE's own DHCP request fills
// the table anew. So nothing is written to disk.
//
// A boot is what its first request says. When the firmware's PXE is followed by
// iPXE's own request within SameBoot, that is the same boot further on, and
// brings other classes from the same machine; it changes nothing, so that a
// rule on them means the same at each stage.
//
// What iPXE reports comes with the request for a script, and belongs to the boot
// until the next one begins. The files that are made for a machine while it
// boots ask for it then: a kernel fetches them, and reports nothing.
//
// A MAC address costs its sender nothing, so the table has a bound, MaxMachines,
// and forgets the machine that was silent longest. A flood of invented
// addresses costs real machines no more than what a restart does.
package facts

import (
	"container/list"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// MaxMachines is how many machines a Table remembers.
	MaxMachines = 16384
	// SameBoot is how long after the firmware's request one of iPXE belongs to
	// the same boot.
	SameBoot = 10 * time.Minute
	// MaxText is the length of a text in bytes.
	MaxText = 255
)

// A Table is safe for concurrent use. Use New to make one; a nil *Table
// remembers nothing.
type Table struct {
	mu       sync.Mutex
	machines map[[6]byte]*list.Element // of *entry
	recent   *list.List                // the machine that was heard or asked for last is in front
}

type entry struct {
	mac   [6]byte
	at    time.Time
	facts *boot.Facts // said in DHCP; nil where only iPXE has reported
	// reported is what iPXE has told in this boot, with facts; nil before.
	reported *boot.Facts
}

// New makes an empty Table.
func New() *Table {
	return &Table{machines: map[[6]byte]*list.Element{}, recent: list.New()}
}

// Heard takes what a machine said at the time of now, which must not be
// modified afterwards, and returns the facts to go by: those of the boot that
// the request belongs to. A request that cannot tell all of boot.DHCPFacts but
// the UUID, as one on the boot server's port, replaces none that could, and is
// replaced by any that can.
func (t *Table) Heard(mac [6]byte, said *boot.Facts, now time.Time) *boot.Facts {
	if t == nil {
		return said
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	const whole = boot.DHCPFacts &^ boot.FactUUID
	e := t.entry(mac)
	switch {
	case e == nil:
		e = t.add(mac)
	case e.facts == nil, !e.facts.Knows(whole) && said.Knows(whole):
	case e.facts.Knows(whole) && !said.Knows(whole),
		said.IPXE && !e.facts.IPXE && now.Sub(e.at) < SameBoot:
		return e.facts
	}
	e.at, e.facts, e.reported = now, said, nil
	return said
}

// Report takes what is known of a machine once iPXE has told: what it said in
// DHCP is among it. all must not be modified afterwards.
func (t *Table) Report(mac [6]byte, all *boot.Facts) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(mac)
	if e == nil { // another DHCP server sent it here, or this one was restarted
		e = t.add(mac)
	}
	e.reported = all
}

// Reported is what Report has taken in the machine's present boot; nil where
// that is nothing. It must not be modified.
func (t *Table) Reported(mac net.HardwareAddr) *boot.Facts {
	if t == nil || len(mac) != 6 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entry([6]byte(mac)); e != nil {
		return e.reported
	}
	return nil
}

// Of is what is remembered of the machine; nil where that is nothing. It must
// not be modified.
func (t *Table) Of(mac net.HardwareAddr) *boot.Facts {
	if t == nil || len(mac) != 6 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entry([6]byte(mac)); e != nil {
		return e.facts
	}
	return nil
}

// add makes the entry of a machine that has none, at the cost of the one that
// was silent longest. The caller holds t.mu.
func (t *Table) add(mac [6]byte) *entry {
	if t.recent.Len() >= MaxMachines {
		oldest := t.recent.Back()
		delete(t.machines, oldest.Value.(*entry).mac)
		t.recent.Remove(oldest)
	}
	e := &entry{mac: mac}
	t.machines[mac] = t.recent.PushFront(e)
	return e
}

// entry finds a machine and moves it to the front. The caller holds t.mu.
func (t *Table) entry(mac [6]byte) *entry {
	e, ok := t.machines[mac]
	if !ok {
		return nil
	}
	t.recent.MoveToFront(e)
	return e.Value.(*entry)
}

// Text makes a client's text fit for a fact: what prints of its first MaxText
// bytes, without spaces at either end.
func Text(s string) string {
	// It is cut before it is looked at, so that the cost is bounded too.
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), MaxText)]))
}
