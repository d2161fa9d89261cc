package booters

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func globs(t testing.TB, list ...string) (all []Glob) {
	t.Helper()
	for _, s := range list {
		g, err := ParseGlob(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

const someUUID = "4c4c4544-0042-3510-8053-b4c04f463433"

// asking is a UEFI machine as its DHCP request presents it.
func asking(change ...func(*boot.Facts)) boot.Machine {
	f := &boot.Facts{
		Known: boot.DHCPFacts, Transport: boot.TransportPXE, UUID: someUUID, Interface: "eth0", Listener: "0.0.0.0:67",
		Subnets: prefixes("192.0.2.1/24"), VendorClass: "PXEClient:Arch:00007:UNDI:003016", CircuitID: "sw1/0/7",
	}
	for _, c := range change {
		c(f)
	}
	return boot.Machine{MAC: mac("52:54:00:aa:00:01"), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Facts: f}
}

// probed is the same when iPXE has reported a serial number and nothing else.
func probed() boot.Machine {
	m := asking(func(f *boot.Facts) {
		f.Known |= boot.FactSerial
		f.Serial = "X1"
	})
	m.Probed = true
	return m
}

func TestConditionsOnFacts(t *testing.T) {
	var (
		yes, no   = true, false
		relayed   = asking(func(f *boot.Facts) { f.Relay = netip.MustParseAddr("10.1.0.1"); f.Subnets = prefixes("10.1.0.1/32") })
		forgotten = boot.Machine{MAC: asking().MAC, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
		serial    = Match{Further: &Further{Serials: globs(t, "X*")}}
		asset     = Match{Further: &Further{Assets: globs(t, "*")}}
		when      = func(truth Truth) Match {
			return Match{Further: &Further{WhenNeeds: boot.FactAsset, When: func(boot.Machine, *Entry) Truth { return truth }}}
		}
	)
	type result struct {
		Truth  Truth
		Failed string
	}
	for _, tt := range []struct {
		name    string
		match   Match
		machine boot.Machine
		want    result
	}{
		{"transport", Match{Further: &Further{Transports: []string{"pxe"}}}, asking(), result{True, ""}},
		{"another transport", Match{Further: &Further{Transports: []string{"http"}}}, asking(), result{False, "transport"}},
		{"iPXE does not ask", Match{Further: &Further{IPXE: &yes}}, asking(), result{False, "ipxe"}},
		{"and that is said", Match{Further: &Further{IPXE: &no}}, asking(), result{True, ""}},
		{"uuid", Match{Further: &Further{UUIDs: globs(t, "4c4c4544-*")}}, asking(), result{True, ""}},
		{"interface", Match{Further: &Further{Interfaces: globs(t, "eno1", "eth?")}}, asking(), result{True, ""}},
		{"listener", Match{Further: &Further{Listeners: globs(t, "*:67")}}, asking(), result{True, ""}},
		{"the interface's subnet", Match{Further: &Further{Subnets: prefixes("192.0.2.0/24")}}, asking(), result{True, ""}},
		{"a wider one", Match{Further: &Further{Subnets: prefixes("192.0.0.0/16")}}, asking(), result{True, ""}},
		{"a part of it, in which the machine need not be", Match{Further: &Further{Subnets: prefixes("192.0.2.0/25")}}, asking(), result{False, "subnet"}},
		{"the subnet of a relay", Match{Further: &Further{Subnets: prefixes("10.1.0.0/16")}}, relayed, result{True, ""}},
		{"a relay", Match{Further: &Further{Relays: prefixes("10.1.0.1/32")}}, relayed, result{True, ""}},
		{"no relay", Match{Further: &Further{Relays: prefixes("0.0.0.0/0")}}, asking(), result{False, "relay"}},
		{"vendor class", Match{Further: &Further{VendorClasses: globs(t, "PXEClient:Arch:00007:*")}}, asking(), result{True, ""}},
		{"no user class", Match{Further: &Further{UserClasses: globs(t, "*")}}, asking(), result{False, "user_class"}},
		{"circuit", Match{Further: &Further{CircuitIDs: globs(t, "sw1/*")}}, asking(), result{True, ""}},
		{"no remote ID, said negatively", Match{Further: &Further{Not: []Match{{Further: &Further{RemoteIDs: globs(t, "*")}}}}}, asking(), result{True, ""}},

		{"only iPXE knows the serial", serial, asking(), result{Unknown, "serial"}},
		{"it has reported it", serial, probed(), result{True, ""}},
		{"a false condition beside an unknown one", Match{Further: &Further{Serials: serial.Further.Serials, RemoteIDs: globs(t, "*")}}, asking(), result{False, "remote_id"}},
		{"what iPXE could not report does not hold", asset, probed(), result{False, "asset"}},
		{"under not neither", Match{Further: &Further{Not: []Match{asset}}}, probed(), result{False, "not"}},
		{"twice neither", Match{Further: &Further{Not: []Match{{Further: &Further{Not: []Match{asset}}}}}}, probed(), result{False, "not"}},
		{"not of what was not reported and something false", Match{Further: &Further{Not: []Match{{Further: &Further{Assets: asset.Further.Assets, CircuitIDs: globs(t, "no")}}}}}, probed(), result{True, ""}},
		{"not of an unknown", Match{Further: &Further{Not: []Match{serial}}}, asking(), result{Unknown, "not"}},
		{"not of what is reported", Match{Further: &Further{Not: []Match{serial}}}, probed(), result{False, "not"}},

		{"any field of any", Match{Further: &Further{Any: []Match{{Further: &Further{CircuitIDs: globs(t, "no"), Interfaces: globs(t, "eth0")}}}}}, asking(), result{True, ""}},
		{"no field of any", Match{Further: &Further{Any: []Match{{Further: &Further{CircuitIDs: globs(t, "no"), Interfaces: globs(t, "no")}}}}}, asking(), result{False, "any"}},
		{"any of an unknown and a true one", Match{Further: &Further{Any: []Match{{Further: &Further{Serials: serial.Further.Serials, Interfaces: globs(t, "eth0")}}}}}, asking(), result{True, ""}},
		{"any of an unknown and a false one", Match{Further: &Further{Any: []Match{{Further: &Further{Serials: serial.Further.Serials, Interfaces: globs(t, "no")}}}}}, asking(), result{Unknown, "any"}},
		{"a not within any", Match{Further: &Further{Any: []Match{{Further: &Further{Interfaces: globs(t, "no"), Not: []Match{{Further: &Further{CircuitIDs: globs(t, "no")}}}}}}}}, asking(), result{True, ""}},
		{"two blocks of any must both hold", Match{Further: &Further{Any: []Match{{Further: &Further{Interfaces: globs(t, "eth0")}}, {Further: &Further{Interfaces: globs(t, "no")}}}}}, asking(), result{False, "any"}},
		{"any of nothing", Match{Further: &Further{Any: []Match{{}}}}, asking(), result{False, "any"}},

		{"when", when(True), asking(), result{True, ""}},
		{"when not", when(False), asking(), result{False, "when"}},
		{"when iPXE has not reported", when(Unknown), asking(), result{Unknown, "when"}},
		{"when iPXE could not report", when(Unknown), probed(), result{False, "when"}},

		{"nothing is remembered of the machine", Match{Further: &Further{CircuitIDs: globs(t, "sw1/*")}}, forgotten, result{Unknown, "circuit_id"}},
		{"nor when iPXE has reported", Match{Further: &Further{CircuitIDs: globs(t, "sw1/*")}}, boot.Machine{Probed: true}, result{Unknown, "circuit_id"}},
		{"the UUID could have been reported", Match{Further: &Further{UUIDs: globs(t, "*")}}, boot.Machine{Probed: true}, result{False, "uuid"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newSubject(&tt.machine, nil)
			var got result
			got.Truth, got.Failed = tt.match.eval(&s)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func inventory(t testing.TB, entries ...Entry) *Inventory {
	t.Helper()
	inv, err := NewInventory(entries)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestConditionsOnTheInventory(t *testing.T) {
	inv := inventory(t,
		Entry{Name: "db1", MACs: macs("52:54:00:aa:00:01"), Labels: map[string]string{"role": "db", "rack": "a1"}},
		Entry{Name: "db2", UUID: someUUID, Labels: map[string]string{"role": "db"}},
		Entry{Name: "web1", MACs: macs("52:54:00:aa:00:03"), Labels: map[string]string{"role": "web"}},
	)
	labels := func(kv ...string) Match {
		m := Match{Labels: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			m.Labels[kv[i]] = kv[i+1]
		}
		return m
	}
	other := mac("52:54:00:aa:00:09")
	var (
		db1      = boot.Machine{MAC: mac("52:54:00:aa:00:01")}
		db2      = boot.Machine{MAC: other, Facts: &boot.Facts{Known: boot.FactUUID, UUID: someUUID}}
		stranger = boot.Machine{MAC: other, Facts: &boot.Facts{Known: boot.FactUUID, UUID: "x"}}
		noUUID   = boot.Machine{MAC: other}
		ran      = boot.Machine{MAC: other, Probed: true}
	)
	for _, tt := range []struct {
		name    string
		match   Match
		machine boot.Machine
		want    Truth
	}{
		{"by its MAC", Match{Machines: []string{"web1", "db1"}}, db1, True},
		{"the MAC goes before the UUID", Match{Machines: []string{"db2"}}, boot.Machine{MAC: db1.MAC, Facts: db2.Facts}, False},
		{"by its UUID", Match{Machines: []string{"db2"}}, db2, True},
		{"another", Match{Machines: []string{"db1"}}, db2, False},
		{"a stranger", Match{Machines: []string{"db1", "db2"}}, stranger, False},
		{"a UUID that is not known yet", Match{Machines: []string{"db2"}}, noUUID, Unknown},
		{"a machine that has no UUID to be known by", Match{Machines: []string{"db1"}}, noUUID, False},
		{"iPXE ran, and there is none", Match{Machines: []string{"db2"}}, ran, False},
		{"so it is no machine of the inventory", Match{Further: &Further{Not: []Match{{Machines: []string{"db2"}}}}}, ran, True},
		{"a label", labels("role", "db"), db1, True},
		{"two", labels("role", "db", "rack", "a1"), db1, True},
		{"one of two", labels("role", "db", "rack", "a1"), db2, False},
		{"another value", labels("role", "web"), db1, False},
		{"a label that may be its own", labels("role", "db"), noUUID, Unknown},
		{"one that no machine with a UUID has", labels("rack", "a1"), noUUID, False},
		{"a stranger's", labels("role", "db"), stranger, False},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newSubject(&tt.machine, inv)
			if got, _ := tt.match.eval(&s); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	serial := Match{Further: &Further{Serials: globs(t, "X*")}}
	circuit := Match{Further: &Further{CircuitIDs: globs(t, "sw1/*")}}
	both := Match{Further: &Further{Serials: serial.Further.Serials, CircuitIDs: circuit.Further.CircuitIDs}}
	type result struct {
		Needs              string
		NeedsIPXE, HasDHCP bool
	}
	for _, tt := range []struct {
		name  string
		match Match
		want  result
	}{
		{"nothing", Match{}, result{"", false, false}},
		{"a MAC", Match{MACs: patterns(t, "52:*")}, result{"", false, true}},
		{"an architecture", Match{Archs: []boot.Architecture{boot.ArchX64}}, result{"", false, true}},
		{"a label", Match{Labels: map[string]string{"a": "b"}}, result{"uuid", false, true}},
		{"a serial", serial, result{"serial", true, false}},
		{"a circuit", circuit, result{"circuit_id", false, true}},
		{"both", both, result{"circuit_id, serial", true, true}},
		{"either", Match{Further: &Further{Any: []Match{both}}}, result{"circuit_id, serial", true, false}},
		{"one of two circuits", Match{Further: &Further{Serials: serial.Further.Serials, Any: []Match{circuit}}}, result{"circuit_id, serial", true, true}},
		{"all circuits but one", Match{Further: &Further{Serials: serial.Further.Serials, Not: []Match{circuit}}}, result{"circuit_id, serial", true, false}},
		{"when, of the relay", Match{Further: &Further{When: func(boot.Machine, *Entry) Truth { return True }, WhenNeeds: boot.FactRelay}}, result{"relay", false, true}},
		{"when, of the asset", Match{Further: &Further{When: func(boot.Machine, *Entry) Truth { return True }, WhenNeeds: boot.FactAsset}}, result{"asset", true, false}},
	} {
		got := result{tt.match.Needs().String(), tt.match.NeedsIPXE(), tt.match.HasDHCPCondition()}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// A rule on what only iPXE knows reaches those whom another rule would not
// ignore, and others only if it says so.
func TestProbe(t *testing.T) {
	var (
		serial  = Rule{Name: "serial", Match: Match{MACs: patterns(t, "52:*"), Further: &Further{Serials: globs(t, "X*")}}, Action: boots("debian")}
		probing = Rule{Name: "probing", Match: serial.Match, Action: boots("debian"), Probe: true}
		circuit = Rule{Name: "circuit", Match: Match{Further: &Further{CircuitIDs: globs(t, "sw1/*")}}, Action: boots("debian")}
		ignore  = Rule{Name: "ignore"}
		local   = Rule{Name: "local", Action: Action{Do: boot.Local}}
	)
	forgotten := asking()
	forgotten.Facts = nil
	ranForgotten := forgotten
	ranForgotten.Probed = true
	for _, tt := range []struct {
		name    string
		rules   []Rule
		machine boot.Machine
		want    *boot.Verdict
		err     bool
	}{
		{"nobody loads iPXE to be ignored", []Rule{serial, ignore}, asking(), &boot.Verdict{Rule: "ignore"}, false},
		{"unless a rule wants it", []Rule{probing, ignore}, asking(), &boot.Verdict{Action: boot.Probe, Rule: "probing"}, false},
		{"also a later one", []Rule{serial, probing, ignore}, asking(), &boot.Verdict{Action: boot.Probe, Rule: "serial"}, false},
		{"but none behind", []Rule{serial, ignore, probing}, asking(), &boot.Verdict{Rule: "ignore"}, false},
		{"who is not ignored does", []Rule{serial, local}, asking(), &boot.Verdict{Action: boot.Probe, Rule: "serial"}, false},
		{"then the walk is done again", []Rule{serial, local}, probed(), &boot.Verdict{Action: boot.Boot, Rule: "serial", Boot: "debian"}, false},
		{"a machine that is forgotten gets its loader", []Rule{circuit, ignore}, forgotten, &boot.Verdict{Action: boot.Probe, Rule: "circuit"}, false},
		{"and is refused when iPXE cannot bring it back", []Rule{circuit, ignore}, ranForgotten, &boot.Verdict{Rule: "circuit"}, true},
		{"a rule before that decides all the same", []Rule{local, circuit}, ranForgotten, &boot.Verdict{Action: boot.Local, Rule: "local"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := table(t, tt.rules...)
			got, err := tab.Decide(t.Context(), tt.machine)
			got.Spec = nil
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.err {
				t.Errorf("(-want +got)\n%s%v", diff, err)
			}
			if want := `rule "circuit" asks for circuit_id, which this server learns from DHCP, and no such request of this machine is remembered: start it again, and see that its DHCP requests come here`; tt.err && err.Error() != want {
				t.Errorf("got %q\nwant %q", err, want)
			}
		})
	}
}
