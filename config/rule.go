package config

import (
	"fmt"
	"slices"
	"strings"

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
		d.errorf(at, sumBadName, "A rule's name is empty. Give it one, by which the log and `pixiecore status` will call it.")
	} else if ok {
		d.unique("rule", name, b.DefRange(), sumTwice, fmt.Sprintf("There are two rules %q. Rename one of them.", name))
	}
	complete := len(body.Attributes)+len(body.Blocks) == len(b.Body.Attributes)+len(b.Body.Blocks)
	said := d.said(b.DefRange(), body.Attributes, complete)
	match, once := d.matchBlock(body), d.onceBlock(body)

	n, instances := d.instances(b, name)
	d.cfg.Rules = slices.Grow(d.cfg.Rules, n)
	for in := range instances {
		r := booters.Rule{Name: in.name, Pos: pos(b.DefRange())}
		var boots *bootBlock
		r.Action, boots = in.action(said)
		var outcome *hclsyntax.Attribute
		if len(said) > 0 {
			outcome = said[0]
		}
		r.Once = in.once(once, body.Attributes["any_machine"], boots, outcome)
		if a := body.Attributes["probe"]; a != nil {
			r.Probe, _ = in.flag(a)
		}
		if w, ok := in.word(body.Attributes["offer"], ruleSchema.attribute("offer").Words); ok {
			r.Offer, _ = boot.ParseStyle(w) // it is one of the words
		}
		if match != nil {
			r.Match = in.match(match)
			in.checkProbe(&r.Match, r.Probe, match)
		}
		d.cfg.Rules = append(d.cfg.Rules, r)
		d.ruleAt, d.ruleBoots = append(d.ruleAt, b.DefRange()), append(d.ruleBoots, boots)
		d.ruleMatch = append(d.ruleMatch, match)
	}
}

// matchBlock is the one match block of a rule, if it has one.
func (d *decoder) matchBlock(rule *hclsyntax.Body) (first *matchTree) {
	for _, m := range rule.Blocks {
		if m.Type != matchSchema.Name {
			continue
		}
		if first != nil {
			d.errorf(m.TypeRange, sumSecondBlock, "A rule has one match block, in which all settings must be true and any value of a list will do. Put the settings of both into one, or write a second rule.").other = first.TypeRange
			continue
		}
		first = d.matchTree(m)
	}
	return first
}

// said are the settings that say what a rule's machines do, of which there must
// be one. complete is whether all that the rule says is among attrs.
func (d *decoder) said(at hcl.Range, attrs hclsyntax.Attributes, complete bool) (said []*hclsyntax.Attribute) {
	for _, name := range outcomes {
		if a := attrs[name]; a != nil {
			said = append(said, a)
		}
	}
	slices.SortFunc(said, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	if len(said) == 0 && complete {
		d.errorf(at, sumNoAction, "The rule does not say what its machines do. Write one of boot = boot.NAME, ignore = true and local = true.")
	}
	for _, a := range said[min(len(said), 1):] {
		d.errorf(a.NameRange, sumTwoActions, "The rule already has %s. Keep one of the two, or write a second rule.", said[0].Name).other = said[0].NameRange
	}
	return said
}

// outcomes are the settings of which a rule has one.
var outcomes = []string{"boot", "ignore", "local"}

// action is the outcome of one instance of a rule, and the boot that it boots, if it
// does.
func (s *scope) action(said []*hclsyntax.Attribute) (action booters.Action, boots *bootBlock) {
	for _, a := range said {
		switch a.Name {
		case "boot":
			action.Do = boot.Boot
			if b, ok := s.reference(a.Expr); ok {
				b.family.used, action, boots = true, b.action(), b
			}
		case "ignore":
			action.Do = boot.Ignore
			s.onlyTrue(a)
		case "local":
			action.Do = boot.Local
			s.onlyTrue(a)
			if s.secure != nil {
				action.Loader = boot.LoaderShim // no unsigned program would start
			}
		}
	}
	return action, boots
}

// action is what a machine does that boots it.
func (b *bootBlock) action() booters.Action {
	if b.made == nil {
		action := b.make()
		b.made = &action // whose functions all rules for the boot share
	}
	return *b.made
}

func (b *bootBlock) make() booters.Action {
	action := booters.Action{Do: boot.Boot, Boot: b.name, Spec: b.spec, Files: b.recipe.files, Loader: b.recipe.loader}
	if action.Loader == boot.LoaderNative {
		action.Image = b.recipe.image()
	}
	action.Sums = b.recipe.sums(b.decoder)
	if b.recipe.shim != nil || b.recipe.grub != nil {
		action.Programs = b.recipe.programs
	}
	if b.api != nil {
		action.Spec, action.API = nil, b.api
	} else if !b.recipe.constant() {
		action.Render = b.recipe.spec
	}
	return action
}

func (s *scope) onlyTrue(a *hclsyntax.Attribute) {
	if v, ok := s.flag(a); ok && !v {
		s.errorf(a.Expr.Range(), sumOnlyTrue, "%s = false says nothing. Write %[1]s = true, or leave the line out.", a.Name)
	}
}

// reference evaluates an expression that means a boot: boot.NAME,
// boot.NAME["KEY"] or boot[each.value.boot].
func (s *scope) reference(e hclsyntax.Expression) (*bootBlock, bool) {
	if !s.vet(e, s.has()|rootBoot) {
		return nil, false
	}
	ctx := s.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"boot": s.bootVar}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		s.noBoot(e, ctx, diags)
		return nil, false
	}
	v, ok := s.revealed(v, e)
	if !ok {
		return nil, false
	}
	if v.Type().Equals(bootType) && v.IsKnown() && !v.IsNull() {
		return v.EncapsulatedValue().(*bootBlock), true
	}
	hint := "boot.NAME"
	switch names, _, _ := s.referred(e, ctx); {
	case !v.IsKnown(): // it follows from a local value with an error
		return nil, false
	case v.Type() == cty.String && !v.IsNull() && hclsyntax.ValidIdentifier(strings.TrimPrefix(v.AsString(), "boot.")):
		name := "boot." + strings.TrimPrefix(v.AsString(), "boot.")
		if hint = name + ", without quotes"; s.isJSON(e.Range().Filename) {
			hint = fmt.Sprintf("\"${%s}\", for a text in JSON is a template", name)
		}
	case len(names) == 1:
		hint = fmt.Sprintf("boot.%s[\"KEY\"], with one of the keys of its for_each", names[0])
	}
	s.errorf(e.Range(), sumNotReference, "A rule boots one of the boot blocks. Write boot = %s.", hint)
	return nil, false
}

// noBoot says why a reference means nothing.
func (s *scope) noBoot(e hclsyntax.Expression, ctx *hcl.EvalContext, diags hcl.Diagnostics) {
	names, ats, ok := s.referred(e, ctx)
	if !ok { // it is more than a reference, or its key cannot be evaluated
		s.evaluate(e, ctx)
		return
	}
	if len(names) == 0 {
		s.errorf(e.Range(), sumNotReference, "This is not a reference to a boot. Write boot = boot.NAME.")
		return
	}
	name := names[0]
	switch family := s.boots[name]; {
	case family == nil && s.unsure["boot"]: // it may be one that could not be understood
	case family == nil && len(s.boots) == 0:
		s.errorf(ats[0], sumNoBoot, "There is no boot %q. Write boot %[1]q { … }.", name)
	case family == nil:
		s.errorf(ats[0], sumNoBoot, "There is no boot %q.%s", name, near(s.decoder, name, s.boots))
	case !family.each, len(names) > 2:
		s.errorf(e.Range(), sumNotReference, "A rule refers to a boot as a whole. Write boot = boot.%s.", name)
	case len(family.boots) == 0: // its for_each has an error
	default:
		s.errorf(ats[1], sumNoBoot, "The for_each of boot.%s has no key %q.%s", name, names[1], near(s.decoder, names[1], family.boots))
	}
}

// referred are the names behind boot in a reference. ok is false for what is
// none, or has a name that cannot be evaluated.
func (s *scope) referred(e hclsyntax.Expression, ctx *hcl.EvalContext) (names []string, ats []hcl.Range, ok bool) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return s.referred(e.Expression, ctx)
	case *hclsyntax.TemplateWrapExpr:
		return s.referred(e.Wrapped, ctx)
	case *hclsyntax.IndexExpr:
		if names, ats, ok = s.referred(e.Collection, ctx); !ok {
			return nil, nil, false
		}
		v, diags := e.Key.Value(ctx)
		if diags.HasErrors() || v.IsMarked() {
			return nil, nil, false
		}
		if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
			return nil, nil, true
		}
		return append(names, v.AsString()), append(ats, e.Key.Range()), true
	case *hclsyntax.ScopeTraversalExpr:
		for n := 1; n < len(e.Traversal); n++ {
			name, at, ok := step(e.Traversal, n)
			if !ok {
				return nil, nil, true
			}
			names, ats = append(names, name), append(ats, at)
		}
		return names, ats, e.Traversal.RootName() == "boot"
	}
	return nil, nil, false
}
