package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// vet refuses every expression that is more than a constant or, where refs is
// set, a reference. What it lets through can be evaluated at a cost that its
// length bounds.
func (d *decoder) vet(e hclsyntax.Expression, refs bool) bool {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.ParenthesesExpr:
		return d.vet(e.Expression, refs)
	case *hclsyntax.TemplateWrapExpr:
		return d.vetPart(e.Wrapped, refs)
	case *hclsyntax.TemplateExpr:
		for _, p := range e.Parts {
			if !d.vetPart(p, refs) {
				return false
			}
		}
		return true
	case *hclsyntax.TupleConsExpr:
		for _, x := range e.Exprs {
			if !d.vet(x, refs) {
				return false
			}
		}
		return true
	case *hclsyntax.IndexExpr:
		return d.vet(e.Collection, refs) && d.vet(e.Key, refs)
	case *hclsyntax.ScopeTraversalExpr:
		return d.vetRoot(e, refs)
	case *hclsyntax.ObjectConsExpr:
		d.later(e, "An object as a value")
	case *hclsyntax.FunctionCallExpr:
		d.later(e, fmt.Sprintf("The call of a function, %s,", e.Name))
	default:
		d.later(e, "An expression with operators, conditions or loops")
	}
	return false
}

// vetPart is vet for what stands in ${…}. An operator or an unknown variable
// there is most likely meant for iPXE.
func (d *decoder) vetPart(e hclsyntax.Expression, refs bool) bool {
	switch x := e.(type) {
	case *hclsyntax.BinaryOpExpr, *hclsyntax.UnaryOpExpr:
		d.ipxeVariable(e.Range())
		return false
	case *hclsyntax.ScopeTraversalExpr:
		if root := x.Traversal.RootName(); root != "boot" && !slices.Contains(laterRoots, root) {
			d.ipxeVariable(e.Range())
			return false
		}
	}
	return d.vet(e, refs)
}

func (d *decoder) vetRoot(e *hclsyntax.ScopeTraversalExpr, refs bool) bool {
	root := e.Traversal.RootName()
	switch {
	case root == "boot" && refs:
		return true
	case root == "boot":
		d.errorf(e.Range(), sumVariable, "A reference to a boot can stand only in a rule, as boot = boot.NAME.")
	case slices.Contains(laterRoots, root):
		d.later(e, fmt.Sprintf("A reference to %s.*", root))
	default:
		d.errorf(e.Range(), sumVariable, "There is no variable %q. A text needs quotes: %q.", root, root)
	}
	return false
}

func (d *decoder) later(e hclsyntax.Expression, what string) {
	d.errorf(e.Range(), sumLater, "%s", laterSentence(what))
}

func (d *decoder) ipxeVariable(at hcl.Range) {
	text := at.SliceBytes(d.src)
	d.errorf(at, sumIPXEVariable, "${%s} is taken for a variable of this file, which has none of that name. For one of iPXE, which the machine fills in, write $${%s}.", text, text)
}

// value evaluates an expression that vet let through.
func (d *decoder) value(e hclsyntax.Expression) (cty.Value, bool) {
	if !d.vet(e, false) {
		return cty.NilVal, false
	}
	v, diags := e.Value(nil)
	for _, diag := range diags {
		if diag.Subject == nil {
			diag.Subject = e.Range().Ptr()
		}
		d.hcl(diag)
	}
	return v, !diags.HasErrors()
}

// A text is a string of the file with its place.
type text struct {
	s  string
	at hcl.Range
}

// text is the string value of a, which may be nil: a setting that is not there.
// what the value should be is said by want when it is something else.
func (d *decoder) text(a *hclsyntax.Attribute, want string) (text, bool) {
	if a == nil {
		return text{}, false
	}
	return d.textOf(a.Expr, a.Name, want)
}

func (d *decoder) textOf(e hclsyntax.Expression, name, want string) (text, bool) {
	v, ok := d.value(e)
	switch {
	case !ok:
		return text{}, false
	case v.IsNull():
		d.errorf(e.Range(), sumNull, "%s is null. Write %s, or leave the line out.", name, want)
		return text{}, false
	case v.Type() != cty.String:
		d.errorf(e.Range(), sumType, "%s is a %s. Write %s.", name, kindOf(v), want)
		return text{}, false
	}
	return text{v.AsString(), e.Range()}, true
}

// texts is the value of a setting that takes one string or a list of them. An
// element that is wrong is reported and left out; ok is whether none was.
func (d *decoder) texts(a *hclsyntax.Attribute, want string) (all []text, ok bool) {
	elems := []hclsyntax.Expression{a.Expr}
	if list, isList := a.Expr.(*hclsyntax.TupleConsExpr); isList {
		elems = list.Exprs
	}
	ok = true
	for _, e := range elems {
		t, good := d.textOf(e, a.Name, want)
		if !good {
			ok = false
			continue
		}
		all = append(all, t)
	}
	return all, ok
}

// flag is the value of a setting that takes true or false.
func (d *decoder) flag(a *hclsyntax.Attribute) (value, ok bool) {
	v, ok := d.value(a.Expr)
	switch {
	case !ok:
		return false, false
	case v.IsNull():
		d.errorf(a.Expr.Range(), sumNull, "%s is null. Write true or false, or leave the line out.", a.Name)
		return false, false
	case v.Type() != cty.Bool:
		d.errorf(a.Expr.Range(), sumType, "%s is a %s. Write true or false, without quotes.", a.Name, kindOf(v))
		return false, false
	}
	return v.True(), true
}

// word is the value of a setting that takes one of a few words.
func (d *decoder) word(a *hclsyntax.Attribute, words []string) (string, bool) {
	t, ok := d.text(a, "a word in quotes")
	if !ok {
		return "", false
	}
	if !slices.Contains(words, t.s) {
		d.unknownWord(t, a.Name, words)
		return "", false
	}
	return t.s, true
}

func (d *decoder) unknownWord(t text, name string, words []string) {
	d.errorf(t.at, sumUnknownWord, "%s cannot be %q.%s", name, t.s, didYouMean(t.s, words))
}

// kindOf names the type of a value in the words of the language.
func kindOf(v cty.Value) string {
	switch t := v.Type(); {
	case t == cty.String:
		return "text"
	case t == cty.Number:
		return "number"
	case t == cty.Bool:
		return "truth value"
	case t.IsTupleType():
		return "list"
	default:
		return t.FriendlyName()
	}
}
