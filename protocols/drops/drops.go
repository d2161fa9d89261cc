// Package drops counts the requests that a listener did not serve, by reason.
//
//	dhcp4 ─┐
//	tftp  ─┼─▶ Counts.Add(reason) ─▶ Counts.All ─▶ status: "dhcp 0.0.0.0:67  relay  41"
//	http  ─┘
//
// # Decisions
//
// A network is full of requests that are none of ours, and a log line for each
// would hide what matters; but "does the machine's request come here at all" is
// the first question of whoever stands before a screen that waits. So each request
// that gets nothing is counted, also where the log is silent, and the log's debug
// level has the single ones.
//
// The reasons are a fixed set, and a Counts is an array of them: no client can
// make it grow, to count costs one atomic addition, and metrics can take the words
// for labels as they are.
//
// A request at which this program panics is one of them: it alone is Failed, and the
// loop that it came to goes on with all others (Contain). So what a request runs gives
// back what it holds by defer, wherever something under it could go wrong.
package drops

import (
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// A Reason is why a request got nothing.
type Reason uint8

// The reasons, from what is not ours at all to what should have been served.
const (
	Malformed    Reason = iota // it does not parse, or asks for what the protocol does not have
	OtherMessage               // a DHCP message that the port does not answer: those to the network's own server
	NoNetBoot                  // from DHCP clients that do not boot from the network
	UnknownArch                // of an architecture type that this version does not know
	Interface                  // came in by an interface that the configuration leaves out
	Relay                      // came by a relay that the listener does not name
	NotRelayed                 // came without a relay, and the listener has broadcast = false
	NotFound                   // there is no such file
	Ignored                    // by a rule, or since none matches
	Held                       // the daemon, or the rule, is on hold
	Busy                       // too much at a time
	Unheard                    // the client of a TFTP transfer acknowledged nothing of it
	Unverified                 // for a file that is not, or cannot be shown to be, what it must be
	Failed                     // there is no answer: the log has a warning that says why
	reasons
)

var words = [reasons]string{
	"malformed", "other-message", "no-netboot", "unknown-arch", "interface", "relay", "not-relayed",
	"not-found", "ignored", "on-hold", "busy", "no-answer", "unverified", "failed",
}

// String is the fixed word that status and JSON use.
func (r Reason) String() string {
	if r < reasons {
		return words[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText writes the word of String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word of String.
func (r *Reason) UnmarshalText(text []byte) error {
	i := slices.Index(words[:], string(text))
	if i < 0 {
		return fmt.Errorf("reason %q: not one of %v", text, words)
	}
	*r = Reason(i)
	return nil
}

// Counts are those of one listener. The zero Counts is ready, and safe for
// concurrent use; a nil *Counts counts nothing.
type Counts struct{ n [reasons]atomic.Uint64 }

// Add counts one request.
func (c *Counts) Add(r Reason) {
	if c != nil {
		c.n[r].Add(1)
	}
}

// All yields the reasons that there have been, in their order, and how often.
func (c *Counts) All() iter.Seq2[Reason, uint64] {
	return func(yield func(Reason, uint64) bool) {
		if c == nil {
			return
		}
		for r := range reasons {
			if n := c.n[r].Load(); n > 0 && !yield(r, n) {
				return
			}
		}
	}
}
