package events

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MAC is a machine's Ethernet address.
type MAC = [6]byte

// Kind is what happened.
type Kind uint8

// The kinds, in the order of a boot that goes well, up to Local. Those behind it
// can come at any time.
const (
	Asked      Kind = iota // the firmware sent a DISCOVER or SOLICIT
	Offered                // an offer or advertisement was sent
	Address                // the machine takes an address from a DHCP server: Detail names it
	BootServer             // the machine asked port 4011 and was answered
	Loader                 // the network boot program is sent
	IPXE                   // iPXE runs, and sent a DISCOVER or SOLICIT of its own
	Autoexec               // iPXE runs, and was sent autoexec.ipxe
	Reporting              // iPXE reached the HTTP server, which asked it for its facts
	Script                 // an iPXE script, or another loader's configuration, was sent
	Kernel                 // a kernel is sent
	Initrd                 // an initial RAM disk is sent
	File                   // another file is sent
	Booting                // the machine has all it needs and starts the kernel
	PhonedHome             // the system that was started says that it has done its work
	Local                  // the machine was told to boot its own disk
	Ignored                // the machine is not to boot from here
	Failed                 // something went wrong: Fault and Detail say what
	Moved                  // the boot goes on with another generation than it began with
	Written                // the machine has written to the address of a file
	Noticed                // the machine boots all the same: Detail says what the operator should act on

	// Those of an operator, which are no steps: see Log.Tell.

	Armed    // the machine may boot once what it boots only when it is armed
	Disarmed // that was taken back
	Chosen   // what the machine boots next in place of what its rule says: Detail
)

var kindWords = [...]string{
	"asked", "offered", "address", "boot-server", "loader", "ipxe", "autoexec", "reporting", "script", "kernel", "initrd", "file",
	"booting", "phoned-home", "local", "ignored", "failed", "moved", "written", "noticed",
	"armed", "disarmed", "chosen",
}

// Kinds lists every kind, in order.
func Kinds() []Kind {
	all := make([]Kind, len(kindWords))
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// String is the fixed word that logs and JSON use.
func (k Kind) String() string { return word(kindWords[:], uint8(k), "kind") }

// MarshalText writes the word of String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the word of String.
func (k *Kind) UnmarshalText(text []byte) error {
	return read((*uint8)(k), kindWords[:], text, "event kind")
}

// Step reports whether k is one of the steps by which a boot goes on.
func (k Kind) Step() bool { return k <= Local }

// Fault is what kind of thing went wrong, where the server that failed can tell.
type Fault uint8

// The faults.
const (
	FaultOther      Fault = iota // the detail is all that is known
	FaultNoAnswer                // TFTP: the client has not acknowledged the options, nor a block
	FaultFirstBlock              // TFTP: it acknowledged the options, and no block of BlockSize bytes
	FaultCut                     // the transfer was broken off
	FaultMissing                 // there is no such file
	FaultDigest                  // the file has another digest than it must have, or nobody can say which
	FaultAPI                     // who has the last word (an API) did not give it in time
	FaultNoLoader                // there is no loader for the platform
	FaultNoHTTP                  // the machine's iPXE cannot load by HTTP, and our loader is no better
	FaultDenied                  // the configuration leaves out where the request came from
	FaultScript                  // the script cannot be made
)

var faultWords = [...]string{
	"other", "no-answer", "first-block", "cut", "missing", "digest", "api", "no-loader", "no-http", "denied", "script",
}

// String is the fixed word that logs and JSON use.
func (f Fault) String() string { return word(faultWords[:], uint8(f), "fault") }

// MarshalText writes the word of String.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the word of String.
func (f *Fault) UnmarshalText(text []byte) error {
	return read((*uint8)(f), faultWords[:], text, "fault")
}

// An Event is one thing that a machine did or was given: a step of its boot.
type Event struct {
	Time  time.Time `json:"time"`                 // when it happened (first), or began; Add fills in a zero Time
	Last  time.Time `json:"last,omitzero"`        // when it was last repeated; zero where it was not
	End   time.Time `json:"end,omitzero"`         // when a transfer ended; zero for others and while it runs
	Count int       `json:"count"`                // how often; Add counts
	Kind  Kind      `json:"kind"`                 //
	Rule  string    `json:"rule,omitempty"`       // the rule that decided; empty where none did
	Boot  string    `json:"boot,omitempty"`       // the boot block, where one is known
	Gen   uint64    `json:"generation,omitempty"` // of the configuration; 0: none, or one before a restart

	Via       string `json:"via,omitempty"`        // "dhcp", "pxe", "dhcp6", "tftp", "http"; empty where it does not matter
	File      string `json:"file,omitempty"`       // the name of what is sent; cut to MaxText bytes
	Bytes     int64  `json:"bytes,omitempty"`      // sent, or acknowledged where the protocol tells
	Size      int64  `json:"size,omitempty"`       // of the whole file in bytes; 0: not known
	Active    bool   `json:"active,omitempty"`     // the transfer runs
	BlockSize int    `json:"block_size,omitempty"` // of TFTP, in bytes
	Fault     Fault  `json:"fault,omitempty"`      // of Failed
	Final     bool   `json:"final,omitempty"`      // nothing that this server would see is due after it
	Detail    string `json:"detail,omitempty"`     // a stage, an offer, a reason; cut to MaxDetail bytes
}

// Latest is when it was last repeated, or ended, or happened.
func (e Event) Latest() time.Time {
	at := e.Time
	for _, t := range [...]time.Time{e.Last, e.End} {
		if t.After(at) {
			at = t
		}
	}
	return at
}

// Took is how long a transfer took, or has been running at now; 0 for others.
func (e Event) Took(now time.Time) time.Duration {
	switch {
	case e.Active:
		return now.Sub(e.Time)
	case e.End.IsZero():
		return 0
	}
	return e.End.Sub(e.Time)
}

// Rate is a transfer's mean rate in bytes a second, up to now; 0 where it is not
// known.
func (e Event) Rate(now time.Time) float64 {
	if took := e.Took(now); took > 0 {
		return float64(e.Bytes) / took.Seconds()
	}
	return 0
}

// Percent is how much of the file was sent, from 0 to 100; -1 where it is not known.
func (e Event) Percent() int {
	if e.Size <= 0 {
		return -1
	}
	return int(min(e.Bytes, e.Size) * 100 / e.Size)
}

// What says in a clause what there is to it beside its kind: "linux, 4.0 MiB of
// 12.0 MiB (33 %), 2.0 MiB/s".
func (e Event) What(now time.Time) string {
	var parts []string
	if e.File != "" {
		parts = append(parts, e.File)
	}
	switch whole := e.Size <= 0 || e.Bytes >= e.Size; {
	case e.Bytes == 0 && !e.Active && e.End.IsZero():
	case whole && e.Bytes > 0:
		parts = append(parts, Size(e.Bytes))
	case !whole:
		parts = append(parts, fmt.Sprintf("%s of %s (%d %%)", Size(e.Bytes), Size(e.Size), e.Percent()))
		if !e.Active {
			parts = append(parts, "broken off")
		}
	}
	if took := e.Took(now); took >= rateFrom && e.Bytes > 0 {
		parts = append(parts, Size(int64(e.Rate(now)))+"/s")
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, ", ")
}

// rateFrom is how long a transfer must have taken for its rate to mean something.
const rateFrom = 100 * time.Millisecond

// Size writes a size in bytes for people, in units of 1024.
func Size(n int64) string {
	const units = "KMGT"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/(1<<10), 0
	for x >= 1<<10 && unit < len(units)-1 {
		x, unit = x/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", x, units[unit])
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

// clean makes a client's text fit to be shown: printable, on one line, at most so
// many bytes.
func clean(s string, most int) string {
	// A longer text is cut before it is looked at, so that the cost is bounded
	// too. What is cut may be half a rune, which is no printable one.
	s = s[:min(len(s), most)]
	if plain(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// plain reports whether s is fit as it is, as nearly every one is: ASCII that prints,
// without a space at either end.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

// word is the fixed word of a value.
func word(words []string, v uint8, what string) string {
	if int(v) < len(words) {
		return words[v]
	}
	return fmt.Sprintf("%s %d", what, v)
}

// read is the value of a fixed word.
func read(v *uint8, words []string, text []byte, what string) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return fmt.Errorf("%s %q: not one of %v", what, text, words)
	}
	*v = uint8(i)
	return nil
}
