package booters

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestReach(t *testing.T) {
	inv, err := NewInventory([]Entry{
		{Name: "db1", MACs: macs("52:54:00:00:00:01", "52:54:00:00:00:02"), Labels: map[string]string{"role": "db"}},
		{Name: "ghost", UUID: "4c4c4544-0042-3510-8053-b4c04f463433"},
	})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	rules := []Rule{
		{Name: "0 arm64", Match: Match{Archs: []boot.Architecture{boot.ArchARM64}}},
		{Name: "1 the second card", Match: Match{MACs: patterns(t, "52:54:00:00:00:02")}},
		{Name: "2 a product", Match: Match{Further: &Further{Products: globs(t, "KVM")}}},
		{Name: "3 databases of 64 bits", Match: Match{Labels: map[string]string{"role": "db"}, Archs: []boot.Architecture{boot.ArchX64}}},
		{Name: "4 iPXE", Match: Match{Further: &Further{IPXE: &yes}}},
		{Name: "5 by name", Match: Match{Machines: []string{"ghost"}}},
		{Name: "6 everybody"},
		{Name: "7 nobody"},
	}
	r := NewReach(inv, rules)
	x64bios, ia32bios := Platform{boot.ArchX64, boot.FirmwareX86PC}, Platform{boot.ArchIA32, boot.FirmwareX86PC}
	for name, tt := range map[string]struct{ got, want []int }{
		"any machine of arm64":        {r.Anybody(Platform{boot.ArchARM64, boot.FirmwareEFIARM64}), []int{0}},
		"any machine of x64":          {r.Anybody(x64bios), []int{1, 2, 3, 4, 5, 6}},
		"any machine of 32 bits":      {r.Anybody(ia32bios), []int{1, 2, 4, 5, 6}},
		"by either of its cards":      {r.Named(inv.Named("db1"), x64bios), []int{1, 2, 3}},
		"a BIOS that has not 64 bits": {r.Named(inv.Named("db1"), ia32bios), []int{1, 2, 4, 6}},
		"by its UUID":                 {r.Named(inv.Named("ghost"), x64bios), []int{2, 4, 5}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// Whatever else a machine says, the rule that decides about it is among those that
// could.
func TestReachMissesNoRule(t *testing.T) {
	met := 0
	w := world{rand.New(rand.NewPCG(1, 2))}
	for range 300 {
		rules, inv := w.rules(1+w.IntN(12)), w.inventory(t)
		table, err := NewTable(sealer(t), NewSources(), inv, rules)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReach(inv, rules)
		for range 50 {
			m := w.machine()
			m.Probed = true
			v, err := table.Decide(t.Context(), m)
			if err != nil || v.Rule == "" || !boot.Possible(m.Arch, m.Firmware) {
				continue
			}
			p := Platform{m.Arch, m.Firmware}
			i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == v.Rule })
			if !slices.Contains(r.Anybody(p), i) {
				t.Fatalf("%s decides about %v, and is not among %v", v.Rule, m, r.Anybody(p))
			}
			e := inv.Lookup(m)
			if e == nil || !slices.ContainsFunc(e.MACs, func(hw net.HardwareAddr) bool { return slices.Equal(hw, m.MAC) }) {
				continue
			}
			if named := r.Named(e, p); !slices.Contains(named, i) {
				t.Fatalf("%s decides about %s, %v, and is not among %v", v.Rule, e.Name, m, named)
			}
			met++
		}
	}
	if met < 100 {
		t.Errorf("only %d machines of the inventory met a rule", met)
	}
}
