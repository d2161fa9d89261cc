package config

import (
	"math/big"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A text is a string of the file with its place.
type text struct {
	s  string
	at hcl.Range
}

// text is the string value of a, which may be nil: a setting that is not there.
// what the value should be is said by want when it is something else.
func (s *scope) text(a *hclsyntax.Attribute, want string) (text, bool) {
	if a == nil {
		return text{}, false
	}
	return s.textOf(a.Expr, a.Name, want)
}

func (s *scope) textOf(e hclsyntax.Expression, name, want string) (text, bool) {
	v, ok := s.value(e)
	if !ok {
		return text{}, false
	}
	return s.asText(v, e.Range(), name, want)
}

func (s *scope) asText(v cty.Value, at hcl.Range, name, want string) (text, bool) {
	switch {
	case v.IsNull():
		s.errorf(at, sumNull, "%s is null. Write %s, or leave the line out.", name, want)
		return text{}, false
	case v.Type() != cty.String:
		s.errorf(at, sumType, "%s is a %s. Write %s.", name, kindOf(v), want)
		return text{}, false
	}
	return text{v.AsString(), at}, true
}

// texts is the value of a setting that takes one string or a list of them. An
// element that is wrong is reported and left out; ok is whether none was.
func (s *scope) texts(a *hclsyntax.Attribute, want string) (all []text, ok bool) {
	ok = true
	add := func(t text, good bool) {
		if ok = ok && good; good {
			all = append(all, t)
		}
	}
	if list, isList := a.Expr.(*hclsyntax.TupleConsExpr); isList {
		for _, e := range list.Exprs { // which have a place each
			add(s.textOf(e, a.Name, want))
		}
		return all, ok
	}
	v, ok := s.value(a.Expr)
	if !ok {
		return nil, false
	}
	if t := v.Type(); v.IsNull() || !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		add(s.asText(v, a.Expr.Range(), a.Name, want))
		return all, ok
	}
	for _, elem := range v.Elements() {
		add(s.asText(elem, a.Expr.Range(), a.Name, want))
	}
	return all, ok
}

// localPath is the absolute path that a setting names on this host. want ends a
// sentence that begins with "Write"; empty and elsewhere follow what is said of a
// text that is empty, and of one that is a URL.
func (s *scope) localPath(a *hclsyntax.Attribute, want, empty, elsewhere string) (path string, at hcl.Range, ok bool) {
	t, ok := s.text(a, want)
	switch {
	case !ok:
	case t.s == "":
		s.errorf(t.at, sumEmpty, "%s is empty. %s", a.Name, empty)
	case scheme.MatchString(t.s):
		s.errorf(t.at, sumURL, "%s", elsewhere)
	default:
		return resolve(s.dir, t.s), t.at, true
	}
	return "", t.at, false
}

// flag is the value of a setting that takes true or false.
func (s *scope) flag(a *hclsyntax.Attribute) (value, ok bool) {
	v, ok := s.value(a.Expr)
	switch {
	case !ok:
		return false, false
	case v.IsNull():
		s.errorf(a.Expr.Range(), sumNull, "%s is null. Write true or false, or leave the line out.", a.Name)
		return false, false
	case v.Type() != cty.Bool:
		s.errorf(a.Expr.Range(), sumType, "%s is a %s. Write true or false, without quotes.", a.Name, kindOf(v))
		return false, false
	}
	return v.True(), true
}

// maxCount bounds a number of things, so that it fits into an int anywhere.
const maxCount = 1<<31 - 1

// count is the value of a setting that takes a whole number from 0.
func (s *scope) count(a *hclsyntax.Attribute, want string) (int, bool) {
	v, ok := s.value(a.Expr)
	if !ok {
		return 0, false
	}
	at := a.Expr.Range()
	switch {
	case v.IsNull():
		s.errorf(at, sumNull, "%s is null. Write %s, or leave the line out.", a.Name, want)
		return 0, false
	case v.Type() != cty.Number:
		s.errorf(at, sumType, "%s is a %s. Write %s, without quotes.", a.Name, kindOf(v), want)
		return 0, false
	}
	f := v.AsBigFloat()
	if n, exact := f.Int64(); exact == big.Exact && n >= 0 && n <= maxCount {
		return int(n), true
	}
	s.errorf(at, sumNumber, "%s cannot be %s. Write %s: a whole one from 0 to %d.", a.Name, f.Text('g', 10), want, maxCount)
	return 0, false
}

// word is the value of a setting that takes one of a few words.
func (s *scope) word(a *hclsyntax.Attribute, words []string) (string, bool) {
	t, ok := s.text(a, "a word in quotes")
	if !ok {
		return "", false
	}
	if !slices.Contains(words, t.s) {
		s.unknownWord(t, a.Name, words)
		return "", false
	}
	return t.s, true
}

func (s *scope) unknownWord(t text, name string, words []string) {
	s.errorf(t.at, sumUnknownWord, "%s cannot be %q.%s", name, t.s, didYouMean(t.s, words))
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
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return "list"
	case t.IsObjectType() || t.IsMapType():
		return "map"
	case t.Equals(bootType):
		return "boot"
	default:
		return t.FriendlyName()
	}
}
