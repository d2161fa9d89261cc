package control

import (
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A Seen is a machine that has asked.
type Seen struct {
	Name    string         `json:"name,omitempty"` // in the inventory; empty for a stranger
	Machine events.Machine `json:"machine"`
}

// Recognise looks the machines up in the inventory of c.
func Recognise(c Configuration, machines []events.Machine) []Seen {
	all := []Seen{}
	for _, known := range machines {
		s := Seen{Machine: known}
		if m, err := Ask(known).Machine(); err == nil {
			if e := c.Config.Inventory.Lookup(m); e != nil {
				s.Name = e.Name
			}
		}
		all = append(all, s)
	}
	return all
}
