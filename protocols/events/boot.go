package events

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Result is what became of a boot.
type Result uint8

// The results.
const (
	Running     Result = iota // it goes on
	Booted                    // the machine has all that it needs from here
	BootedLocal               // it was told to boot its own disk
	BootIgnored               // it is not to boot from here
	Stalled                   // the next step is overdue: Boot.Stall says why
	BootFailed                // the last step went wrong: Boot.Stall says why, once the machine has not tried again
)

var resultWords = [...]string{"running", "booted", "local", "ignored", "stalled", "failed"}

// Results lists every result, in order.
func Results() []Result {
	all := make([]Result, len(resultWords))
	for i := range all {
		all[i] = Result(i)
	}
	return all
}

// String is the fixed word that logs and JSON use.
func (r Result) String() string { return word(resultWords[:], uint8(r), "result") }

// MarshalText writes the word of String.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word of String.
func (r *Result) UnmarshalText(text []byte) error {
	return read((*uint8)(r), resultWords[:], text, "result")
}

// A Stall is why a boot does not go on.
type Stall struct {
	Time  time.Time `json:"time"`          // when it was told
	Since time.Time `json:"since"`         // the last step
	Word  string    `json:"word"`          // of a fixed set: package stalls
	Due   string    `json:"due"`           // what should have come
	Cause string    `json:"cause"`         // a sentence: what is likely wrong, and the way out
	Seen  time.Time `json:"seen,omitzero"` // the Latest of the boot when it was judged
}

// A Boot is one boot of a machine, from its first DISCOVER on.
type Boot struct {
	Began    time.Time `json:"began"`    // tells it from the machine's other boots
	Attempts int       `json:"attempts"` // how often the machine began before it got further than DHCP
	Result   Result    `json:"result"`
	Rule     string    `json:"rule,omitempty"` // of the last step that has one; likewise:
	Boot     string    `json:"boot,omitempty"`
	Gen      uint64    `json:"generation,omitempty"`
	Over     bool      `json:"over,omitempty"`     // the machine has begun another one since
	Stall    *Stall    `json:"stall,omitempty"`    // while Result is Stalled or BootFailed; never modified
	Steps    []Event   `json:"steps"`              // in the order in which they began, at most MaxSteps
	LeftOut  int       `json:"left_out,omitempty"` // steps from the middle that were forgotten
}

// Latest is when something happened in it last.
func (b Boot) Latest() time.Time {
	at := b.Began
	for i := range b.Steps {
		if t := b.Steps[i].Latest(); t.After(at) {
			at = t
		}
	}
	return at
}

// Find is its last step of that kind; nil where there is none.
func (b Boot) Find(k Kind) *Event {
	for i := len(b.Steps) - 1; i >= 0; i-- {
		if b.Steps[i].Kind == k {
			return &b.Steps[i]
		}
	}
	return nil
}

// A Machine is what a Log knows of one machine.
type Machine struct {
	MAC   MAC
	Facts Facts
	Boots []Boot // oldest first, at most MaxBoots
}

// Current is the boot that the machine is in, or was in last; nil where none is
// known.
func (m *Machine) Current() *Boot {
	if len(m.Boots) == 0 {
		return nil
	}
	return &m.Boots[len(m.Boots)-1]
}

// Events are the steps of all boots, oldest first.
func (m Machine) Events() []Event {
	var all []Event
	for _, b := range m.Boots {
		all = append(all, b.Steps...)
	}
	return all
}

// Last is the event that happened last, or was repeated last; false where there is
// none.
func (m Machine) Last() (last Event, ok bool) {
	for _, e := range m.Events() {
		if !ok || !e.Latest().Before(last.Latest()) {
			last, ok = e, true
		}
	}
	return last, ok
}

// Latest is when the machine was heard of last; zero where that is not known.
func (m Machine) Latest() time.Time {
	var at time.Time
	for _, b := range m.Boots {
		if t := b.Latest(); t.After(at) {
			at = t
		}
	}
	return at
}

// machineJSON is a Machine with the address as people write it, with colons.
type machineJSON struct {
	MAC   string `json:"mac"`
	Facts Facts  `json:"facts"`
	Boots []Boot `json:"boots"`
}

// MarshalJSON writes an object with mac, facts and boots.
func (m Machine) MarshalJSON() ([]byte, error) {
	return json.Marshal(machineJSON{net.HardwareAddr(m.MAC[:]).String(), m.Facts, m.Boots})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Machine) UnmarshalJSON(b []byte) error {
	var j machineJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	mac, err := parseMAC(j.MAC)
	if err != nil {
		return err
	}
	*m = Machine{mac, j.Facts, j.Boots}
	return nil
}

func parseMAC(s string) (MAC, error) {
	mac, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, err
	}
	if len(mac) != len(MAC{}) {
		return MAC{}, fmt.Errorf("machine %q: not an Ethernet address", s)
	}
	return MAC(mac), nil
}

// A Server is a DHCP server that machines were seen to take addresses from.
type Server struct {
	Addr  netip.Addr `json:"address"` // as it identifies itself (RFC 2132 §9.7)
	First time.Time  `json:"first"`
	Last  time.Time  `json:"last"`
	Count uint64     `json:"count"` // requests that chose it
}
