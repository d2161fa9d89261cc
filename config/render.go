package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A recipe is what a boot boots, as far as it is known when the file is loaded.
type recipe struct {
	name                    string // of the boot
	kernel, message, script *phrase
	rpi                     *phrase
	initrd, cmdline         []*phrase
	files                   []*booters.File

	loader     boot.Loader // by what UEFI loads it
	shim, grub *phrase     // of LoaderShim and LoaderGRUB
}

// A phrase is the value of a setting, or of an element of its list. What hangs
// on the machine is left as an expression.
type phrase struct {
	*scope
	name    string // of the setting
	s       string // the value, unless it is late
	e       hclsyntax.Expression
	late    bool     // whether e hangs on the machine, or on the address of this server
	plain   plain    // e, if it is late, and as simple as that
	members []string // of machine, that e refers to
	parts   []part   // of a command line
	folder  bool     // whether it is the path of a directory
	file    bool     // whether it may be an object with a digest, and not a text only
	secret  bool     // whether no value in it may be shown

	archive *booters.File // that a cpio() is, in place of a value
}

// literally is the first of the characters that stands in the text itself, whatever
// the machine is; empty: none does, or there is no text.
func (p *phrase) literally(characters string) string {
	if p == nil {
		return ""
	}
	texts := []string{p.s}
	if t, ok := p.e.(*hclsyntax.TemplateExpr); ok && p.late {
		texts = nil
		for _, e := range t.Parts {
			if l, ok := e.(*hclsyntax.LiteralValueExpr); ok && l.Val.Type() == cty.String {
				texts = append(texts, l.Val.AsString())
			}
		}
	}
	for _, t := range texts {
		if i := strings.IndexAny(t, characters); i >= 0 {
			return t[i : i+1]
		}
	}
	return ""
}

// A part of a command line is what stands between two borders of ${…}.
type part struct {
	e     hclsyntax.Expression
	plain plain
	quote bool // whether a machine's own words are in it, in which {{ is text
	path  bool // whether it may stand in the path of a file
}

// pathMembers are what of a machine may choose a file: names that the operator
// gave it, and its platform, which is one of a few words.
var pathMembers = []string{"name", "arch", "firmware", "labels"}

// ownWords are what a machine, or a relay, says in any words that it likes.
var ownWords = []string{"vendor_class", "user_class", "circuit_id", "remote_id", "serial", "manufacturer", "product", "asset", "hostname"}

// phrase evaluates a setting in which machine may stand: all of its members, or
// those of only. Where all of them may, and s is the scope in a boot, so may
// url(). It is nil for a value with an error.
func (s *scope) phrase(name string, e hclsyntax.Expression, want string, only []string) *phrase {
	has := s.has() | rootMachine
	links := only == nil && s.boot != nil
	if links {
		has |= rootFile | rootAssets
	}
	if !s.vet(e, has) || links && !s.links(e) {
		return nil
	}
	if links && calls(e, "phone_home") {
		s.boot.phones = true
	}
	if links {
		s.sends = append(s.sends, uploadCalls(e)...)
	}
	p := &phrase{scope: s, name: name, e: e, file: only != nil}
	members := membersOf(e)
	links = links && callsURL(e)
	if len(members) == 0 && !links {
		v, ok := s.value(e)
		if ok && p.file {
			v, ok = s.pin(v, e, name)
		}
		if !ok {
			return nil
		}
		t, ok := s.asText(v, e.Range(), name, want)
		if p.s = t.s; !ok {
			return nil
		}
		return p
	}
	if only != nil && !s.vetPath(name, e, only) {
		return nil
	}
	v, ok := s.later(e)
	if ok && p.file {
		v, ok = s.pin(v, e, name)
	}
	switch {
	case !ok:
		return nil
	case v.IsKnown() || v.Type() != cty.String && v.Type() != cty.DynamicPseudoType:
		t, ok := s.asText(v, e.Range(), name, want)
		if p.s = t.s; !ok {
			return nil
		}
		return p // it does not hang on machine after all
	}
	p.late, p.members, p.plain = true, members, plainOf(e)
	return p
}

// vetPath refuses members of machine that may not choose a file.
func (s *scope) vetPath(name string, e hclsyntax.Expression, only []string) bool {
	ok := true
	for _, t := range e.Variables() {
		member, at, isMember := step(t, 1)
		if t.RootName() != "machine" || !isMember || slices.Contains(only, member) {
			continue
		}
		ok = false
		s.errorf(at, sumPathFact, "machine.%s cannot choose which file is %s: a machine may say what it likes of itself. A path can have machine.%s.",
			member, name, strings.Join(only, ", machine."))
	}
	return ok
}

// pieces splits a command line at its ${…}, to tell a marker {{ … }} that the
// file has from one that a machine says.
func (p *phrase) pieces() bool {
	exprs := []hclsyntax.Expression{p.e}
	if t, ok := p.e.(*hclsyntax.TemplateExpr); ok {
		exprs = t.Parts
	}
	var line strings.Builder
	for _, e := range exprs {
		members := membersOf(e)
		own := func(m string) bool { return slices.Contains(ownWords, m) }
		forPath := func(m string) bool { return slices.Contains(pathMembers, m) }
		one := part{e: e, plain: plainOf(e), quote: slices.ContainsFunc(members, own), path: !callsURL(e) && !slices.ContainsFunc(members, func(m string) bool { return !forPath(m) })}
		p.parts = append(p.parts, one)
		switch {
		case one.quote && strings.Contains(string(e.Range().SliceBytes(p.sources[e.Range().Filename])), "{{"):
			p.errorf(e.Range(), sumTemplate, "A {{ … }} has no meaning beside what a machine says of itself in one expression. Write it outside of the ${…}.")
			return false
		case !one.path:
			line.WriteString(noPath)
		case len(members) > 0:
			line.WriteString("x")
		default:
			v, ok := p.evaluate(e, p.ctx)
			if v, err := convert.Convert(v, cty.String); ok && err == nil && !v.IsNull() {
				line.WriteString(v.AsString())
			}
		}
	}
	_, _, refused := cmdline(p.dir, line.String())
	if refused != nil {
		p.errorf(p.e.Range(), refused.summary, "%s", refused.detail)
	}
	return refused == nil
}

// noPath stands where a part of a command line will be that may be in no path,
// and brace where a machine says "{". Both are noncharacters, of which Unicode
// (§23.7) says that no text has them.
const (
	noPath = "\ufdd0"
	brace  = "\ufdd1"
)

// text is the value for one machine.
func (p *phrase) text(r booters.Request) (string, error) {
	if !p.late {
		return p.s, nil
	}
	if p.parts == nil {
		return p.say(p.e, p.plain, r)
	}
	line := make([]byte, 0, lineSize)
	for _, one := range p.parts {
		if !one.quote {
			if more, ok := one.plain.appendTo(line, r); ok {
				line = more
				continue
			}
		}
		s, err := p.say(one.e, one.plain, r)
		if err != nil {
			return "", err
		}
		if one.quote {
			s = strings.NewReplacer("{", brace, noPath, "", brace, "").Replace(s)
		}
		line = append(line, s...)
	}
	return string(line), nil
}

// lineSize is what most command lines have, in bytes.
const lineSize = 256

// say is the value of an expression for one machine, and plain what plainOf made of it.
// What the machine does not have is left out of machine, so that try can find it missing.
func (p *phrase) say(expr hclsyntax.Expression, plain plain, r booters.Request) (string, error) {
	if s, ok := plain.appendTo(nil, r); ok {
		if _, digest := booters.CutDigest(string(s)); digest && p.file {
			return "./" + string(s), nil // see pinned
		}
		return string(s), nil
	}
	return p.evaluated(expr, r)
}

// A plain is an expression that consists of texts and of what the machine has said, as
// most do, taken apart when the file is loaded: a script needs no HCL then. It is empty
// for any other.
type plain []word

// A word is a text, or what of machine stands in its place.
type word struct {
	text   string
	member string // empty: it is a text
	label  string // of the member labels
}

// plainOf takes an expression apart.
func plainOf(expr hclsyntax.Expression) plain {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.String && e.Val.IsKnown() && !e.Val.IsNull() && !e.Val.IsMarked() {
			return plain{{text: e.Val.AsString()}}
		}
	case *hclsyntax.ScopeTraversalExpr:
		name, _, ok := step(e.Traversal, 1)
		if e.Traversal.RootName() != "machine" || !ok {
			return nil
		}
		label, _, ok := step(e.Traversal, 2)
		switch {
		case len(e.Traversal) == 2 && facts[name].typ == cty.String:
			return plain{{member: name}}
		case len(e.Traversal) == 3 && ok && name == "labels":
			return plain{{member: name, label: label}}
		}
	case *hclsyntax.TemplateWrapExpr:
		return plainOf(e.Wrapped)
	case *hclsyntax.TemplateExpr:
		var all plain
		for _, part := range e.Parts {
			words := plainOf(part)
			if words == nil {
				return nil
			}
			all = append(all, words...)
		}
		return all
	}
	return nil
}

// appendTo adds the text for one machine. It is false where nobody but HCL has the
// answer: the expression is not plain, or something in it is missing.
func (p plain) appendTo(b []byte, r booters.Request) ([]byte, bool) {
	for _, w := range p {
		s := w.text
		switch {
		case w.member == "":
		case w.label != "":
			if r.Entry != nil {
				s = r.Entry.Labels[w.label]
			}
		default:
			var own bool
			if s, own = ownText(w.member, &r.Machine, r.Entry); own {
				break
			}
			if v := memberOf(w.member, r.Machine, r.Entry); v.IsKnown() {
				s = v.AsString()
			}
		}
		if w.member != "" && s == "" {
			return b, false // a machine's empty word is one that it has not said
		}
		b = append(b, s...)
	}
	return b, p != nil
}

// evaluated is say for any expression.
func (p *phrase) evaluated(expr hclsyntax.Expression, r booters.Request) (string, error) {
	var missing []string
	ctx := p.ctx
	if p.boot != nil {
		ctx = p.linking(ctx, p.lockedLink(r.Link))
	}
	v, diags := expr.Value(withMachine(ctx, membersOf(expr), func(name string) cty.Value {
		v := memberOf(name, r.Machine, r.Entry)
		if !v.IsKnown() || v.Type() == cty.String && v.AsString() == "" {
			missing = append(missing, name)
			return cty.NilVal
		}
		return v
	}))
	if diags.HasErrors() {
		return "", p.without(expr, r, missing, firstError(diags))
	}
	v, marks := v.UnmarkDeep()
	if len(marks) > 0 && !p.secret { // by way of a part that was not known when the file was loaded
		return "", errors.New("it is made of a value that is sensitive, which belongs into a file with secret = true")
	}
	if p.file {
		var problem *pinProblem
		if v, problem = pinned(v, p.name); problem != nil {
			return "", errors.New(problem.detail)
		}
	}
	v, err := convert.Convert(v, cty.String)
	if err != nil || v.IsNull() || !v.IsKnown() {
		return "", errors.New("it is no text for this machine")
	}
	return v.AsString(), nil
}

// without is the sentence for an expression that a machine has no value of, since
// it has said nothing that could be one of missing, has not a label, or else for
// what hcl says.
func (p *phrase) without(expr hclsyntax.Expression, r booters.Request, missing []string, diag *hcl.Diagnostic) error {
	for _, name := range missing {
		// Of all that a template was given, hcl names the one that it uses.
		if strings.Contains(diag.Detail, fmt.Sprintf("named %q", name)) || len(missing) == 1 && !wholeMachine(expr) {
			return fmt.Errorf("this machine has said nothing that could be machine.%s", name)
		}
	}
	if label := missingLabel(expr, r.Machine, r.Entry); label != "" {
		return errors.New(label)
	}
	if p.secret { // hcl may repeat a value
		return fmt.Errorf("%s, %s: it is a secret, so no more is said; `pixiecore check` and a test block may find it", diag.Summary, pos(expr.Range()))
	}
	return fmt.Errorf("%s, %s: %s", diag.Summary, pos(expr.Range()), diag.Detail)
}

// missingLabel says which label of those in an expression the machine has not.
func missingLabel(expr hclsyntax.Expression, m boot.Machine, e *booters.Entry) string {
	for _, t := range expr.Variables() {
		member, _, _ := step(t, 1)
		label, _, ok := step(t, 2)
		if t.RootName() != "machine" || member != "labels" || !ok {
			continue
		}
		if e == nil {
			return fmt.Sprintf("the machine is in no machine block, so it has no label %q", label)
		}
		if _, ok := e.Labels[label]; !ok {
			return fmt.Sprintf("the machine %s has no label %q", e.Name, label)
		}
	}
	return ""
}

// constant reports whether nothing hangs on the machine.
func (r *recipe) constant() bool {
	for _, p := range slices.Concat([]*phrase{r.kernel, r.message, r.script, r.rpi}, r.initrd, r.cmdline) {
		if p != nil && p.late {
			return false
		}
	}
	return true
}

// sums reports whether what verifies a file of it may be checksums.
func (r *recipe) sums(d *decoder) bool {
	return slices.ContainsFunc(slices.Concat([]*phrase{r.kernel, r.shim, r.grub}, r.initrd), func(p *phrase) bool {
		switch {
		case p == nil:
			return false
		case p.late: // it may be a local value, or anything else that becomes an object
			return d.mentions("checksums")
		}
		src, _ := booters.CutDigest(p.s)
		return src.Sums.At != ""
	})
}

// mentions reports whether a word stands in one of the files.
func (d *decoder) mentions(word string) bool {
	for _, src := range d.sources {
		if bytes.Contains(src, []byte(word)) {
			return true
		}
	}
	return false
}

// spec is what one machine boots. The errors say all that is missing.
func (r *recipe) spec(req booters.Request) (*boot.Spec, error) {
	var errs []error
	// fill makes the value of a phrase, and checks it as a constant is.
	fill := func(p *phrase, check checker) string {
		switch {
		case p == nil:
			return ""
		case p.archive != nil:
			return string(p.archive.Initrd())
		}
		s, err := p.text(req)
		if err == nil && p.late {
			var refused *refusal
			if s, _, refused = check(p.dir, s); refused == nil {
				s, refused = p.locked(s)
			}
			if refused != nil {
				err = errors.New(refused.detail)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("boot %s: %s: %w", r.name, p.name, err))
		}
		return s
	}
	spec := &boot.Spec{
		Kernel:     boot.ID(fill(r.kernel, source)),
		Message:    fill(r.message, func(_, s string) (string, []string, *refusal) { return s, nil, nil }),
		IpxeScript: fill(r.script, script),
		RPi:        boot.ID(fill(r.rpi, directory)),
	}
	for _, p := range r.initrd {
		spec.Initrd = append(spec.Initrd, boot.ID(fill(p, source)))
	}
	line := make([]string, len(r.cmdline))
	for i, p := range r.cmdline {
		line[i] = fill(p, cmdline)
	}
	spec.Cmdline = strings.Join(line, " ")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return spec, nil
}

// image is whether the program is none, but a disk's image: by the suffix of its path or
// URL as it is written.
func (r *recipe) image() boot.DiskImage {
	text := string(r.written().Kernel)
	if src, ok := booters.CutDigest(text); ok {
		text = src.At
	}
	if _, name, ok := booters.CutImage(text); ok {
		text = name
	}
	text, _, _ = strings.Cut(strings.Trim(text, `"`), "?")
	return boot.DiskImageOf(text)
}

// written is the spec as it stands in the file, for people: an expression that
// hangs on the machine is shown as it is written.
func (r *recipe) written() boot.Spec {
	show := func(p *phrase) string {
		switch {
		case p == nil:
			return ""
		case !p.late:
			return p.s
		}
		at := p.e.Range()
		return string(at.SliceBytes(p.sources[at.Filename]))
	}
	spec := boot.Spec{Kernel: boot.ID(show(r.kernel)), Message: show(r.message), IpxeScript: show(r.script), RPi: boot.ID(show(r.rpi))}
	for _, p := range r.initrd {
		spec.Initrd = append(spec.Initrd, boot.ID(show(p)))
	}
	var line []string
	for _, p := range r.cmdline {
		line = append(line, show(p))
	}
	spec.Cmdline = strings.Join(line, " ")
	return spec
}
