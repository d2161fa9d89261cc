package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Picture is what a configuration makes of this host and its machines, fit
// to be compared with that of another.
type Picture struct {
	Generation uint64    `json:"generation,omitempty"`
	Files      []string  `json:"files,omitempty"`
	Listeners  []Element `json:"listeners"`
	Loaders    []Element `json:"loaders"`
	Rules      []Element `json:"rules"`
	Machines   []Element `json:"machines"` // in the order of Asked
	// Asked are the machines, as far as they are known.
	Asked []Question `json:"asked"`
}

// An Element is one named part of a Picture.
type Element struct {
	Name   string `json:"name"`
	Does   string `json:"does"`             // for people
	Digest string `json:"digest,omitempty"` // of what Does does not tell
}

// Draw makes the picture of c for the machines.
func Draw(c Configuration, machines []Question) Picture {
	p := Picture{
		Generation: c.Gen, Files: c.Config.Files, Asked: machines,
		Listeners: []Element{}, Loaders: []Element{}, Rules: []Element{}, Machines: []Element{},
	}
	for _, l := range c.Config.Listeners {
		p.Listeners = append(p.Listeners, Element{
			Name: fmt.Sprintf("%s %s", l.Kind, l.Address), Does: "is served",
			Digest: digest(l.Interfaces, l.Advertise, l.Share, l.Relays, l.Relayed),
		})
	}
	for _, l := range c.Loaders.All() {
		p.Loaders = append(p.Loaders, Element{Name: l.Firmware.String(), Does: "is " + l.Path, Digest: l.SHA256})
	}
	for _, r := range c.Config.Rules {
		p.Rules = append(p.Rules, Element{Name: r.Name, Does: does(r.Action.Do, r.Action.Boot, ""), Digest: digest(describe(r.Match), spec(r.Action.Spec))})
	}
	for _, q := range machines {
		e := Element{Name: q.MAC}
		m, err := q.Machine()
		if err != nil {
			e.Does = "is no machine that this version knows: " + err.Error()
			p.Machines = append(p.Machines, e)
			continue
		}
		v := c.Table.Explain(m).Verdict
		e.Does, e.Digest = does(v.Action, v.Boot, v.Rule), digest(spec(c.sources(v.Rule, m)))
		p.Machines = append(p.Machines, e)
	}
	return p
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

// describe tells matches apart, but for what a when looks at: that is a function.
func describe(m booters.Match) string {
	not, either, ipxe := m.Not, m.Any, m.IPXE
	m.Not, m.Any, m.IPXE, m.When = nil, nil, nil, nil
	s := fmt.Sprintf("%+v", m)
	if ipxe != nil {
		s += fmt.Sprintf(" ipxe=%t", *ipxe)
	}
	for _, n := range not {
		s += " not(" + describe(n) + ")"
	}
	for _, a := range either {
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
	What string `json:"what"`          // "listener", "loader", "rule" or "machine"
	Name string `json:"name"`          //
	Old  string `json:"old,omitempty"` // what it does; empty: there is none
	New  string `json:"new,omitempty"` // likewise
}

// Compare lists what changes from one picture to the other.
func Compare(old, new Picture) []Change {
	changes := []Change{}
	for _, part := range []struct {
		what     string
		old, new []Element
	}{
		{"listener", old.Listeners, new.Listeners}, {"loader", old.Loaders, new.Loaders},
		{"rule", old.Rules, new.Rules}, {"machine", old.Machines, new.Machines},
	} {
		was := make(map[string]Element)
		for _, e := range part.old {
			was[e.Name] = e
		}
		for _, e := range part.new {
			o := was[e.Name] // the zero Element: it is new
			delete(was, e.Name)
			if o != e {
				c := Change{part.what, e.Name, o.Does, e.Does}
				if o.Does == e.Does {
					c.New += ", with other settings"
				}
				changes = append(changes, c)
			}
		}
		for _, e := range part.old {
			if _, gone := was[e.Name]; gone {
				changes = append(changes, Change{part.what, e.Name, e.Does, ""})
			}
		}
	}
	if reordered(old.Rules, new.Rules) {
		changes = append(changes, Change{"rule", "order", "as it is", "another order, which decides where several match"})
	}
	return changes
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
