package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// maxFileText bounds a file that is made of text, in bytes, as in booters.
const maxFileText = 1 << 20

// noMachine is for what is looked at before any machine asks.
var noMachine = boot.Machine{MAC: make([]byte, 6)}

// A fileBlock is a file of a boot, in the scope of the boot that it is written
// in.
type fileBlock struct {
	*scope
	*hclsyntax.Block
	attrs hclsyntax.Attributes
	file  *booters.File // for the boot that has it
}

// The bounds on the life of an address.
const (
	minExpires = time.Minute
	maxExpires = 365 * 24 * time.Hour
)

// fileKinds are the settings of a file of which there must be one.
var fileKinds = []string{string(booters.FileContent), string(booters.FileSource), string(booters.FileTree)}

// fileBlocks are those in the body of a boot, without scopes; whole is whether
// they are all that could be meant.
func (d *decoder) fileBlocks(body *hclsyntax.Body) (all map[string]*fileBlock, whole bool) {
	all, whole = make(map[string]*fileBlock), true
	before := make(map[string]hcl.Range)
	for _, b := range body.Blocks {
		if b.Type != "file" {
			continue
		}
		if hides(b.Body.Attributes["secret"]) {
			for _, a := range b.Body.Attributes {
				if a.Name != "secret" {
					d.secrets = append(d.secrets, a.SrcRange)
				}
			}
		}
		inner := d.names(&fileBlockSchema, b.Body)
		name, at, ok := d.label(b, "its name")
		if ok = ok && d.identifies("file block", "url() refers to it", name, at); !ok {
			whole = false
			continue
		}
		if first, twice := before[name]; twice {
			d.errorf(at, sumTwice, "The boot has two files %q. Rename one of them.", name).other = first
			continue
		}
		before[name] = at
		var said []*hclsyntax.Attribute
		for _, kind := range fileKinds {
			if a := inner.Attributes[kind]; a != nil {
				said = append(said, a)
			}
		}
		slices.SortFunc(said, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
		switch {
		case len(said) == 0 && len(inner.Attributes) == len(b.Body.Attributes):
			d.errorf(b.DefRange(), sumNoContent, "The file does not say what is in it. Write one of content = \"…\", source = \"PATH\" and tree = { \"NAME\" = \"…\" }.")
		case len(said) > 1:
			d.errorf(said[1].NameRange, sumTwoContents, "The file already has %s. Keep one of the two, or write a second file.", said[0].Name).other = said[0].NameRange
		}
		all[name] = &fileBlock{Block: b, attrs: inner.Attributes}
	}
	return all, whole
}

// hides reports whether a file with this setting, which may be nil, may be a
// secret: it is read before any value is known.
func hides(secret *hclsyntax.Attribute) bool {
	if secret == nil {
		return false
	}
	literal, ok := secret.Expr.(*hclsyntax.LiteralValueExpr)
	return !ok || literal.Val.IsNull() || literal.Val.Type() != cty.Bool || literal.Val.True()
}

// isSecret reports whether what stands there is in a secret file.
func (d *decoder) isSecret(at hcl.Range) bool {
	return slices.ContainsFunc(d.secrets, func(s hcl.Range) bool {
		return s.Filename == at.Filename && s.Start.Byte <= at.Start.Byte && at.End.Byte <= s.End.Byte
	})
}

// declareFiles gives the files of a boot their names, so that its settings, and
// the files themselves, can refer to them.
func (b *bootBlock) declareFiles() {
	values := make(map[string]cty.Value, len(b.files))
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		f := *b.files[name] // another boot's may have the same block
		f.scope = f.scope.of(b)
		f.file = &booters.File{Name: name}
		for _, kind := range fileKinds {
			if f.attrs[kind] != nil {
				f.file.Kind = booters.FileKind(kind)
				break
			}
		}
		if a := f.attrs["secret"]; a != nil {
			f.file.Secret, _ = f.flag(a)
			f.scope.hides = f.file.Secret
		}
		if a := f.attrs["any_address"]; a != nil {
			if f.file.AnyAddress, _ = f.flag(a); f.attrs["secret"] == nil {
				f.warn(a.NameRange, sumNotHere, "any_address is for a secret file: others are served to any address. Leave the line out, or write secret = true.")
			}
		}
		if a := f.attrs["expires"]; a != nil {
			if v, ok := f.duration(a, "24h"); ok {
				if f.file.Expires = v; v < minExpires || v > maxExpires {
					f.errorf(a.Expr.Range(), sumDuration, "expires is from %s to %s: how long an address of the file is good. Write one like \"24h\".", brief(minExpires), brief(maxExpires))
				}
			}
		}
		b.files[name] = &f
		b.recipe.files = append(b.recipe.files, f.file)
		values[name] = cty.CapsuleVal(fileType, f.file)
	}
	b.fileVar = cty.ObjectVal(values)
}

// decode makes what the file is of its settings.
func (f *fileBlock) decode(bootName string) {
	members := make(map[string]*phrase)
	switch f.file.Kind {
	case booters.FileContent:
		a := f.attrs["content"]
		members[""] = f.bounded(f.phrase(a.Name, a.Expr, "a text, best as templatefile(\"PATH\", { … })", nil))
	case booters.FileSource:
		a := f.attrs["source"]
		p := f.phrase(a.Name, a.Expr, "a path or a URL in quotes", pathMembers)
		if p != nil {
			p.secret = f.file.Secret
		}
		members[""] = f.checked(p, source)
	case booters.FileTree:
		members = f.tree(f.attrs["tree"])
		f.file.Members = slices.Sorted(maps.Keys(members))
	}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		if p := members[member]; p != nil {
			p.secret = f.file.Secret
			f.boot.ask(p, "file "+f.file.PartName(member), f.file.Kind != booters.FileSource)
		}
	}
	file := f.file // without the block, which is let go of
	file.Render = func(r booters.Request, member string) (booters.Content, error) {
		c, err := renderFile(members[member], file.Kind, r)
		if err != nil {
			return c, fmt.Errorf("boot %s: file %s: %w", bootName, file.PartName(member), err)
		}
		return c, nil
	}
}

func renderFile(p *phrase, kind booters.FileKind, r booters.Request) (booters.Content, error) {
	if p == nil {
		return booters.Content{}, errors.New("there is no such member")
	}
	s, err := p.text(r)
	if err != nil || kind != booters.FileSource {
		return booters.Content{Text: s}, err
	}
	if p.late {
		var refused *refusal
		if s, _, refused = source(p.dir, s); refused == nil {
			s, refused = p.locked(s)
		}
		if refused != nil {
			if p.secret {
				return booters.Content{}, errors.New("its source is none for this machine: it is a secret, so no more is said")
			}
			return booters.Content{}, errors.New(refused.detail)
		}
	}
	return booters.Content{Source: s}, nil
}

// bounded is a phrase of which no constant is too long.
func (s *scope) bounded(p *phrase) *phrase {
	return s.checked(p, func(_, s string) (string, []string, *refusal) {
		if len(s) > maxFileText {
			return refuse(sumTooLarge, "A file that is made for a machine can have %d bytes, and this one has %d. Serve it from a path, by source.", maxFileText, len(s))
		}
		return s, nil, nil
	})
}

// tree is the value of a setting that takes { "NAME" = TEXT, … }, of which each
// text may hang on the machine.
func (f *fileBlock) tree(a *hclsyntax.Attribute) map[string]*phrase {
	members := make(map[string]*phrase)
	add := func(name string, at hcl.Range, p *phrase) {
		if _, twice := members[name]; twice {
			f.errorf(at, sumTwice, "The tree has two files %q. Rename one of them.", name)
			return
		}
		if f.treeName(name, at) {
			members[name] = f.bounded(p)
		}
	}
	const wayOut = `Write the names of its files and what is in them: { "user-data" = "…", "meta-data" = "…" }.`
	object, written := a.Expr.(*hclsyntax.ObjectConsExpr)
	switch {
	case written:
		for _, item := range object.Items {
			name, ok := f.textOf(item.KeyExpr, "a name in tree", "the name of a file in quotes")
			p := f.phrase(fmt.Sprintf("tree[%q]", name.s), item.ValueExpr, "a text in quotes", nil)
			if ok {
				add(name.s, item.KeyExpr.Range(), p)
			}
		}
	case len(membersOf(a.Expr)) > 0 || callsURL(a.Expr):
		f.errorf(a.Expr.Range(), sumType, "Which files a tree has must be known when the file is loaded. %s", wayOut)
		return nil
	default:
		v, ok := f.value(a.Expr)
		if !ok {
			return nil
		}
		if t := v.Type(); v.IsNull() || !t.IsObjectType() && !t.IsMapType() {
			f.errorf(a.Expr.Range(), sumType, "tree is no map. %s", wayOut)
			return nil
		}
		for key, value := range v.Elements() {
			name := key.AsString()
			if t, ok := f.asText(value, a.Expr.Range(), fmt.Sprintf("tree[%q]", name), "a text in quotes"); ok {
				add(name, a.Expr.Range(), &phrase{scope: f.scope, name: a.Name, e: a.Expr, s: t.s})
			}
		}
	}
	if written && len(object.Items) == 0 || len(members) == 0 && !written {
		f.errorf(a.Expr.Range(), sumEmpty, "The tree has no files. %s", wayOut)
	}
	return members
}

// treeName refuses a name that no machine could ask for.
func (f *fileBlock) treeName(name string, at hcl.Range) bool {
	switch {
	case name == "" || len(name) > maxSource || strings.HasSuffix(name, "/") || !filepath.IsLocal(name) || filepath.Clean(name) != name,
		strings.ContainsFunc(name, unicode.IsControl):
		f.errorf(at, sumBadName, "%q is no name of a file in a tree. Write one like \"user-data\" or \"latest/user-data\".", name)
		return false
	}
	return true
}

// warnFiles warns of files that no url() names, and so no machine asks for.
func (d *decoder) warnFiles(family *bootFamily) {
	for _, b := range family.boots {
		for _, name := range slices.Sorted(maps.Keys(b.files)) {
			if f := b.files[name]; !d.usedFiles[f.Block] {
				d.usedFiles[f.Block] = true // said once, for all that have it
				d.warn(f.DefRange(), sumUnusedFile, fmt.Sprintf("No url(file.%s) leads a machine to it. Write one into the command line, the script or another file of the boot, or leave the block out.", name))
			}
		}
	}
}
