// Package status is the document of what the daemon does: a Report, which is told
// over HTTP (package page), to the operator's commands (package control), and by
// the commands to people.
//
//	Daemon ─▶ Report ─┬▶ page:    /api/v1/status, and the pages made of it
//	                  └▶ control: `pixiecore status`
//
// # Decisions
//
// A start on the last good configuration, or on none, stands in the document
// too, as standin, until the file is mended.
//
// The document is values only, without a reference into what is served: whoever has
// one can keep it, and write it as JSON.
package status

import (
	"fmt"
	"time"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A Report is the document of /api/v1/status.
type Report struct {
	Version        string           `json:"version"`
	Started        time.Time        `json:"started"`
	Generation     uint64           `json:"generation"`
	Loaded         time.Time        `json:"loaded"` // when this generation was published
	Files          []string         `json:"files"`
	Standin        string           `json:"standin,omitempty"`     // why it is not what the file says since the start: one line
	Problems       []config.Problem `json:"problems,omitempty"`    // what there is to say of what is served: warnings
	LastReload     *Reload          `json:"last_reload,omitempty"` // absent before the first, and when HeldEdit tells instead
	HeldEdit       *HeldEdit        `json:"held_edit,omitempty"`   // absent unless there is one
	Listeners      []string         `json:"listeners"`
	Waiting        []Waiting        `json:"waiting,omitempty"` // listeners that hear no machine yet
	Dropped        []Dropped        `json:"dropped,omitempty"` // requests that were not served
	Rules          []Rule           `json:"rules"`
	Loaders        []Loader         `json:"loaders"`
	Cache          *Cache           `json:"cache,omitempty"` // absent where the configuration has none
	Holds          []Hold           `json:"holds,omitempty"`
	MissingLoaders []string         `json:"missing_loaders,omitempty"` // a sentence each
	NeededLoaders  []string         `json:"needed_loaders,omitempty"`  // of those, the ones without which most machines, or those of a rule, do not boot
	Once           []Once           `json:"once,omitempty"`            // machines that are armed, or were; by name
	OnceError      string           `json:"once_error,omitempty"`      // why nothing is known of them, so that they count as spent
	Next           []Next           `json:"next,omitempty"`            // machines that boot something else than their rule says, one time; by name
	Machines       []events.Machine `json:"machines"`                  // the one heard of last comes first
}

// A Once is how far a machine is that boots something once.
type Once struct {
	Machine string    `json:"machine"` // its name, else its UUID, else its MAC address
	State   string    `json:"state"`   // "disarmed", "armed", "installing" or "spent"
	Since   time.Time `json:"since"`
	By      string    `json:"by,omitempty"`    // what brought it there: "operator", "phone-home" or "booting"
	Boot    string    `json:"boot,omitempty"`  // what it boots, or has booted
	Boots   int       `json:"boots,omitempty"` // how many of its boots have used the arm
	Damage  string    `json:"damage,omitempty"`
}

// A Next is what a machine boots one time in place of what its rule says.
type Next struct {
	Machine string    `json:"machine"` // its name, else its UUID, else its MAC address
	Boot    string    `json:"boot"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`         // when it is dropped, unless a boot has used it
	Used    time.Time `json:"used,omitzero"` // when its boot began with it; zero: none has
}

// A Waiting is a listener that waits for something of this host, such as an interface.
type Waiting struct {
	Listener string `json:"listener"` // as in Report.Listeners
	Why      string `json:"why"`      // what it waits for, and what mends it, as a clause
}

// A Dropped says how often a listener did not serve a request for one reason, since
// it was opened.
type Dropped struct {
	Listener string       `json:"listener"` // as in Report.Listeners
	Reason   drops.Reason `json:"reason"`
	Count    uint64       `json:"count"`
}

// A Cache is what is kept of remote files.
type Cache struct {
	Dir   string `json:"dir"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"` // that they take on disk
	Max   int64  `json:"max_bytes"`
	Error string `json:"error,omitempty"` // why the directory cannot be read
	// Prefetch is how far it is filled beforehand; absent where that is not wanted.
	Prefetch *Prefetch `json:"prefetch,omitempty"`
}

// A Prefetch is how far the cache is filled with what machines can come to need.
type Prefetch struct {
	Generation uint64         `json:"generation"`
	Started    time.Time      `json:"started"`
	Ended      time.Time      `json:"ended,omitzero"`    // absent: it goes on
	Files      int            `json:"files"`             // of other servers that the configuration names
	Done       int            `json:"done"`              // of these that are there
	Fetched    int            `json:"fetched"`           // of these that had to be transferred
	Bytes      int64          `json:"bytes"`             // that they have
	Skipped    int            `json:"skipped,omitempty"` // machines, or kinds of them, for which a file is not known beforehand
	Failed     []FetchFailure `json:"failed,omitempty"`
	MoreFailed int            `json:"more_failed,omitempty"` // beside those in Failed
	Error      string         `json:"error,omitempty"`       // of it as a whole
}

// A FetchFailure is a file that could not be fetched.
type FetchFailure struct {
	File  string `json:"file"` // its URL, without what is secret in it
	Error string `json:"error"`
}

// Fail notes a file that could not be fetched; of more than most they are counted.
func (p *Prefetch) Fail(file, err string, most int) {
	if len(p.Failed) == most {
		p.MoreFailed++
		return
	}
	p.Failed = append(p.Failed, FetchFailure{file, err})
}

// FailedCount is how many files could not be fetched.
func (p *Prefetch) FailedCount() int { return len(p.Failed) + p.MoreFailed }

// String says it in a clause.
func (p Prefetch) String() string {
	s := fmt.Sprintf("%d of %d files are there beforehand", p.Done, p.Files)
	if p.Ended.IsZero() {
		s = fmt.Sprintf("files are fetched beforehand: %d of %d are there", p.Done, p.Files)
	}
	if p.Fetched > 0 {
		s += fmt.Sprintf(", %d of them fetched since %s: %s", p.Fetched, p.Started.Format("15:04"), Bytes(p.Bytes))
	}
	if n := p.FailedCount(); n > 0 {
		s += fmt.Sprintf("; %d could not be fetched", n)
	}
	if p.Error != "" {
		s += "; " + p.Error
	}
	return s
}

// Way is the way out where files could not be fetched; empty: all is well.
func (p Prefetch) Way() string {
	if p.FailedCount() == 0 {
		return ""
	}
	return "a machine that needs one fetches it then; `pixiecore fetch` tries all of them again"
}

// String says it in a clause.
func (c Cache) String() string {
	if c.Error != "" {
		return fmt.Sprintf("%s cannot be read: %s", c.Dir, c.Error)
	}
	return fmt.Sprintf("%s keeps %d files: %s of %s", c.Dir, c.Files, Bytes(c.Bytes), Bytes(c.Max))
}

// Bytes writes a size for people, in units of 1024.
func Bytes(n int64) string { return events.Size(n) }

// A Reload is the verdict on an edit.
type Reload struct {
	Time     time.Time        `json:"time"`
	OK       bool             `json:"ok"`
	Error    string           `json:"error,omitempty"`
	Problems []config.Problem `json:"problems,omitempty"`
}

// A HeldEdit is an edit of the file that is not served until somebody asks for it,
// by the reload block.
type HeldEdit struct {
	Since   time.Time `json:"since"`
	Why     string    `json:"why"` // a sentence: the figures and the way out
	Changed int       `json:"changed,omitempty"`
	Removed int       `json:"removed,omitempty"`
	Of      int       `json:"of,omitempty"` // machines that were compared
}

// A Rule is one of the running configuration, in order.
type Rule struct {
	Name   string `json:"name"`
	At     string `json:"at,omitempty"` // "pixiecore.hcl:12"
	Action string `json:"action"`
	Boot   string `json:"boot,omitempty"`
}

// A Hold is what the daemon does not answer until it is told to resume.
type Hold struct {
	Rule   string    `json:"rule,omitempty"` // empty: everything
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"` // the operator's
}

// Why says it in a clause.
func (h Hold) Why() string {
	what := "the daemon is on hold"
	if h.Rule != "" {
		what = fmt.Sprintf("rule %q is on hold", h.Rule)
	}
	if h.Reason != "" {
		what += ": " + h.Reason
	}
	return what
}

// A Loader is a network boot program that is served.
type Loader struct {
	Firmware string `json:"firmware"`
	File     string `json:"file"`
	SHA256   string `json:"sha256"`
	Version  string `json:"version,omitempty"`
	Warning  string `json:"warning,omitempty"`
}
