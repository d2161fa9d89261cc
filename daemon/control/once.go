package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// maxArmed bounds the machines that one request names.
const maxArmed = 10_000

// An Arming says which machines are to be armed, or disarmed.
type Arming struct {
	// Machines are names of the inventory, MAC addresses or UUIDs.
	Machines []string `json:"machines,omitempty"`
	// AllOf are labels that a machine must have to be meant, too.
	AllOf map[string]string `json:"all_of,omitempty"`
	// Limit is how many of AllOf are armed at most, in the order of the configuration,
	// without those that are; 0: all of them.
	Limit int `json:"limit,omitempty"`
	// Begin says that what is kept of machines is complete: see once.States.Begin.
	Begin bool `json:"begin,omitempty"`
}

// An Armed is what an Arming did.
type Armed struct {
	Machines []ArmedMachine `json:"machines"`
	Left     int            `json:"left,omitempty"` // how many more of AllOf could be armed
}

// An ArmedMachine is one that is armed now, or disarmed.
type ArmedMachine struct {
	Machine string `json:"machine"`
	// Rules are those that may boot it once, in their order, and Boots what they boot.
	Rules []string `json:"rules,omitempty"`
	Boots []string `json:"boots,omitempty"`
	UEFI  bool     `json:"uefi,omitempty"` // whether it was seen to have UEFI
	BMC   string   `json:"bmc,omitempty"`  // its label of that name
}

// onAll is the machine on each platform that there is.
func onAll(m boot.Machine) (all []boot.Machine) {
	for _, f := range boot.Platforms() {
		for _, name := range boot.ArchitectureNames() {
			if a, err := boot.ParseArchitecture(name); err == nil && boot.Possible(a, f) {
				m.Firmware, m.Arch = f, a
				all = append(all, m)
			}
		}
	}
	return all
}

// Once are the rules that may boot the machines, which are one with several addresses,
// only when it is armed: those that decide on any platform, and those that hang on what
// it has not said.
func (c Configuration) Once(machines []boot.Machine) (rules []*booters.Rule) {
	byName := make(map[string]*booters.Rule)
	for i := range c.Config.Rules {
		byName[c.Config.Rules[i].Name] = &c.Config.Rules[i]
	}
	for _, m := range machines {
		for _, m := range onAll(m) {
			for _, step := range c.Table.Explain(m).Steps {
				r := byName[step.Rule]
				if step.Truth == booters.False || r.Once == nil || slices.Contains(rules, r) {
					continue
				}
				v := &boot.Verdict{Once: r.Once}
				if e := c.Config.Inventory.Lookup(m); e != nil {
					v.Machine = e.Name
				}
				if !v.Stranger() {
					rules = append(rules, r)
				}
			}
		}
	}
	return rules
}

// Answers reports whether one of the machines would be booted, from the network or from
// its disk, on any platform, or asked for more.
func (c Configuration) Answers(machines []boot.Machine) bool {
	for _, m := range machines {
		for _, m := range onAll(m) {
			if c.Table.Explain(m).Verdict.Action != boot.Ignore {
				return true
			}
		}
	}
	return false
}

func (s *Server) arming(w http.ResponseWriter, r *http.Request, do func(Arming) (Armed, error)) {
	var a Arming
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("machines: %w", err))
		return
	}
	if len(a.Machines) > maxArmed || a.Limit < 0 {
		refuse(w, http.StatusBadRequest, fmt.Errorf("machines: %d named, limit %d: at most %d are named at once, and a limit is from 0", len(a.Machines), a.Limit, maxArmed))
		return
	}
	done, err := do(a)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	s.answer(w, done)
}

// Arm makes machines boot once what they do only when they are armed.
func (c *Client) Arm(ctx context.Context, a Arming) (Armed, error) {
	var done Armed
	return done, c.do(ctx, http.MethodPost, "/v1/arm", nil, a, &done)
}

// Disarm takes that back, also of those that have begun.
func (c *Client) Disarm(ctx context.Context, a Arming) (Armed, error) {
	var done Armed
	return done, c.do(ctx, http.MethodPost, "/v1/disarm", nil, a, &done)
}
