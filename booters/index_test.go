package booters

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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
		if w.IntN(3) == 0 {
			w.rest(&r.Match, 2)
		}
		r.Probe = w.IntN(6) == 0
		if r.Action.Do = actions[w.IntN(len(actions))]; r.Action.Do == boot.Boot {
			r.Action.Spec = &boot.Spec{Kernel: "/srv/linux"}
		}
	}
	return rules
}

var (
	worldWords   = []string{"a", "ab", "b"}
	worldGlobs   = []Glob{{"a"}, {"a*"}, {"*b"}, {"?"}}
	worldSubnets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.2.3/32")}
	worldUUIDs   = []string{"", "4c4c4544-0042-3510-8053-b4c04f463433", "4c4c4544-0042-3510-8053-b4c04f463434"}
)

// rest adds conditions beyond MACs and platform, a few of all that there are.
func (w world) rest(m *Match, depth int) {
	globs := func() []Glob { return append(pick(w, worldGlobs, 1), worldGlobs[w.IntN(len(worldGlobs))]) }
	subnets := func() []netip.Prefix { return []netip.Prefix{worldSubnets[w.IntN(len(worldSubnets))]} }
	nested := func() []Match {
		var n Match
		if w.IntN(2) == 0 {
			n.MACs = []MACPattern{{w.mac(), exactMask}}
		}
		if w.IntN(2) == 0 {
			n.Archs = pick(w, worldArchs, 2)
		}
		w.rest(&n, depth-1)
		return []Match{n}
	}
	x := &Further{}
	m.Further = x
	for range 1 + w.IntN(2) {
		switch w.IntN(24) {
		case 0:
			x.Transports = []string{boot.TransportPXE}
		case 1:
			yes := w.IntN(2) == 0
			x.IPXE = &yes
		case 2:
			x.UUIDs = []Glob{{worldUUIDs[1+w.IntN(2)]}, {"4c*34"}}[w.IntN(2):]
		case 3:
			x.Interfaces = globs()
		case 4:
			x.Listeners = globs()
		case 5:
			x.Subnets = subnets()
		case 6:
			x.Relays = subnets()
		case 7:
			x.VendorClasses = globs()
		case 8:
			x.UserClasses = globs()
		case 9:
			x.CircuitIDs = globs()
		case 10:
			x.RemoteIDs = globs()
		case 11:
			x.Serials = globs()
		case 12:
			x.Manufacturers = globs()
		case 13:
			x.Products = globs()
		case 14:
			x.Assets = globs()
		case 15:
			x.Hostnames = globs()
		case 16, 17:
			m.Machines = pick(w, worldNames, 2)
		case 18, 19:
			m.Labels = map[string]string{"role": worldWords[w.IntN(3)]}
			if w.IntN(2) == 0 {
				m.Labels["rack"] = worldWords[w.IntN(3)]
			}
		case 20:
			if depth > 0 {
				x.Not = nested()
			}
		case 21, 22:
			if depth > 0 {
				x.Any = nested()
			}
		default:
			x.WhenNeeds = boot.FactSerial | boot.FactRelay
			x.When = func(m boot.Machine, e *Entry) Truth {
				switch {
				case e != nil:
					return True
				case !m.Facts.Knows(boot.FactSerial | boot.FactRelay):
					return Unknown
				case m.Facts.Serial == "a":
					return True
				default:
					return False
				}
			}
		}
	}
}

var worldNames = []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"}

// inventory has machines with MACs, with a UUID, and with both.
func (w world) inventory(t testing.TB) *Inventory {
	entries := make([]Entry, len(worldNames))
	for i := range entries {
		e := &entries[i]
		e.Name = worldNames[i]
		if i < 5 {
			e.MACs = append(e.MACs, hwOf(uint64(i%3)<<40|uint64(i/3)<<20))
		}
		if i == 4 || i == 5 {
			e.UUID = worldUUIDs[i-3]
		}
		e.Labels = make(map[string]string)
		for _, key := range []string{"role", "rack"} {
			if w.IntN(2) == 0 {
				e.Labels[key] = worldWords[w.IntN(3)]
			}
		}
	}
	inv, err := NewInventory(entries)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// facts knows anything from nothing to everything.
func (w world) facts() *boot.Facts {
	word := func() string { return append(worldWords, "")[w.IntN(len(worldWords)+1)] }
	f := &boot.Facts{
		Transport: []string{boot.TransportPXE, boot.TransportHTTP}[w.IntN(2)], IPXE: w.IntN(2) == 0, UUID: worldUUIDs[w.IntN(3)],
		Interface: word(), Listener: word(), Subnets: pick(w, worldSubnets, 2), VendorClass: word(), UserClass: word(), CircuitID: word(),
		RemoteID: word(), Serial: word(), Manufacturer: word(), Product: word(), Asset: word(), Hostname: word(),
	}
	if w.IntN(2) == 0 {
		f.Relay = netip.MustParseAddr("10.1.2.3")
	}
	switch w.IntN(5) {
	case 0:
		return nil
	case 1:
		f.Known = boot.DHCPFacts
	case 2:
		f.Known = boot.DHCPFacts | boot.IPXEFacts
	case 3:
		f.Known = boot.DHCPFacts&^boot.FactUUID | boot.FactSerial
	default:
		f.Known = boot.Fact(w.Uint32()) & (boot.DHCPFacts | boot.IPXEFacts)
	}
	return f
}

func (w world) machine() boot.Machine {
	m := boot.Machine{
		MAC:      hwOf(w.mac()),
		Arch:     worldArchs[w.IntN(len(worldArchs))],
		Firmware: worldFirmwares[w.IntN(len(worldFirmwares))],
		Probed:   w.IntN(4) == 0,
		Facts:    w.facts(),
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
	refused, missing := 0, 0
	for seed := range uint64(500) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		rules, inv := w.rules(w.IntN(40)), w.inventory(t)
		tab, err := NewTable(sealer(t), NewSources(), inv, rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			m := w.machine()
			trace := tab.Explain(m)
			got, err := tab.Decide(t.Context(), m)
			seen[got.Action]++
			if diff := cmp.Diff(trace.Verdict, got); diff != "" || (err == nil) != (trace.Err == nil) {
				t.Fatalf("seed %d: %+v with %+v of\n%s(-walk +index)\n%s%v, %v", seed, m, m.Facts, rulesText(rules), diff, trace.Err, err)
			}
			if err != nil {
				refused++
			}
			for i, s := range trace.Steps {
				if (s.Truth == True) != (s.Failed == "") || s.Truth == True && i != len(trace.Steps)-1 {
					t.Fatalf("seed %d: %+v: step %d is %+v of %d", seed, m, i, s, len(trace.Steps))
				}
				if s.Failed == "not" && m.Probed {
					missing++
				}
			}
		}
	}
	for _, a := range []boot.Action{boot.Ignore, boot.Boot, boot.Local, boot.Probe} {
		if seen[a] < 1000 {
			t.Errorf("only %d cases of %q: the world is too small", seen[a], a)
		}
	}
	if refused < 1000 || missing < 50 {
		t.Errorf("only %d cases of forgotten facts and %d of a negation that fails: the world is too small", refused, missing)
	}
}

func rulesText(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "%s: %+v: %s, probe %t\n", r.Name, r.Match, r.Action.Do, r.Probe)
	}
	return b.String()
}

// However many rules name one MAC, its bucket stays as small as the number of
// classes.
func TestABucketIsBounded(t *testing.T) {
	w := world{rand.New(rand.NewPCG(1, 1))}
	rules := w.rules(5000)
	for i := range rules {
		rules[i].Match.MACs = patterns(t, "52:54:00:aa:00:01")
	}
	for _, tab := range newIndex(nil, rules).masks {
		for _, more := range tab.mores {
			if 1+len(more.list) > numClasses {
				t.Errorf("a bucket holds %d rules, want at most %d", 1+len(more.list), numClasses)
			}
		}
	}
}

// Rules for more kinds of platforms than are told apart find their machines all the same.
func TestMoreKindsOfPlatformsThanSets(t *testing.T) {
	var table macTable
	for i := range 3 * maxSets {
		c := candidate{rule: int32(i)}
		for k := range numClasses {
			if (i+1)>>(k%12)&1 != 0 {
				c.in.add(class(k))
			}
		}
		table.add(uint64(i), c)
		if got := table.candidate(table.find(uint64(i))); got.rule != c.rule || c.in.without(got.in) != (classSet{}) || got.in != c.in && !got.rest {
			t.Fatalf("rule %d: got %+v, want %+v", i, got, c)
		}
	}
	if table.find(3*maxSets) != nil || len(table.sets) > maxSets {
		t.Errorf("%d sets, at most %d", len(table.sets), maxSets)
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
