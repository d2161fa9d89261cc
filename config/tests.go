package config

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A testCase is a test block: what becomes of one machine.
type testCase struct {
	*scope
	name    string
	block   hcl.Range
	machine boot.Machine
	armed   *bool             // whether it is, for a rule with once; nil: as that says itself
	expect  map[string][]text // by the names of expectations: what there must be, one text but for cmdline_contains; without files
	files   map[string][]text // what must stand in files, by their names: see booters.File.Parts
	at      hcl.Range         // of expect
	result  int               // in the report
}

// A TestResult is how a test block went.
type TestResult struct {
	Name     string     `json:"name"`
	At       string     `json:"at"` // "pixiecore.hcl:9"
	Passed   bool       `json:"passed"`
	Failures []Mismatch `json:"failures,omitempty"`
}

// A Mismatch is what a test expects and does not get.
type Mismatch struct {
	What     string `json:"what,omitempty"` // the expectation's name; empty: nothing is decided for the machine
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Problem  string `json:"problem,omitempty"` // why there is nothing to compare, in a sentence
}

// A member is one value of an object, with its place.
type member struct {
	v  cty.Value
	at hcl.Range
}

// expectations are what a test can say of the outcome.
var expectations = []string{"action", "boot", "cmdline_contains", "files", "kernel", "rule"}

func (d *decoder) test(b *hclsyntax.Block) {
	body, s := d.names(&testSchema, b.Body), d.in(b.TypeRange)
	name, at, ok := d.label(b, "what it shows")
	if ok {
		d.unique("test", name, at, sumTwice, fmt.Sprintf("There are two tests %q. Rename one of them.", name))
	}
	t := testCase{scope: s, name: name, block: b.DefRange(), at: b.DefRange()}
	for _, need := range testSchema.names() {
		if body.Attributes[need] == nil && len(body.Attributes) == len(b.Body.Attributes) {
			d.errorf(b.DefRange(), sumHalfTest, "A test says which machine, and what it expects of it. Write %s = { … }.", need)
		}
	}
	if a := body.Attributes["machine"]; a != nil {
		t.machine, t.armed = s.testMachine(a)
	}
	if a := body.Attributes["expect"]; a != nil {
		t.at = a.Expr.Range()
		said, ok := s.members(a, expectations, nil)
		t.files = s.expectedFiles(said)
		t.expect = s.expected(said)
		if ok && len(said) == 0 {
			s.errorf(t.at, sumHalfTest, "The test expects nothing. Write one or more of %s.", strings.Join(expectations, ", "))
		}
	}
	d.tests = append(d.tests, t)
}

// expected are the texts of what a test expects, but for files.
func (s *scope) expected(said map[string]member) map[string][]text {
	all := make(map[string][]text)
	for _, name := range slices.Sorted(maps.Keys(said)) {
		switch m := said[name]; name {
		case "files":
		case "cmdline_contains":
			all[name] = s.contained(m, name)
		default:
			if t, ok := s.asText(m.v, m.at, name, "a text in quotes"); ok {
				all[name] = []text{t}
			}
		}
	}
	return all
}

// expectedFiles are the texts that must stand in files, by the names of these.
func (s *scope) expectedFiles(said map[string]member) map[string][]text {
	m, ok := said["files"]
	if !ok {
		return nil
	}
	const wayOut = `Write the names of files and what stands in them: { "seed/user-data" = ["…"] }.`
	if t := m.v.Type(); m.v.IsNull() || !t.IsObjectType() && !t.IsMapType() {
		s.errorf(m.at, sumType, "files is no map. %s", wayOut)
		return nil
	}
	all := make(map[string][]text)
	for key, value := range m.v.Elements() {
		all[key.AsString()] = s.contained(member{value, m.at}, fmt.Sprintf("files[%q]", key.AsString()))
	}
	if len(all) == 0 {
		s.errorf(m.at, sumHalfTest, "files is empty, and so expects nothing. %s", wayOut)
	}
	return all
}

// contained are the texts, or the one, that must stand in another.
func (s *scope) contained(m member, name string) (all []text) {
	parts := []cty.Value{m.v}
	if typ := m.v.Type(); !m.v.IsNull() && (typ.IsTupleType() || typ.IsListType() || typ.IsSetType()) {
		parts = m.v.AsValueSlice()
	}
	if len(parts) == 0 {
		s.errorf(m.at, sumHalfTest, "%s is empty, and so expects nothing. Write texts in quotes, or leave it out.", name)
	}
	for _, part := range parts {
		if t, ok := s.asText(part, m.at, name, "texts in quotes"); ok {
			all = append(all, t)
		}
	}
	return all
}

// members are those of an object, which must be among names. Those of later are
// part of the language only.
func (s *scope) members(a *hclsyntax.Attribute, names, later []string) (all map[string]member, ok bool) {
	v, ok := s.value(a.Expr)
	if !ok {
		return nil, false
	}
	if t := v.Type(); v.IsNull() || !t.IsObjectType() && !t.IsMapType() {
		s.errorf(a.Expr.Range(), sumType, "%s is no object. Write %[1]s = { %s = … }.", a.Name, names[0])
		return nil, false
	}
	places := s.places(a.Expr)
	all = make(map[string]member)
	for key, value := range v.Elements() {
		name := key.AsString()
		at, written := places[name]
		if !written {
			at = a.Expr.Range()
		}
		switch {
		case slices.Contains(later, name):
			ok = false
			s.errorf(at, sumLater, "%s", laterSentence(fmt.Sprintf("%s.%s", a.Name, name)))
		case !slices.Contains(names, name):
			ok = false
			s.errorf(at, sumUnknownSetting, "There is no %s in %s.%s", name, a.Name, didYouMean(name, names))
		default:
			all[name] = member{value, at}
		}
	}
	return all, ok
}

// testMachine is the machine of a test, of which everything is known: what is
// not said, it does not have.
func (s *scope) testMachine(a *hclsyntax.Attribute) (m boot.Machine, armed *bool) {
	said, ok := s.members(a, testSchema.attribute("machine").Members, nil)
	m = boot.Machine{Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true, Facts: &boot.Facts{Known: boot.DHCPFacts &^ boot.FactUUID}}
	if _, has := said["mac"]; ok && !has {
		s.errorf(a.Expr.Range(), sumNoIdentity, "The machine of a test has a MAC address. Write mac = \"…\".")
	}
	f := m.Facts
	texts := map[string]*string{
		"transport": &f.Transport, "interface": &f.Interface, "listener": &f.Listener, "vendor_class": &f.VendorClass, "user_class": &f.UserClass,
		"circuit_id": &f.CircuitID, "remote_id": &f.RemoteID, "serial": &f.Serial, "manufacturer": &f.Manufacturer, "product": &f.Product,
		"asset": &f.Asset, "hostname": &f.Hostname,
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		value := said[name]
		if name == "ipxe" || name == "armed" {
			switch is := value.v; {
			case is.IsNull() || is.Type() != cty.Bool:
				s.errorf(value.at, sumType, "%s is a %s. Write true or false, without quotes.", name, kindOf(is))
			case name == "ipxe":
				f.IPXE = is.True()
			default:
				armed = new(is.True())
			}
			continue
		}
		t, ok := s.asText(value.v, value.at, name, "a text in quotes")
		if !ok {
			continue
		}
		if words := facts[name].words; words != nil && !slices.Contains(words, t.s) {
			s.unknownWord(t, name, words)
			continue
		}
		f.Known |= facts[name].needs
		switch name {
		case "mac":
			m.MAC, _ = s.mac(t)
		case "arch":
			m.Arch, _ = boot.ParseArchitecture(t.s) // one of the words
		case "firmware":
			if all, err := boot.ParseFirmware(t.s); err == nil {
				m.Firmware = all[0]
			}
		case "uuid":
			uuid, err := boot.ParseUUID(t.s)
			if err != nil {
				s.errorf(t.at, sumUUID, "%v.", err)
			}
			f.UUID = uuid
		case "relay":
			addr, err := netip.ParseAddr(t.s)
			if err != nil {
				s.errorf(t.at, sumAddress, "%q is not an IP address. Write the relay's, like \"192.0.2.1\".", t.s)
			}
			f.Relay = addr
		case "ip":
			addr, err := netip.ParseAddr(t.s)
			if err != nil || addr.Zone() != "" {
				s.errorf(t.at, sumAddress, "%q is not an IP address. Write the machine's own, like \"192.0.2.50\".", t.s)
			}
			f.IP = addr
		case "subnet":
			p, err := netip.ParsePrefix(t.s)
			if err != nil {
				s.errorf(t.at, sumNetwork, "%q is no network. Write it like \"192.0.2.0/24\".", t.s)
			}
			f.Subnets = []netip.Prefix{p}
		default:
			*texts[name] = t.s
		}
	}
	return m, armed
}

// runTests decides about the machines of the tests as the daemon would. It is
// for a configuration without errors.
func (d *decoder) runTests() {
	if len(d.tests) == 0 {
		return
	}
	seal, err := booters.NewSealer(make([]byte, 32)) // nothing that is sealed leaves this function
	var table *booters.Table
	if err == nil {
		table, err = booters.NewTable(seal, booters.NewSources(), d.cfg.Inventory, d.cfg.Rules)
	}
	if err != nil {
		d.errorf(d.tests[0].at, sumTestFailed, "The rules cannot be prepared: %v.", err)
		return
	}
	for _, t := range d.tests {
		t.result = len(d.tested)
		d.tested = append(d.tested, TestResult{Name: t.name, At: pos(t.block), Passed: true})
		t.run(table)
	}
}

// fail notes why the test fails, which detail says in sentences.
func (t *testCase) fail(at hcl.Range, m Mismatch, detail string) *Problem {
	r := &t.tested[t.result]
	r.Passed, r.Failures = false, append(r.Failures, m)
	return t.errorf(at, sumTestFailed, "Test %q: %s", t.name, detail)
}

func (t *testCase) run(table *booters.Table) {
	v, err := table.Decide(context.Background(), t.machine)
	if o := v.Once; err == nil && o != nil {
		switch armed := o.Armed; {
		case v.Stranger():
			v = v.Pass("it installs, and the machine is in no machine block")
		case t.armed == nil && !armed || t.armed != nil && !*t.armed:
			v = v.Pass("the machine is not armed")
		}
	}
	spec := new(boot.Spec)
	if err == nil && v.Action == boot.Boot {
		spec, err = t.spec(v.Rule)
	}
	if err != nil {
		t.fail(t.at, Mismatch{Problem: err.Error()}, fmt.Sprintf("%v.", err))
		return
	}
	asked := spec == nil // an API, so that nothing more is known
	if asked {
		spec = new(boot.Spec)
	}
	kernel, _ := booters.CutDigest(string(spec.Kernel))
	got := map[string]string{
		"action": v.Action.String(), "boot": v.Boot, "cmdline_contains": spec.Cmdline, "kernel": kernel.At, "rule": v.Rule,
	}
	for _, name := range slices.Sorted(maps.Keys(t.expect)) {
		if asked && (name == "cmdline_contains" || name == "kernel") {
			why := fmt.Sprintf("what boot %s starts is said by its API, which no test asks", v.Boot)
			t.fail(t.expect[name][0].at, Mismatch{What: name, Expected: t.expect[name][0].s, Problem: why}, fmt.Sprintf("%s. Expect boot = %q, without %s.", why, v.Boot, name))
			continue
		}
		for _, want := range t.expect[name] {
			m := Mismatch{What: name, Expected: want.s, Got: got[name]}
			switch {
			case name != "cmdline_contains" && m.Got != m.Expected:
				why := ""
				if v.Reason != "" {
					why = fmt.Sprintf(", since %s", v.Reason)
				}
				t.fail(want.at, m, fmt.Sprintf("%s is %q, not %q%s. Correct the test, or what it tests.", name, m.Got, m.Expected, why))
			case name == "cmdline_contains" && !strings.Contains(m.Got, m.Expected):
				t.fail(want.at, m, fmt.Sprintf("%q is not in the command line %q. Correct the test, or what it tests.", m.Expected, m.Got))
			}
		}
	}
	t.runFiles(v)
}

// runFiles compares what is expected of files of the boot with what the machine
// would fetch. Of a secret nothing is repeated, also not what is expected.
func (t *testCase) runFiles(v *boot.Verdict) {
	type part struct {
		*booters.File
		member string
	}
	parts := make(map[string]part)
	if v.Action == boot.Boot {
		for _, f := range t.action(v.Rule).Files {
			for _, member := range f.Parts() {
				parts[f.PartName(member)] = part{f, member}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		what := fmt.Sprintf("files[%q]", name)
		f, ok := parts[name]
		for _, want := range t.files[name] {
			m := Mismatch{What: what, Expected: want.s}
			if !ok {
				m.Problem = fmt.Sprintf("the machine is given no such file.%s", didYouMean(name, slices.Sorted(maps.Keys(parts))))
				t.fail(want.at, m, fmt.Sprintf("%s: %s", what, m.Problem))
				break
			}
			if f.Secret {
				m.Expected = "(secret)"
			}
			c, err := f.Render(booters.Preview(t.cfg.Inventory, t.machine), f.member)
			if err != nil {
				m.Problem = err.Error()
				t.fail(want.at, m, fmt.Sprintf("%v.", err))
				break
			}
			m.Got = c.Text
			if c.Source != "" { // nothing is fetched
				src, _ := booters.CutDigest(c.Source)
				m.Got = src.At
			}
			switch {
			case strings.Contains(m.Got, want.s):
			case f.Secret:
				m.Got = "(secret)"
				t.fail(want.at, m, fmt.Sprintf("what is expected is not in file %s, which is a secret and so not shown. Correct the test, or what it tests.", name)).secret = true
			default:
				t.fail(want.at, m, fmt.Sprintf("%q is not in file %s, which is %q. Correct the test, or what it tests.", m.Expected, name, shortened(m.Got)))
			}
		}
	}
}

// maxShown is how much of a file is shown in a sentence, in bytes.
const maxShown = 1 << 10

func shortened(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return s[:maxShown] + "…"
}

// action is that of the rule, which has decided.
func (t *testCase) action(rule string) booters.Action {
	return t.cfg.Rules[slices.IndexFunc(t.cfg.Rules, func(r booters.Rule) bool { return r.Name == rule })].Action
}

// spec is what the rule of that name boots on the machine, with sources as they
// are.
func (t *testCase) spec(rule string) (*boot.Spec, error) {
	action := t.action(rule)
	if action.Render == nil {
		return action.Spec, nil
	}
	return action.Render(booters.Preview(t.cfg.Inventory, t.machine))
}
