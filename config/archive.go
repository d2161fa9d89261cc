package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/cpio"
)

// archiveMembers are those of a file of an archive that says its mode.
var archiveMembers = []string{"content", "mode"}

// secretMode is that of a file with a secret in it, unless it says another.
const secretMode = 0o600

// archiveWay ends what is said of an archive that is none.
const archiveWay = `Write the names of its files and what is in them: cpio({ "/etc/hostname" = machine.name }).`

// unwrapped is an expression without parentheses, and without the template that one is
// in JSON.
func unwrapped(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		switch outer := e.(type) {
		case *hclsyntax.ParenthesesExpr:
			e = outer.Expression
		case *hclsyntax.TemplateWrapExpr:
			e = outer.Wrapped
		default:
			return e
		}
	}
}

// archiveCall is the cpio() that an expression is, or nil.
func archiveCall(e hclsyntax.Expression) *hclsyntax.FunctionCallExpr {
	if call, ok := unwrapped(e).(*hclsyntax.FunctionCallExpr); ok && call.Name == "cpio" {
		return call
	}
	return nil
}

// A packed is a file of an archive.
type packed struct {
	*phrase               // of its content; nil where file is set
	file    *booters.File // that is its content
	mode    uint32
}

// archive is a cpio(), the nth initrd of the boot that s is the scope of: another file of
// the boot, which no url() names. It is nil where there is an error.
func (s *scope) archive(call *hclsyntax.FunctionCallExpr, n int) *phrase {
	// No identifier has brackets, so no file block is called that.
	f := &booters.File{Name: fmt.Sprintf("initrd[%d]", n), Kind: booters.FileArchive}
	if len(call.Args) != 1 || call.ExpandFinal {
		s.errorf(call.Range(), sumType, "cpio takes one argument. %s", archiveWay)
		return nil
	}
	a := &archive{scope: s, files: make(map[string]packed), ok: true}
	a.read(unwrapped(call.Args[0]))
	names := slices.Sorted(maps.Keys(a.files))
	switch {
	case !a.ok:
		return nil
	case len(names) == 0:
		s.errorf(call.Args[0].Range(), sumEmpty, "The archive has no files. %s", archiveWay)
		return nil
	case len(names) > cpio.MaxFiles:
		s.errorf(call.Args[0].Range(), sumTooLarge, "An archive can have %d files, and this one has %d. Write several of them.", cpio.MaxFiles, len(names))
		return nil
	}
	if name := cpio.Conflict(names); name != "" {
		s.errorf(call.Args[0].Range(), sumTwice, "%q is a file in the archive, and other files are to lie in it. Rename one of them.", name)
		return nil
	}
	f.Members = names
	for _, p := range a.files {
		f.Secret = f.Secret || p.file != nil && p.file.Secret
		s.boot.ask(p.phrase, f.Name, true)
	}
	files, of := a.files, s.boot.name
	f.Render = func(r booters.Request, member string) (c booters.Content, err error) {
		p, ok := files[member]
		switch {
		case !ok:
			err = errors.New("there is no such member")
		case p.file != nil:
			c, err = p.file.Render(r, "")
		default:
			c.Text, err = p.text(r)
		}
		if err != nil {
			return c, fmt.Errorf("boot %s: %s: %w", of, f.PartName(member), err)
		}
		c.Mode = p.mode
		return c, nil
	}
	s.boot.recipe.files = append(s.boot.recipe.files, f)
	return &phrase{scope: s, name: "initrd", e: call, late: true, archive: f}
}

// An archive is one while it is read.
type archive struct {
	*scope
	files map[string]packed
	ok    bool
}

// wrong says what is wrong.
func (a *archive) wrong(at hcl.Range, sum summary, format string, args ...any) {
	a.ok = false
	a.errorf(at, sum, format, args...)
}

// read takes the argument of cpio().
func (a *archive) read(e hclsyntax.Expression) {
	object, written := e.(*hclsyntax.ObjectConsExpr)
	switch {
	case written:
		for _, item := range object.Items {
			name, ok := a.textOf(item.KeyExpr, "a name in cpio()", "the name of a file in quotes")
			if !ok {
				a.ok = false
				continue
			}
			if p, ok := a.member(name.s, item.ValueExpr); ok {
				a.add(name.s, item.KeyExpr.Range(), p)
			} else {
				a.ok = false
			}
		}
	case len(membersOf(e)) > 0 || callsURL(e):
		a.wrong(e.Range(), sumType, "Which files an archive has must be known when the file is loaded. %s", archiveWay)
	default:
		v, ok := a.value(e)
		if !ok {
			a.ok = false
			return
		}
		if t := v.Type(); v.IsNull() || !t.IsObjectType() && !t.IsMapType() {
			a.wrong(e.Range(), sumType, "What cpio takes is a map. %s", archiveWay)
			return
		}
		for key, value := range v.Elements() {
			t, ok := a.asText(value, e.Range(), fmt.Sprintf("cpio[%q]", key.AsString()), "a text in quotes")
			if !ok {
				a.ok = false
				continue
			}
			a.add(key.AsString(), e.Range(), packed{phrase: &phrase{scope: a.scope, name: "cpio", e: e, s: t.s}, mode: cpio.DefaultMode})
		}
	}
}

// add adds a file, unless its name cannot be.
func (a *archive) add(name string, at hcl.Range, p packed) {
	short, err := cpio.Clean(name)
	if err != nil {
		a.wrong(at, sumBadName, "%q is no name of a file in an archive: %v. Write one like \"/etc/hostname\".", name, err)
		return
	}
	if _, twice := a.files[short]; twice {
		a.wrong(at, sumTwice, "The archive has two files %q. Rename one of them.", short)
		return
	}
	if link := cpio.Replaces(short); link != "" {
		a.warn(at, sumReplaces, fmt.Sprintf("/%s is a link to usr/%[1]s in the initial RAM disks of most distributions, which the directory %[1]s of this archive replaces. Write \"/usr/%s\", unless this one has no such link.", link, short))
	}
	a.files[short] = p
}

// member is what is in a file: a text, { content = …, mode = … }, or file.NAME for
// either.
func (a *archive) member(name string, e hclsyntax.Expression) (p packed, ok bool) {
	content, mode := e, hclsyntax.Expression(nil)
	if object, ok := unwrapped(e).(*hclsyntax.ObjectConsExpr); ok {
		content = nil
		for _, item := range object.Items {
			key, ok := a.textOf(item.KeyExpr, "a name in a file of cpio()", "content or mode")
			switch {
			case !ok:
				return p, false
			case key.s == "content":
				content = item.ValueExpr
			case key.s == "mode":
				mode = item.ValueExpr
			default:
				a.errorf(item.KeyExpr.Range(), sumUnknownSetting, "There is no %s in a file of an archive.%s", key.s, didYouMean(key.s, archiveMembers))
				return p, false
			}
		}
		if content == nil {
			a.errorf(e.Range(), sumMissing, "The file does not say what is in it. Write { content = \"…\", mode = \"0755\" }.")
			return p, false
		}
	}
	p.mode = cpio.DefaultMode
	if ref, isRef := fileReference(content); isRef {
		if p.file, ok = a.packable(ref, content.Range()); !ok {
			return p, false
		}
		if p.file.Secret {
			p.mode = secretMode
		}
	} else if p.phrase = a.bounded(a.phrase(fmt.Sprintf("cpio[%q]", name), content, "a text in quotes", nil)); p.phrase == nil {
		return p, false
	}
	if mode != nil {
		return p, a.mode(mode, &p.mode)
	}
	return p, true
}

// fileReference is the NAME of an expression file.NAME.
func fileReference(e hclsyntax.Expression) (name string, ok bool) {
	ref, isRef := unwrapped(e).(*hclsyntax.ScopeTraversalExpr)
	if !isRef || ref.Traversal.RootName() != "file" || len(ref.Traversal) != 2 {
		return "", false
	}
	name, _, ok = step(ref.Traversal, 1)
	return name, ok
}

// packable is the file of the boot of that name, if it can be put into an archive.
func (a *archive) packable(name string, at hcl.Range) (*booters.File, bool) {
	if !a.referFile(name, at) {
		return nil, false
	}
	f := a.boot.files[name].file
	if f.Kind != booters.FileContent {
		a.errorf(at, sumType, "The file %s has a %s. What is packed into an archive is a file with content.", name, f.Kind)
		return nil, false
	}
	return f, true
}

// mode is the value of a mode: "0755".
func (s *scope) mode(e hclsyntax.Expression, to *uint32) bool {
	t, ok := s.textOf(e, "mode", "the mode of a file in quotes, like \"0755\"")
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(t.s, 8, 32)
	if err != nil || n > 0o7777 || len(t.s) < 3 {
		s.errorf(t.at, sumNumber, "mode cannot be %q. Write three or four octal digits in quotes, like \"0755\".", t.s)
		return false
	}
	*to = uint32(n)
	return true
}
