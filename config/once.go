package config

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// The words for start in a once block.
const (
	startDisarmed = "disarmed"
	startArmed    = "armed"
)

// maxAttempts and maxTimeout bound what one arm is good for.
const (
	maxAttempts = 100
	maxTimeout  = 30 * 24 * time.Hour
)

// A onceTree is the once block of a rule, with its settings still to be evaluated.
type onceTree struct {
	at    hcl.Range
	attrs hclsyntax.Attributes
}

// onceBlock is the one once block of a rule, if it has one.
func (d *decoder) onceBlock(rule *hclsyntax.Body) (first *onceTree) {
	for _, b := range rule.Blocks {
		if b.Type != onceName {
			continue
		}
		if len(b.Labels) > 0 {
			d.errorf(b.LabelRanges[0], sumLabel, "A once block has no label: write once { … }.")
		}
		if first != nil {
			d.errorf(b.TypeRange, sumSecondBlock, "A rule has one once block. Put the settings of both into one.").other = first.at
			continue
		}
		first = &onceTree{b.TypeRange, d.names(&onceSchema, b.Body).Attributes}
	}
	return first
}

// once is what a rule with this block, which may be nil, does only once. boots is what
// it boots, at the place where it says so; nil for one that boots nothing, or what has
// an error.
func (s *scope) once(tree *onceTree, any *hclsyntax.Attribute, boots *bootBlock, outcome *hclsyntax.Attribute) *boot.Once {
	installs := boots != nil && boots.installs
	anyMachine := false
	if any != nil {
		if anyMachine, _ = s.flag(any); boots != nil && !installs {
			s.errorf(any.NameRange, sumNotHere, "any_machine is for a boot that installs, and boot.%s does not. Leave the line out.", boots.name)
		}
	}
	switch {
	case tree == nil && installs:
		s.errorf(outcome.Expr.Range(), sumNotOnce, "boot.%s writes disks (installs = true), and would do so each time that a machine boots. Write once {} into the rule, by which a machine must be armed for it.", boots.name)
		return nil
	case tree == nil:
		return nil
	case outcome != nil && outcome.Name != "boot":
		s.errorf(tree.at, sumNotHere, "A rule with %s boots nothing, and so nothing once. Leave one of the two out.", outcome.Name)
	}
	if s.cfg.URLKey != "" && boots != nil {
		s.errorf(tree.at, sumNotHere, "The key for addresses is shared with other servers (url_key), and what machines have booted once is not: each server would boot them once. Leave the url_key block out, and let one server do this.")
	}
	o := &boot.Once{Attempts: 1, OnTimeout: boot.TimeoutPark, DoneBy: boot.DoneByPhoneHome, Spent: boot.Local, Installs: installs, AnyMachine: anyMachine}
	word := func(name string, set func(string)) {
		if a := tree.attrs[name]; a != nil {
			if w, ok := s.word(a, onceSchema.attribute(name).Words); ok {
				set(w)
			}
		}
	}
	word("start", func(w string) { o.Armed = w == startArmed })
	word("on_timeout", func(w string) { o.OnTimeout = boot.OnTimeout(w) })
	word("done_by", func(w string) { o.DoneBy = boot.DoneBy(w) })
	word("spent", func(w string) {
		if w == boot.Ignore.String() {
			o.Spent = boot.Ignore
		}
	})
	if a := tree.attrs["attempts"]; a != nil {
		if n, ok := s.count(a, "a number of boots"); ok {
			if o.Attempts = n; n < 1 || n > maxAttempts {
				s.errorf(a.Expr.Range(), sumNumber, "One arm is good for 1 to %d boots, not %d. Write attempts = 1, or leave the line out for that.", maxAttempts, n)
			}
		}
	}
	if a := tree.attrs["timeout"]; a != nil {
		if v, ok := s.duration(a, "2h"); ok {
			if o.Timeout = v; v < time.Minute || v > maxTimeout {
				s.errorf(a.Expr.Range(), sumDuration, "timeout is from 1m to %s: the time that a machine has to say that it is done. Write one like \"2h\", or leave the line out for none.", brief(maxTimeout))
			}
		}
	}
	if a := tree.attrs["on_timeout"]; a != nil && tree.attrs["timeout"] == nil {
		s.errorf(a.NameRange, sumNotHere, "There is no timeout, so on_timeout has no effect. Write timeout = \"2h\" beside it, or leave the line out.")
	}
	return o
}

// prepareInstalls reads what a boot says of disks.
func (b *bootBlock) prepareInstalls() {
	s := b.settings["installs"]
	if s == nil {
		return
	}
	b.installs, _ = s.flag(s.Attribute)
	if stale := b.settings["stale"]; stale != nil && b.installs {
		b.errorf(stale.NameRange, sumNotHere, "An answer of the API that is remembered must not write disks (installs = true): the inventory may have another by now. Leave one of the two out.").other = s.NameRange
	}
}

// phoneHome is the function, with the address by link; where that is nil, it is not
// known yet.
func phoneHome(link func(booters.Target) (string, error)) function.Function {
	return function.New(&function.Spec{
		Type:         function.StaticReturnType(cty.String),
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
		Impl: func([]cty.Value, cty.Type) (cty.Value, error) {
			if link == nil {
				return cty.UnknownVal(cty.String), nil
			}
			address, err := link(booters.Target{PhoneHome: true})
			return cty.StringVal(address), err
		},
	})
}

// calls reports whether an expression calls one of the functions.
func calls(e hclsyntax.Expression, names ...string) (does bool) {
	hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		does = does || ok && slices.Contains(names, call.Name)
		return nil
	})
	return does
}

// warnOnce says of what happens once that it may be meant otherwise.
func (d *decoder) warnOnce() {
	for i, r := range d.cfg.Rules {
		o := r.Once
		if o == nil {
			continue
		}
		if o.Installs && !o.AnyMachine && d.strangers(d.ruleMatch[i], r.Match) {
			d.warn(d.ruleAt[i], sumStrangers, fmt.Sprintf("Rule %q also matches machines that no machine block names. They are not installed, and are given what spent says. Match by machine or labels; or write any_machine = true to install them too, when they are armed.", r.Name))
		}
		if o.DoneBy == boot.DoneByPhoneHome && o.Timeout == 0 && !d.ruleBoots[i].phones {
			d.warn(d.ruleAt[i], sumNeverDone, fmt.Sprintf("A machine that rule %q boots is done when it asks for the address of phone_home(), and nothing in boot.%s gives it that: its next boot would wait for the operator. Write phone_home() into a file or the command line; or done_by = \"booting\", or a timeout, into the once block.", r.Name, r.Action.Boot))
		}
	}
	for _, family := range d.families {
		for _, key := range slices.Sorted(maps.Keys(family.boots)) {
			b := family.boots[key]
			if word := installer.FindString(b.recipe.written().Cmdline); word != "" && !b.installs && b.settings["installs"] == nil {
				at := b.cmdline[len(b.cmdline)-1].Expr.Range()
				d.warn(at, sumInstaller, fmt.Sprintf("%s on a command line starts an installer, which a rule without once starts at each boot. Write installs = true into the boot and once {} into its rule; or installs = false, if it writes no disk.", strings.TrimSpace(word)))
				break // said once, for all that the block makes
			}
		}
	}
}

// installer is what on a command line says that an installer asks nobody.
var installer = regexp.MustCompile(`(^|\s)(autoinstall\b|auto=true|inst\.ks=|coreos\.inst\S*|talos\.\S*wipe\S*)`)

// strangers reports whether a machine that no block names can match, as far as that is
// seen without asking what a condition means. tree is what m was made of; nil: every
// machine matches.
func (d *decoder) strangers(tree *matchTree, m booters.Match) bool {
	if tree == nil {
		return true
	}
	named := d.without(tree, m)
	if len(named.Machines) < len(m.Machines) || len(named.Labels) < len(m.Labels) || len(named.MACs) < len(m.MACs) {
		return false
	}
	if m.Further == nil {
		return true
	}
	if m.Further.When != nil && (named.Further == nil || named.Further.When == nil) {
		return false
	}
	// Of a Match in Any, one field is enough, so that all of them must be such.
	for i, any := range m.Further.Any {
		if left := d.without(tree.any[i], any); reflect.ValueOf(left).IsZero() {
			return false
		}
	}
	return true
}

// without is m without the conditions that no stranger fulfils.
func (d *decoder) without(tree *matchTree, m booters.Match) booters.Match {
	m.Machines, m.Labels = nil, nil
	if !slices.ContainsFunc(m.MACs, func(p booters.MACPattern) bool {
		mac, err := net.ParseMAC(p.String())
		return err != nil || d.cfg.Inventory.Lookup(boot.Machine{MAC: mac}) == nil
	}) {
		m.MACs = nil
	}
	if a := tree.attrs["when"]; a != nil && slices.ContainsFunc(membersOf(a.Expr), func(name string) bool { return name == "labels" || name == "name" }) {
		further := *m.Further
		further.When, further.WhenNeeds, further.WhenText = nil, 0, ""
		if m.Further = &further; reflect.ValueOf(further).IsZero() {
			m.Further = nil
		}
	}
	return m
}
