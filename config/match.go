package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A matchTree is a match, not or any block with those that stand in it, without
// the names that there are not.
type matchTree struct {
	*hclsyntax.Block
	attrs    hclsyntax.Attributes
	not, any []*matchTree
}

func (d *decoder) matchTree(b *hclsyntax.Block) *matchTree {
	if len(b.Labels) > 0 {
		d.errorf(b.LabelRanges[0], sumLabel, "The %s block takes no label: write %[1]s { … }.", b.Type)
	}
	body := d.names(&matchSchema, b.Body)
	tree := &matchTree{Block: b, attrs: body.Attributes}
	for _, nested := range body.Blocks {
		if nested.Type == "not" {
			tree.not = append(tree.not, d.matchTree(nested))
		} else {
			tree.any = append(tree.any, d.matchTree(nested))
		}
	}
	switch {
	case len(b.Body.Attributes)+len(b.Body.Blocks) == 0:
		d.errorf(b.TypeRange, sumEmptyMatch, "The %s block has no condition, which could be a forgotten one. Write a condition, or leave the block out%s.",
			b.Type, map[bool]string{true: " to match every machine"}[b.Type == "match"])
	case b.Type == "match" && len(b.Body.Attributes) == 0 && len(b.Body.Blocks) == len(tree.not):
		d.errorf(b.TypeRange, sumEmptyMatch, "The match block says only which machines it is not for, so every stranger matches. Say which ones it is for as well; for all, write mac = \"*\".")
	}
	return tree
}

// match is the condition of one instance of a rule.
func (s *scope) match(tree *matchTree) booters.Match {
	var m booters.Match
	a := tree.attrs
	whole := true // whether the platforms are all that is written
	for _, t := range s.values(a["mac"], `MAC addresses in quotes, like "52:54:00:*"`, &whole) {
		p, err := booters.ParseMACPattern(t.s)
		if err != nil {
			s.errorf(t.at, sumMAC, "%v.", err)
			continue
		}
		m.MACs = append(m.MACs, p)
	}
	for _, t := range s.values(a["arch"], "architectures in quotes", &whole) {
		arch, err := boot.ParseArchitecture(t.s)
		if err != nil {
			whole = false
			s.unknownWord(t, "arch", boot.ArchitectureNames())
			continue
		}
		m.Archs = append(m.Archs, arch)
	}
	for _, t := range s.values(a["firmware"], "firmwares in quotes", &whole) {
		fs, err := boot.ParseFirmware(t.s)
		if err != nil {
			whole = false
			s.unknownWord(t, "firmware", boot.FirmwareWords())
			continue
		}
		for _, f := range fs {
			if !slices.Contains(m.Firmwares, f) {
				m.Firmwares = append(m.Firmwares, f)
			}
		}
	}
	if whole && tree.Type != "any" && !possible(m) {
		s.warn(a["firmware"].SrcRange, sumImpossible, "No machine of the architectures that this rule names announces one of these firmwares. Correct one of the two.").other = a["arch"].SrcRange
	}
	m.Machines = s.machines(a["machine"])
	m.Labels = s.labelled(a["labels"])
	m.Further = s.further(tree)
	return m
}

// matchFields are the settings of a match block that booters.Match has itself; the
// others are of its Further.
var matchFields = []string{"mac", "arch", "firmware", "machine", "labels"}

// further is the rest of match; nil where nothing of it is written.
func (s *scope) further(tree *matchTree) *booters.Further {
	a, own := tree.attrs, 0
	for _, name := range matchFields {
		if a[name] != nil {
			own++
		}
	}
	if own == len(a)+len(tree.not)+len(tree.any) {
		return nil
	}
	var x booters.Further
	x.Transports = s.transports(a["transport"])
	if ipxe := a["ipxe"]; ipxe != nil {
		if v, ok := s.flag(ipxe); ok {
			x.IPXE = &v
		}
	}
	x.UUIDs = s.globs(a["uuid"], "UUIDs in quotes", booters.ParseUUIDGlob)
	x.Interfaces = s.globs(a["interface"], "names of interfaces in quotes", booters.ParseGlob)
	x.Listeners = s.globs(a["listener"], "addresses of listeners in quotes", booters.ParseGlob)
	x.Subnets = s.prefixes(a["subnet"], `networks in quotes, like "192.0.2.0/24"`)
	x.Relays = s.prefixes(a["relay"], `addresses of relays in quotes, like "192.0.2.1"`)
	const texts = `texts or patterns in quotes, like "rack-*"`
	x.VendorClasses = s.globs(a["vendor_class"], texts, booters.ParseGlob)
	x.UserClasses = s.globs(a["user_class"], texts, booters.ParseGlob)
	x.CircuitIDs = s.globs(a["circuit_id"], texts, booters.ParseGlob)
	x.RemoteIDs = s.globs(a["remote_id"], texts, booters.ParseGlob)
	x.Serials = s.globs(a["serial"], texts, booters.ParseGlob)
	x.Manufacturers = s.globs(a["manufacturer"], texts, booters.ParseGlob)
	x.Products = s.globs(a["product"], texts, booters.ParseGlob)
	x.Assets = s.globs(a["asset"], texts, booters.ParseGlob)
	x.Hostnames = s.globs(a["hostname"], texts, booters.ParseGlob)
	if when := a["when"]; when != nil {
		if x.When, x.WhenNeeds = s.when(when.Expr); x.When != nil {
			x.WhenText = s.whenText(when.Expr)
		}
	}
	for _, not := range tree.not {
		x.Not = append(x.Not, s.match(not))
	}
	for _, any := range tree.any {
		x.Any = append(x.Any, s.match(any))
	}
	return &x
}

// possible reports whether some machine has one of the architectures and one of
// the firmwares.
func possible(m booters.Match) bool {
	if len(m.Archs) == 0 || len(m.Firmwares) == 0 {
		return true
	}
	for _, a := range m.Archs {
		for _, f := range m.Firmwares {
			if boot.Possible(a, f) {
				return true
			}
		}
	}
	return false
}

// values are those of a setting in a match block. One that is there and
// empty is refused, for it would turn a rule for one machine into a rule for
// all: what comes out of an empty cell of a table.
func (s *scope) values(a *hclsyntax.Attribute, want string, whole *bool) []text {
	if a == nil {
		return nil
	}
	all, ok := s.texts(a, want)
	if ok && len(all) == 0 {
		s.errorf(a.Expr.Range(), sumEmptyCondition, "%s is an empty list, which could mean every machine or none. Write %s, or leave the line out.", a.Name, want)
		ok = false
	}
	values := all[:0]
	for _, t := range all {
		if t.s == "" {
			s.errorf(t.at, sumEmptyCondition, "%s is an empty text, which could mean every machine or none. Write %s, or leave the line out.", a.Name, want)
			ok = false
			continue
		}
		values = append(values, t)
	}
	*whole = *whole && ok
	return values
}

// globs are the patterns of a condition on a text.
func (s *scope) globs(a *hclsyntax.Attribute, want string, parse func(string) (booters.Glob, error)) (globs []booters.Glob) {
	for _, t := range s.values(a, want, new(bool)) {
		g, err := parse(t.s)
		if err != nil {
			s.errorf(t.at, sumPattern, "%v.", err)
			continue
		}
		globs = append(globs, g)
	}
	return globs
}

func (s *scope) transports(a *hclsyntax.Attribute) (transports []string) {
	for _, t := range s.values(a, "transports in quotes", new(bool)) {
		if words := facts["transport"].words; !slices.Contains(words, t.s) {
			s.unknownWord(t, "transport", words)
			continue
		}
		transports = append(transports, t.s)
	}
	return transports
}

// prefixes are networks, or addresses, which are networks of one.
func (s *scope) prefixes(a *hclsyntax.Attribute, want string) (all []netip.Prefix) {
	for _, t := range s.values(a, want, new(bool)) {
		if p, ok := s.network(t, want); ok {
			all = append(all, p)
		}
	}
	return all
}

// network is a network, or an address, which is a network of one.
func (s *scope) network(t text, want string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(t.s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(t.s)
	switch {
	case err != nil:
		s.errorf(t.at, sumNetwork, "%q is no network. Write %s.", t.s, want)
		return netip.Prefix{}, false
	case p != p.Masked():
		s.errorf(t.at, sumNetwork, "%q is the address of a host in a network. Write %q for the network.", t.s, p.Masked())
		return netip.Prefix{}, false
	}
	return p, true
}

// machines are names of the inventory.
func (s *scope) machines(a *hclsyntax.Attribute) (names []string) {
	for _, t := range s.values(a, "names of machines in quotes", new(bool)) {
		switch {
		case s.inventory[t.s] != nil:
			names = append(names, t.s)
		case s.unsure["machine"]: // it may be one that could not be understood
		case len(s.inventory) == 0:
			s.errorf(t.at, sumNoMachine, "There is no machine %q. Write machine %[1]q { mac = \"…\" }.", t.s)
		default:
			s.errorf(t.at, sumNoMachine, "There is no machine %q.%s", t.s, near(s.decoder, t.s, s.inventory))
		}
	}
	return names
}

// labelled are the labels of a condition, of which none may be empty.
func (s *scope) labelled(a *hclsyntax.Attribute) map[string]string {
	if a == nil {
		return nil
	}
	labels, ok := s.labels(a)
	if !ok {
		return nil
	}
	if len(labels) == 0 {
		s.errorf(a.Expr.Range(), sumEmptyCondition, "labels is empty, which could mean every machine or none. Write labels in braces, like { role = \"db\" }, or leave the line out.")
	}
	for name, value := range labels {
		if value == "" {
			s.errorf(a.Expr.Range(), sumEmptyCondition, "The label %s is an empty text, which could mean every machine or none. Write its value, or leave it out.", name)
		}
	}
	return labels
}

// checkProbe refuses a rule that would make strangers load iPXE, to learn
// whether it is for them.
func (s *scope) checkProbe(m *booters.Match, probe bool, tree *matchTree) {
	if probe || !m.NeedsIPXE() || m.HasDHCPCondition() {
		return
	}
	s.errorf(tree.TypeRange, sumProbes, "Whether this rule matches is known from inside of iPXE only, so every machine of the network would have to load it, strangers included. Add a condition that is known earlier, like mac, arch or subnet, or write probe = true into the rule.")
}

// when makes a condition of an expression over machine. It is evaluated here
// with facts that are not known, which finds what is wrong with its types.
func (s *scope) when(e hclsyntax.Expression) (func(boot.Machine, *booters.Entry) booters.Truth, boot.Fact) {
	if !s.vet(e, s.has()|rootMachine) {
		return nil, 0
	}
	members := membersOf(e)
	if len(members) == 0 {
		s.errorf(e.Range(), sumConstant, "The condition says nothing about the machine, so it holds for all or for none. Write one over machine.*, like machine.arch == \"x64\".")
		return nil, 0
	}
	v, ok := s.later(e)
	if !ok {
		return nil, 0
	}
	if t := v.Type(); t != cty.Bool && t != cty.DynamicPseudoType {
		s.errorf(e.Range(), sumType, "when is a %s. Write a condition, like machine.arch == \"x64\".", kindOf(v))
		return nil, 0
	}
	c := &condition{e: e, ctx: s.ctx, members: members, byUUID: s.byUUID}
	for _, name := range members {
		c.needs |= facts[name].needs
		if c.byUUID && (name == "name" || name == "labels") {
			c.needs |= boot.FactUUID
		}
	}
	return c.truth, c.needs
}

// whenText tells what a condition says: as it is written, and the values of
// those parts of it that do not hang on the machine, since a local value or the
// row of a table may be another although the text is the same.
func (s *scope) whenText(e hclsyntax.Expression) string {
	at := e.Range()
	h := sha256.New()
	h.Write(at.SliceBytes(s.sources[at.Filename]))
	hclsyntax.Walk(e, &constants{scope: s, digest: h})
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// constants writes the values of the parts of an expression that do not hang
// on the machine into a digest.
type constants struct {
	*scope
	digest io.Writer
	within int // how many nodes of such a part were entered
}

// Enter implements hclsyntax.Walker.
func (c *constants) Enter(n hclsyntax.Node) hcl.Diagnostics {
	e, ok := n.(hclsyntax.Expression)
	switch {
	case c.within > 0:
		c.within++
	case !ok || len(membersOf(e)) > 0:
	default:
		c.within = 1
		c.digest.Write([]byte(c.constant(e)))
	}
	return nil
}

// Exit implements hclsyntax.Walker.
func (c *constants) Exit(hclsyntax.Node) hcl.Diagnostics {
	c.within = max(0, c.within-1)
	return nil
}

// constant is a digest of a value, which is made once for all instances where it
// is the same for them. It is empty for what has a value in a loop only, whose
// parts stand in what is written.
func (s *scope) constant(e hclsyntax.Expression) string {
	own := slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "each" })
	if text, ok := s.constants[e]; ok && !own {
		return text
	}
	text := ""
	if v, diags := e.Value(s.ctx); !diags.HasErrors() {
		sum := sha256.Sum256(fmt.Appendf(nil, "%#v", v))
		text = string(sum[:])
	}
	if !own {
		s.constants[e] = text
	}
	return text
}

// A condition is a when that machines are asked.
type condition struct {
	e       hclsyntax.Expression
	ctx     *hcl.EvalContext
	members []string // of machine that it refers to
	needs   boot.Fact
	byUUID  bool // whether the inventory knows machines by their UUID
}

// truth is booters.Match.When. A condition that cannot be evaluated, because
// the machine has no label of that name for example, does not hold.
func (c *condition) truth(m boot.Machine, e *booters.Entry) booters.Truth {
	if m.ArchCertain() || !slices.Contains(c.members, "arch") {
		return c.truthOn(m, e, m.Arch)
	}
	// RFC 4578 §2.1, type 0: an x86 of either kind.
	ia32, x64 := c.truthOn(m, e, boot.ArchIA32), c.truthOn(m, e, boot.ArchX64)
	if ia32 != x64 {
		return booters.Unknown
	}
	return ia32
}

func (c *condition) truthOn(m boot.Machine, e *booters.Entry, arch boot.Architecture) booters.Truth {
	m.Arch = arch
	v, diags := c.e.Value(withMachine(c.ctx, c.members, func(name string) cty.Value {
		if e == nil && c.byUUID && (name == "name" || name == "labels") && !m.Probed && !m.Facts.Knows(boot.FactUUID) {
			return cty.UnknownVal(facts[name].typ) // its UUID may show that it is one of the inventory
		}
		return memberOf(name, m, e)
	}))
	v, _ = v.Unmark() // whatever hangs on the machine was let in
	switch {
	case diags.HasErrors(), v.IsKnown() && (v.IsNull() || v.Type() != cty.Bool):
		return booters.False
	case !v.IsKnown():
		return booters.Unknown
	case v.True():
		return booters.True
	default:
		return booters.False
	}
}

// withMachine gives machine a meaning: the members that are asked for.
func withMachine(ctx *hcl.EvalContext, members []string, value func(string) cty.Value) *hcl.EvalContext {
	all := make(map[string]cty.Value, len(members))
	for _, name := range members {
		if v := value(name); v != cty.NilVal {
			all[name] = v
		}
	}
	ctx = ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"machine": cty.ObjectVal(all)}
	return ctx
}

// memberOf is the value of machine.NAME: unknown for a fact that is not known,
// and empty for one that the machine is known not to have.
func memberOf(name string, m boot.Machine, e *booters.Entry) cty.Value {
	if s, ok := ownText(name, &m, e); ok {
		return cty.StringVal(s)
	}
	if name == "labels" {
		if e == nil || len(e.Labels) == 0 {
			return cty.MapValEmpty(cty.String)
		}
		labels := make(map[string]cty.Value, len(e.Labels))
		for name, value := range e.Labels {
			labels[name] = cty.StringVal(value)
		}
		return cty.MapVal(labels)
	}
	f := facts[name]
	if !m.Facts.Knows(f.needs) {
		return cty.UnknownVal(f.typ)
	}
	return f.value(m.Facts)
}

// ownText is machine.NAME for what is known of every machine, and is a text.
func ownText(name string, m *boot.Machine, e *booters.Entry) (s string, ok bool) {
	switch name {
	case "name":
		if e != nil {
			return e.Name, true
		}
		return dashed(m.MAC), true
	case "mac":
		return m.MAC.String(), true
	case "bootif": // PXELINUX: the hardware type, 1 for Ethernet, and the address
		return "01-" + dashed(m.MAC), true
	case "arch":
		return m.Arch.Name(), true
	case "firmware":
		return m.Firmware.String(), true
	}
	return "", false
}

func dashed(mac net.HardwareAddr) string { return strings.ReplaceAll(mac.String(), ":", "-") }
