package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// secretMark is what sensitive() puts on a value. It stays on all that is made of it, by
// way of local values, for_each and functions, up to the setting that takes it.
const secretMark mark = "secret"

type mark string

// sensitive is the function.
var sensitive = function.New(&function.Spec{
	Params: []function.Parameter{{
		Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowMarked: true, AllowDynamicType: true,
	}},
	Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(secretMark), nil },
})

// revealed is a value without its marks, if it may be what the setting has; else it is
// refused.
func (s *scope) revealed(v cty.Value, e hclsyntax.Expression) (cty.Value, bool) {
	if !v.IsMarked() && v.Type().IsPrimitiveType() { // as nearly all are
		return v, true
	}
	plain, marks := v.UnmarkDeep()
	if len(marks) == 0 || s.hides || s.boot == nil && s.tokens[e.Range()] {
		return plain, true
	}
	s.errorf(e.Range(), sumShown, "This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.")
	return plain, false
}

// literals keeps the lines of a call of sensitive() from being shown.
func (s *scope) literals(call *hclsyntax.FunctionCallExpr) {
	s.secrets = append(s.secrets, call.Range())
}

// touches reports whether what is said of an expression may repeat a value that is
// sensitive.
func (s *scope) touches(e hclsyntax.Expression, ctx *hcl.EvalContext) bool {
	if calls(e, "sensitive") {
		return true
	}
	for _, t := range e.Variables() {
		if v, diags := t.TraverseAbs(ctx); !diags.HasErrors() && v.ContainsMarked() {
			return true
		}
	}
	return false
}

// sensitiveDetail is said in place of what would repeat a value that is sensitive.
const sensitiveDetail = "It is made of a value that is sensitive(), so no more is said of it. Look for it with a value that is none."
