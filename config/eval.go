package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A scope is what the names in an expression mean where it stands: local
// values, functions whose paths count from the file's folder, and, inside of an
// instance of for_each, each.key and each.value.
type scope struct {
	*decoder
	dir string           // of the file, absolute
	ctx *hcl.EvalContext // has the functions of the file, and local
	key string           // each.key; "" outside of for_each

	boot  *bootBlock // of which file.NAME are the files; nil outside of a boot
	hides bool       // whether what is evaluated stands in a secret file
}

// in is the scope of a block or setting that is no instance.
func (d *decoder) in(at hcl.Range) *scope {
	if s := d.scopes[at.Filename]; s != nil {
		return s
	}
	dir := d.dirs[at.Filename]
	s := &scope{decoder: d, dir: dir, ctx: &hcl.EvalContext{
		Variables: map[string]cty.Value{"local": d.local},
		Functions: d.disk.functions(dir),
	}}
	d.scopes[at.Filename] = s
	return s
}

// instance is the scope of one instance of a block.
func (s *scope) instance(key string, value cty.Value) *scope {
	ctx := s.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{
		"key":   cty.StringVal(key),
		"value": value,
	})}
	return &scope{decoder: s.decoder, dir: s.dir, ctx: ctx, key: key}
}

// maxAlike bounds how often one problem is told of the instances of a block: a
// table has a hundred thousand rows.
const maxAlike = 3

// errorf is the decoder's, and says of which instance the problem is.
func (s *scope) errorf(at hcl.Range, sum summary, format string, args ...any) *Problem {
	return s.tell(at, sum, fmt.Sprintf(format, args...))
}

func (s *scope) tell(at hcl.Range, sum summary, detail string) *Problem {
	// What a boot takes over is looked at again, for there it may mean another file.
	once := told{at, sum, detail, s.key}
	if s.told[once] {
		return &Problem{}
	}
	s.told[once] = true
	if s.key == "" {
		return s.add(SeverityError, at, sum, detail)
	}
	kind := alike{at, sum}
	if s.alike[kind]++; s.alike[kind] > maxAlike {
		return &Problem{}
	}
	return s.add(SeverityError, at, sum, fmt.Sprintf("%s This is so where each.key is %q.", detail, s.key))
}

// told is a problem that has been told.
type told struct {
	at          hcl.Range
	sum         summary
	detail, key string
}

// alike are problems of several instances that differ in the instance only.
type alike struct {
	at  hcl.Range
	sum summary
}

// A root is a name that references begin with, and where it has a meaning.
type root uint

const (
	rootLocal root = 1 << iota
	rootEach
	rootBoot
	rootMachine
	rootFile
	rootAssets
)

// roots are the names that references of this version begin with, and what is
// said where they have no meaning.
var roots = map[string]struct {
	root
	elsewhere string
}{
	"local":   {rootLocal, "local.* are the values of locals blocks, which a template file has not: pass what it needs as an argument."},
	"each":    {rootEach, "each.key and each.value are those of one instance. Write for_each = … into the block, and use them there."},
	"machine": {rootMachine, "machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message, script, kernel, initrd and files of a boot, and in when."},
	"file":    {rootFile, "file.NAME is a file of the boot that this stands in, and " + inURL},
	"assets":  {rootAssets, "assets.NAME is a directory, and " + inURL},
	"boot":    {rootBoot, "A reference to a boot can stand only in a rule, as boot = boot.NAME, or as extends = boot.NAME in a boot."},
}

// inURL ends a sentence about what only url() takes.
const inURL = "only its address is a text: url() makes it, in cmdline, message and script of a boot and in content and tree of its files."

// has are the names that mean something in the scope; a setting may add more.
func (s *scope) has() root {
	if s.key != "" {
		return rootLocal | rootEach
	}
	return rootLocal
}

// vet looks for names in an expression that mean nothing where it stands, and
// reports all of them. The evaluation would stop at the first.
func (s *scope) vet(e hclsyntax.Expression, has root) bool {
	key := vetted{e, has}
	if ok, done := s.vetted[key]; done {
		return ok
	}
	// What is found here is so in every instance.
	w := &vetter{scope: &scope{decoder: s.decoder, dir: s.dir, ctx: s.ctx}, has: has, ok: true}
	hclsyntax.Walk(e, w)
	s.vetted[key] = w.ok
	return w.ok
}

// vetted is an expression that has been looked at. An expression belongs to all
// instances of its block, which have the same names.
type vetted struct {
	e   hclsyntax.Expression
	has root
}

// A vetter walks an expression.
type vetter struct {
	*scope
	has   root
	loops []map[string]struct{}  // names that a for gives a meaning
	fors  []*hclsyntax.ForExpr   // that the walk is in
	parts []hclsyntax.Expression // the ${…} that the walk is in
	ok    bool
}

// Enter implements hclsyntax.Walker.
func (v *vetter) Enter(n hclsyntax.Node) hcl.Diagnostics {
	switch n := n.(type) {
	case hclsyntax.ChildScope:
		v.loops = append(v.loops, n.LocalNames)
	case *hclsyntax.ForExpr:
		v.fors = append(v.fors, n)
	case *hclsyntax.TemplateWrapExpr:
		v.parts = append(v.parts, n.Wrapped)
	case *hclsyntax.TemplateExpr:
		v.parts = append(v.parts, n)
	case *hclsyntax.ScopeTraversalExpr:
		v.reference(n)
	case *hclsyntax.FunctionCallExpr:
		v.call(n)
	case *hclsyntax.BinaryOpExpr:
		if n.Op == hclsyntax.OpEqual || n.Op == hclsyntax.OpNotEqual {
			v.compared(n.LHS, n.RHS)
			v.compared(n.RHS, n.LHS)
		}
	}
	return nil
}

// Exit implements hclsyntax.Walker.
func (v *vetter) Exit(n hclsyntax.Node) hcl.Diagnostics {
	switch n.(type) {
	case hclsyntax.ChildScope:
		v.loops = v.loops[:len(v.loops)-1]
	case *hclsyntax.ForExpr:
		v.fors = v.fors[:len(v.fors)-1]
	case *hclsyntax.TemplateWrapExpr, *hclsyntax.TemplateExpr:
		v.parts = v.parts[:len(v.parts)-1]
	}
	return nil
}

func (v *vetter) reference(e *hclsyntax.ScopeTraversalExpr) {
	name := e.Traversal.RootName()
	for _, names := range v.loops {
		if _, ok := names[name]; ok {
			return
		}
	}
	if r, ok := roots[name]; ok {
		switch {
		case v.has&r.root == 0:
			v.refuse(e, "%s", r.elsewhere)
		case r.root == rootLocal:
			v.localValue(e)
		case r.root == rootEach:
			v.member(e, "each", []string{"key", "value"})
		case r.root == rootMachine && len(e.Traversal) == 1 && v.has&rootFile != 0: // all that a template may want
		case r.root == rootMachine:
			v.member(e, "machine", slices.Sorted(maps.Keys(facts)))
		}
		return
	}
	if v.boots[name] != nil {
		v.refuse(e, "There is no variable %q. The boot of that name is boot.%[1]s.", name)
		return
	}
	names := slices.Sorted(maps.Keys(roots))
	near := suggest(name, names)
	if name == "var" { // Terraform's
		near = "local"
	}
	if part, ok := v.part(e); ok && (near == "" || len(e.Traversal) < 2) {
		// A variable in ${…} that nothing here resembles is most likely one of iPXE.
		if v.ok {
			v.ipxeVariable(part)
		}
		v.ok = false
		return
	}
	if near != "" {
		v.refuse(e, "There is no variable %q. Did you mean %q?", name, near)
		return
	}
	v.refuse(e, "There is no variable %q. A text needs quotes: %q.", name, name)
}

func (v *vetter) refuse(e hclsyntax.Expression, format string, args ...any) {
	v.ok = false
	v.errorf(e.Range(), sumVariable, format, args...)
}

// part is the ${…} that e stands in, if it has the form of one of iPXE's:
// ${net0/mac} is a division.
func (v *vetter) part(e hclsyntax.Expression) (at hcl.Range, ok bool) {
	if len(v.parts) == 0 {
		return at, false
	}
	part := v.parts[len(v.parts)-1]
	if t, ok := part.(*hclsyntax.TemplateExpr); ok {
		i := slices.IndexFunc(t.Parts, func(p hclsyntax.Expression) bool { return p.Range().ContainsPos(e.Range().Start) })
		if i < 0 {
			return at, false
		}
		part = t.Parts[i]
	}
	switch part.(type) {
	case *hclsyntax.ScopeTraversalExpr, *hclsyntax.BinaryOpExpr, *hclsyntax.UnaryOpExpr:
		return part.Range(), true
	}
	return at, false
}

// member refuses all but ROOT.NAME with one of names.
func (v *vetter) member(e *hclsyntax.ScopeTraversalExpr, root string, names []string) (string, bool) {
	name, at, ok := step(e.Traversal, 1)
	switch {
	case !ok:
		v.refuse(e, "Say which of its members is meant, like %s.%s.", root, names[0])
		return "", false
	case !slices.Contains(names, name):
		v.ok = false
		v.errorf(at, sumVariable, "There is no %s.%s.%s", root, name, didYouMean(name, names))
		return "", false
	}
	return name, true
}

func (v *vetter) call(n *hclsyntax.FunctionCallExpr) {
	switch {
	case !slices.Contains(functionNames, n.Name):
		v.ok = false
		v.errorf(n.NameRange, sumFunction, "There is no function %q.%s", n.Name, didYouMean(n.Name, functionNames))
	case slices.Contains(readers, n.Name) && len(n.Args) > 0 && len(membersOf(n.Args[0])) > 0:
		v.refuse(n.Args[0], "What %s reads must be known when the file is loaded, and machine.* is not. Give templatefile values of the machine instead, { NAME = machine.name }.", n.Name)
	case n.Name == "url", n.Name == "phone_home":
		v.address(n)
	case n.Name == "upload":
		v.sent(n)
	case n.Name == "sensitive":
		v.literals(n)
	case n.Name == "cpio": // which initrd takes without a look at its names
		v.ok = false
		v.errorf(n.NameRange, sumFunction, "cpio() makes an initrd for the machine that boots. It stands alone as initrd of a boot, or as one of them: initrd = [\"…\", cpio({ … })].")
	case n.Name == "contains" && len(n.Args) == 2:
		if list, ok := n.Args[0].(*hclsyntax.TupleConsExpr); ok {
			for _, e := range list.Exprs {
				v.compared(n.Args[1], e)
			}
		}
	}
}

// address refuses a url() where no machine asks, and one of a file that a machine
// may choose by what it says of itself.
func (v *vetter) address(n *hclsyntax.FunctionCallExpr) {
	if v.has&rootFile == 0 {
		v.ok = false
		v.errorf(n.NameRange, sumFunction, "%s() makes an address for the machine that boots. It can stand in cmdline, message and script of a boot, and in content and tree of its files; a kernel, an initrd or a source is a path or URL itself.", n.Name)
		return
	}
	of := n.Args
	for _, loop := range v.fors { // its elements may be among the arguments
		of = append(slices.Clone(of), loop.CollExpr)
	}
	for _, e := range of {
		for _, name := range membersOf(e) {
			if !slices.Contains(pathMembers, name) {
				v.ok = false
				v.errorf(e.Range(), sumPathFact, "machine.%s cannot choose which file an address leads to: a machine may say what it likes of itself. A path can have machine.%s.",
					name, strings.Join(pathMembers, ", machine."))
				return
			}
		}
	}
}

// readers are the functions that read something outside of the file.
var readers = []string{"env", "file", "fileexists", "templatefile"}

// compared refuses the comparison of a fact, which can be one of a few words,
// with a word that is none of them.
func (v *vetter) compared(of, with hclsyntax.Expression) {
	ref, ok := of.(*hclsyntax.ScopeTraversalExpr)
	if !ok || ref.Traversal.RootName() != "machine" || v.has&rootMachine == 0 {
		return
	}
	name, _, _ := step(ref.Traversal, 1)
	words := facts[name].words
	if t, ok := with.(*hclsyntax.TemplateExpr); !ok || !t.IsStringLiteral() || words == nil {
		return
	}
	if word, diags := with.Value(nil); !diags.HasErrors() && !slices.Contains(words, word.AsString()) {
		v.ok = false
		v.errorf(with.Range(), sumUnknownWord, "machine.%s is never %q.%s", name, word.AsString(), didYouMean(word.AsString(), words))
	}
}

func (v *vetter) localValue(e *hclsyntax.ScopeTraversalExpr) {
	name, at, ok := step(e.Traversal, 1)
	switch {
	case !ok:
		v.refuse(e, "Name one of the local values: local.NAME.")
	case v.locals[name] != nil:
	case v.unsure["locals"]: // it may be one that could not be understood
		v.ok = false
	case len(v.locals) == 0:
		v.ok = false
		v.errorf(at, sumVariable, "There is no local value %q. Write locals { %[1]s = … }.", name)
	default:
		v.ok = false
		v.errorf(at, sumVariable, "There is no local value %q.%s", name, near(v.decoder, name, v.locals))
	}
}

// step is the name of the nth step of a traversal, .NAME or ["NAME"].
func step(t hcl.Traversal, n int) (string, hcl.Range, bool) {
	if len(t) <= n {
		return "", hcl.Range{}, false
	}
	switch step := t[n].(type) {
	case hcl.TraverseAttr:
		at := step.SrcRange // with the dot
		at.Start.Byte++
		at.Start.Column++
		return step.Name, at, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString(), step.SrcRange, true
		}
	}
	return "", hcl.Range{}, false
}

func (d *decoder) ipxeVariable(at hcl.Range) {
	text := at.SliceBytes(d.sources[at.Filename])
	d.errorf(at, sumIPXEVariable, "${%s} is taken for a variable of this file, which has none of that name. For one of iPXE, which the machine fills in, write $${%s}.", text, text)
}

// value evaluates an expression.
func (s *scope) value(e hclsyntax.Expression) (cty.Value, bool) {
	if !s.vet(e, s.has()) {
		return cty.NilVal, false
	}
	return s.evaluate(e, s.ctx)
}

// evaluate is value of what has been vetted.
func (s *scope) evaluate(e hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, bool) {
	v, ok := s.partly(e, ctx)
	// A value that is not known follows from a local value with an error.
	return v, ok && v.IsWhollyKnown()
}

// partly is evaluate for what need not be known yet.
func (s *scope) partly(e hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, bool) {
	v, ok := s.marked(e, ctx)
	if !ok {
		return v, false
	}
	return s.revealed(v, e)
}

// marked is partly for a value that goes on to others, with what is sensitive in it.
func (s *scope) marked(e hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, bool) {
	v, diags := e.Value(ctx)
	for _, diag := range diags {
		if diag.Subject == nil {
			diag.Subject = e.Range().Ptr()
		}
		if s.isSecret(e.Range()) { // hcl may repeat a value, and the place be in a template
			detail := secretDetail
			if unread(diag) {
				detail = diag.Detail
			}
			s.tell(*diag.Subject, hclSummary(diag), detail).secret = true
			continue
		}
		if s.touches(e, ctx) {
			s.tell(*diag.Subject, hclSummary(diag), sensitiveDetail).secret = true
			continue
		}
		s.hcl(diag)
	}
	return v, !diags.HasErrors()
}

// later is partly for an expression that is evaluated again when a machine
// boots: what it needs then is kept.
func (s *scope) later(e hclsyntax.Expression) (cty.Value, bool) {
	for _, t := range e.Variables() {
		if name, _, ok := step(t, 1); ok && t.RootName() == "local" && s.locals[name] != nil {
			s.asks[name] = true
		}
	}
	ctx := s.ctx
	if s.boot != nil && callsURL(e) {
		ctx = s.linking(ctx, nil)
	}
	ctx = ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"machine": unknownMachine}
	s.disk.keeping = true
	defer func() { s.disk.keeping = false }()
	return s.partly(e, ctx)
}

// secretDetail is said in place of what would repeat a value.
const secretDetail = "It stands in a secret file, so no more is said of what it has for a value. Write secret = false for as long as you look for it, with a value that is none."

// unread reports whether this is of a file that cannot be read, and whose path stands in
// the call: no more is said of it than that.
func unread(diag *hcl.Diagnostic) bool {
	extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag)
	path, isPath := diag.Expression.(hclsyntax.Expression)
	return ok && isPath && extra.CalledFunctionName() == "file" && len(path.Variables()) == 0 && !calls(path, "sensitive", "env")
}

// hcl reports in hcl's words, and adds what there is where an object has not what it
// is asked for: a table, whose columns have other names.
func (s *scope) hcl(diag *hcl.Diagnostic) {
	detail := diag.Detail
	if e, ok := diag.Expression.(*hclsyntax.ScopeTraversalExpr); ok && diag.EvalContext != nil {
		for n := 1; n < len(e.Traversal); n++ {
			of, diags := e.Traversal[:n].TraverseAbs(diag.EvalContext)
			if diags.HasErrors() || !of.Type().IsObjectType() {
				break
			}
			if name, _, ok := step(e.Traversal, n); ok && !of.Type().HasAttribute(name) {
				detail += didYouMean(name, slices.Sorted(maps.Keys(of.Type().AttributeTypes())))
				break
			}
		}
	}
	s.tell(*diag.Subject, hclSummary(diag), detail)
}

// hclSummary is hcl's, which begins in upper case as ours do not.
func hclSummary(diag *hcl.Diagnostic) summary {
	text := diag.Summary
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return summary(text)
}

// maxNear bounds for how many names a similar one is looked for. Each costs a
// walk over all that there are, so where these are many, it is less often.
const maxNear = 100

// near is didYouMean over the names of a map, which may be large.
func near[V any](d *decoder, name string, among map[string]V) string {
	if d.nears += 1 + len(among)/1000; d.nears > maxNear {
		return ""
	}
	return didYouMean(name, slices.Sorted(maps.Keys(among)))
}

// resolve makes a path absolute: it counts from the folder of the file that it
// stands in.
func resolve(dir, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Clean(path)
}
