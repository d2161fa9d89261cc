package boots

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// still is a Source with one Snapshot.
type still struct{ snap *boot.Snapshot }

func (s still) Current() *boot.Snapshot { return s.snap }

// BenchmarkMemory measures what the bounds of the package cost: bytes for each of
// MaxMachines, and for a generation of 10,000 rules that a boot holds. The time is
// that of one request of a boot.
func BenchmarkMemory(b *testing.B) {
	for _, tc := range []struct {
		name string
		text string // in each of a machine's facts
	}{
		{"typical", strings.Repeat("x", 12)},
		{"worst", strings.Repeat("x", MaxText)},
		{"offered", ""}, // a machine that has only asked
	} {
		b.Run("machines/"+tc.name, func(b *testing.B) {
			text := func() string { return strings.Clone(tc.text) }
			before := heap()
			m := &Memory{Source: still{newTable(boots("all")).Current()}}
			for i := range MaxMachines {
				asks := machineOf
				asks.MAC = binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0}, uint32(i))
				if tc.text == "" {
					asks.Facts = m.Heard(Request{MAC: MAC(asks.MAC), Discover: true, Facts: &boot.Facts{Known: boot.DHCPFacts, UUID: boot.FormatUUID([16]byte{14: byte(i >> 8), 15: byte(i)})}}, start)
					m.Decide(b.Context(), asks, start)
					continue
				}
				asks.Probed = true
				f := boot.Facts{
					Known: boot.DHCPFacts, UUID: text(), Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
					VendorClass: text(), UserClass: text(), CircuitID: text(), RemoteID: text(),
				}
				asks.Facts = m.Heard(Request{MAC: MAC(asks.MAC), Discover: true, Facts: &f}, start)
				told := *asks.Facts
				told.Serial, told.Manufacturer, told.Product, told.Asset, told.Hostname = text(), text(), text(), text(), text()
				asks.Facts = &told
				m.Decide(b.Context(), asks, start)
				for file := range 3 {
					m.Fetches(MAC(asks.MAC), fmt.Sprint(file))
				}
			}
			each := float64(heap()-before) / MaxMachines
			asks := machineOf
			asks.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
			b.ReportAllocs()
			for b.Loop() {
				m.Decide(b.Context(), asks, start)
			}
			b.ReportMetric(each, "bytes/machine")
		})
	}
	b.Run("generation", func(b *testing.B) {
		seal, err := booters.NewSealer(make([]byte, 32))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			before := heap()
			rules := make([]booters.Rule, 10_000)
			for i := range rules {
				mac, err := booters.ParseMACPattern(fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255))
				if err != nil {
					b.Fatal(err)
				}
				rules[i] = booters.Rule{
					Name: fmt.Sprintf("rule-%d", i), Pos: fmt.Sprintf("pixiecore.hcl:%d", i), Match: booters.Match{MACs: []booters.MACPattern{mac}},
					Action: booters.Action{Do: boot.Boot, Boot: "b", Spec: &boot.Spec{Kernel: "/srv/linux", Initrd: []boot.ID{"/srv/initrd"}, Cmdline: fmt.Sprintf("quiet n=%d", i)}},
				}
			}
			table, err := booters.NewTable(seal, booters.NewSources(), nil, rules)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(heap()-before)/(1<<20), "MB/generation")
			runtime.KeepAlive(table)
		}
	})
}
