package config

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A local is a named value of a locals block. Its value is known once those
// that it refers to are.
type local struct {
	*hclsyntax.Attribute
	state evaluation
	value cty.Value // cty.DynamicVal if there was an error, so that nothing follows from it
}

// evaluation is how far a value, or a boot that extends others, has come.
type evaluation int

const (
	notBegun evaluation = iota
	begun               // to come here again means that it refers to itself
	done
)

func (d *decoder) declareLocals(b *hclsyntax.Block) {
	if len(b.Labels) > 0 {
		d.errorf(b.LabelRanges[0], sumLabel, "A locals block has no label: write locals { … }.")
	}
	for _, inner := range b.Body.Blocks {
		d.unsure["locals"] = true
		d.errorf(inner.TypeRange, sumNotBlock, "A local value is a setting: write %s = { … } with an equals sign.", inner.Type)
	}
	for name, a := range b.Body.Attributes {
		if d.unique("local", name, a.NameRange, sumTwice, fmt.Sprintf("There are two local values %q. Rename one of them.", name)) {
			d.locals[name] = &local{Attribute: a}
		}
	}
}

func (d *decoder) evaluateLocals() {
	values := make(map[string]cty.Value, len(d.locals))
	for _, name := range slices.Sorted(maps.Keys(d.locals)) {
		d.evaluateLocal(name, nil)
		values[name] = d.locals[name].value
	}
	d.local = cty.ObjectVal(values)
	clear(d.scopes) // in which local had no meaning yet
}

// maxChain bounds how long a chain of references may be: to follow one step of
// it takes one step of the stack.
const maxChain = 1000

// evaluateLocal evaluates a local value and first all that it refers to. path
// is the chain of references that led to it.
func (d *decoder) evaluateLocal(name string, path []string) {
	l := d.locals[name]
	switch {
	case l.state == done:
		return
	case l.state == begun || len(path) > maxChain:
		from := max(slices.Index(path, name), 0)
		d.errorf(l.NameRange, sumCycle, "local.%s needs itself: %s. Take one of the references out.", name, arrows("local.", append(path[from:], name)))
		l.state, l.value = done, cty.DynamicVal
		return
	}
	l.state = begun
	needs := make(map[string]cty.Value)
	for _, t := range l.Expr.Variables() {
		if t.RootName() != "local" {
			continue
		}
		if other, _, ok := step(t, 1); ok && d.locals[other] != nil {
			d.evaluateLocal(other, append(path, name))
			needs[other] = d.locals[other].value
		}
	}
	if l.state == done {
		return // it was on a cycle
	}
	s := d.in(l.SrcRange)
	ctx := s.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"local": cty.ObjectVal(needs)}
	l.state, l.value = done, cty.DynamicVal
	if s.vet(l.Expr, rootLocal) {
		if v, ok := s.marked(l.Expr, ctx); ok && v.IsWhollyKnown() {
			l.value = v
		}
	}
}

// arrows draws a chain of references; one that is long is cut.
func arrows(prefix string, names []string) string {
	const most = 6
	if len(names) > most {
		names = slices.Concat(names[:most/2], []string{"…"}, names[len(names)-most/2:])
	}
	return prefix + strings.Join(names, " → "+prefix)
}

// An instance is what one element of for_each makes of a block; without
// for_each, the block has one, whose key is "".
type instance struct {
	*scope
	name string // NAME, or NAME["KEY"]
}

// instances evaluates a block's for_each. There are n of them at most; each is made when
// it is needed, since those of a large table have a kilobyte.
func (d *decoder) instances(b *hclsyntax.Block, name string) (n int, all iter.Seq[instance]) {
	s := d.in(b.TypeRange)
	none := func(func(instance) bool) {}
	a := b.Body.Attributes["for_each"]
	if a == nil {
		return 1, func(yield func(instance) bool) { yield(instance{s, name}) }
	}
	var v cty.Value
	ok := s.vet(a.Expr, s.has())
	if ok {
		v, ok = s.marked(a.Expr, s.ctx)
	}
	if ok && v.IsMarked() { // as a whole: its keys are names, which are shown
		_, ok = s.revealed(v, a.Expr)
	}
	if !ok || !v.IsWhollyKnown() {
		d.unsure[b.Type] = true
		return 0, none
	}
	const wayOut = "Write a map, { NAME = VALUE, … }, or a set of texts, toset([\"NAME\", …])."
	switch t := v.Type(); {
	case v.IsNull():
		s.errorf(a.Expr.Range(), sumNull, "for_each is null. %s", wayOut)
	case t.IsObjectType(), t.IsMapType(), t.IsSetType() && t.ElementType() == cty.String:
		return v.LengthInt(), func(yield func(instance) bool) {
			for key, value := range v.Elements() {
				if key.IsNull() || key.AsString() == "" {
					s.errorf(a.Expr.Range(), sumEmpty, "A key of for_each is empty, and so would be the name of what it makes. Leave it out: if each.key != \"\".")
					continue
				}
				if !yield(instance{s.instance(key.AsString(), value), instanceName(name, key.AsString())}) {
					return
				}
			}
		}
	case t.IsTupleType(), t.IsListType(), t.IsSetType():
		s.errorf(a.Expr.Range(), sumType, "for_each is a list, whose elements have no names. %s", wayOut)
	default:
		s.errorf(a.Expr.Range(), sumType, "for_each is a %s. %s", kindOf(v), wayOut)
	}
	d.unsure[b.Type] = true
	return 0, none
}

// instanceName is how people and references call one instance of a block.
func instanceName(name, key string) string { return fmt.Sprintf("%s[%q]", name, key) }
