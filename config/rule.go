package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

func (d *decoder) rule(b *hclsyntax.Block) {
	body := d.names(&ruleSchema, b.Body)
	name, at, ok := d.label(b, "its name")
	if ok && name == "" {
		d.errorf(at, sumBadName, "A rule's name is empty. Give it one, by which the log and the status page will call it.")
	} else if ok {
		d.unique("rule", name, b.DefRange(), sumTwice, fmt.Sprintf("There are two rules %q. Rename one of them.", name))
	}
	r := booters.Rule{Name: name, Pos: pos(b.DefRange())}
	complete := len(body.Attributes)+len(body.Blocks) == len(b.Body.Attributes)+len(b.Body.Blocks)
	r.Action = d.action(b.DefRange(), body.Attributes, complete)

	var first *hclsyntax.Block
	for _, m := range body.Blocks { // match is the only block of a rule
		if len(m.Labels) > 0 {
			d.errorf(m.LabelRanges[0], sumLabel, "A match block has no label: write match { … }.")
		}
		if first != nil {
			d.errorf(m.TypeRange, sumSecondBlock, "A rule has one match block, in which all settings must be true and any value of a list will do. Put the settings of both into one, or write a second rule.").other = first.TypeRange
			continue
		}
		first = m
		r.Match = d.match(m)
	}
	d.cfg.Rules = append(d.cfg.Rules, r)
}

// action is the one outcome that a rule has. complete is whether all that the
// rule says is among attrs.
func (d *decoder) action(at hcl.Range, attrs hclsyntax.Attributes, complete bool) booters.Action {
	var said []*hclsyntax.Attribute
	for _, name := range ruleSchema.settings {
		if a := attrs[name]; a != nil {
			said = append(said, a)
		}
	}
	slices.SortFunc(said, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	if len(said) == 0 && complete {
		d.errorf(at, sumNoAction, "The rule does not say what its machines do. Write one of boot = boot.NAME, ignore = true and local = true.")
	}
	var action booters.Action
	for i, a := range said {
		if i > 0 {
			d.errorf(a.NameRange, sumTwoActions, "The rule already has %s. Keep one of the two, or write a second rule.", said[0].Name).other = said[0].NameRange
		}
		switch a.Name {
		case "boot":
			action.Do = boot.Boot
			if b, ok := d.reference(a.Expr); ok {
				b.used = true
				action.Boot, action.Spec = b.name, &b.spec
			}
		case "ignore":
			action.Do = boot.Ignore
			d.onlyTrue(a)
		case "local":
			action.Do = boot.Local
			d.onlyTrue(a)
		}
	}
	return action
}

func (d *decoder) onlyTrue(a *hclsyntax.Attribute) {
	if v, ok := d.flag(a); ok && !v {
		d.errorf(a.Expr.Range(), sumOnlyTrue, "%s = false says nothing. Write %[1]s = true, or leave the line out.", a.Name)
	}
}

// reference evaluates boot.NAME or boot["NAME"].
func (d *decoder) reference(e hclsyntax.Expression) (*bootBlock, bool) {
	if !d.vet(e, true) {
		return nil, false
	}
	v, diags := e.Value(d.refs)
	if !diags.HasErrors() && v.Type().Equals(bootType) && !v.IsNull() {
		return v.EncapsulatedValue().(*bootBlock), true
	}
	if diags.HasErrors() {
		name, at := d.referred(e)
		switch {
		case name == "":
			d.errorf(e.Range(), sumNotReference, "This is not a reference to a boot. Write boot = boot.NAME.")
		case d.boots[name] != nil:
			d.errorf(e.Range(), sumNotReference, "A rule refers to a boot as a whole. Write boot = boot.%s.", name)
		case d.unsure["boot"]: // it may be one that could not be understood
		case len(d.boots) == 0:
			d.errorf(at, sumNoBoot, "There is no boot %q. Write boot %[1]q { … }.", name)
		default:
			d.errorf(at, sumNoBoot, "There is no boot %q.%s", name, d.nearBoot(name))
		}
		return nil, false
	}
	hint := "boot.NAME"
	if v.Type() == cty.String && !v.IsNull() && hclsyntax.ValidIdentifier(v.AsString()) {
		hint = "boot." + v.AsString() + ", without quotes"
	}
	d.errorf(e.Range(), sumNotReference, "A rule boots one of the boot blocks. Write boot = %s.", hint)
	return nil, false
}

// maxNearBoots bounds for how many references a similar name is looked for: in
// a large file, each costs a walk over all boots.
const maxNearBoots = 100

func (d *decoder) nearBoot(name string) string {
	if d.nearBoots++; d.nearBoots > maxNearBoots {
		return ""
	}
	return didYouMean(name, slices.Sorted(maps.Keys(d.boots)))
}

// referred is the name behind boot. in an expression, or "".
func (d *decoder) referred(e hclsyntax.Expression) (string, hcl.Range) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return d.referred(e.Expression)
	case *hclsyntax.TemplateWrapExpr:
		return d.referred(e.Wrapped)
	case *hclsyntax.IndexExpr:
		if v, diags := e.Key.Value(d.refs); !diags.HasErrors() && v.Type() == cty.String && !v.IsNull() {
			return v.AsString(), e.Key.Range()
		}
	case *hclsyntax.ScopeTraversalExpr:
		if len(e.Traversal) < 2 {
			break
		}
		switch step := e.Traversal[1].(type) {
		case hcl.TraverseAttr:
			at := step.SrcRange // with the dot
			at.Start.Byte++
			at.Start.Column++
			return step.Name, at
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String {
				return step.Key.AsString(), step.SrcRange
			}
		}
	}
	return "", hcl.Range{}
}

func (d *decoder) match(b *hclsyntax.Block) booters.Match {
	var m booters.Match
	body := d.names(&matchSchema, b.Body)
	if len(b.Body.Attributes)+len(b.Body.Blocks) == 0 {
		d.errorf(b.TypeRange, sumEmptyMatch, "A match block without a condition could be a forgotten one. Write a condition, or leave the block out to match every machine.")
	}
	whole := true
	for _, t := range d.condition(body.Attributes["mac"], `MAC addresses in quotes, like "52:54:00:*"`, &whole) {
		p, err := booters.ParseMACPattern(t.s)
		if err != nil {
			whole = false
			d.errorf(t.at, sumMAC, "%v.", err)
			continue
		}
		m.MACs = append(m.MACs, p)
	}
	for _, t := range d.condition(body.Attributes["arch"], "architectures in quotes", &whole) {
		a, err := boot.ParseArchitecture(t.s)
		if err != nil {
			whole = false
			d.unknownWord(t, "arch", boot.ArchitectureNames())
			continue
		}
		m.Archs = append(m.Archs, a)
	}
	for _, t := range d.condition(body.Attributes["firmware"], "firmwares in quotes", &whole) {
		fs, err := boot.ParseFirmware(t.s)
		if err != nil {
			whole = false
			d.unknownWord(t, "firmware", boot.FirmwareWords())
			continue
		}
		for _, f := range fs {
			if !slices.Contains(m.Firmwares, f) {
				m.Firmwares = append(m.Firmwares, f)
			}
		}
	}
	if whole && !possible(m) {
		d.warn(body.Attributes["firmware"].SrcRange, sumImpossible, "No machine of the architectures that this rule names announces one of these firmwares. Correct one of the two.").other = body.Attributes["arch"].SrcRange
	}
	return m
}

// possible reports whether some machine has one of the architectures and one of
// the firmwares.
func possible(m booters.Match) bool {
	if len(m.Archs) == 0 || len(m.Firmwares) == 0 {
		return true
	}
	for _, a := range m.Archs {
		for _, f := range m.Firmwares {
			if boot.Possible(a, f) {
				return true
			}
		}
	}
	return false
}

// condition is the values of a setting in a match block. One that is there and
// empty is refused, for it would turn a rule for one machine into a rule for
// all: what comes out of an empty cell of a table.
func (d *decoder) condition(a *hclsyntax.Attribute, want string, whole *bool) []text {
	if a == nil {
		return nil
	}
	all, ok := d.texts(a, want)
	if ok && len(all) == 0 {
		d.errorf(a.Expr.Range(), sumEmptyCondition, "%s is an empty list, which could mean every machine or none. Write %s, or leave the line out.", a.Name, want)
		ok = false
	}
	values := all[:0]
	for _, t := range all {
		if t.s == "" {
			d.errorf(t.at, sumEmptyCondition, "%s is an empty text, which could mean every machine or none. Write %s, or leave the line out.", a.Name, want)
			ok = false
			continue
		}
		values = append(values, t)
	}
	*whole = *whole && ok
	return values
}
