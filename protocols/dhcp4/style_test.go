package dhcp4

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// Option 43 of each style, and what firmware makes of it (PXE 2.1 §2.3).
func TestStylesOfAnOffer(t *testing.T) {
	const file = "abcdefghijklmnopqrstuvwxyz234567/ipxe.efi"
	e := Endpoint{Addr: us, File: file}
	for _, tc := range []struct {
		style      boot.Style
		offer, ack string // option 43
		file       string // of the offer
	}{
		{boot.StyleBINL, "", "", file},
		{boot.StyleBypass, "060108ff", "060108ff", file},
		{boot.StyleBypassPrompt, "0601080a0400505845ff", "0601080a0400505845ff", file},
		{boot.StyleBootServers, "060107" + "0807800001c0000201" + "090c800009706978696563" + "6f7265" + "0a0a00706978696563" + "6f7265" + "ff", "4704" + "80000000" + "ff", ""},
	} {
		for _, name := range []string{"bios", "efi-x64"} {
			p := profile(t, name)
			req := discover(t, name)
			c, err := Classify(req)
			if err != nil {
				t.Fatal(err)
			}
			o := strategy.Offer{Kind: strategy.ByTFTP, Program: strategy.AnyIPXE, Style: tc.style}
			offer, err := dhcpv4.FromBytes(Offer(req, c, o, e).ToBytes())
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%x", offer.Options[43]); got != tc.offer || offer.BootFileName != tc.file {
				t.Errorf("%s, %s: got option 43 %s and file %q; want %s and %q", tc.style, name, got, offer.BootFileName, tc.offer, tc.file)
			}
			if err := p.Accept(offer); err != nil {
				t.Errorf("%s, %s: the firmware refuses the offer: %v", tc.style, name, err)
			}
			ask := p.BootServerRequest(mac, xid, uuid, netip.MustParseAddr("192.0.2.50"), offer)
			ack, err := dhcpv4.FromBytes(Ack(ask, c, o, e).ToBytes())
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%x", ack.Options[43]); got != tc.ack || ack.BootFileName != file {
				t.Errorf("%s, %s: got option 43 %s and file %q in the ACK; want %s", tc.style, name, got, ack.BootFileName, tc.ack)
			}
			if err := p.AcceptAck(ack); err != nil {
				t.Errorf("%s, %s: the firmware refuses the ACK: %v", tc.style, name, err)
			}
		}
	}
}

// Firmware that asks again without going on is offered another style each time, in its
// next attempt too; what worked is said once, with the line that pins it.
func TestAnotherStyleForWhoDoesNotGoOn(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	logged, log := observer.New(zap.InfoLevel)
	s := server(t, ProxyDHCP, lab)
	s.Log, s.Clock, s.Boots.Events = zap.New(logged), func() time.Time { return now }, s.Events
	asks := func(name string, xid byte, after time.Duration) string {
		t.Helper()
		now = now.Add(after)
		req := discover(t, name, func(d *dhcpv4.DHCPv4) { d.TransactionID = [4]byte{xid} })
		a, err := s.handle(t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		if err != nil {
			t.Fatal(err)
		}
		return a.offering.String()
	}
	got := []string{
		asks("efi-x64", 1, 0), asks("efi-x64", 1, 10*time.Millisecond), // a copy, by another relay
		asks("efi-x64", 1, 4*time.Second), asks("efi-x64", 1, 8*time.Second), asks("efi-x64", 1, 16*time.Second),
		asks("efi-x64", 2, 20*time.Second), asks("efi-x64", 2, 4*time.Second), // it begins anew
	}
	want := []string{"loader", "loader", "loader (bypass)", "loader (boot-servers)", "loader (bypass+prompt)", "loader (binl)", "loader (bypass)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for range 2 {
		if got := asks("ipxe-x64", 3, 5*time.Second); got != "script" { // it has gone on
			t.Errorf("iPXE: got %s", got)
		}
	}
	pins := log.FilterMessage(TookAnother).All()
	if len(pins) != 1 || pins[0].ContextMap()["pin"] != `offer = "bypass"` {
		t.Errorf("the log has %v", pins)
	}
	told := 0
	for _, m := range s.Events.Machines() {
		for _, e := range m.Events() {
			if strings.Contains(e.Detail, `offer = "bypass" makes it that at once`) {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("%d events tell it", told)
	}
	if got := asks("efi-x64", 4, time.Minute); got != "loader" {
		t.Errorf("the next boot begins with %s", got)
	}
}

// What the rule says is what is offered, however often the firmware asks.
func TestAStyleThatIsPinned(t *testing.T) {
	v := lab[mac.String()]
	v.Offer = boot.StyleBootServers
	s := server(t, ProxyDHCP, booter{mac.String(): v})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.Clock = func() time.Time { now = now.Add(5 * time.Second); return now }
	for range 3 {
		a, err := s.handle(t.Context(), netio.Datagram{Data: discover(t, "bios").ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		if err != nil || a.offering.String() != "loader (boot-servers)" {
			t.Errorf("got %s, %v", a.offering, err)
		}
	}
	for name, want := range map[string]string{"undionly": "script", "http-x64": "loader by HTTP", "ipxe-no-http": "loader"} { // who has no choice
		a, err := s.handle(t.Context(), netio.Datagram{Data: discover(t, name).ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")})
		if err != nil || a.offering.String() != want {
			t.Errorf("%s: got %s, %v; want %s", name, a.offering, err, want)
		}
	}
}
