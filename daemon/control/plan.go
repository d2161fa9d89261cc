package control

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A Picture is what a configuration makes of this host and its machines, fit
// to be compared with that of another.
type Picture struct {
	Generation uint64    `json:"generation,omitempty"`
	Files      []string  `json:"files,omitempty"`
	Blocks     []Element `json:"blocks,omitempty"` // those of this host that a file has once
	Listeners  []Element `json:"listeners"`
	Loaders    []Element `json:"loaders"`
	Rules      []Element `json:"rules"`
	Machines   []Element `json:"machines"` // in the order of Asked
	// Asked are the machines, as far as they are known.
	Asked []Question `json:"asked"`
	// All is how many there are, if more than Asked: see Compared.
	All int `json:"all,omitempty"`
}

// An Element is one named part of a Picture.
type Element struct {
	Name   string `json:"name"`
	Does   string `json:"does"`             // for people
	Digest string `json:"digest,omitempty"` // of what Does does not tell; of a machine: of what it gets, however that is decided

	Boots string `json:"boots,omitempty"`      // of a rule: a digest of what it boots
	Files string `json:"boot_files,omitempty"` // likewise, of the files of that

	// Of a machine: its name in the inventory, a digest of its labels, the rule
	// that decides, and whether that hangs on what is not known of it yet.
	Machine string `json:"machine,omitempty"`
	Labels  string `json:"labels,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Unsure  bool   `json:"unsure,omitempty"`
	// Given is, of a machine, whether it boots something from here, a letter for
	// each platform that it may have: given, maybe or none.
	Given string `json:"given,omitempty"`
	// Installs are, of a machine, the boots that write disks which it may be given.
	Installs []string `json:"installs,omitempty"`
}

// The letters of Element.Given.
const (
	given = 'y'
	maybe = '?'
	none  = 'n'
)

// takenAway reports whether a machine may lose what it boots, on any platform.
func takenAway(old, new string) bool {
	for i := range min(len(old), len(new)) {
		if was, is := old[i], new[i]; was != none && is == none || was == given && is == maybe {
			return true
		}
	}
	return false
}

// gained are the boots that write disks which a machine may be given, and might not
// before.
func gained(old, new []string) (boots []string) {
	for _, b := range new {
		if !slices.Contains(old, b) {
			boots = append(boots, b)
		}
	}
	return boots
}

// Draw makes the picture of c for the machines.
func Draw(c Configuration, machines []Question) Picture {
	p := Picture{
		Generation: c.Gen, Files: c.Config.Files, Asked: machines,
		Blocks: blocks(c.Config), Listeners: []Element{}, Loaders: []Element{}, Rules: []Element{}, Machines: []Element{},
	}
	for _, l := range c.Config.Listeners {
		p.Listeners = append(p.Listeners, Element{
			Name: fmt.Sprintf("%s %s", l.Kind, l.Address), Does: "is served",
			Digest: settings(l),
		})
	}
	for _, l := range c.Loaders.All() {
		p.Loaders = append(p.Loaders, Element{Name: l.Firmware.String(), Does: "is " + l.Path, Digest: l.SHA256()})
	}
	paint := newPainter(c)
	for i := range c.Config.Rules {
		p.Rules = append(p.Rules, paint.rule(&c.Config.Rules[i]))
	}
	p.Machines = make([]Element, len(machines))
	// What each gets is rendered, which may take a tenth of a millisecond.
	workers := min(runtime.GOMAXPROCS(0), 1+len(machines)/alone)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < len(machines); i += workers {
				p.Machines[i] = paint.machine(machines[i])
			}
		})
	}
	all.Wait()
	return p
}

// alone is how many machines are looked at without help.
const alone = 100

// blocks are those by which this host keeps files, and fetches them.
func blocks(c *config.Config) (all []Element) {
	if u := c.Uploads; u != nil {
		all = append(all, Element{Name: "uploads", Does: fmt.Sprintf("keeps what machines send in %s: %s of a file at most, and %s of all",
			cmp.Or(u.Dir, "the state directory"), events.Size(u.MaxSize), events.Size(u.MaxTotal))})
	}
	if k := c.Cache; k != nil {
		does := fmt.Sprintf("keeps files of other servers in %s: %s at most", cmp.Or(k.Dir, "the usual directory"), events.Size(k.MaxSize))
		if k.Prefetch {
			does += ", fetched beforehand"
		}
		all = append(all, Element{Name: "cache", Does: does})
	}
	if f := c.Fetch; f != (config.Fetch{}) {
		does := []string{}
		if f.CA != "" {
			does = append(does, "trusts the authorities in "+f.CA)
		}
		if f.Cert != "" {
			does = append(does, "shows servers the certificate in "+f.Cert)
		}
		all = append(all, Element{Name: "fetch", Does: strings.Join(does, " and "), Digest: digest(f)})
	}
	return all
}

// settings tells listeners of one kind and address apart.
func settings(l config.Listener) string {
	preference := -1
	if p := l.DHCP6.Preference; p != nil {
		preference = int(*p)
	}
	return digest(l.Interfaces, l.Advertise, l.Share, l.Relays, l.Relayed, l.SinglePort, l.Cert, l.Key, l.Token, l.ClientCA, l.Assets, l.LocalToo, l.DHCP4, l.DHCP6.Pool, preference, l.DHCP6.DNS)
}

func does(a boot.Action, name, rule string) string {
	s := map[boot.Action]string{boot.Ignore: "is ignored", boot.Local: "boots its own disk", boot.Boot: "boots " + name, boot.Probe: "loads iPXE to be asked"}[a]
	if rule != "" {
		s += fmt.Sprintf(" by rule %q", rule)
	}
	return s
}

// spec tells specs apart by what they hold, not by where they lie.
func spec(s *boot.Spec) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%+q", *s)
}

// asks tells APIs apart, whom nobody asks for a comparison.
func asks(a *booters.APIOptions) string {
	return fmt.Sprintf("%q %v %v", a.URL, a.Wait, a.Stale)
}

// describe tells matches apart.
func describe(m booters.Match) string {
	further := m.Further
	m.Further = nil
	s := fmt.Sprintf("%+v", m)
	if further == nil {
		return s
	}
	x := *further
	x.Not, x.Any, x.IPXE, x.When = nil, nil, nil, nil
	s += fmt.Sprintf(" %+v", x)
	if further.IPXE != nil {
		s += fmt.Sprintf(" ipxe=%t", *further.IPXE)
	}
	for _, n := range further.Not {
		s += " not(" + describe(n) + ")"
	}
	for _, a := range further.Any {
		s += " any(" + describe(a) + ")"
	}
	return s
}

func digest(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:8])
}

// A Change is one difference between two Pictures.
type Change struct {
	What    string `json:"what"`              // "block", "listener", "loader", "rule" or "machine"; plan has "file", too
	Name    string `json:"name"`              // of a machine: its MAC, else its UUID
	Machine string `json:"machine,omitempty"` // its name in the inventory
	Old     string `json:"old,omitempty"`     // what it does; empty: there is none
	New     string `json:"new,omitempty"`     // likewise
	Unsure  bool   `json:"unsure,omitempty"`  // of a machine: it may change, but that hangs on what it will report
}

// Compare lists what changes from one picture to the other. A machine changes
// when it would get something else, by whatever rule.
func Compare(old, new Picture) []Change {
	changes := []Change{}
	others := bootOtherwise(old.Machines, new.Machines)
	for _, part := range []struct {
		what     string
		old, new []Element
	}{
		{"block", old.Blocks, new.Blocks}, {"listener", old.Listeners, new.Listeners}, {"loader", old.Loaders, new.Loaders},
		{"rule", old.Rules, new.Rules}, {"machine", old.Machines, new.Machines},
	} {
		was := make(map[string]Element)
		for _, e := range part.old {
			was[e.Name] = e
		}
		for _, e := range part.new {
			o, ok := was[e.Name]
			delete(was, e.Name)
			c := Change{What: part.what, Name: e.Name, Old: o.Does, New: e.Does}
			switch {
			case !ok:
				changes = append(changes, c)
			case part.what == "machine" && o.Digest != e.Digest:
				c.Machine, c.Unsure = cmp.Or(e.Machine, o.Machine), o.Unsure || e.Unsure
				switch {
				case o.Does != e.Does:
				case c.Unsure:
					c.New += ", and may boot something else then"
				default:
					c.New += ", which has changed"
				}
				changes = append(changes, c)
			case part.what == "machine":
			case !same(o, e) || part.what == "rule" && others[e.Name]:
				switch {
				case o.Does != e.Does:
				case o.Boots == e.Boots && o.Files != e.Files:
					c.New += ", of which the files have changed"
				case o.Boots != e.Boots || part.what == "rule" && others[e.Name]:
					c.New += ", which has changed"
				}
				switch {
				case o.Digest == e.Digest:
				case part.what == "rule":
					c.New += ", with other conditions"
				case o.Does == e.Does:
					c.New += ", with other settings"
				}
				changes = append(changes, c)
			}
		}
		for _, e := range part.old {
			if _, gone := was[e.Name]; gone {
				changes = append(changes, Change{What: part.what, Name: e.Name, Old: e.Does})
			}
		}
	}
	if reordered(old.Rules, new.Rules) {
		changes = append(changes, Change{What: "rule", Name: "order", Old: "as it is", New: "another order, which decides where several match"})
	}
	return changes
}

// same reports whether two elements that are no machines are the same.
func same(a, b Element) bool {
	a.Installs, b.Installs = nil, nil
	return reflect.DeepEqual(a, b)
}

// bootOtherwise are the rules that let a machine boot something else although
// the inventory says the same of it: what they boot has changed.
func bootOtherwise(old, new []Element) map[string]bool {
	was := make(map[string]Element)
	for _, e := range old {
		was[e.Name] = e
	}
	rules := make(map[string]bool)
	for _, e := range new {
		o := was[e.Name]
		if o.Digest != e.Digest && o.Rule == e.Rule && o.Does == e.Does && o.Machine == e.Machine && o.Labels == e.Labels && !o.Unsure && !e.Unsure {
			rules[e.Rule] = true
		}
	}
	return rules
}

// reordered reports whether elements that are in both are in another order.
func reordered(old, new []Element) bool {
	at := make(map[string]int)
	for i, e := range old {
		at[e.Name] = i
	}
	last := -1
	for _, e := range new {
		if i, ok := at[e.Name]; ok {
			if i < last {
				return true
			}
			last = i
		}
	}
	return false
}
