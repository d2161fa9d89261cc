package config

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// pinMembers are those of a file with the digest that it must have.
var pinMembers = []string{"url", "sha256"}

// pin makes a file with a digest, { url = …, sha256 = … }, into the text that
// booters.ParseSource reads. What hangs on the machine is not known yet, and
// neither is what it makes. Other values stay as they are.
func (s *scope) pin(v cty.Value, e hclsyntax.Expression, name string) (cty.Value, bool) {
	v, problem := pinned(v, name)
	if problem == nil {
		return v, true
	}
	at, written := s.places(e)[problem.member]
	if !written {
		at = e.Range()
	}
	s.errorf(at, problem.summary, "%s", problem.detail)
	return cty.NilVal, false
}

// A pinProblem is what is wrong with a file that has a digest.
type pinProblem struct {
	refusal
	member string // of the object; empty: it as a whole
}

// pinned is pin for whoever has no place.
func pinned(v cty.Value, name string) (cty.Value, *pinProblem) {
	fail := func(member string, s summary, format string, args ...any) (cty.Value, *pinProblem) {
		return cty.NilVal, &pinProblem{refusal{s, fmt.Sprintf(format, args...)}, member}
	}
	t := v.Type()
	if !t.IsObjectType() && !t.IsMapType() || v.IsNull() {
		if t == cty.String && v.IsKnown() && !v.IsNull() {
			if _, ok := booters.CutDigest(v.AsString()); ok {
				return cty.StringVal("./" + v.AsString()), nil // a path that looks like what pin makes
			}
		}
		return v, nil
	}
	switch {
	case v.IsKnown():
	case t.IsMapType(): // like machine.labels
		return v, nil
	default:
		return cty.UnknownVal(cty.String), nil
	}
	members := v.AsValueMap()
	for member := range members {
		if !slices.Contains(pinMembers, member) {
			return fail(member, sumUnknownSetting, "There is no %s in %s.%s", member, name, didYouMean(member, pinMembers))
		}
	}
	for _, member := range pinMembers {
		switch value, ok := members[member]; {
		case !ok && member == "url":
			return fail("", sumMissing, "The file has a digest and no place. Write %s = { url = \"…\", sha256 = \"…\" }, with its path or URL.", name)
		case !ok:
			return fail("", sumMissing, "An object is for a file with the digest that it must have. Write %s = { url = \"…\", sha256 = \"…\" }, or the path or URL alone in quotes.", name)
		case value.Type() == cty.DynamicPseudoType && !value.IsKnown():
		case value.IsNull():
			return fail(member, sumNull, "%s is null. Write a text in quotes.", member)
		case value.Type() != cty.String:
			return fail(member, sumType, "%s is a %s. Write a text in quotes.", member, kindOf(value))
		}
	}
	source := booters.Source{}
	if digest := members["sha256"]; digest.IsKnown() {
		var err error
		if source.SHA256, err = boot.ParseDigest(digest.AsString()); err != nil {
			return fail("sha256", sumDigest, "sha256 is no digest: %v. `sha256sum FILE` prints it.", err)
		}
	}
	if !v.IsWhollyKnown() {
		return cty.UnknownVal(cty.String), nil
	}
	if source.At = members["url"].AsString(); source.At == "" {
		return fail("url", sumEmpty, "url is empty. Write the path or URL of the file.")
	}
	return cty.StringVal(source.String()), nil
}

// places are where the members of an object stand that is written out.
func (s *scope) places(e hclsyntax.Expression) map[string]hcl.Range {
	places := make(map[string]hcl.Range)
	if object, ok := e.(*hclsyntax.ObjectConsExpr); ok {
		for _, item := range object.Items {
			if key, diags := item.KeyExpr.Value(s.ctx); !diags.HasErrors() && key.Type() == cty.String && !key.IsMarked() {
				places[key.AsString()] = item.ValueExpr.Range()
			}
		}
	}
	return places
}

// A pinnedPath is a local file that must have a digest.
type pinnedPath struct {
	booters.Source
	at hcl.Range
}

// CheckDigests reads the local files that the configuration names with a digest,
// and warns of those that have another. Load does not: it is done at each reload,
// and images are large.
func (r *Report) CheckDigests(ctx context.Context, sources *booters.Sources) {
	for _, p := range r.pins {
		var wrong *boot.DigestError
		if errors.As(sources.Look(ctx, p.String()), &wrong) { // a file that is not there has its warning
			r.warn(p.at, sumOtherDigest, fmt.Sprintf("%q has the SHA-256 %s. It is not served until it is another one, or its digest stands here.", p.At, wrong.Got))
		}
	}
	r.sort()
}
