package booters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A Rule says what happens to the machines that match it.
type Rule struct {
	Name   string
	Pos    string // where it stands, "pixiecore.hcl:12"; only shown to people
	Match  Match
	Action Action
	// Probe makes a machine load iPXE while the rule is unknown, also where it
	// would be ignored otherwise.
	Probe bool
	// Once is set for a rule that boots machines only when they are armed; nil: it
	// does so always.
	Once *boot.Once
	// Offer is how firmware is told of what it is to load.
	Offer boot.Style
}

// An Action is the outcome of a Rule. The zero Action ignores the machine.
type Action struct {
	Do   boot.Action // boot.Boot, boot.Ignore or boot.Local
	Boot string      // the name of what is booted, for people; may be empty
	// Spec is what boot.Boot boots. Its Kernel and Initrd are sources, not yet
	// IDs: absolute paths or http(s) URLs, as are the arguments of ID and URL
	// in its Cmdline.
	Spec *boot.Spec
	// Render makes a Spec of sources for each machine, when it is to boot. If it
	// is set, Spec is only shown to people. The error is a sentence for the
	// machine's screen.
	Render func(Request) (*boot.Spec, error)
	// API says what boot.Boot boots, if it is set; Spec and Render are nil then.
	API *APIOptions
	// Loader is by what a machine with UEFI boots. On boot.Local, boot.LoaderShim says
	// that no unsigned program would start.
	Loader boot.Loader
	// Image is what boot.LoaderNative starts, where that is a disk's image.
	Image boot.DiskImage
	// Programs are those of boot.LoaderGRUB and boot.LoaderShim for a machine: sources,
	// as in Spec. Nil where Loader is another.
	Programs func(Request) (boot.Programs, error)
	// Sums is whether sources of Spec, Render or Programs may have Checksums, which are
	// asked once for each Verdict.
	Sums bool
	// Files are those of the boot. Two actions with the same Boot have the same.
	Files []*File
}

// A Table decides by ordered rules, of which the first that matches wins. It
// implements boot.Booter, boot.ContextBooter and boot.Decider. It is never
// modified after NewTable and may be used by many goroutines.
type Table struct {
	seal    *Sealer
	kept    *kept // seal, for scripts
	src     *Sources
	inv     *Inventory
	rules   []Rule
	made    []made // by rule
	index   *index
	needs   boot.Fact                 // of all rules
	probing []int                     // rules with Probe
	specs   map[*boot.Spec]*boot.Spec // by that of an Action, which rules for one boot share
	apis    map[*APIOptions]*API      // likewise
	files   map[string][]*File        // by boot
	choices map[string]choice         // by boot
	now     func() time.Time          // time.Now, but in tests
}

// made is what is made of a rule. Its verdicts are when the first machine gets them: of the
// rules for 100,000 machines, most have none.
type made struct {
	own     bool // each machine has a verdict of its own
	verdict atomic.Pointer[boot.Verdict]
	probe   atomic.Pointer[boot.Verdict] // while the rule is unknown
}

// NewTable prepares rules: every source in them is sealed, and every command
// line parsed, so that a lookup only finds what lies ready. The table keeps
// rules, which must not be modified afterwards. inv may be nil: no machine is
// named. choices are what Choose knows. The error names each rule that cannot be
// prepared.
func NewTable(seal *Sealer, src *Sources, inv *Inventory, rules []Rule, choices ...Choice) (*Table, error) {
	t := &Table{
		seal:  seal,
		kept:  &kept{Sealer: seal},
		src:   src,
		inv:   inv,
		rules: rules,
		made:  make([]made, len(rules)),
		index: newIndex(inv, rules),
		specs: make(map[*boot.Spec]*boot.Spec),
		apis:  make(map[*APIOptions]*API),
		files: make(map[string][]*File),
		now:   time.Now,
	}
	var errs []error
	for i := range rules {
		r := &rules[i]
		t.needs |= r.Match.Needs()
		if r.Probe {
			t.probing = append(t.probing, i)
		}
		t.made[i].own = r.Once != nil || r.Action.Sums
		if err := t.prepare(r); err != nil {
			err = fmt.Errorf("rule %q: %w", r.Name, err)
			if r.Pos != "" {
				err = fmt.Errorf("%s: %w", r.Pos, err)
			}
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := t.choose(choices); err != nil {
		return nil, err
	}
	return t, nil
}

// prepare makes everything of a rule that can fail.
func (t *Table) prepare(r *Rule) (err error) {
	if err := r.Match.check(t.inv); err != nil {
		return err
	}
	a := &r.Action
	if len(a.Files) > 0 {
		t.files[a.Boot] = a.Files
	}
	switch {
	case a.Do == boot.Ignore, a.Do == boot.Local:
	case a.Do != boot.Boot:
		return fmt.Errorf("the outcome cannot be %q", a.Do)
	case a.API != nil:
		if t.apis[a.API] == nil {
			t.apis[a.API], err = NewAPI(t.seal, t.src, *a.API)
		}
	case a.Render == nil && t.specs[a.Spec] == nil:
		t.specs[a.Spec], err = prepareSpec(a.Spec, []string{"ID", "URL"}, t.issue)
	}
	return err
}

// prepared is the verdict of a rule for which prepare has been called.
func (t *Table) prepared(r *Rule) *boot.Verdict {
	a := &r.Action
	v := &boot.Verdict{Action: a.Do, Once: r.Once, Loader: a.Loader, Image: a.Image, Offer: r.Offer, Rule: r.Name, Pos: r.Pos, Boot: a.Boot}
	switch {
	case a.Do != boot.Boot:
		return v
	case a.API != nil:
		v.Ask, v.Wait = t.asker(r)
	case a.Render == nil && !a.Sums: // else it is made for each machine
		v.Spec = t.specs[a.Spec]
	}
	v.Render, v.Programs = t.renderer(a, t.issueKept), t.programs(a, t.issue)
	return v
}

// renderer is Verdict.Render for an action that has one: what it makes is
// prepared like what lies ready.
func (t *Table) renderer(a *Action, issue issuer) func(boot.Machine, string) (*boot.Spec, error) {
	if a.Do != boot.Boot || a.Render == nil && !a.Sums || a.API != nil {
		return nil
	}
	archives := slices.ContainsFunc(a.Files, func(f *File) bool { return f.Kind == FileArchive })
	return func(m boot.Machine, base string) (*boot.Spec, error) {
		spec, err := a.Spec, error(nil)
		if a.Render != nil {
			spec, err = a.Render(t.request(m, a.Boot, base))
		}
		if err != nil {
			return nil, err
		}
		if !archives {
			return prepareSpec(spec, []string{"ID", "URL"}, issue)
		}
		return prepareSpec(spec, []string{"ID", "URL"}, func(kind fileKind, source string) (boot.ID, error) {
			for _, f := range a.Files {
				if kind == initrdFile && f.Kind == FileArchive && source == string(f.Initrd()) {
					ref, err := t.refer(m, a.Boot, Target{File: f})
					return t.seal.Seal(ref), err
				}
			}
			return issue(kind, source)
		})
	}
}

// whole is the verdict of an action. That of one with Sums asks them once, however often
// what it boots is made.
func (t *Table) whole(of *boot.Verdict, a *Action) *boot.Verdict {
	if !a.Sums {
		return of
	}
	v := *of
	once := newFixed()
	issue := func(kind fileKind, source string) (boot.ID, error) {
		if kind != rpiFiles {
			src, err := ParseSource(source)
			if err == nil {
				src, err = once.resolve(t.src, src)
			}
			if err != nil {
				return "", err
			}
			source = src.String()
		}
		return t.issueKept(kind, source)
	}
	v.Render, v.Programs = t.renderer(a, issue), t.programs(a, issue)
	return &v
}

// programs is Verdict.Programs for an action that has them.
func (t *Table) programs(a *Action, issue issuer) func(boot.Machine) (boot.Programs, error) {
	if a.Do != boot.Boot || a.Programs == nil {
		return nil
	}
	return func(m boot.Machine) (p boot.Programs, err error) {
		of, err := a.Programs(t.request(m, a.Boot, ""))
		if err != nil {
			return p, err
		}
		for _, one := range [...]struct {
			source boot.ID
			to     *boot.ID
		}{{of.Shim, &p.Shim}, {of.GRUB, &p.GRUB}} {
			if one.source == "" {
				continue
			}
			if *one.to, err = issue(otherFile, string(one.source)); err != nil {
				return boot.Programs{}, err
			}
		}
		return p, nil
	}
}

// asker is Verdict.Ask and Verdict.Wait for a rule whose boot is an API's matter.
// What the API says is the rule's outcome, also where it refuses.
func (t *Table) asker(r *Rule) (ask func(context.Context, boot.Machine) (*boot.Verdict, error), wait time.Duration) {
	api := t.apis[r.Action.API]
	return func(ctx context.Context, m boot.Machine) (*boot.Verdict, error) {
		v, err := api.Ask(ctx, m)
		v.Rule, v.Pos, v.Boot, v.Offer, v.Once = r.Name, r.Pos, r.Action.Boot, r.Offer, r.Once
		if r.Once != nil {
			v.Machine = t.Called(m)
		}
		return v, err
	}, api.opts.Wait
}

// issue seals a source of any kind.
func (t *Table) issue(kind fileKind, source string) (boot.ID, error) {
	return t.issueBy(t.seal.Seal, kind, source)
}

// issueKept is issue for what a script is made of, again and again.
func (t *Table) issueKept(kind fileKind, source string) (boot.ID, error) {
	return t.issueBy(t.kept.Seal, kind, source)
}

func (t *Table) issueBy(seal func(string) boot.ID, kind fileKind, source string) (boot.ID, error) {
	if kind == rpiFiles {
		if !filepath.IsAbs(source) {
			return "", fmt.Errorf("%q is no absolute path", source)
		}
		return seal(assetLink + source + "\x00"), nil
	}
	src, err := ParseSource(source)
	if err != nil {
		return "", err
	}
	return seal(src.String()), nil
}

// Decide implements boot.Decider. Its cost does not grow with the number of
// rules, and it allocates nothing: the Verdict's Spec belongs to the table and
// must not be modified.
//
// The walk stops at the first rule that is not false. If that one is true, it
// decides. If it is unknown, the first true rule behind it is looked for. Where
// that one is without iPXE (see withoutIPXE), it decides and the rules before it
// count as not matched, so that nobody's machine loads iPXE only to be left alone, or
// fails to under Secure Boot; unless an unknown rule before it has Probe, or the
// unknown could be lifted by what the machine said in DHCP (see lost). In every other case the answer is
// boot.Probe, under the name of the first unknown rule: also where no true rule
// follows, for whoever writes one rule with arch = ["x64"] wants his BIOS
// machines of 64 bits to boot.
//
// Where a rule boots what an API says, the API is not asked: see Verdict.Ask.
//
// When iPXE has reported already, a rule that is unknown still hangs on what
// the machine said in DHCP, and nothing more can be asked: that is an error,
// the only one, and says which rule and which facts.
func (t *Table) Decide(_ context.Context, m boot.Machine) (*boot.Verdict, error) {
	first, firstTrue := t.index.lookup(t.inv, &m)
	switch {
	case first == none:
		return &noRule, nil
	case first == firstTrue:
		return t.verdict(first, &m), nil
	case m.Probed:
		return t.forgotten(first, &m)
	case firstTrue != none && t.rules[firstTrue].Action.withoutIPXE(&m) && !t.insists(&m, firstTrue):
		return t.verdict(firstTrue, &m), nil
	default:
		return t.probe(first), nil
	}
}

// noRule is the verdict where no rule matches. It is never modified.
var noRule = boot.Verdict{Action: boot.Ignore}

// verdict is that of rule i, with the machine's name where that is of interest.
func (t *Table) verdict(i int, m *boot.Machine) *boot.Verdict {
	v := t.ready(i)
	if !t.made[i].own {
		return v
	}
	named := *t.whole(v, &t.rules[i].Action)
	if named.Once != nil {
		named.Machine = t.Called(*m)
	}
	return &named
}

// ready is the verdict of rule i for any machine.
func (t *Table) ready(i int) *boot.Verdict {
	made := &t.made[i].verdict
	if v := made.Load(); v != nil {
		return v
	}
	made.CompareAndSwap(nil, t.prepared(&t.rules[i])) // another request may have been faster
	return made.Load()
}

// withoutIPXE reports whether the action gives the machine no iPXE: it ignores it, or
// boots it by another loader. A machine without UEFI has no other, and so loses
// nothing by being asked.
func (a *Action) withoutIPXE(m *boot.Machine) bool {
	return a.Do == boot.Ignore || a.Do == boot.Boot && !a.Loader.IPXE() && m.Firmware.UEFI()
}

// insists reports whether a machine is to load iPXE although the rule does without,
// for a rule before that which is unknown.
func (t *Table) insists(m *boot.Machine, without int) bool {
	if t.lost(m) {
		return true
	}
	s, _ := newSubject(m, t.inv)
	for _, i := range t.probing {
		if i >= without {
			break
		}
		if truth, _ := t.rules[i].Match.eval(&s); truth == Unknown {
			return true
		}
	}
	return false
}

// lost reports whether rules ask for what a DHCP request says, and this machine
// comes without: the server was restarted since, or had to forget it. Then it
// must not be sent away for the answer, but be given iPXE, whose own DHCP
// request says it again.
func (t *Table) lost(m *boot.Machine) bool {
	unknown := m.Facts.Unknown(t.needs & boot.DHCPFacts)
	if m.Facts.Knows(boot.FactVendorClass) {
		unknown &^= boot.FactUUID // the request is known, and had none in it
	}
	return unknown != 0
}

// probe is the verdict while rule i is unknown.
func (t *Table) probe(i int) *boot.Verdict {
	made := &t.made[i].probe
	if v := made.Load(); v != nil {
		return v
	}
	made.CompareAndSwap(nil, &boot.Verdict{Action: boot.Probe, Offer: t.rules[i].Offer, Rule: t.rules[i].Name, Pos: t.rules[i].Pos})
	return made.Load()
}

// forgotten is the verdict on a machine of which rule i asks what nobody can
// tell any more.
func (t *Table) forgotten(i int, m *boot.Machine) (*boot.Verdict, error) {
	r := &t.rules[i]
	return &boot.Verdict{Action: boot.Ignore, Rule: r.Name, Pos: r.Pos},
		fmt.Errorf("rule %q asks for %s, which this server learns from DHCP, and no such request of this machine is remembered: start it again, and see that its DHCP requests come here",
			r.Name, m.Facts.Unknown(r.Match.Needs()&boot.DHCPFacts&^boot.FactUUID))
}

// A Trace is how a Table came to its verdict.
type Trace struct {
	// Steps are the rules that were looked at, in order. The last of them is
	// the one that the walk stopped at, if it stopped before the end.
	Steps   []Step
	Verdict *boot.Verdict
	Err     error // of Decide
}

// A Step is one rule of a Trace.
type Step struct {
	Rule, Pos string
	Truth     Truth
	// Failed is the condition that keeps the rule from being true, by the
	// configuration's word ("mac", "circuit_id", "not"); empty when it is.
	Failed string
}

// Explain decides like Decide, by walking all rules, and tells about it. Its
// cost grows with their number.
func (t *Table) Explain(m boot.Machine) Trace {
	trace := Trace{Verdict: &noRule}
	s, _ := newSubject(&m, t.inv)
	unknown, insists := none, t.lost(&m)
	for i := range t.rules {
		r := &t.rules[i]
		truth, failed := r.Match.eval(&s)
		trace.Steps = append(trace.Steps, Step{Rule: r.Name, Pos: r.Pos, Truth: truth, Failed: failed})
		switch {
		case truth == Unknown && m.Probed:
			trace.Verdict, trace.Err = t.forgotten(i, &m)
			return trace
		case truth == Unknown:
			if unknown == none {
				unknown = i
			}
			insists = insists || r.Probe
		case truth == True && (unknown == none || r.Action.withoutIPXE(&m) && !insists):
			trace.Verdict = t.verdict(i, &m)
			return trace
		case truth == True:
			trace.Verdict = t.probe(unknown)
			return trace
		}
	}
	if unknown != none {
		trace.Verdict = t.probe(unknown)
	}
	return trace
}

// BootSpec implements boot.Booter: the Spec of what Decide says. It is nil for
// a machine that is ignored, and also for one that boots its own disk or must
// be probed first, which boot.Booter has no words for: use boot.Decide.
func (t *Table) BootSpec(m boot.Machine) (*boot.Spec, error) {
	return t.BootSpecContext(context.Background(), m)
}

// BootSpecContext is BootSpec.
func (t *Table) BootSpecContext(ctx context.Context, m boot.Machine) (*boot.Spec, error) {
	v, err := boot.Decide(ctx, t, m)
	if err != nil {
		return nil, err
	}
	return v.SpecFor(m, "")
}

// CheckSpec implements boot.SpecChecker for local kernels and initrds that have
// a digest. A remote one would have to be fetched, and is refused if it was for another
// machine just now.
func (t *Table) CheckSpec(ctx context.Context, spec *boot.Spec) error {
	if err := t.checkFile(ctx, spec.Kernel); err != nil {
		return err
	}
	for _, id := range spec.Initrd {
		if err := t.checkFile(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) checkFile(ctx context.Context, id boot.ID) error {
	if id == "" {
		return nil // a Spec with a script has no kernel
	}
	text, err := t.kept.Open(id)
	src, ok := CutDigest(text)
	switch {
	case err != nil || !ok:
	case !src.Local():
		return t.src.refused.of(src.Fetched(), time.Now())
	default:
		return t.src.ahead(ctx, src)
	}
	return nil
}

// ReadBootFile opens the source that id was sealed from, of this table or of
// any other with the same key. The error wraps boot.ErrNotFound for an ID that
// was not.
func (t *Table) ReadBootFile(id boot.ID) (io.ReadCloser, int64, error) {
	return t.ReadBootFileContext(context.Background(), id)
}

// ReadBootFileContext is ReadBootFile; the reader too fails when ctx ends.
func (t *Table) ReadBootFileContext(ctx context.Context, id boot.ID) (io.ReadCloser, int64, error) {
	source, err := t.seal.Open(id)
	if err != nil {
		return nil, 0, err
	}
	if strings.HasPrefix(source, assetLink) || strings.HasPrefix(source, imageLink) || strings.HasPrefix(source, fileLink) || strings.HasPrefix(source, homeLink) || strings.HasPrefix(source, putLink) { // it is for OpenLink
		return nil, 0, fmt.Errorf("open sealed ID: %w", boot.ErrNotFound)
	}
	return t.src.Open(ctx, source)
}

// Unsealed is a Spec that the table has made, with the sources of its kernel and
// initrds, as they may be shown; nil for nil.
func (t *Table) Unsealed(spec *boot.Spec) *boot.Spec {
	if spec == nil {
		return nil
	}
	open := func(id boot.ID) boot.ID {
		source, err := t.seal.Open(id)
		if err != nil || filepath.IsAbs(source) {
			return boot.ID(source)
		}
		return boot.ID(redact(source))
	}
	out := *spec
	out.Kernel, out.Initrd = open(spec.Kernel), nil
	for _, id := range spec.Initrd {
		out.Initrd = append(out.Initrd, open(id))
	}
	return &out
}

// WriteBootFile posts body to the URL that id was sealed from, if that is on the
// server of an API which the table asks. All else is read only: the error wraps
// errors.ErrUnsupported, or boot.ErrNotFound for an ID that is not one of the key.
func (t *Table) WriteBootFile(id boot.ID, body io.Reader) error {
	return t.WriteBootFileContext(context.Background(), id, body)
}

// WriteBootFileContext is WriteBootFile.
func (t *Table) WriteBootFileContext(ctx context.Context, id boot.ID, body io.Reader) error {
	source, err := writable(t.seal, id)
	if err != nil {
		return err
	}
	for _, api := range t.apis {
		if api.owns(source) {
			return api.post(ctx, source, body)
		}
	}
	return fmt.Errorf("write boot file: %w", errors.ErrUnsupported)
}
