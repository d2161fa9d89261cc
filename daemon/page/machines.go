package page

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// Machines are those that were heard of and fit the query, the one heard of last
// first.
type Machines struct {
	Generation uint64           `json:"generation"`
	All        int              `json:"all"`      // machines that are remembered
	Matching   int              `json:"matching"` // of them, those that fit; Machines has at most limit of these
	Results    map[string]int   `json:"results"`  // how many of those that fit the text have which result
	Machines   []MachineSummary `json:"machines"`
}

// A MachineSummary is one that was heard of, and the boot that it is in or was in last.
type MachineSummary struct {
	MAC     string         `json:"mac"`
	Name    string         `json:"name,omitempty"` // in the inventory; empty for a stranger
	Facts   events.Facts   `json:"facts"`
	Result  *events.Result `json:"result,omitempty"` // of the boot; it and what follows is absent where no boot is known
	Began   time.Time      `json:"began,omitzero"`
	Latest  time.Time      `json:"latest,omitzero"` // when something happened in it last
	Rule    string         `json:"rule,omitempty"`
	Boot    string         `json:"boot,omitempty"`
	Gen     uint64         `json:"generation,omitempty"`
	Step    *events.Event  `json:"step,omitempty"`    // the last one
	Doing   string         `json:"doing,omitempty"`   // the last step in words
	Percent *int           `json:"percent,omitempty"` // of the file that is on its way; absent where there is none, or its size is not known
	Stall   *events.Stall  `json:"stall,omitempty"`   // why it does not go on
	Once    *status.Once   `json:"once,omitempty"`    // how far it is with what it boots once; absent where nothing is known of that
	Next    *status.Next   `json:"next,omitempty"`    // what it boots one time in place of what its rule says; absent where nothing is chosen
}

// A MachineDetail is all that is known of one machine, and what becomes of it.
type MachineDetail struct {
	Name        string               `json:"name,omitempty"` // in the inventory; empty for a stranger
	Machine     events.Machine       `json:"machine"`
	Once        *status.Once         `json:"once,omitempty"`        // how far it is with what it boots once; absent where nothing is known of that
	Next        *status.Next         `json:"next,omitempty"`        // what it boots one time in place of what its rule says; absent where nothing is chosen
	Explanation *control.Explanation `json:"explanation,omitempty"` // of its next boot, by what it said last
	Error       string               `json:"error,omitempty"`       // why there is none
}

// maxLimit bounds how many machines are told at once: all of them.
const maxLimit = events.MaxMachines

// A query is what is looked for.
type query struct {
	Text   string // in the addresses, names, facts, rules and boots; in lower case
	Result string // the word of an events.Result; empty: any
	Rule   string // empty: any
	Limit  int
}

// parseQuery reads q, result, rule and limit. usual is the limit where there is none.
func parseQuery(values url.Values, usual int) (query, error) {
	find := query{Limit: usual}
	for name, all := range values {
		value := all[len(all)-1]
		if len(value) > maxQuery {
			return find, fmt.Errorf("%s: it has at most %d bytes", name, maxQuery)
		}
		switch name {
		case "q":
			find.Text = strings.ToLower(strings.TrimSpace(value))
		case "rule":
			find.Rule = value
		case "result":
			find.Result = value
			if value != "" && !slices.ContainsFunc(events.Results(), func(r events.Result) bool { return r.String() == value }) {
				return find, fmt.Errorf("result %q: it is one of %v", value, events.Results())
			}
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxLimit {
				return find, fmt.Errorf("limit %q: it is a number from 1 to %d", value, maxLimit)
			}
			find.Limit = n
		default:
			return find, fmt.Errorf("%s: machines are looked for by q, result, rule and limit", name)
		}
	}
	return find, nil
}

// fits reports whether a machine is one that is looked for by its text and rule.
func (q query) fits(m *MachineSummary) bool {
	if q.Rule != "" && m.Rule != q.Rule {
		return false
	}
	if q.Text == "" {
		return true
	}
	f := m.Facts
	for _, text := range [...]string{
		m.MAC, m.Name, m.Rule, m.Boot, f.Arch, f.Firmware, f.UUID, f.Serial, f.Manufacturer, f.Product, f.Asset, f.Hostname, f.IP,
	} {
		if strings.Contains(strings.ToLower(text), q.Text) {
			return true
		}
	}
	// An address as other tools write it.
	return strings.Contains(m.MAC, strings.ReplaceAll(q.Text, "-", ":"))
}

// machines are those that fit.
func (s *Server) machines(find query, r status.Report, now time.Time) Machines {
	all := Machines{Generation: r.Generation, All: len(r.Machines), Results: map[string]int{}, Machines: []MachineSummary{}}
	for _, seen := range control.Recognise(s.Daemon.Running(), r.Machines, s.Daemon.Heard) {
		m := summary(seen, now)
		m.Once, m.Next = onceOf(r.Once, m.Name, m.Facts.UUID, m.MAC), nextOf(r.Next, m.Name, m.Facts.UUID, m.MAC)
		if !find.fits(&m) {
			continue
		}
		if m.Result != nil {
			all.Results[m.Result.String()]++
		}
		if find.Result != "" && (m.Result == nil || m.Result.String() != find.Result) {
			continue
		}
		all.Matching++
		if len(all.Machines) < find.Limit {
			all.Machines = append(all.Machines, m)
		}
	}
	return all
}

// summary is a machine in a line.
func summary(seen control.Seen, now time.Time) MachineSummary {
	m := MachineSummary{MAC: net.HardwareAddr(seen.Machine.MAC[:]).String(), Name: seen.Name, Facts: seen.Machine.Facts}
	b := seen.Machine.Current()
	if b == nil {
		return m
	}
	m.Result, m.Began, m.Latest, m.Rule, m.Boot, m.Gen, m.Stall = &b.Result, b.Began, b.Latest(), b.Rule, b.Boot, b.Gen, b.Stall
	m.Step = latest(b)
	if m.Step != nil {
		m.Doing = doing(*m.Step, now)
		if p := m.Step.Percent(); m.Step.Active && p >= 0 {
			m.Percent = &p
		}
	}
	return m
}

// latest is the step of a boot that was heard of last; one that runs comes first.
func latest(b *events.Boot) *events.Event {
	var found *events.Event
	for i := range b.Steps {
		e := &b.Steps[i]
		if found == nil || e.Active && !found.Active || e.Active == found.Active && !e.Latest().Before(found.Latest()) {
			found = e
		}
	}
	return found
}

// words are those of a step for people.
var words = map[events.Kind]string{
	events.Asked: "asked to boot", events.Offered: "was offered a boot", events.Address: "took an address", events.BootServer: "asked on port 4011",
	events.Loader: "loader", events.IPXE: "iPXE asked", events.Autoexec: "autoexec.ipxe", events.Reporting: "iPXE reports", events.Script: "script",
	events.Kernel: "kernel", events.Initrd: "initrd", events.File: "file", events.Booting: "starts its kernel", events.PhonedHome: "phoned home",
	events.Local: "boots its own disk", events.Ignored: "ignored", events.Failed: "failed", events.Moved: "went on with another generation",
	events.Written: "wrote to a file", events.Noticed: "notice",
	events.Armed: "was armed", events.Disarmed: "was disarmed", events.Chosen: "next boot was chosen",
}

// word is what a step is called for people.
func word(k events.Kind) string { return cmp.Or(words[k], k.String()) }

// doing is a step in words.
func doing(e events.Event, now time.Time) string {
	s := word(e.Kind)
	if e.File != "" && e.File != s {
		s += " " + e.File
	}
	if e.Count > 1 {
		s += fmt.Sprintf(" ×%d", e.Count)
	}
	if amount := amount(e, now); amount != "" {
		s += ", " + amount
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// measurable is the least time over which a rate means something: what is shorter
// went into the buffers of this host.
const measurable = 50 * time.Millisecond

// amount says how much was sent, and how fast.
func amount(e events.Event, now time.Time) string {
	s := ""
	switch {
	case e.Bytes == 0 && !e.Active:
		return ""
	case e.Size > 0 && e.Bytes != e.Size:
		s = fmt.Sprintf("%s of %s", status.Bytes(e.Bytes), status.Bytes(e.Size))
	default:
		s = status.Bytes(e.Bytes)
	}
	if rate := e.Rate(now); rate >= 1 && e.Took(now) >= measurable {
		s += fmt.Sprintf(", %s/s", status.Bytes(int64(rate)))
	}
	return s
}

// machine is all that is known of the machine that the path names.
func (s *Server) machine(r *http.Request) (*MachineDetail, error) {
	mac, err := net.ParseMAC(r.PathValue("mac"))
	if err != nil || len(mac) != len(events.MAC{}) {
		return nil, refusal{http.StatusBadRequest, fmt.Sprintf("%q is not an address like 52:54:00:aa:00:01", r.PathValue("mac"))}
	}
	c, report := s.Daemon.Running(), s.Daemon.Status()
	all := report.Machines
	i := slices.IndexFunc(all, func(m events.Machine) bool { return m.MAC == events.MAC(mac) })
	if i < 0 {
		return nil, refusal{http.StatusNotFound, fmt.Sprintf("%s has not been heard of, or was forgotten: does its request come here at all? What listeners did not serve is counted under Server.", mac)}
	}
	seen := control.Recognise(c, all[i:i+1], s.Daemon.Heard)
	d := &MachineDetail{Name: seen[0].Name, Machine: seen[0].Machine}
	d.Once, d.Next = onceOf(report.Once, d.Name, d.Machine.Facts.UUID, mac.String()), nextOf(report.Next, d.Name, d.Machine.Facts.UUID, mac.String())
	x, err := control.Explain(r.Context(), c, seen[0].Question, false)
	if err != nil {
		d.Error = err.Error()
	} else {
		d.Explanation = &x
	}
	return d, nil
}
