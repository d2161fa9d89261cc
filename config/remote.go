package config

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// maxRemotes bounds the files that a configuration is found to need, and
	// maxEvaluations how often an expression is evaluated to find them: a hundred
	// thousand machines, whose name is in a path, on each platform.
	maxRemotes     = 1 << 17
	maxEvaluations = 1 << 21
	// maxPlaces bounds the places of one file, and the machines of one Skipped.
	maxPlaces = 16
)

// Remotes are the files of other servers that a configuration can come to need:
// what `pixiecore lock` and `pixiecore fetch` go by.
type Remotes struct {
	Files   []Remote  // by URL
	Skipped []Skipped // in the order of the file
}

// A Remote is one of these files.
type Remote struct {
	Source booters.Source // its URL, and the digest that the file demands, if it does
	Places []Place        // that ask for it, maxPlaces at most, in the order of the file
}

// Shown is the URL without what is secret in it.
func (r Remote) Shown() string { return booters.ShownSource(r.Source.At) }

// Boots reports whether some machine is given it, and it does not just verify others.
func (r Remote) Boots() bool {
	return slices.ContainsFunc(r.Places, func(p Place) bool { return p.What != whatChecksums && p.What != whatSignature })
}

// A Place is where a configuration asks for a file.
type Place struct {
	File string // its base name
	Line int
	Boot string
	What string // the setting: "kernel", "initrd", "file preseed", …

	at hcl.Range
}

// At is the place as people are told of it: "pixiecore.hcl:12".
func (p Place) At() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Skipped is an expression that has no value for some machines, so that what they
// would need is not known.
type Skipped struct {
	Place
	Who  []string // platforms, with the machine where it hangs on that; maxPlaces at most
	More int      // how many more they are
	Why  string   // a sentence without its full stop
}

// What of a Place that asks for what verifies a file.
const (
	whatChecksums = "checksums"
	whatSignature = "signature"
)

// An ask is where a boot asks for files that may be remote. A constant is kept as
// such, since an expression keeps the table that it was made of.
type ask struct {
	Place
	source string  // the constant
	phrase *phrase // else
	links  bool    // whether the files are those that url() and {{ … }} in it name
	// members are what of machine they hang on, among pathMembers.
	members []string
	secret  bool // it is a secret what it asks for
}

// asked notes what a boot asks for, once that is prepared.
func (b *bootBlock) asked() {
	r := &b.recipe
	for _, p := range slices.Concat([]*phrase{r.kernel, r.shim, r.grub}, r.initrd) {
		b.ask(p, "", false)
	}
	for _, p := range slices.Concat([]*phrase{r.message, r.script}, r.cmdline) {
		b.ask(p, "", true)
	}
}

// ask notes what a phrase asks for. what names the setting where that is not enough.
func (b *bootBlock) ask(p *phrase, what string, links bool) {
	if p == nil || p.archive != nil { // whose files ask themselves
		return
	}
	if what == "" {
		what = p.name
	}
	at := p.e.Range()
	one := ask{Place: Place{File: filepath.Base(at.Filename), Line: at.Start.Line, Boot: b.name, What: what, at: at}, links: links, secret: p.secret}
	switch {
	case p.late && links:
		members, ok := p.linkMembers()
		if !ok {
			return
		}
		one.members, one.phrase = members, p
		b.asks = append(b.asks, one)
	case p.late:
		one.members, one.phrase = p.members, p
		b.asks = append(b.asks, one)
	case links && strings.HasPrefix(p.name, "cmdline"):
		for _, source := range marked(p.s) { // where these are not locked yet
			if isRemote(source) {
				one.source = source
				b.asks = append(b.asks, one)
			}
		}
	case !links && isRemote(p.s):
		one.source = p.s
		b.asks = append(b.asks, one)
	}
}

// linkMembers are the members of machine on which hangs what url() and the markers of
// a command line name; ok is false where there are none that could name a file of
// another server.
func (p *phrase) linkMembers() (members []string, ok bool) {
	var loops []string
	hclsyntax.VisitAll(p.e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.ForExpr: // its elements may be among the arguments
			loops = append(loops, membersOf(n.CollExpr)...)
		case *hclsyntax.FunctionCallExpr:
			if n.Name != "url" || len(n.Args) != 1 {
				return nil // of two, the first is a directory of this host
			}
			if t := n.Args[0].Variables(); len(t) == 1 && (t[0].RootName() == "file" || t[0].RootName() == "assets") {
				return nil
			}
			ok = true
			members = append(members, membersOf(n.Args[0])...)
		}
		return nil
	})
	// Of the markers, those parts count that stand in one.
	depth := 0
	for _, one := range p.parts {
		named := membersOf(one.e)
		if len(named) > 0 && depth > 0 && one.path {
			ok = true
			members = append(members, named...)
		}
		text := string(one.e.Range().SliceBytes(p.sources[one.e.Range().Filename]))
		opened := strings.Count(text, "{{")
		ok = ok || opened > 0
		depth += opened - strings.Count(text, "}}")
	}
	members = append(members, loops...)
	slices.Sort(members)
	return slices.Compact(members), ok
}

// collectAsks keeps those of boots that some rule boots.
func (d *decoder) collectAsks() {
	seen := make(map[*bootBlock]bool)
	for _, b := range d.ruleBoots {
		if b != nil && !seen[b] {
			seen[b] = true
			d.cfg.asks = append(d.cfg.asks, b.asks...)
		}
	}
}

// isRemote reports whether a file is another server's, or what verifies it is.
func isRemote(source string) bool {
	src, err := booters.ParseSource(source)
	return err == nil && (!src.Local() || src.Sums.At != "" && (isRemote(src.Sums.At) || src.Sums.Signature != "" && isRemote(src.Sums.Signature)))
}

// marked are the sources in the markers of a command line that cmdline has made.
func marked(line string) (sources []string) {
	for rest, found := line, true; found; {
		var marker string
		if _, marker, found = strings.Cut(rest, "{{"); !found {
			break
		}
		marker, rest, _ = strings.Cut(marker, "}}")
		fn, quoted, _ := strings.Cut(strings.TrimSpace(marker), " ")
		if source, err := strconv.Unquote(strings.TrimSpace(quoted)); err == nil && (fn == "ID" || fn == "URL") {
			sources = append(sources, source)
		}
	}
	return sources
}

// per says what the files of an ask hang on.
func (a *ask) per() (machine, platform bool) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(a.members, func(m string) bool { return slices.Contains(names, m) })
	}
	return has("name", "labels"), has("arch", "firmware")
}

// sources are what it asks for, for a machine. What of that may be evaluated is, also
// with an error.
func (a *ask) sources(r booters.Request) (all []string, err error) {
	p := a.phrase
	switch {
	case p == nil:
		return []string{a.source}, nil
	case a.links:
		all, err = p.linked(r, a.members)
	default:
		var s string
		if s, err = p.text(r); err == nil {
			all = []string{s}
		}
	}
	for i, s := range all {
		checked, _, refused := source(p.dir, s)
		if refused != nil {
			return nil, refused
		}
		if all[i] = checked; p.scope.lock != nil {
			if locked, refused := p.lockedSource(checked); refused == nil {
				all[i] = locked
			}
		}
	}
	return all, err
}

// linked are the sources that url() and the markers of a command line name, which
// hang on members. The others are unknown, and with them the rest of the text.
func (p *phrase) linked(r booters.Request, members []string) (all []string, err error) {
	link := func(t booters.Target) (string, error) {
		if t.Source != "" {
			all = append(all, t.Source)
		}
		return "address", nil
	}
	value := func(e hclsyntax.Expression) cty.Value {
		ctx := withMachine(p.linking(p.ctx, link), membersOf(e), func(name string) cty.Value {
			if slices.Contains(members, name) {
				return memberOf(name, r.Machine, r.Entry)
			}
			return cty.UnknownVal(facts[name].typ).RefineNotNull()
		})
		v, diags := e.Value(ctx)
		if diags.HasErrors() && err == nil {
			err = p.without(e, r, nil, firstError(diags))
		}
		v, _ = v.UnmarkDeep()
		return v
	}
	if p.parts == nil {
		value(p.e)
		return all, err
	}
	var line strings.Builder
	for _, one := range p.parts {
		v, bad := convert.Convert(value(one.e), cty.String)
		if !one.path || bad != nil || v.IsNull() || !v.IsKnown() {
			line.WriteString(noPath)
			continue
		}
		line.WriteString(v.AsString())
	}
	for _, source := range marked(line.String()) {
		if !strings.Contains(source, noPath) {
			all = append(all, source)
		}
	}
	return all, err
}

// Remotes evaluates every path of the boots that rules boot, once for each platform
// that can come to that boot, and where it hangs on the name or the labels, for each
// machine of the inventory. Files of APIs are not known, and those of secret file
// blocks are told nobody. The error says that there are more of them than can be
// looked at, or is that of ctx.
func (c *Config) Remotes(ctx context.Context) (*Remotes, error) {
	if len(c.asks) == 0 {
		return &Remotes{}, nil
	}
	f := finder{cfg: c, ctx: ctx, byBoot: make(map[string][]int), files: make(map[booters.Source]*Remote), skipped: make(map[skip]*Skipped), known: make(map[looked]bool)}
	for i := range c.asks {
		f.byBoot[c.asks[i].Boot] = append(f.byBoot[c.asks[i].Boot], i)
	}
	if err := f.all(); err != nil {
		return nil, err
	}
	return f.result(), nil
}

// A finder is one run of Remotes.
type finder struct {
	cfg    *Config
	ctx    context.Context // of this run only
	byBoot map[string][]int
	files  map[booters.Source]*Remote
	order  []skip
	// known are the evaluations that were made.
	known   map[looked]bool
	skipped map[skip]*Skipped
}

type looked struct {
	ask      int
	entry    *booters.Entry
	platform booters.Platform
}

type skip struct {
	ask int
	why string
}

func (f *finder) all() error {
	platforms := booters.AllPlatforms()
	named, closed := false, false
	for i := range f.cfg.asks {
		a := &f.cfg.asks[i]
		machine, platform := a.per()
		named, closed = named || machine, closed || platform && !machine
		if !machine && !platform {
			if err := f.look(i, nil, booters.Platform{}); err != nil {
				return err
			}
		}
	}
	if !named && !closed {
		return nil
	}
	reach := booters.NewReach(f.cfg.Inventory, f.cfg.Rules)
	// What a platform can come to is the same for all that are looked at.
	each := func(e *booters.Entry, p booters.Platform, rules []int) error {
		for _, rule := range rules {
			for _, i := range f.byBoot[f.cfg.Rules[rule].Action.Boot] {
				machine, platform := f.cfg.asks[i].per()
				if machine != (e != nil) || !machine && !platform {
					continue
				}
				at := p
				if !platform {
					at = booters.Platform{}
				}
				if err := f.look(i, e, at); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, p := range platforms {
		rules := reach.Anybody(p)
		if err := each(nil, p, rules); err != nil {
			return err
		}
		for _, rule := range rules {
			f.strangers(rule)
		}
	}
	if !named {
		return nil
	}
	entries := f.cfg.Inventory.Entries()
	for i := range entries {
		for _, p := range platforms {
			if err := each(&entries[i], p, reach.Named(&entries[i], p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// strangers notes that those whom a rule boots come to need files that hang on them.
func (f *finder) strangers(rule int) {
	r := &f.cfg.Rules[rule]
	if len(r.Match.Machines) > 0 || len(r.Match.Labels) > 0 || r.Once != nil && r.Once.Installs && !r.Once.AnyMachine {
		return
	}
	for _, i := range f.byBoot[r.Action.Boot] {
		if machine, _ := f.cfg.asks[i].per(); machine && !f.cfg.asks[i].secret {
			f.skip(i, "machines that no machine block names", "what they need hangs on their name or labels")
		}
	}
}

// look notes what an ask comes to for one machine, or for all.
func (f *finder) look(i int, e *booters.Entry, p booters.Platform) error {
	key := looked{i, e, p}
	if f.known[key] {
		return nil
	}
	if f.known[key] = true; len(f.known) > maxEvaluations {
		return fmt.Errorf("the files that machines need are told by more than %d values of expressions: name fewer machines in paths", maxEvaluations)
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	a := &f.cfg.asks[i]
	if a.secret {
		return nil
	}
	m := boot.Machine{MAC: noMachine.MAC, Arch: p.Arch, Firmware: p.Firmware, Probed: true}
	if e != nil && len(e.MACs) > 0 {
		m.MAC = e.MACs[0]
	}
	sources, err := a.sources(booters.Request{Machine: m, Entry: e})
	if err != nil {
		var who []string
		if e != nil {
			who = append(who, e.Name)
		}
		if _, platform := a.per(); platform {
			who = append(who, p.String())
		}
		f.skip(i, strings.Join(who, " "), strings.TrimSuffix(err.Error(), "."))
	}
	for _, s := range sources {
		src, err := booters.ParseSource(s)
		if err != nil {
			continue // source has checked it
		}
		if err := f.add(src, a.Place); err != nil {
			return err
		}
		for _, one := range [...]struct{ at, what string }{{src.Sums.At, whatChecksums}, {src.Sums.Signature, whatSignature}} {
			place := a.Place
			place.What = one.what
			if one.at != "" && isRemote(one.at) {
				if err := f.add(booters.Source{At: one.at}, place); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// add notes that a file of another server is needed, if it is one.
func (f *finder) add(src booters.Source, at Place) error {
	src = src.Fetched()
	if src.Local() {
		return nil
	}
	r := f.files[src]
	if r == nil {
		if len(f.files) == maxRemotes {
			return fmt.Errorf("machines need more than %d files of other servers: give them paths with fewer names in them", maxRemotes)
		}
		r = &Remote{Source: src}
		f.files[src] = r
	}
	if len(r.Places) < maxPlaces && !slices.Contains(r.Places, at) {
		r.Places = append(r.Places, at)
	}
	return nil
}

func (f *finder) skip(i int, who, why string) {
	key := skip{i, why}
	s := f.skipped[key]
	if s == nil {
		s = &Skipped{Place: f.cfg.asks[i].Place, Why: why}
		f.skipped[key] = s
		f.order = append(f.order, key)
	}
	switch {
	case who == "" || slices.Contains(s.Who, who):
	case len(s.Who) == maxPlaces:
		s.More++
	default:
		s.Who = append(s.Who, who)
	}
}

func (f *finder) result() *Remotes {
	all := new(Remotes)
	for _, src := range slices.SortedFunc(maps.Keys(f.files), func(a, b booters.Source) int { return strings.Compare(a.At+"\x00"+a.String(), b.At+"\x00"+b.String()) }) {
		r := f.files[src]
		slices.SortStableFunc(r.Places, comparePlaces)
		all.Files = append(all.Files, *r)
	}
	for _, key := range f.order {
		all.Skipped = append(all.Skipped, *f.skipped[key])
	}
	slices.SortStableFunc(all.Skipped, func(a, b Skipped) int { return comparePlaces(a.Place, b.Place) })
	return all
}

func comparePlaces(a, b Place) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	return a.Line - b.Line
}
