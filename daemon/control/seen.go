package control

import (
	"net"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A Seen is a machine that has asked.
type Seen struct {
	Name    string         `json:"name,omitempty"` // in the inventory; empty for a stranger
	Machine events.Machine `json:"machine"`
	// Question is the machine as far as it is known, with what it said in DHCP.
	Question Question `json:"question"`
}

// Recognise looks the machines up in the inventory of c. heard is what each
// said in DHCP, or nil.
func Recognise(c Configuration, machines []events.Machine, heard func(net.HardwareAddr) *boot.Facts) []Seen {
	all := []Seen{}
	for _, known := range machines {
		s := Seen{Machine: known, Question: Ask(known).With(heard(known.MAC[:]))}
		if m, err := s.Question.Machine(); err == nil {
			if e := c.Config.Inventory.Lookup(m); e != nil {
				s.Name = e.Name
			}
		}
		all = append(all, s)
	}
	return all
}
