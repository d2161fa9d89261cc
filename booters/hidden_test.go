package booters

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestHidden(t *testing.T) {
	macs := func(list ...string) Rule { return Rule{Match: Match{MACs: patterns(t, list...)}} }
	on := func(f ...boot.Firmware) Rule { return Rule{Match: Match{Firmwares: f}} }
	of := func(a ...boot.Architecture) Rule { return Rule{Match: Match{Archs: a}} }
	circuit := func(list ...string) Rule { return Rule{Match: Match{Further: &Further{CircuitIDs: globs(t, list...)}}} }
	machines := func(list ...string) Rule { return Rule{Match: Match{Machines: list}} }
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  map[int]int
	}{
		{"behind a rule for every machine", []Rule{{}, macs("52:54:00:*"), on(boot.FirmwareEFI64), {}}, map[int]int{1: 0, 2: 0, 3: 0}},
		{"behind a wider glob", []Rule{macs("52:*"), macs("52:54:00:*"), macs("52:54:00:aa:00:01")}, map[int]int{1: 0, 2: 0}},
		{"before a wider glob", []Rule{macs("52:54:00:*"), macs("52:*")}, map[int]int{}},
		{"the same MAC again", []Rule{macs("52:54:00:aa:00:01"), macs("52-54-00-AA-00-01")}, map[int]int{1: 0}},
		{"each of its MACs", []Rule{macs("52:*", "b8:*"), macs("52:54:00:*", "b8:27:eb:*")}, map[int]int{1: 0}},
		{"not each of its MACs", []Rule{macs("52:*"), macs("52:54:00:*", "b8:27:eb:*")}, map[int]int{}},
		{"each by another rule", []Rule{macs("52:*"), macs("b8:*"), macs("52:54:00:*", "b8:27:eb:*")}, map[int]int{}},
		{"zeros are no part of a glob", []Rule{macs("*"), macs("00:00:00:00:00:00")}, map[int]int{}},
		{"a machine may have no MAC", []Rule{macs("*"), {}}, map[int]int{}},
		{"a narrower platform", []Rule{on(boot.FirmwareEFI64), macs("52:*"), {Match: Match{MACs: patterns(t, "52:54:*"), Firmwares: []boot.Firmware{boot.FirmwareEFI64}}}}, map[int]int{2: 0}},
		{"the architecture follows from the firmware", []Rule{of(boot.ArchX64), on(boot.FirmwareEFI64)}, map[int]int{1: 0}},
		{"a BIOS may be either", []Rule{of(boot.ArchX64), on(boot.FirmwareX86PC)}, map[int]int{}},
		{"a BIOS is one of both", []Rule{of(boot.ArchIA32, boot.ArchX64), on(boot.FirmwareX86PC)}, map[int]int{1: 0}},
		{"the same circuit again", []Rule{circuit("sw1/7"), {Match: Match{MACs: patterns(t, "52:*"), Further: &Further{CircuitIDs: globs(t, "sw1/7")}}}, circuit("sw1/8")}, map[int]int{1: 0}},
		{"a circuit among others", []Rule{circuit("sw1/6", "sw1/7"), circuit("sw1/7"), circuit("sw1/7", "sw1/8")}, map[int]int{1: 0}},
		{"a circuit and less", []Rule{{Match: Match{Further: &Further{CircuitIDs: globs(t, "sw1/7"), RemoteIDs: globs(t, "r")}}}, circuit("sw1/7")}, map[int]int{}},
		{"a machine among others", []Rule{machines("a", "b"), machines("b"), machines("b", "c"), {Match: Match{Machines: []string{"a"}, MACs: patterns(t, "52:*")}}}, map[int]int{1: 0, 3: 0}},
		{"a label and more", []Rule{{Match: Match{Labels: map[string]string{"role": "db"}}}, {Match: Match{Labels: map[string]string{"rack": "a1", "role": "db"}}}, {Match: Match{Labels: map[string]string{"rack": "a1"}}}}, map[int]int{1: 0}},
		{"MAC and circuit", []Rule{{Match: Match{MACs: patterns(t, "52:*"), Further: &Further{CircuitIDs: globs(t, "a")}}}, macs("52:54:*"), {Match: Match{MACs: patterns(t, "52:54:*"), Further: &Further{CircuitIDs: globs(t, "a")}}}}, map[int]int{2: 0}},
		{"behind a negation", []Rule{{Match: Match{Further: &Further{CircuitIDs: globs(t, "a"), Not: []Match{{MACs: patterns(t, "52:*")}}}}}, circuit("a")}, map[int]int{}},
		{"with a negation", []Rule{circuit("a"), {Match: Match{Further: &Further{CircuitIDs: globs(t, "a"), Not: []Match{{MACs: patterns(t, "52:*")}}}}}}, map[int]int{1: 0}},
		{"what cannot occur is another warning", []Rule{{}, {Match: Match{Archs: []boot.Architecture{boot.ArchARM64}, Firmwares: []boot.Firmware{boot.FirmwareX86PC}}}}, map[int]int{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Hidden(tt.rules)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// hiddenByWalk is the definition.
func hiddenByWalk(rules []Rule) map[int]int {
	hidden := make(map[int]int)
	occurring := occurringClasses()
	covers := func(a, b Match) bool {
		if x := a.further(); len(x.Not) > 0 || len(x.Any) > 0 || x.When != nil {
			return false
		}
		for _, want := range a.conditions() {
			met := false
			for _, c := range b.conditions() {
				met = met || c.of == want.of && !slices.ContainsFunc(c.values, func(value string) bool { return !slices.Contains(want.values, value) })
			}
			if !met {
				return false
			}
		}
		in := b.classes().and(occurring)
		if in == (classSet{}) || in.without(a.classes()) != (classSet{}) {
			return false
		}
		if len(a.MACs) == 0 || len(b.MACs) == 0 {
			return len(a.MACs) == 0
		}
		return !slices.ContainsFunc(b.MACs, func(q MACPattern) bool {
			return !slices.ContainsFunc(a.MACs, func(p MACPattern) bool { return p.Covers(q) })
		})
	}
	for i := range rules {
		for j := range i {
			if covers(rules[j].Match, rules[i].Match) {
				hidden[i] = j
				break
			}
		}
	}
	return hidden
}

func TestHiddenFindsWhatTheWalkFinds(t *testing.T) {
	found := 0
	for seed := range uint64(300) {
		w := world{rand.New(rand.NewPCG(seed, 2))}
		rules := w.rules(w.IntN(60))
		got := Hidden(rules)
		found += len(got)
		if diff := cmp.Diff(hiddenByWalk(rules), got); diff != "" {
			t.Fatalf("seed %d:\n%s(-walk +got)\n%s", seed, rulesText(rules), diff)
		}
	}
	if found < 1000 {
		t.Errorf("only %d hidden rules: the world is too large", found)
	}
}

// A hidden rule never decides.
func TestHiddenRulesDecideNothing(t *testing.T) {
	for seed := range uint64(200) {
		w := world{rand.New(rand.NewPCG(seed, 3))}
		rules := w.rules(30)
		tab, err := NewTable(sealer(t), NewSources(), w.inventory(t), rules)
		if err != nil {
			t.Fatal(err)
		}
		hidden := Hidden(rules)
		for range 200 {
			m := w.machine()
			if !boot.Possible(m.Arch, m.Firmware) {
				continue
			}
			v, _ := tab.Decide(t.Context(), m)
			for i := range hidden {
				if v.Rule == rules[i].Name {
					t.Fatalf("seed %d: rule %d is hidden by rule %d, and decides on %+v:\n%s", seed, i, hidden[i], m, rulesText(rules))
				}
			}
		}
	}
}

func BenchmarkHidden(b *testing.B) {
	const n = 10_000
	shared := make([]Rule, n) // every rule has one MAC of its own and one of everybody
	for i := range shared {
		shared[i].Match.MACs = []MACPattern{{0x52, exactMask}, {uint64(1000 + i), exactMask}}
	}
	w := world{rand.New(rand.NewPCG(1, 4))}
	scattered := w.rules(n) // many masks
	for i := range scattered {
		mask := uint64(0)
		for d := range macDigits {
			if (i%4095+1)>>d&1 != 0 {
				mask |= 0xf << (4 * d)
			}
		}
		scattered[i].Match = Match{MACs: []MACPattern{{w.Uint64() & mask, mask}, {w.Uint64() & exactMask, exactMask}}}
	}
	serials := make([]Rule, n) // one serial number each, all on one interface
	for i := range serials {
		serials[i].Match = Match{Labels: map[string]string{"role": "node"}, Further: &Further{Interfaces: globs(b, "eth0"), Serials: globs(b, fmt.Sprint("X", i))}}
	}
	for _, bb := range []struct {
		name  string
		rules []Rule
	}{{"serials", serials}, {"usual", manyRules(n)}, {"same", w.rules(n)}, {"shared", shared}, {"scattered", scattered}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				Hidden(bb.rules)
			}
		})
	}
}
