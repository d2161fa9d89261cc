package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/loaders"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/once"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// A Configuration is one that is served, or that could be.
type Configuration struct {
	Gen     uint64 // 0: it is not served
	Config  *config.Config
	Table   *booters.Table
	Loaders *loaders.Set
	Holds   []status.Hold // what is on hold beside
	States  *once.States  // which machines are armed; nil: that is not known
	Nexts   *once.Nexts   // what machines boot next in place of what their rule says
}

// An Explanation is what becomes of one machine, and why.
type Explanation struct {
	Machine    Question `json:"machine"`
	Generation uint64   `json:"generation,omitempty"` // 0: of a file that is not served
	Walks      []Walk   `json:"walks"`                // over the rules: when the firmware asks, and when iPXE has reported, or another loader asks
}

// A Walk is one way over the rules.
type Walk struct {
	Stage  string `json:"stage"` // "firmware", or "ipxe", "shim", "grub", "native"
	Steps  []Step `json:"steps"` // the rules that were looked at, in order
	Action string `json:"action"`
	Rule   string `json:"rule,omitempty"` // that decided; empty where none did
	At     string `json:"at,omitempty"`
	Boot   string `json:"boot,omitempty"`
	Loader string `json:"loader,omitempty"` // by what UEFI is to load the boot; empty: by any iPXE
	Held   string `json:"held,omitempty"`   // why the machine is not answered although a rule boots it
	Error  string `json:"error,omitempty"`
	// Once is, of a rule with a once block, how far the machine is, and then all else is
	// by that; or that it is not known, and then all else is as if it were armed.
	Once string `json:"once,omitempty"`
	// Next is why it boots something else, one time, than the rule says.
	Next string `json:"next,omitempty"`
	// Asks is the address of the API that has the last word, without a password.
	// Asked is whether it has been asked: then all else is by its answer.
	Asks  string `json:"asks,omitempty"`
	Asked bool   `json:"asked,omitempty"`

	// Offers are the answers to the firmware's requests.
	Offers []Offer `json:"offers,omitempty"`
	// Kernel, Initrd and Cmdline are what the configuration says, and Script is
	// what iPXE, or GRUB, is given. Both only at the later stage.
	Kernel  string   `json:"kernel,omitempty"`
	Initrd  []string `json:"initrd,omitempty"`
	Cmdline string   `json:"cmdline,omitempty"`
	// SHA256 are the digests that files of these must have, by path or URL.
	SHA256 map[string]string `json:"sha256,omitempty"`
	// Locked are those of SHA256 whose digest is that of the lock file.
	Locked []string `json:"locked,omitempty"`
	// Checksums are the files in which the others' digests stand, likewise.
	Checksums map[string]string `json:"checksums,omitempty"`
	Script    string            `json:"script,omitempty"`
	Files     []File            `json:"files,omitempty"` // of the boot, which the machine may fetch
}

// A File is what the machine would fetch of a booters.File, or of a member of a
// tree. Nothing is told of what is in a secret.
type File struct {
	Name   string           `json:"name"` // of a member, with that of the tree: "seed/user-data"
	Kind   booters.FileKind `json:"kind"`
	Secret bool             `json:"secret,omitempty"`
	// Bytes is the size of a text, in which addresses are shown shorter than
	// they are.
	Bytes  int    `json:"bytes,omitempty"`
	Source string `json:"source,omitempty"` // without a password
	Error  string `json:"error,omitempty"`  // why it cannot be made for this machine
}

// A Step is one rule on a Walk.
type Step struct {
	Rule   string `json:"rule"`
	At     string `json:"at,omitempty"`
	Truth  string `json:"truth"`            // "true", "false" or "unknown"
	Failed string `json:"failed,omitempty"` // the first condition that keeps it from being true
}

// An Offer is what one kind of program on the machine is answered.
type Offer struct {
	Stage  string `json:"stage"` // strategy.Stage: "rom", "http-boot", "ipxe"
	Offer  string `json:"offer"` // strategy.Offer: "loader", "shim", "script", "nothing"
	File   string `json:"file,omitempty"`
	Loader string `json:"loader,omitempty"` // the path or URL that is served under that name
	Then   string `json:"then,omitempty"`   // and of the GRUB that a shim asks for
	Error  string `json:"error,omitempty"`  // why it is not
}

// Placeholders of what is made anew for each boot.
const (
	sampleBase  = "http://SERVER"
	sampleToken = "TOKEN"
)

// Explain says what c makes of the machine. Where an API has the last word, it is
// asked only if ask is set. The error is about q.
func Explain(ctx context.Context, c Configuration, q Question, ask bool) (Explanation, error) {
	x := Explanation{Machine: q, Generation: c.Gen}
	early, late := q, q
	early.Early = true
	m, err := early.Machine()
	if err != nil {
		return x, err
	}
	first, loader := walk(ctx, c, "firmware", m, ask)
	for _, s := range []strategy.Stage{strategy.ROM, strategy.HTTPBoot, strategy.IPXE} {
		if first.Error == "" && has(m.Firmware, s) {
			v := &boot.Verdict{Action: action(first.Action), Rule: first.Rule, Boot: first.Boot, Chosen: first.Next != "", Loader: loader}
			first.Offers = append(first.Offers, offer(c, m, s, v))
		}
	}
	x.Walks = append(x.Walks, first)
	if q.Early || m.Firmware.Board() || first.Action == boot.Ignore.String() {
		return x, nil
	}
	if !loader.IPXE() && m.Firmware.UEFI() && first.Action == boot.Boot.String() {
		next, _ := walk(ctx, c, loader.String(), m, ask) // no iPXE comes between
		x.Walks = append(x.Walks, next)
		return x, nil
	}
	if m, err = late.Machine(); err != nil {
		return x, err
	}
	next, _ := walk(ctx, c, "ipxe", m, ask)
	x.Walks = append(x.Walks, next)
	return x, nil
}

// has reports whether there is a program of that stage on such a machine.
func has(f boot.Firmware, s strategy.Stage) bool {
	switch s {
	case strategy.HTTPBoot:
		return f != boot.FirmwareX86PC && f != boot.FirmwareRPi
	case strategy.IPXE:
		return !f.Board()
	}
	return true
}

func action(word string) boot.Action {
	for _, a := range []boot.Action{boot.Boot, boot.Local, boot.Probe, boot.Park} {
		if a.String() == word {
			return a
		}
	}
	return boot.Ignore
}

// walk also returns the loader that strategy.For goes by.
func walk(ctx context.Context, c Configuration, stage string, m boot.Machine, ask bool) (Walk, boot.Loader) {
	trace := c.Table.Explain(m)
	v := trace.Verdict
	w := Walk{Stage: stage, Steps: []Step{}, Action: v.Action.String(), Rule: v.Rule, At: v.Pos, Boot: v.Boot}
	for _, s := range trace.Steps {
		w.Steps = append(w.Steps, Step{Rule: s.Rule, At: s.Pos, Truth: s.Truth.String(), Failed: s.Failed})
	}
	for _, h := range c.Holds {
		if h.Rule == "" || h.Rule == v.Rule {
			w.Action, w.Held = boot.Ignore.String(), h.Why()
			return w, v.Loader
		}
	}
	err := trace.Err
	if err == nil {
		v, w.Next = c.chosen(v, m)
		w.Action, w.Boot = v.Action.String(), v.Boot
	}
	if v.Once != nil && err == nil {
		v, w.Once = c.armed(v, m)
		w.Action, w.Boot = v.Action.String(), v.Boot
	}
	if v.Ask != nil {
		if w.Asks = c.asks(v, m); !ask {
			return w, v.Loader
		}
		w.Asked = true
		if v, err = v.Ask(ctx, m); err == nil {
			w.Action, w.Held = v.Action.String(), v.Reason
		}
	}
	if v.Action == boot.Boot && v.Loader != boot.LoaderAuto {
		w.Loader = v.Loader.String()
	}
	if (m.Probed || stage == v.Loader.String()) && err == nil {
		w.Script, err = c.script(v, m)
		if spec := c.sources(v, m); spec != nil && v.Action == boot.Boot {
			// The script holds sealed IDs of these.
			w.Kernel, w.Cmdline = w.file(spec.Kernel), spec.Cmdline
			for _, i := range spec.Initrd {
				w.Initrd = append(w.Initrd, w.file(i))
			}
		}
		if v.Action == boot.Boot {
			w.Files = c.files(v, m)
		}
	}
	if err != nil {
		w.Error = err.Error()
	}
	return w, v.Loader
}

// chosen is what becomes of a verdict in the machine's next boot, and why, where an
// operator has chosen something for that.
func (c Configuration) chosen(v *boot.Verdict, m boot.Machine) (*boot.Verdict, string) {
	if !c.Nexts.Any() || v.Action != boot.Boot && v.Action != boot.Local {
		return v, ""
	}
	next, ok := c.Nexts.Pending(once.Of(&boot.Verdict{Machine: c.Table.Called(m)}, m), time.Now())
	if !ok {
		return v, ""
	}
	chosen, err := c.Table.Choose(v, next.Boot)
	if err != nil {
		return v, fmt.Sprintf("boot.%s was chosen, and the rule decides all the same: %v", next.Boot, err)
	}
	return chosen, fmt.Sprintf("boot.%s was chosen for the first boot until %s, in place of what the rule says", next.Boot, next.Until.Local().Format("2006-01-02 15:04"))
}

// action is what the verdict comes of: that of its rule, or the one that was chosen.
// It is nil where none does.
func (c Configuration) action(v *boot.Verdict) *booters.Action {
	if v.Chosen {
		if i := slices.IndexFunc(c.Config.Boots, func(b booters.Choice) bool { return b.Action.Boot == v.Boot }); i >= 0 {
			return &c.Config.Boots[i].Action
		}
		return nil
	}
	if i := slices.IndexFunc(c.Config.Rules, func(r booters.Rule) bool { return r.Name == v.Rule }); i >= 0 {
		return &c.Config.Rules[i].Action
	}
	return nil
}

// armed is what becomes of a verdict that is for armed machines, and why.
func (c Configuration) armed(v *boot.Verdict, m boot.Machine) (*boot.Verdict, string) {
	if v.Stranger() {
		v = v.Pass("this boot writes disks, and the machine is in no machine block")
		return v, v.Reason
	}
	if c.States == nil {
		return v, fmt.Sprintf("when it is armed, which is not known here; else %s", v.Once.Spent)
	}
	state := c.States.Look(once.Of(v, m), v.Once, once.Boot{}, time.Now())
	switch state.Do {
	case once.Pass:
		v = v.Pass(state.Reason)
	case once.Wait:
		v = v.Pass(state.Reason)
		v.Action = boot.Park
	default:
		return v, "the machine is " + string(state.State)
	}
	return v, v.Reason
}

// file is the path or URL of a source, whose digest is noted if it has one.
func (w *Walk) file(source boot.ID) string {
	src, ok := booters.CutDigest(string(source))
	of := src.Fetched().At // which the digest is for
	switch {
	case ok && src.Sums.At != "":
		if w.Checksums == nil {
			w.Checksums = make(map[string]string)
		}
		w.Checksums[of] = booters.ShownSource(src.Sums.At)
		if src.Sums.Key != "" {
			w.Checksums[of] += ", signed by a key in " + src.Sums.Key
		}
	case ok:
		if w.SHA256 == nil {
			w.SHA256 = make(map[string]string)
		}
		w.SHA256[of] = src.SHA256.String()
		if src.Locked && !slices.Contains(w.Locked, of) {
			w.Locked = append(w.Locked, of)
		}
	}
	return src.At
}

// script is what iPXE is given.
func (c Configuration) script(v *boot.Verdict, m boot.Machine) (string, error) {
	switch v.Action {
	case boot.Boot:
		if err := bootfiles.Startable(m, v); err != nil {
			return "", err
		}
		spec, err := c.spec(v, m)
		switch {
		case err != nil:
			return "", err
		case m.Firmware.Board():
			return bootfiles.BoardConfig(sampleBase, sampleToken, spec, m.Firmware)
		case !m.Firmware.UEFI() || m.Probed:
		case v.Loader == boot.LoaderNative:
			return "", nil // the firmware starts it, and nothing is made for it
		case !v.Loader.IPXE():
			return bootfiles.GRUB(sampleBase, sampleToken, spec, "")
		}
		return bootfiles.Boot(sampleBase, spec, bootfiles.Machine{MAC: m.MAC}, "")
	case boot.Park:
		return bootfiles.Screen(sampleBase, bootfiles.Machine{MAC: m.MAC}, v.Reason), nil
	case boot.Local:
		if m.Firmware.Board() {
			return "", nil
		}
		return bootfiles.LocalDisk(m.Firmware), nil
	default:
		return bootfiles.Leave("the server does not boot this machine"), nil
	}
}

// spec is what the machine boots. Where it has addresses of files made for it,
// these are not sealed: one of a secret would be good for whoever reads this.
func (c Configuration) spec(v *boot.Verdict, m boot.Machine) (*boot.Spec, error) {
	a := c.action(v)
	switch {
	case a == nil:
		return v.SpecFor(m, sampleBase)
	case a.Sums && a.Render == nil:
		return a.Spec, nil // checksums would have to be fetched
	case a.Render == nil, len(a.Files) == 0 && !a.Sums:
		return v.SpecFor(m, sampleBase)
	}
	return a.Render(booters.Preview(c.Config.Inventory, m))
}

// files are those of what the verdict boots.
func (c Configuration) files(v *boot.Verdict, m boot.Machine) (all []File) {
	a := c.action(v)
	if a == nil {
		return nil
	}
	req := booters.Preview(c.Config.Inventory, m)
	for _, f := range a.Files {
		for _, member := range f.Parts() {
			one := File{Name: f.PartName(member), Kind: f.Kind, Secret: f.Secret}
			switch content, err := f.Render(req, member); {
			case err != nil:
				one.Error = err.Error()
			case f.Secret:
			case content.Source != "":
				one.Source = booters.ShownSource(content.Source)
			default:
				one.Bytes = len(content.Text)
			}
			all = append(all, one)
		}
	}
	return all
}

// sources is what a verdict boots the machine with, before anything is sealed;
// nil where it boots nothing, or what it boots cannot be rendered.
func (c Configuration) sources(v *boot.Verdict, m boot.Machine) *boot.Spec {
	switch a := c.action(v); {
	case a == nil:
		return nil
	case a.API != nil:
		return c.Table.Unsealed(v.Spec)
	case a.Render == nil:
		return a.Spec
	default:
		spec, _ := a.Render(booters.Preview(c.Config.Inventory, m)) // the error is the script's
		return spec
	}
}

// asks is the address at which an API is asked about the machine.
func (c Configuration) asks(v *boot.Verdict, m boot.Machine) string {
	if a := c.action(v); a != nil && a.API != nil {
		return a.API.Shown(m)
	}
	return ""
}

// offer is what DHCP answers a program on the machine.
func offer(c Configuration, m boot.Machine, s strategy.Stage, v *boot.Verdict) Offer {
	o := strategy.For(m.Firmware, s, v).Styled(m.Firmware, s, v, 0)
	x := Offer{Stage: s.String(), Offer: o.String()}
	switch o.Kind {
	case strategy.Script:
		x.File = bootfiles.ScriptURL(sampleBase, sampleToken)
		return x
	case strategy.Extlinux:
		x.File = bootfiles.BoardPath(sampleToken)
	case strategy.ExtlinuxByHTTP:
		x.File = sampleBase + "/" + bootfiles.BoardPath(sampleToken)
	case strategy.ByTFTP, strategy.ByHTTP:
		x.File = bootfiles.ProgramPath(sampleToken, m, o.Program)
		if o.Kind == strategy.ByHTTP {
			x.File = sampleBase + "/" + x.File
		}
	}
	var p boot.Programs
	if o.Program == strategy.Shim || o.Program == strategy.GRUB {
		var err error
		if p, err = c.programs(v, m); err != nil {
			x.Error = err.Error()
		}
	}
	switch o.Program {
	case strategy.Shim:
		x.Loader, x.Then = booters.ShownSource(string(p.Shim)), booters.ShownSource(string(p.GRUB))
	case strategy.GRUB:
		x.Loader = booters.ShownSource(string(p.GRUB))
	case strategy.EFI, strategy.ISO, strategy.Image:
		if spec := c.sources(v, m); spec != nil {
			x.Loader = booters.ShownSource(string(spec.Kernel))
		}
	case strategy.AnyIPXE:
		l, ok := c.Loaders.Build(m.Firmware, v.Loader)
		if !ok {
			x.Error = fmt.Sprintf("there is no loader for %s, so the machine gets no answer", m.Firmware)
		}
		x.Loader = l.Path
	}
	return x
}

// programs are the sources of those that the machine is given.
func (c Configuration) programs(v *boot.Verdict, m boot.Machine) (boot.Programs, error) {
	if a := c.action(v); a != nil && a.Programs != nil {
		return a.Programs(booters.Preview(c.Config.Inventory, m))
	}
	return boot.Programs{}, nil
}
