package booters

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// BenchmarkDecideBySubnet is a lookup among rules for a subnet each.
func BenchmarkDecideBySubnet(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			of := func(i int) netip.Prefix {
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
			}
			tab, err := NewTable(sealer(b), NewSources(), nil, rulesEach(n, func(i int) Match { return Match{Further: &Further{Subnets: []netip.Prefix{of(i)}}} }))
			if err != nil {
				b.Fatal(err)
			}
			m := asking(func(f *boot.Facts) { f.Subnets = []netip.Prefix{of(n - 1)} })
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				tab.Decide(ctx, m)
			}
		})
	}
}

// BenchmarkDecideByWhen is what each rule costs that has a condition of any kind: they
// are walked.
func BenchmarkDecideByWhen(b *testing.B) {
	const n = 1000
	tab, err := NewTable(sealer(b), NewSources(), nil, rulesEach(n, func(i int) Match {
		return Match{Further: &Further{WhenNeeds: boot.FactVendorClass, When: func(m boot.Machine, _ *Entry) Truth {
			if m.Facts.VendorClass == "another" {
				return True
			}
			return False
		}}}
	}))
	if err != nil {
		b.Fatal(err)
	}
	m, ctx := asking(), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		tab.Decide(ctx, m)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/rule")
}
