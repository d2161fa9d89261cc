package recipes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

const (
	maxIndex     = 8 << 20          // bytes of an index; that of Fedora CoreOS has 40 KiB
	indexTimeout = 20 * time.Second // for all of it
)

// A Choice is what a user asks of a recipe. What is empty is the recipe's matter.
type Choice struct {
	Version string
	Arch    string // in the distribution's word
	Mirror  string // without a slash at the end; a directory of this host is one, too
}

// An Opener fetches an index.
type Opener interface {
	Open(ctx context.Context, source string) (io.ReadCloser, int64, error)
}

// A Boot is what a recipe boots.
type Boot struct {
	Name          string   // of the recipe
	Version, Arch string   // what was chosen; empty where the recipe has no such choice
	Machines      []string // the architectures, in the words of the language, that it is for
	Kernel        string   // a URL or a path
	KernelUEFI    string   // the same for machines with a UEFI, where it is another one
	Initrd        []string // URLs or paths
	Cmdline       string
	Fetches       []string // URLs or paths that the system fetches by itself
	Sums          string   // the URL or path of the mirror's own list of files, as sha256sum writes it; may be empty
	Notes         string   // sentences for who boots it
}

// Unknown is a choice that a recipe does not have.
type Unknown struct{ reason string }

// Error says what there is.
func (e *Unknown) Error() string { return e.reason }

// Resolve makes of a choice what is booted. The error is an *Unknown for a choice
// that there is not; any other says why the recipe, or its index, cannot be used.
func (r *Recipe) Resolve(ctx context.Context, from Opener, c Choice) (*Boot, error) {
	b := &Boot{Name: r.Name, Version: c.Version, Arch: c.Arch}
	if err := r.choose(b); err != nil {
		return nil, err
	}
	s := r.of(b.Version)
	arches, err := s.arches(r.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case len(arches) == 0 && b.Arch != "":
		return nil, &Unknown{fmt.Sprintf("recipe %s is for every architecture: leave --arch out", r.Name)}
	case len(arches) > 0 && b.Arch == "":
		b.Arch = r.Arch
	}
	if machines, ok := arches[b.Arch]; ok {
		b.Machines = machines
	} else if len(arches) > 0 {
		return nil, &Unknown{fmt.Sprintf("recipe %s has no architecture %q.%s", r.describe(b.Version), b.Arch, hint(b.Arch, slices.Sorted(maps.Keys(arches))))}
	}

	e := &evaluation{recipe: r, settings: s, scope: &hcl.EvalContext{
		Functions: functions(),
		Variables: map[string]cty.Value{"version": cty.StringVal(b.Version), "arch": cty.StringVal(b.Arch)},
	}}
	mirror := strings.TrimRight(c.Mirror, "/")
	if own := e.text(settingMirror); mirror == "" {
		mirror = own
	} else if s[settingMirror] == nil {
		return nil, &Unknown{fmt.Sprintf("recipe %s has no mirrors: leave --mirror out", r.Name)}
	}
	e.scope.Variables["mirror"] = cty.StringVal(mirror)
	if s[settingIndex] != nil {
		if err := e.fetch(ctx, from); err != nil {
			return nil, err
		}
	}
	b.Kernel, b.KernelUEFI = e.kernel()
	b.Initrd, b.Cmdline, b.Fetches = e.texts(settingInitrd), e.text(settingCmdline), e.texts(settingFetches)
	b.Sums, b.Notes = e.text(settingSums), e.text(settingNotes)
	if e.err != nil {
		return nil, e.err
	}
	return b, nil
}

// choose looks at the version.
func (r *Recipe) choose(b *Boot) error {
	switch {
	case len(r.Versions) == 0 && b.Version != "":
		return &Unknown{fmt.Sprintf("recipe %s has no versions: leave %q out", r.Name, b.Version)}
	case len(r.Versions) == 0:
		return nil
	case b.Version == "" && r.Version == "":
		return &Unknown{fmt.Sprintf("recipe %s needs a version. There is %s.", r.Name, strings.Join(r.Versions, ", "))}
	case b.Version == "":
		b.Version = r.Version
	}
	if !slices.ContainsFunc(r.Versions, func(v string) bool { return matches(v, b.Version) }) {
		return &Unknown{fmt.Sprintf("recipe %s has no version %q.%s", r.Name, b.Version, hint(b.Version, r.Versions))}
	}
	return nil
}

// matches is path.Match of a version, which has no slash and no dots that lead
// out of a folder.
func matches(pattern, version string) bool {
	ok, _ := path.Match(pattern, version)
	return ok && (pattern == version || plain.MatchString(version))
}

var plain = regexp.MustCompile(`^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`)

// describe is the recipe with its version, for sentences.
func (r *Recipe) describe(version string) string { return strings.TrimSpace(r.Name + " " + version) }

// of are the settings of a version.
func (r *Recipe) of(version string) settings {
	s := maps.Clone(r.settings)
	maps.Copy(s, r.releases[version])
	return s
}

// An evaluation is of one recipe, and keeps the first error.
type evaluation struct {
	recipe   *Recipe
	settings settings
	scope    *hcl.EvalContext
	err      error
}

// functions are those that a recipe may call.
func functions() map[string]function.Function {
	return map[string]function.Function{
		"format":     stdlib.FormatFunc,
		"lower":      stdlib.LowerFunc,
		"replace":    stdlib.ReplaceFunc,
		"split":      stdlib.SplitFunc,
		"trimprefix": stdlib.TrimPrefixFunc,
	}
}

func (e *evaluation) fail(name, format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("recipe %q: %s: %s", e.recipe.Name, name, fmt.Sprintf(format, args...))
	}
}

// value is that of a setting; ok is false where there is none, or none that is
// known.
func (e *evaluation) value(name string) (v cty.Value, ok bool) {
	expr := e.settings[name]
	if expr == nil || e.err != nil {
		return v, false
	}
	v, diags := expr.Value(e.scope)
	if diags.HasErrors() {
		e.err = fmt.Errorf("recipe %q: %w", e.recipe.Name, told(diags))
		return v, false
	}
	return v, !v.IsNull()
}

func (e *evaluation) text(name string) string {
	v, ok := e.value(name)
	if !ok {
		return ""
	}
	return e.asText(name, v)
}

func (e *evaluation) asText(name string, v cty.Value) string {
	t, err := convert.Convert(v, cty.String)
	if err != nil || t.IsNull() || !t.IsKnown() {
		e.fail(name, "it must be a text")
		return ""
	}
	if s := t.AsString(); !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	e.fail(name, "it must be a text of one line")
	return ""
}

func (e *evaluation) texts(name string) (all []string) {
	v, ok := e.value(name)
	if !ok {
		return nil
	}
	if !v.CanIterateElements() || !(v.Type().IsTupleType() || v.Type().IsListType()) {
		e.fail(name, "it must be a list of texts")
		return nil
	}
	for _, element := range v.AsValueSlice() {
		all = append(all, e.asText(name, element))
	}
	return all
}

// kernel is the text of that setting, or the two of an object.
func (e *evaluation) kernel() (bios, uefi string) {
	v, ok := e.value(settingKernel)
	switch {
	case !ok:
		e.fail(settingKernel, "there is none")
		return "", ""
	case v.Type().IsObjectType() && len(v.Type().AttributeTypes()) == 2 && v.Type().HasAttribute("bios") && v.Type().HasAttribute("uefi"):
		return e.asText(settingKernel, v.GetAttr("bios")), e.asText(settingKernel, v.GetAttr("uefi"))
	case v.Type().IsObjectType():
		e.fail(settingKernel, "an object there has bios and uefi")
		return "", ""
	}
	bios = e.asText(settingKernel, v)
	if bios == "" {
		e.fail(settingKernel, "it is empty")
	}
	return bios, ""
}

// fetch reads the index.
func (e *evaluation) fetch(ctx context.Context, from Opener) error {
	at := e.text(settingIndex)
	if e.err != nil {
		return e.err
	}
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	body, _, err := from.Open(ctx, at)
	if err != nil {
		return fmt.Errorf("recipe %s: its index: %w", e.recipe.Name, err)
	}
	defer body.Close()
	src, err := io.ReadAll(io.LimitReader(body, maxIndex+1))
	switch {
	case err != nil:
		return fmt.Errorf("recipe %s: its index: %w", e.recipe.Name, err)
	case len(src) > maxIndex:
		return fmt.Errorf("recipe %s: its index has more than %d MiB", e.recipe.Name, maxIndex>>20)
	}
	typ, err := ctyjson.ImpliedType(src)
	if err != nil {
		return fmt.Errorf("recipe %s: its index is no JSON: %w", e.recipe.Name, err)
	}
	v, err := ctyjson.Unmarshal(src, typ)
	if err != nil {
		return fmt.Errorf("recipe %s: its index: %w", e.recipe.Name, err)
	}
	e.scope.Variables["index"] = v
	return nil
}

// Files are all that a machine fetches: kernel, initrds, and what the system
// fetches by itself.
func (b *Boot) Files() []string {
	all := []string{b.Kernel}
	if b.KernelUEFI != "" {
		all = append(all, b.KernelUEFI)
	}
	return slices.Concat(all, b.Initrd, b.Fetches)
}

// HCL is the boot block, under the name of the recipe. cmdline stands behind the
// recipe's own command line; message may be empty.
func (b *Boot) HCL(cmdline, message string) []byte {
	f := hclwrite.NewEmptyFile()
	body := f.Body().AppendNewBlock("boot", []string{b.Label()}).Body()
	kernel := hclwrite.TokensForValue(cty.StringVal(b.Kernel))
	if b.KernelUEFI != "" {
		uefi := hclwrite.TokensForValue(cty.StringVal(b.KernelUEFI))
		kernel = hclwrite.Tokens{{Bytes: fmt.Appendf(nil, `machine.firmware == "bios" ? %s : %s`, bytes.TrimSpace(kernel.Bytes()), bytes.TrimSpace(uefi.Bytes()))}}
	}
	body.SetAttributeRaw("kernel", kernel)
	if len(b.Initrd) > 0 {
		var all []cty.Value
		for _, s := range b.Initrd {
			all = append(all, cty.StringVal(s))
		}
		body.SetAttributeValue("initrd", cty.TupleVal(all))
	}
	if line := strings.TrimSpace(b.Cmdline + " " + cmdline); line != "" {
		body.SetAttributeValue("cmdline", cty.StringVal(line))
	}
	if message != "" {
		body.SetAttributeValue("message", cty.StringVal(message))
	}
	return append(bytes.TrimSpace(hclwrite.Format(f.Bytes())), '\n')
}

// Label is the name of the boot block, an identifier.
func (b *Boot) Label() string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(".+ /", r) {
			return '_'
		}
		return r
	}, strings.TrimRight(b.Name, "+"))
}
