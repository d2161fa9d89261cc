package booters

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// The index has a class of its own for every word of the vocabulary. This
// fails when boot learns one that is beyond the bounds in index.go.
func TestEveryPlatformIsAClassOfItsOwn(t *testing.T) {
	seen := make(map[class]string)
	for _, name := range boot.ArchitectureNames() {
		a, err := boot.ParseArchitecture(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(boot.Platforms(), boot.FirmwareX86Ipxe, boot.FirmwarePixiecoreIpxe) {
			c, is := classAt(a, f), fmt.Sprintf("%s on %s", name, f)
			if was, taken := seen[c]; taken {
				t.Errorf("class %d is %s and %s", c, was, is)
			}
			if int(f) >= numFirmwares-1 || int(a) >= numArchs-1 {
				t.Errorf("%s is out of bounds", is)
			}
			seen[c] = is
		}
	}
}

// A world is small enough that rules and machines meet often.
type world struct{ *rand.Rand }

func pick[T any](w world, from []T, atMost int) (some []T) {
	for range w.IntN(atMost + 1) {
		some = append(some, from[w.IntN(len(from))])
	}
	return some
}

var (
	worldArchs     = []boot.Architecture{boot.ArchIA32, boot.ArchIA32, boot.ArchX64, boot.ArchX64, boot.ArchARM64, boot.ArchLoongArch64}
	worldFirmwares = []boot.Firmware{
		boot.FirmwareX86PC, boot.FirmwareX86PC, boot.FirmwareX86PC, boot.FirmwareEFI32, boot.FirmwareEFI64, boot.FirmwareEFIARM64, boot.FirmwareX86Ipxe, boot.FirmwareUBoot,
	}
)

func (w world) mac() uint64 { return uint64(w.IntN(3))<<40 | uint64(w.IntN(3))<<20 | uint64(w.IntN(3)) }

func (w world) rules(n int) []Rule {
	masks := []uint64{exactMask, exactMask, 0xff_00_00_00_00_00, 0xff_00_f0_00_00_00, 0xf, 0}
	actions := []boot.Action{boot.Ignore, boot.Local, boot.Boot}
	rules := make([]Rule, n)
	for i := range rules {
		r := &rules[i]
		r.Name, r.Pos = fmt.Sprint("rule ", i), fmt.Sprint("test:", i)
		if w.IntN(4) > 0 {
			for range 1 + w.IntN(3) {
				mask := masks[w.IntN(len(masks))]
				r.Match.MACs = append(r.Match.MACs, MACPattern{w.mac() & mask, mask})
			}
		}
		if w.IntN(4) > 0 {
			r.Match.Archs = pick(w, worldArchs, 3)
		}
		if w.IntN(2) > 0 {
			r.Match.Firmwares = pick(w, worldFirmwares, 3)
		}
		if r.Action.Do = actions[w.IntN(len(actions))]; r.Action.Do == boot.Boot {
			r.Action.Spec = &boot.Spec{Kernel: "/srv/linux"}
		}
	}
	return rules
}

func (w world) machine() boot.Machine {
	m := boot.Machine{
		MAC:      hwOf(w.mac()),
		Arch:     worldArchs[w.IntN(len(worldArchs))],
		Firmware: worldFirmwares[w.IntN(len(worldFirmwares))],
		Probed:   w.IntN(4) == 0,
	}
	switch w.IntN(40) {
	case 0:
		m.MAC = nil
	case 1:
		m.MAC = append(m.MAC, 0, 1)
	case 2:
		m.Arch = 77 // a library may pass anything
	case 3:
		m.Firmware = -1
	}
	return m
}

func TestTheIndexDecidesLikeTheWalk(t *testing.T) {
	seen := make(map[boot.Action]int)
	for seed := range uint64(300) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		rules := w.rules(w.IntN(40))
		tab := table(t, rules...)
		for range 200 {
			m := w.machine()
			trace := tab.Explain(m)
			got := decide(t, tab, m)
			seen[got.Action]++
			if diff := cmp.Diff(trace.Verdict, got); diff != "" {
				t.Fatalf("seed %d: %+v of\n%s(-walk +index)\n%s", seed, m, rulesText(rules), diff)
			}
			for i, s := range trace.Steps {
				if (s.Truth == True) != (s.Failed == "") || s.Truth == True && i != len(trace.Steps)-1 {
					t.Fatalf("seed %d: %+v: step %d is %+v of %d", seed, m, i, s, len(trace.Steps))
				}
			}
		}
	}
	for _, a := range []boot.Action{boot.Ignore, boot.Boot, boot.Local, boot.Probe} {
		if seen[a] < 1000 {
			t.Errorf("only %d cases of %q: the world is too small", seen[a], a)
		}
	}
}

func rulesText(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "%s: mac %v arch %v firmware %v: %s\n", r.Name, r.Match.MACs, r.Match.Archs, r.Match.Firmwares, r.Action.Do)
	}
	return b.String()
}

// However many rules name one MAC, its entry stays as small as the number of
// classes.
func TestAnEntryIsBounded(t *testing.T) {
	w := world{rand.New(rand.NewPCG(1, 1))}
	rules := w.rules(5000)
	for i := range rules {
		rules[i].Match.MACs = patterns(t, "52:54:00:aa:00:01")
	}
	for _, tab := range newIndex(rules).masks {
		for _, entry := range tab.entries {
			if n := 1 + len(entry.more); n > numClasses {
				t.Errorf("an entry holds %d rules, want at most %d", n, numClasses)
			}
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	tab := table(t, manyRules(1000)...)
	m := boot.Machine{MAC: hwOf(0x525400000000 + 999)}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { tab.Decide(ctx, m) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// manyRules is a table as it grows in practice: nearly all of it names one
// machine each, with a few globs and platforms between and behind.
func manyRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		r := &rules[i]
		r.Name = fmt.Sprint("rule ", i)
		r.Action = Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: "/srv/linux", Cmdline: "quiet"}}
		switch {
		case i == n-1:
			r.Action = Action{Do: boot.Local}
		case i%100 == 99:
			r.Match.MACs = []MACPattern{{0xb80000000000 | uint64(i)<<24&exactMask, exactMask &^ 0xffffff}}
		case i%100 == 98:
			r.Match.MACs = []MACPattern{{0xb60000000000 | uint64(i)<<8&exactMask, exactMask &^ 0xff}}
			r.Match.Archs = []boot.Architecture{boot.ArchX64}
		case i%100 == 97:
			r.Match.Archs = []boot.Architecture{boot.ArchRISCV64}
			r.Match.Firmwares = []boot.Firmware{boot.FirmwareUBoot}
		default:
			r.Match.MACs = []MACPattern{{0x525400000000 + uint64(i), exactMask}}
		}
	}
	return rules
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		tab := table(b, manyRules(n)...)
		for _, kind := range []struct {
			name string
			next func(i int) uint64
		}{
			{"named", func(i int) uint64 { return 0x525400000000 + uint64(i)*7919%uint64(n) }},
			{"stranger", func(i int) uint64 { return 0x020000000000 + uint64(i) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				machines := make([]boot.Machine, 1<<12)
				for i := range machines {
					machines[i] = boot.Machine{MAC: hwOf(kind.next(i)), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
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
}

func BenchmarkNewTable(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rules, s := manyRules(n), sealer(b)
			for b.Loop() {
				if _, err := NewTable(s, NewSources(), nil, rules); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
