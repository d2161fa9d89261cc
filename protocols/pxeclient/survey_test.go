package pxeclient

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// asked is a DISCOVER of a survey.
func asked() *dhcpv4.DHCPv4 {
	p, _ := ProfileByName("efi-x64")
	return p.Discover(net.HardwareAddr{2, 0, 0, 0, 0, 1}, [4]byte{1, 2, 3, 4}, [16]byte{})
}

func TestAnswersToASurvey(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.9")
	d := asked()
	reply := func(mods ...dhcpv4.Modifier) []byte {
		r, err := dhcpv4.NewReplyFromRequest(d, append([]dhcpv4.Modifier{dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer)}, mods...)...)
		if err != nil {
			t.Fatal(err)
		}
		return r.ToBytes()
	}
	id := dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 2)))
	for _, tc := range []struct {
		name string
		data []byte
		want Answer
		ok   bool
	}{
		{"a DHCP server", reply(id, dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 100))), Answer{Server: netip.MustParseAddr("192.0.2.2"), Address: true, BootServer: netip.MustParseAddr("192.0.2.2")}, true},
		{"without an identifier", reply(dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 100))), Answer{Server: from, Address: true}, true},
		{"a boot server", reply(id, dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient")), dhcpv4.WithOption(dhcpv4.OptBootFileName("f"))),
			Answer{Server: netip.MustParseAddr("192.0.2.2"), Proxy: true, BootFile: "f", BootServer: netip.MustParseAddr("192.0.2.2")}, true},
		{"an answer to somebody else", reply(dhcpv4.WithTransactionID(dhcpv4.TransactionID{9})), Answer{}, false},
		{"an ACK", reply(dhcpv4.WithMessageType(dhcpv4.MessageTypeAck)), Answer{}, false},
		{"another question", d.ToBytes(), Answer{}, false},
		{"no DHCP", []byte("hello"), Answer{}, false},
	} {
		got, ok := answerOf(tc.data, from, d)
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || ok != tc.ok {
			t.Errorf("%s: %t, -want +got\n%s", tc.name, ok, diff)
		}
	}
}

func FuzzAnswerOf(f *testing.F) {
	d := asked()
	f.Add([]byte{})
	f.Add(d.ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) { answerOf(b, netip.MustParseAddr("192.0.2.9"), d) })
}
