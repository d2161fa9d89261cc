package dhcp4

import (
	"bytes"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Each request that gets no answer is counted, whatever the level of the log.
func TestWhatIsNotAnsweredIsCounted(t *testing.T) {
	ignoring := booter{"*": {Rule: "printers"}}
	settings := func(set Settings) func(*Server) {
		return func(s *Server) { s.Settings = func() *Settings { return &set } }
	}
	for _, tc := range []struct {
		name    string
		by      booter
		request []byte
		change  func(*Server)
		want    drops.Reason
	}{
		{"noise", lab, []byte("hello"), nil, drops.Malformed},
		{"options that break off", lab, discover(t, "bios").ToBytes()[:bootpFixed+2], nil, drops.Malformed},
		{"a REQUEST to the network's own server", lab, discover(t, "bios", option(53, []byte{3})).ToBytes(), nil, drops.OtherMessage},
		{"an operating system", lab, discover(t, "ordinary").ToBytes(), nil, drops.NoNetBoot},
		{"an architecture of the future", lab, discover(t, "bios", option(93, []byte{0xff, 0})).ToBytes(), nil, drops.UnknownArch},
		{"another interface", lab, discover(t, "bios").ToBytes(), settings(Settings{Only: []string{"nonesuch"}}), drops.Interface},
		{"another relay", lab, discover(t, "bios", giaddr("127.9.0.1")).ToBytes(), settings(Settings{Relays: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}), drops.Relay},
		{"no relay", lab, discover(t, "bios").ToBytes(), settings(Settings{Relayed: true}), drops.NotRelayed},
		{"a machine that is ignored", ignoring, discover(t, "bios").ToBytes(), nil, drops.Ignored},
		{"a machine on hold", lab, discover(t, "bios").ToBytes(), func(s *Server) { s.Boots.Held = func(string) string { return "rain" } }, drops.Held},
		{"no loader", lab, discover(t, "efi-arm64").ToBytes(), nil, drops.Failed},
		{"an answer that is too large", lab, discover(t, "efi-x64", option(82, bytes.Repeat([]byte{1}, 250)), option(61, bytes.Repeat([]byte{1}, 50)), option(57, []byte{2, 64})).ToBytes(), nil, drops.Failed},
	} {
		s := server(t, ProxyDHCP, tc.by)
		s.Drops = &drops.Counts{}
		if tc.change != nil {
			tc.change(s)
		}
		d := netio.Datagram{Data: tc.request, Interface: loopback(t), Peer: netip.MustParseAddrPort("127.0.0.9:68")}
		a, err := s.handle(t.Context(), d)
		if err == nil {
			t.Errorf("%s: answered", tc.name)
			continue
		}
		s.logUnanswered(d.Peer, &a, err)
		if diff := cmp.Diff(map[drops.Reason]uint64{tc.want: 1}, maps.Collect(s.Drops.All())); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
	if got := reasonOf(&answer{}, errOperator{errBusy}); got != drops.Busy {
		t.Errorf("too many questions: got %v", got)
	}
}
