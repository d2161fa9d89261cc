package recipes

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
)

//go:embed recipes.hcl
var builtin []byte

// maxFile bounds a catalogue in bytes; the one that is built in has a twentieth
// of it. It bounds the depth of hcl's recursion, too.
const maxFile = 256 << 10

// A Catalogue is all recipes. It is never modified after Load.
type Catalogue struct {
	recipes []*Recipe // in the order of the files
}

// A Recipe is where the files of a distribution lie.
type Recipe struct {
	Name     string
	Title    string   // what it boots, for people
	Aliases  []string // further names
	Versions []string // all that there are, patterns among them; empty: it has none
	Version  string   // the one that is meant where none is named; may be empty
	Arches   []string // the distribution's words for architectures, in alphabetical order, of all versions
	Arch     string   // the one that is meant where none is named

	settings settings            // of all versions
	releases map[string]settings // by version
}

// settings are expressions over version, arch, mirror and index, by name.
type settings map[string]hcl.Expression

// The names of settings, which a release may have of its own.
const (
	settingArches  = "arches"
	settingMirror  = "mirror"
	settingIndex   = "index"
	settingKernel  = "kernel"
	settingInitrd  = "initrd"
	settingCmdline = "cmdline"
	settingFetches = "fetches"
	settingSums    = "sums"
	settingNotes   = "notes"
)

// A file is what a catalogue's file says, and an entry one recipe of it.
type file struct {
	Recipes []entry `hcl:"recipe,block"`
}

type entry struct {
	Name     string   `hcl:"name,label"`
	Title    *string  `hcl:"title"`
	Aliases  []string `hcl:"aliases,optional"`
	Versions []string `hcl:"versions,optional"`
	Version  *string  `hcl:"version"`
	Arch     *string  `hcl:"arch"`
	Rest     hcl.Body `hcl:",remain"`
}

// ofRecipe are the names that a recipe has beside entry's.
var ofRecipe = &hcl.BodySchema{Attributes: attributes(), Blocks: []hcl.BlockHeaderSchema{{Type: "release"}}}

func attributes() (all []hcl.AttributeSchema) {
	for _, name := range []string{settingArches, settingMirror, settingIndex, settingKernel, settingInitrd, settingCmdline, settingFetches, settingSums, settingNotes} {
		all = append(all, hcl.AttributeSchema{Name: name})
	}
	return all
}

// Load is the catalogue that is built in, with the files at paths over it. The
// error says all that is wrong with the first file that is.
func Load(paths ...string) (*Catalogue, error) {
	c := &Catalogue{}
	if err := c.add("recipes.hcl", builtin); err != nil {
		return nil, err
	}
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return nil, err
		}
		src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		f.Close()
		if err != nil {
			return nil, err
		}
		if err := c.add(p, src); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add puts the recipes of src over those that there are.
func (c *Catalogue) add(name string, src []byte) error {
	if len(src) > maxFile {
		return fmt.Errorf("%s: a catalogue may have %d KiB: is it the right file?", name, maxFile>>10)
	}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return told(diags)
	}
	for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
		relabel(b)
	}
	var f file
	if diags := gohcl.DecodeBody(parsed.Body, nil, &f); diags.HasErrors() {
		return told(diags)
	}
	for i := range f.Recipes {
		if err := c.put(&f.Recipes[i]); err != nil {
			return err
		}
	}
	return c.names()
}

// relabel makes one release block of each label, since hcl's schemas count them.
func relabel(recipe *hclsyntax.Block) {
	var all hclsyntax.Blocks
	for _, b := range recipe.Body.Blocks {
		if b.Type != "release" || len(b.Labels) < 2 {
			all = append(all, b)
			continue
		}
		for i := range b.Labels {
			one := *b
			one.Labels, one.LabelRanges = b.Labels[i:i+1], b.LabelRanges[i:i+1]
			all = append(all, &one)
		}
	}
	recipe.Body.Blocks = all
}

// put adds a recipe, or replaces what e says of one that there is.
func (c *Catalogue) put(e *entry) error {
	body, diags := e.Rest.Content(&hcl.BodySchema{Attributes: ofRecipe.Attributes, Blocks: []hcl.BlockHeaderSchema{{Type: "release", LabelNames: []string{"version"}}}})
	if diags.HasErrors() {
		return told(diags)
	}
	i := slices.IndexFunc(c.recipes, func(r *Recipe) bool { return r.Name == e.Name })
	if i < 0 {
		i = len(c.recipes)
		c.recipes = append(c.recipes, &Recipe{Name: e.Name, settings: settings{}, releases: map[string]settings{}})
	}
	r := c.recipes[i]
	set(&r.Title, e.Title)
	set(&r.Version, e.Version)
	set(&r.Arch, e.Arch)
	if e.Aliases != nil {
		r.Aliases = e.Aliases
	}
	if e.Versions != nil {
		r.Versions = e.Versions
	}
	r.settings.take(body.Attributes)
	for _, b := range body.Blocks {
		own, diags := b.Body.Content(&hcl.BodySchema{Attributes: ofRecipe.Attributes})
		if diags.HasErrors() {
			return told(diags)
		}
		version := b.Labels[0]
		if r.releases[version] == nil {
			r.releases[version] = settings{}
		}
		r.releases[version].take(own.Attributes)
		if !slices.Contains(r.Versions, version) {
			r.Versions = append(r.Versions, version)
		}
	}
	return r.check()
}

func set(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}

func (s settings) take(all hcl.Attributes) {
	for name, a := range all {
		s[name] = a.Expr
	}
}

// named is what a recipe can be called, so that a boot can be called so, too.
var named = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._+-]*$`)

// check looks at what does not hang on a choice.
func (r *Recipe) check() error {
	if !named.MatchString(r.Name) {
		return fmt.Errorf("recipe %q: its name must begin with a letter and have letters, digits and -, _, . or + only", r.Name)
	}
	for _, v := range r.Versions {
		if _, err := path.Match(v, ""); err != nil {
			return fmt.Errorf("recipe %q: version %q: %w", r.Name, v, err)
		}
	}
	if r.settings[settingKernel] == nil {
		return fmt.Errorf("recipe %q has no kernel", r.Name)
	}
	r.Arches = nil
	for _, s := range append(slices.Collect(maps.Values(r.releases)), r.settings) {
		arches, err := s.arches(r.Name)
		if err != nil {
			return err
		}
		for word := range arches {
			if !slices.Contains(r.Arches, word) {
				r.Arches = append(r.Arches, word)
			}
		}
	}
	slices.Sort(r.Arches)
	if len(r.Arches) > 0 && !slices.Contains(r.Arches, r.Arch) {
		return fmt.Errorf("recipe %q: arch %q is none of its arches: name the one that is meant where none is named", r.Name, r.Arch)
	}
	return nil
}

// arches are the machines, in the words of the language, that each of the
// distribution's words for an architecture is for; nil where s has none.
func (s settings) arches(recipe string) (map[string][]string, error) {
	e := s[settingArches]
	if e == nil {
		return nil, nil
	}
	var all map[string][]string
	if diags := gohcl.DecodeExpression(e, nil, &all); diags.HasErrors() {
		return nil, told(diags)
	}
	for word, machines := range all {
		for _, m := range machines {
			if _, err := boot.ParseArchitecture(m); err != nil {
				return nil, fmt.Errorf("recipe %q: arches: %s: %w", recipe, word, err)
			}
		}
	}
	return all, nil
}

// names holds names and aliases apart.
func (c *Catalogue) names() error {
	taken := map[string]string{}
	for _, r := range c.recipes {
		for _, name := range append([]string{r.Name}, r.Aliases...) {
			if other, ok := taken[name]; ok && other != r.Name {
				return fmt.Errorf("recipe %q: %q means recipe %q already", r.Name, name, other)
			}
			taken[name] = r.Name
		}
	}
	return nil
}

// All lists the recipes: those that are built in, then a user's own.
func (c *Catalogue) All() []*Recipe { return slices.Clone(c.recipes) }

// Find looks for a recipe by its name or one of its aliases. The error says what
// there is.
func (c *Catalogue) Find(name string) (*Recipe, error) {
	var names []string
	for _, r := range c.recipes {
		if r.Name == name || slices.Contains(r.Aliases, name) {
			return r, nil
		}
		names = append(append(names, r.Name), r.Aliases...)
	}
	return nil, fmt.Errorf("there is no recipe %q.%s", name, hint(name, names))
}

// hint is a sentence that names what is most like given, or else all.
func hint(given string, names []string) string {
	if s := config.Suggest(given, names); s != "" {
		return fmt.Sprintf(" Did you mean %q?", s)
	}
	return " There is " + strings.Join(names, ", ") + "."
}

// Choices are one Choice for each version and architecture that is known by name,
// and patterns the versions that are not.
func (r *Recipe) Choices() (known []Choice, patterns []string) {
	versions := r.Versions
	if len(versions) == 0 {
		versions = []string{""}
	}
	for _, v := range versions {
		if strings.ContainsAny(v, "*?[") {
			patterns = append(patterns, v)
			continue
		}
		arches, _ := r.of(v).arches(r.Name) // looked at by check
		words := slices.Sorted(maps.Keys(arches))
		if len(words) == 0 {
			words = []string{""}
		}
		for _, word := range words {
			known = append(known, Choice{Version: v, Arch: word})
		}
	}
	return known, patterns
}

// told makes one error of what hcl says.
func told(diags hcl.Diagnostics) error {
	var errs []error
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			errs = append(errs, fmt.Errorf("%s: %s: %s", d.Subject, strings.ToLower(d.Summary[:1])+d.Summary[1:], d.Detail))
		}
	}
	return errors.Join(errs...)
}
