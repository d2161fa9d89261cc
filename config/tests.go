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
	machine boot.Machine
	expect  map[string]member
	at      hcl.Range // of expect
}

// A member is one value of an object, with its place.
type member struct {
	v  cty.Value
	at hcl.Range
}

// expectations are what a test can say of the outcome.
var expectations = []string{"action", "boot", "cmdline_contains", "kernel", "rule"}

func (d *decoder) test(b *hclsyntax.Block) {
	body, s := d.names(&testSchema, b.Body), d.in(b.TypeRange)
	name, at, ok := d.label(b, "what it shows")
	if ok {
		d.unique("test", name, at, sumTwice, fmt.Sprintf("There are two tests %q. Rename one of them.", name))
	}
	t := testCase{scope: s, name: name, at: b.DefRange()}
	for _, need := range testSchema.names() {
		if body.Attributes[need] == nil && len(body.Attributes) == len(b.Body.Attributes) {
			d.errorf(b.DefRange(), sumHalfTest, "A test says which machine, and what it expects of it. Write %s = { … }.", need)
		}
	}
	if a := body.Attributes["machine"]; a != nil {
		t.machine = s.testMachine(a)
	}
	if a := body.Attributes["expect"]; a != nil {
		t.at = a.Expr.Range()
		var ok bool
		if t.expect, ok = s.members(a, expectations, nil); ok && len(t.expect) == 0 {
			s.errorf(t.at, sumHalfTest, "The test expects nothing. Write one or more of %s.", strings.Join(expectations, ", "))
		}
	}
	d.tests = append(d.tests, t)
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
func (s *scope) testMachine(a *hclsyntax.Attribute) boot.Machine {
	said, ok := s.members(a, testSchema.attribute("machine").Members, []string{"armed"})
	m := boot.Machine{Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true, Facts: &boot.Facts{Known: boot.DHCPFacts &^ boot.FactUUID}}
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
		if name == "ipxe" {
			if value.v.IsNull() || value.v.Type() != cty.Bool {
				s.errorf(value.at, sumType, "ipxe is a %s. Write true or false, without quotes.", kindOf(value.v))
				continue
			}
			f.IPXE = value.v.True()
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
	return m
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
		t.run(table)
	}
}

func (t *testCase) run(table *booters.Table) {
	v, err := table.Decide(context.Background(), t.machine)
	spec := new(boot.Spec)
	if err == nil && v.Action == boot.Boot {
		spec, err = t.spec(v.Rule)
	}
	if err != nil {
		t.errorf(t.at, sumTestFailed, "Test %q: %v.", t.name, err)
		return
	}
	if spec == nil {
		for _, name := range []string{"cmdline_contains", "kernel"} {
			if want, asked := t.expect[name]; asked {
				t.errorf(want.at, sumTestFailed, "Test %q: what boot %s starts is said by its API, which no test asks. Expect boot = %q, without %s.", t.name, v.Boot, v.Boot, name)
				delete(t.expect, name)
			}
		}
		spec = new(boot.Spec)
	}
	kernel, _ := booters.CutDigest(string(spec.Kernel))
	got := map[string]string{"action": v.Action.String(), "boot": v.Boot, "kernel": kernel.At, "rule": v.Rule}
	for _, name := range slices.Sorted(maps.Keys(t.expect)) {
		want := t.expect[name]
		if name == "cmdline_contains" {
			t.contains(spec.Cmdline, want)
			continue
		}
		if text, ok := t.asText(want.v, want.at, name, "a text in quotes"); ok && text.s != got[name] {
			t.errorf(want.at, sumTestFailed, "Test %q: %s is %q, not %q. Correct the test, or what it tests.", t.name, name, got[name], text.s)
		}
	}
}

// contains holds that each of the texts, or the one, stands in a command line.
func (t *testCase) contains(line string, want member) {
	parts := []cty.Value{want.v}
	if typ := want.v.Type(); !want.v.IsNull() && (typ.IsTupleType() || typ.IsListType() || typ.IsSetType()) {
		parts = want.v.AsValueSlice()
	}
	for _, part := range parts {
		if text, ok := t.asText(part, want.at, "cmdline_contains", "texts in quotes"); ok && !strings.Contains(line, text.s) {
			t.errorf(want.at, sumTestFailed, "Test %q: %q is not in the command line %q. Correct the test, or what it tests.", t.name, text.s, line)
		}
	}
}

// spec is what the rule of that name boots on the machine, with sources as they
// are.
func (t *testCase) spec(rule string) (*boot.Spec, error) {
	i := slices.IndexFunc(t.cfg.Rules, func(r booters.Rule) bool { return r.Name == rule })
	action := t.cfg.Rules[i].Action // it has decided
	if action.Render == nil {
		return action.Spec, nil
	}
	return action.Render(booters.Preview(t.cfg.Inventory, t.machine))
}
