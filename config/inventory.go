package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// machineName is what a machine may be called: its name stands in paths, command
// lines and host names.
var machineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

func (d *decoder) machine(b *hclsyntax.Block) {
	body := d.names(&machineSchema, b.Body)
	label, at, ok := d.label(b, "its name")
	if !ok {
		return
	}
	if !hclsyntax.ValidIdentifier(label) {
		ok = false
		d.unsure["machine"] = true
		d.errorf(at, sumBadName, "The label of a machine is an identifier: letters, digits, \"-\" and \"_\", beginning with a letter. %q is none; write machine %q, and name = %[1]q into the block.", label, "machine-"+identifier(label))
	} else {
		ok = d.unique("machine block", label, at, sumTwice, fmt.Sprintf("There are two machine blocks %q. Rename one of them.", label))
	}
	attrs := body.Attributes
	if attrs["mac"] == nil && attrs["uuid"] == nil && len(attrs) == len(b.Body.Attributes) {
		d.errorf(b.DefRange(), sumNoIdentity, "A machine is known by its MAC addresses or its UUID. Write mac = \"…\" or uuid = \"…\".")
	}
	n, instances := d.instances(b, label)
	d.entries = slices.Grow(d.entries, n)
	for in := range instances {
		name := text{label, at}
		if in.key != "" {
			name.s = in.key
		}
		if e, whole := in.entry(name, attrs, !ok); whole {
			d.entries = append(d.entries, e)
		} else {
			d.unsure["machine"] = true
		}
	}
}

// entry is one instance of a machine block, by that name unless it sets another.
// refused is whether the name has been refused already.
func (s *scope) entry(name text, attrs hclsyntax.Attributes, refused bool) (e booters.Entry, ok bool) {
	ok = !refused
	if a := attrs["name"]; a != nil {
		name, ok = s.text(a, "a name in quotes")
	}
	e.Name = name.s
	switch {
	case !ok:
	case !machineName.MatchString(name.s):
		ok = false
		s.errorf(name.at, sumBadName, "A machine's name has letters, digits, \".\", \"_\" and \"-\", and begins with a letter or a digit: it can stand in paths and host names. %q is none.", name.s)
	default:
		ok = s.onlyOnce("name", name.s, name.at, e.Name)
	}

	if a := attrs["mac"]; a != nil {
		all, whole := s.texts(a, "MAC addresses in quotes")
		if ok = ok && whole; whole && len(all) == 0 {
			ok = false
			s.errorf(a.Expr.Range(), sumEmpty, "mac is an empty list. Write the machine's MAC addresses, or leave the line out.")
		}
		for _, t := range all {
			mac, good := s.mac(t)
			if good {
				good = s.onlyOnce("MAC address", mac.String(), t.at, e.Name)
				e.MACs = append(e.MACs, mac)
			}
			ok = ok && good
		}
	}
	if a := attrs["uuid"]; a != nil {
		t, good := s.text(a, "a UUID in quotes")
		if ok = ok && good; good {
			uuid, err := boot.ParseUUID(t.s)
			if err != nil {
				ok = false
				s.errorf(t.at, sumUUID, "%v.", err)
			} else {
				e.UUID = uuid
				ok = s.onlyOnce("UUID", uuid, t.at, e.Name) && ok
			}
		}
	}
	if a := attrs["ip"]; a != nil {
		t, good := s.text(a, `an IPv4 address in quotes, like "192.0.2.10"`)
		if ok = ok && good; good {
			addr, err := netip.ParseAddr(t.s)
			switch {
			case err != nil || !addr.Is4() || !addr.IsGlobalUnicast():
				ok = false
				s.errorf(t.at, sumAddress, "%q is not the IPv4 address of one host. Write the one that the machine is to have, like \"192.0.2.10\".", t.s)
			case len(e.MACs) == 0:
				ok = false
				s.errorf(t.at, sumNoIdentity, "Operating systems ask for their address without their UUID, so a machine that has an ip is known by its MAC addresses. Write mac = \"…\" beside it.")
			default:
				e.IP = addr
				ok = s.onlyOnce("address", addr.String(), t.at, e.Name) && ok
				s.reservedAt = &t.at
			}
		}
	}
	if a := attrs["labels"]; a != nil {
		labels, good := s.labels(a)
		e.Labels, ok = labels, ok && good
	}
	return e, ok
}

// onlyOnce is unique for what stands in a table, where both places may be the same
// cell of two rows: the sentence names both machines.
func (s *scope) onlyOnce(kind, name string, at hcl.Range, of string) bool {
	key := [2]string{kind, name}
	before, used := s.first[key]
	if !used {
		s.first[key] = use{at, of}
		return true
	}
	s.errorf(at, sumTwice, "Two machines have the %s %s: %q, and before it %q at %s. Correct one of them.", kind, name, of, before.by, pos(before.at)).other = before.at
	return false
}

// mac reads one whole MAC address.
func (s *scope) mac(t text) (net.HardwareAddr, bool) {
	p, err := booters.ParseMACPattern(t.s)
	switch {
	case t.s == "":
		s.errorf(t.at, sumEmpty, "mac is empty. Write the machine's MAC address; leave a row of a table out with: if m.mac != \"\".")
	case strings.ContainsAny(t.s, "*?"):
		s.errorf(t.at, sumMAC, "%q is a pattern, and stands for many machines. Write the whole MAC address of this one.", t.s)
	case err != nil:
		s.errorf(t.at, sumMAC, "%v.", err)
	default:
		if mac, err := net.ParseMAC(p.String()); err == nil {
			return mac, true
		}
		s.errorf(t.at, sumMAC, "%q is the MAC address of no machine.", t.s)
	}
	return nil, false
}

// labels is the value of a setting that takes { NAME = "VALUE", … }.
func (s *scope) labels(a *hclsyntax.Attribute) (map[string]string, bool) {
	v, ok := s.value(a.Expr)
	if !ok {
		return nil, false
	}
	at := a.Expr.Range()
	const want = `labels in braces, like { role = "db" }`
	switch t := v.Type(); {
	case v.IsNull():
		s.errorf(at, sumNull, "%s is null. Write %s, or leave the line out.", a.Name, want)
		return nil, false
	case !t.IsObjectType() && !t.IsMapType():
		s.errorf(at, sumType, "%s is a %s. Write %s.", a.Name, kindOf(v), want)
		return nil, false
	}
	labels := make(map[string]string, v.LengthInt())
	var all []byte
	for key, value := range v.Elements() { // in the order of the keys
		t, good := s.asText(value, at, a.Name+"."+key.AsString(), "a text in quotes")
		if good {
			labels[key.AsString()] = t.s
			all = strconv.AppendQuote(strconv.AppendQuote(all, key.AsString()), t.s)
		}
		ok = ok && good
	}
	return s.shared(labels, all), ok
}

// shared is labels, or those of the same text that another block has: of the machines of
// a table, many stand in one rack, and a map has 300 bytes.
func (d *decoder) shared(labels map[string]string, text []byte) map[string]string {
	if same := d.labelled[string(text)]; same != nil {
		return same
	}
	d.labelled[string(text)] = labels
	return labels
}

// buildInventory makes the inventory of all machines, unless one has an error.
func (d *decoder) buildInventory() {
	for i := range d.entries {
		e := &d.entries[i]
		d.inventory[e.Name] = e
		d.byUUID = d.byUUID || e.UUID != ""
	}
	if d.unsure["machine"] {
		return
	}
	inv, err := booters.NewInventory(d.entries)
	if err != nil { // of what has been looked at before
		d.Report.file(d.name, sumTwice, err.Error()+".")
	}
	d.cfg.Inventory = inv
}

// A fact is something that machine.NAME can mean.
type fact struct {
	typ   cty.Type
	needs boot.Fact // 0 for what is always known
	words []string  // all that it can be, if these are few
	value func(*boot.Facts) cty.Value
}

func textFact(needs boot.Fact, of func(*boot.Facts) string) fact {
	return fact{typ: cty.String, needs: needs, value: func(f *boot.Facts) cty.Value { return cty.StringVal(of(f)) }}
}

// facts are the members of machine. Those without a value are made by subject.
var facts = map[string]fact{
	"name":         {typ: cty.String},
	"mac":          {typ: cty.String},
	"bootif":       {typ: cty.String},
	"arch":         {typ: cty.String, words: boot.ArchitectureNames()},
	"firmware":     {typ: cty.String, words: platformNames()},
	"labels":       {typ: cty.Map(cty.String)},
	"transport":    {cty.String, boot.FactTransport, []string{boot.TransportPXE, boot.TransportHTTP}, func(f *boot.Facts) cty.Value { return cty.StringVal(f.Transport) }},
	"ipxe":         {cty.Bool, boot.FactIPXE, nil, func(f *boot.Facts) cty.Value { return cty.BoolVal(f.IPXE) }},
	"uuid":         textFact(boot.FactUUID, func(f *boot.Facts) string { return f.UUID }),
	"interface":    textFact(boot.FactInterface, func(f *boot.Facts) string { return f.Interface }),
	"listener":     textFact(boot.FactListener, func(f *boot.Facts) string { return f.Listener }),
	"relay":        textFact(boot.FactRelay, func(f *boot.Facts) string { return addrText(f.Relay) }),
	"vendor_class": textFact(boot.FactVendorClass, func(f *boot.Facts) string { return f.VendorClass }),
	"user_class":   textFact(boot.FactUserClass, func(f *boot.Facts) string { return f.UserClass }),
	"circuit_id":   textFact(boot.FactCircuitID, func(f *boot.Facts) string { return f.CircuitID }),
	"remote_id":    textFact(boot.FactRemoteID, func(f *boot.Facts) string { return f.RemoteID }),
	"serial":       textFact(boot.FactSerial, func(f *boot.Facts) string { return f.Serial }),
	"manufacturer": textFact(boot.FactManufacturer, func(f *boot.Facts) string { return f.Manufacturer }),
	"product":      textFact(boot.FactProduct, func(f *boot.Facts) string { return f.Product }),
	"asset":        textFact(boot.FactAsset, func(f *boot.Facts) string { return f.Asset }),
	"hostname":     textFact(boot.FactHostname, func(f *boot.Facts) string { return f.Hostname }),
	"ip":           textFact(boot.FactIP, func(f *boot.Facts) string { return addrText(f.IP) }),
}

// addrText is empty for the zero Addr.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func platformNames() []string {
	var names []string
	for _, f := range boot.Platforms() {
		names = append(names, f.String())
	}
	return names
}

// unknownMachine is what machine means when the file is loaded: the types are
// known, and no value.
var unknownMachine = func() cty.Value {
	members := make(map[string]cty.Value, len(facts))
	for name, f := range facts {
		members[name] = cty.UnknownVal(f.typ).RefineNotNull()
	}
	return cty.ObjectVal(members)
}()

// membersOf are the members of machine that an expression refers to.
func membersOf(e hclsyntax.Expression) (names []string) {
	for _, t := range e.Variables() {
		if t.RootName() != "machine" {
			continue
		}
		if len(t) == 1 {
			return slices.Sorted(maps.Keys(facts))
		}
		if name, _, ok := step(t, 1); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// wholeMachine reports whether an expression refers to machine as a whole.
func wholeMachine(e hclsyntax.Expression) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "machine" && len(t) == 1 })
}
