package booters

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func macs(list ...string) (all []net.HardwareAddr) {
	for _, s := range list {
		all = append(all, mac(s))
	}
	return all
}

func TestInventoryRefusesTwins(t *testing.T) {
	_, err := NewInventory([]Entry{
		{Name: "a", MACs: macs("52:54:00:aa:00:01", "52:54:00:aa:00:01"), UUID: someUUID},
		{Name: "b", MACs: macs("52:54:00:aa:00:02", "52:54:00:aa:00:01")},
		{Name: "c", UUID: strings.ToUpper(strings.ReplaceAll(someUUID, "-", ""))},
		{Name: "a"},
		{Name: "d", MACs: macs("02:00:5e:10:00:00:00:01"), UUID: "none"},
	})
	want := []string{
		`machines "a" and "b" have the same MAC 52:54:00:aa:00:01`,
		`machines "a" and "c" have the same UUID ` + someUUID,
		`there are two machines "a"`,
		`machine "d": MAC 02:00:5e:10:00:00:00:01: not six octets`,
		`machine "d": UUID "none": not 32 hexadecimal digits, like ` + someUUID,
	}
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestARuleForAMachineThatThereIsNotIsRefused(t *testing.T) {
	inv := inventory(t, Entry{Name: "db1"})
	rules := []Rule{{Name: "r", Match: Match{Machines: []string{"db1"}, Further: &Further{Any: []Match{{Further: &Further{Not: []Match{{Machines: []string{"db2"}}}}}}}}}}
	if _, err := NewTable(sealer(t), NewSources(), inv, rules); err == nil || err.Error() != `rule "r": there is no machine "db2"` {
		t.Errorf("got %v", err)
	}
}

func TestANilInventoryIsEmpty(t *testing.T) {
	var inv *Inventory
	if e := inv.Lookup(asking()); e != nil || inv.Named("x") != nil || len(inv.Entries()) != 0 {
		t.Errorf("got %v", e)
	}
}

const manyMachines = 100_000

// manyEntries are n machines, of which each has one MAC and a label of its own,
// and one of two a UUID.
func manyEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{
			Name: fmt.Sprint("m", i), MACs: []net.HardwareAddr{hwOf(0x525400000000 + uint64(i))},
			Labels: map[string]string{"own": fmt.Sprint("l", i), "role": "node"},
		}
		if i%2 == 0 {
			entries[i].UUID = manyUUID(i)
		}
	}
	return entries
}

func manyUUID(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012x", i) }

// oneOf is machine i, by its MAC, or by its UUID where it has one.
func oneOf(i int, byUUID bool) boot.Machine {
	m := boot.Machine{MAC: hwOf(0x525400000000 + uint64(i)), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Facts: &boot.Facts{Known: boot.DHCPFacts}}
	if byUUID {
		m.MAC = hwOf(0x020000000000)
		m.Facts.UUID = manyUUID(i &^ 1)
	}
	return m
}

func BenchmarkNewInventory(b *testing.B) {
	entries := manyEntries(manyMachines)
	for b.Loop() {
		if _, err := NewInventory(entries); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	inv := inventory(b, manyEntries(manyMachines)...)
	for _, byUUID := range []bool{false, true} {
		b.Run(fmt.Sprintf("uuid=%t", byUUID), func(b *testing.B) {
			machines := make([]boot.Machine, 1<<12)
			for i := range machines {
				machines[i] = oneOf(i*7919%manyMachines, byUUID)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if inv.Lookup(machines[i&(1<<12-1)]) == nil {
					b.Fatal("not found")
				}
				i++
			}
		})
	}
}

// rulesEach makes a rule for each of n machines.
func rulesEach(n int, match func(i int) Match) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint("rule ", i), Match: match(i), Action: Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: "/srv/linux"}}}
	}
	return rules
}

var byInventory = map[string]func(i int) Match{
	"name":  func(i int) Match { return Match{Machines: []string{fmt.Sprint("m", i)}} },
	"label": func(i int) Match { return Match{Labels: map[string]string{"own": fmt.Sprint("l", i)}} },
	"label and role": func(i int) Match {
		return Match{Labels: map[string]string{"own": fmt.Sprint("l", i), "role": "node"}}
	},
}

// A table with a rule for each of many machines finds it at once, and allocates
// nothing.
func TestRulesByInventoryAreIndexed(t *testing.T) {
	const n = 1000
	inv := inventory(t, manyEntries(n)...)
	for name, match := range byInventory {
		tab, err := NewTable(sealer(t), NewSources(), inv, rulesEach(n, match))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(tab.index.rests); got != 0 {
			t.Errorf("%s: %d rules are walked for every machine", name, got)
		}
		for _, byUUID := range []bool{false, true} {
			m, ctx := oneOf(776, byUUID), t.Context()
			if got := decide(t, tab, m).Rule; got != "rule 776" {
				t.Errorf("%s: got %q", name, got)
			}
			if n := testing.AllocsPerRun(100, func() { tab.Decide(ctx, m) }); n != 0 {
				t.Errorf("%s: got %v allocations, want 0", name, n)
			}
		}
	}
}

func BenchmarkDecideByInventory(b *testing.B) {
	inv := inventory(b, manyEntries(manyMachines)...)
	for name, match := range byInventory {
		tab, err := NewTable(sealer(b), NewSources(), inv, rulesEach(manyMachines, match))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			machines := make([]boot.Machine, 1<<12)
			for i := range machines {
				machines[i] = oneOf(i*7919%manyMachines, false)
			}
			ctx := b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				tab.Decide(ctx, machines[i&(1<<12-1)])
				i++
			}
		})
	}
}

// Rules for what has no key are walked. This is what ten thousand of them cost.
func BenchmarkDecideBySerial(b *testing.B) {
	const n = 10_000
	rules := rulesEach(n, func(i int) Match { return Match{Further: &Further{Serials: globs(b, fmt.Sprint("X", i))}} })
	tab, err := NewTable(sealer(b), NewSources(), nil, rules)
	if err != nil {
		b.Fatal(err)
	}
	last := probed()
	last.Facts.Serial = fmt.Sprint("X", n-1)
	for name, m := range map[string]boot.Machine{"asking": asking(), "probed": last} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				tab.Decide(ctx, m)
			}
		})
	}
}
