package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// pinMembers are those of a file whose content is verified: by its digest, or by the
// checksums that its distributor publishes, with what vouches for these.
var pinMembers = []string{"url", "sha256", "checksums", "signature", "key"}

// pin makes a file with a digest, { url = …, sha256 = … }, or with checksums in place
// of that, into the text that
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
	if v.Type().Equals(imageType) {
		return imaged(v), nil
	}
	t := v.Type()
	if !t.IsObjectType() && !t.IsMapType() || v.IsNull() {
		if t == cty.String && v.IsKnown() && !v.IsNull() {
			return cty.StringVal(plainPath(v.AsString())), nil
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
	inImage := members["url"] != cty.NilVal && members["url"].Type().Equals(imageType)
	if inImage {
		members["url"] = imaged(members["url"])
	}
	for member := range members {
		if !slices.Contains(pinMembers, member) {
			return fail(member, sumUnknownSetting, "There is no %s in %s.%s", member, name, didYouMean(member, pinMembers))
		}
	}
	const digest, sums = `{ url = "…", sha256 = "…" }`, `{ url = "…", checksums = "…/SHA256SUMS" }`
	has := func(member string) bool { _, ok := members[member]; return ok }
	switch {
	case !has("url"):
		return fail("", sumMissing, "The file has a digest and no place. Write %s = %s, with its path or URL.", name, digest)
	case has("sha256") && has("checksums"):
		return fail("checksums", sumTwoDigests, "sha256 says already what the file must be. Write one of the two.")
	case has("signature") && !has("checksums"), has("key") && !has("checksums"):
		return fail("", sumMissing, "signature and key are those of checksums. Write %s = { url = \"…\", checksums = \"…/SHA256SUMS\", signature = \"…/SHA256SUMS.gpg\", key = \"./key.asc\" }.", name)
	case !has("sha256") && !has("checksums"):
		return fail("", sumMissing, "An object is for a file with the digest that it must have. Write %s = %s or %s, or the path or URL alone in quotes.", name, digest, sums)
	case has("signature") && !has("key"):
		return fail("signature", sumMissing, "A signature is good for nothing without the public key of whoever signs. Write key = \"./key.asc\", the path of a file with it, beside signature.")
	}
	for _, member := range pinMembers {
		switch value, ok := members[member]; {
		case !ok, value.Type() == cty.DynamicPseudoType && !value.IsKnown():
		case value.IsNull():
			return fail(member, sumNull, "%s is null. Write a text in quotes.", member)
		case value.Type() != cty.String:
			return fail(member, sumType, "%s is a %s. Write a text in quotes.", member, kindOf(value))
		case member != "sha256" && value.IsKnown() && value.AsString() == "":
			return fail(member, sumEmpty, "%s is empty. Write the path or URL of the file.", member)
		}
	}
	source := booters.Source{}
	if sum, ok := members["sha256"]; ok && sum.IsKnown() {
		var err error
		if source.SHA256, err = boot.ParseDigest(sum.AsString()); err != nil {
			return fail("sha256", sumDigest, "sha256 is no digest: %v. `sha256sum FILE` prints it.", err)
		}
	}
	if !v.IsWhollyKnown() {
		return cty.UnknownVal(cty.String), nil
	}
	text := func(member string) string {
		if has(member) {
			return members[member].AsString()
		}
		return ""
	}
	source.At = text("url")
	source.Sums = booters.Checksums{At: text("checksums"), Signature: text("signature"), Key: text("key")}
	return cty.StringVal(source.String()), nil
}

// checkSums makes the paths in checksums absolute, and returns those of this host.
func checkSums(dir string, sums booters.Checksums) (booters.Checksums, []string, *refusal) {
	var local []string
	for _, one := range []*string{&sums.At, &sums.Signature} {
		if *one == "" {
			continue
		}
		at, files, refused := source(dir, *one)
		if refused != nil {
			return sums, nil, refused
		}
		*one, local = at, append(local, files...)
	}
	switch {
	case sums.Key == "":
	case scheme.MatchString(sums.Key):
		return sums, nil, &refusal{sumURL, "A key that is fetched from elsewhere vouches for nothing. Write the path of a file of this host."}
	default:
		sums.Key = resolve(dir, sums.Key)
		local = append(local, sums.Key)
	}
	return sums, local, nil
}

// plainPath is a path that looks like what pin or iso() makes as one that does not.
func plainPath(s string) string {
	_, pinned := booters.CutDigest(s)
	if _, _, ok := booters.CutImage(s); ok || pinned {
		return "./" + s
	}
	return s
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

// A pinnedPath is a local file that must have a digest, or the key by which that is
// verified.
type pinnedPath struct {
	booters.Source
	at hcl.Range
}

// noteSource notes what of a source CheckDigests looks at.
func (s *scope) noteSource(text string, at hcl.Range) {
	src, err := booters.ParseSource(text)
	if err == nil && (src.Local() && !src.SHA256.IsZero() || src.Sums.Key != "") {
		s.pins = append(s.pins, pinnedPath{src, at})
	}
}

// CheckDigests reads the local files that the configuration names with a digest, and
// the keys by which checksums are verified, and warns of those that have another or
// verify nothing. Load does not: it is done at each reload, and images are large.
func (r *Report) CheckDigests(ctx context.Context, sources *booters.Sources) {
	keys := make(map[string]error)
	for _, p := range r.pins {
		if key := p.Sums.Key; key != "" {
			err, known := keys[key]
			if !known {
				err = sources.CheckKey(ctx, key)
				keys[key] = err
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // a file that is not there has its warning
				r.warn(p.at, sumKey, fmt.Sprintf("What %q verifies is not served: %v.", key, err))
			}
			continue
		}
		var wrong *boot.DigestError
		if errors.As(sources.Look(ctx, p.String()), &wrong) { // likewise
			r.warn(p.at, sumOtherDigest, fmt.Sprintf("%q has the SHA-256 %s. It is not served until it is another one, or its digest stands here.", p.At, wrong.Got))
		}
	}
	r.sort()
}
