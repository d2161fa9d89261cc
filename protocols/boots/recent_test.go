package boots

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// What a machine has said is the same whenever it is asked for, also when so many others
// were heard since that it was packed: with a UUID, without, with one that nobody writes
// like that, and among more kinds of machines than are looked through.
func TestWhatAMachineSaidStaysTheSame(t *testing.T) {
	said := func(i int) boot.Facts {
		f := boot.Facts{
			Known: boot.DHCPFacts, UUID: boot.FormatUUID([16]byte{1, 14: byte(i >> 8), 15: byte(i)}), VendorClass: "PXEClient",
			Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		}
		switch i % 100 {
		case 0:
			f.Known, f.UUID = whole, ""
		case 1:
			f.UUID = fmt.Sprint("no UUID ", i)
		case 2:
			f.UserClass = fmt.Sprint(i % (100 * 2 * maxCommon))
		case 3:
			f.Known |= boot.FactSerial
			f.Serial = fmt.Sprint(i)
		}
		return f
	}
	macOf := func(i int) net.HardwareAddr { return binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0}, uint32(i)) }
	const machines = 2 * maxRecent
	m := &Memory{Source: newTable(boots("all"))}
	handed := make([]*boot.Facts, machines)
	for i := range machines {
		f := said(i)
		handed[i] = m.Heard(Request{MAC: MAC(macOf(i)), Discover: true, Facts: &f}, start)
	}
	if m.recent.n != maxRecent || m.quiet.n != machines-maxRecent {
		t.Errorf("got %d recent machines and %d quiet ones", m.recent.n, m.quiet.n)
	}
	for i, before := range handed {
		want := said(i)
		for what, got := range map[string]*boot.Facts{"now": m.Of(macOf(i)), "handed out before": before} {
			if diff := cmp.Diff(&want, got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
				t.Fatalf("machine %d, %s (-want +got):\n%s", i, what, diff)
			}
		}
		if mac, ok := m.BySerial(want.Serial); ok != (want.Serial != "") || ok && mac != MAC(macOf(i)) {
			t.Errorf("machine %d by its serial number: %x, %t", i, mac, ok)
		}
	}
}
