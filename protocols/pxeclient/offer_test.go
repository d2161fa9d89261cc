package pxeclient

import (
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// answer makes an OFFER of a proxy at 192.0.2.1 from fields: "file=x",
// "siaddr=", "yiaddr=192.0.2.9", "type=ack", and options by number ("43=" in
// hexadecimal).
func answer(t testing.TB, fields ...string) *dhcpv4.DHCPv4 {
	t.Helper()
	d := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: iana.HWTypeEthernet, TransactionID: testXID, ClientHWAddr: testMAC,
		ServerIPAddr: net.IP{192, 0, 2, 1},
		Options:      dhcpv4.Options{53: {byte(dhcpv4.MessageTypeOffer)}, 54: {192, 0, 2, 1}},
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "file":
			d.BootFileName = value
		case "siaddr":
			d.ServerIPAddr = net.ParseIP(value).To4()
		case "yiaddr":
			d.YourIPAddr = net.ParseIP(value).To4()
		case "type":
			d.Options[53] = []byte{byte(dhcpv4.MessageTypeAck)}
		case "54":
			d.Options[54] = net.ParseIP(value).To4()
		case "60":
			d.Options[60] = []byte(value)
		case "67":
			d.Options[67] = []byte(value)
		case "43":
			b, err := hex.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 0 {
				d.Options[43] = b
			}
		default:
			t.Fatalf("field %q", f)
		}
	}
	r, err := dhcpv4.FromBytes(d.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAccept(t *testing.T) {
	const (
		bypass = "43=060108ff"
		menu   = "43=0807800001c0000202" + "090480000141" + "ff"
		noAddr = "43=0807800101c0000202" + "090480000141" + "ff"
		local  = "43=090400000141ff"
	)
	tests := []struct {
		profile string
		offer   string // fields, by spaces
		refused string // part of the reason; empty: accepted
		asks    bool   // port 4011
		target  string
	}{
		{"efi-x64", "60=PXEClient file=t/ipxe.efi", "", true, "tftp://192.0.2.1/t/ipxe.efi"},
		{"efi-x64", "60=PXEClient", "", true, "tftp://192.0.2.1/"},
		{"efi-x64", "60=PXEClient file=ipxe.efi " + bypass, "", true, "tftp://192.0.2.1/ipxe.efi"},
		{"efi-x64", "60=PXEClient 67=option.efi file=field.efi", "", true, "tftp://192.0.2.1/option.efi"},
		{"efi-x64", "60=PXEClient " + bypass, "no boot file name", true, ""},
		{"efi-x64", "60=PXEClient " + menu, "", true, ""},
		{"efi-x64", "60=PXEClient " + noAddr, "has no address", true, ""},
		{"efi-x64", "60=PXEClient " + local, "local disk", true, ""},
		{"efi-x64", "60=PXEClient 43=060100ff", "neither a menu", true, ""},
		{"efi-x64", "60=PXEClient 43=0680", "cut short", true, ""},
		{"efi-x64", "file=ipxe.efi", "option 60", false, ""},
		{"efi-x64", "60=HTTPClient file=http://192.0.2.1/x.efi", "option 60", false, ""},
		{"efi-x64", "60=PXEClient siaddr= 54= file=x", "names a server", true, ""},
		{"efi-x64", "yiaddr=192.0.2.9 file=x.efi", "", false, "tftp://192.0.2.1/x.efi"},
		{"efi-x64", "yiaddr=192.0.2.9", "option 60", false, ""},

		{"bios", "60=PXEClient file=undionly.kpxe " + bypass, "", false, "tftp://192.0.2.1/undionly.kpxe"},
		{"bios", "60=PXEClient file=undionly.kpxe", "", true, ""},
		{"bios", "60=PXEClient 67=undionly.kpxe " + bypass, "in the file field", false, ""},
		{"bios", "file=undionly.kpxe", "option 60", false, ""},

		{"http-x64", "60=HTTPClient 67=http://192.0.2.1/t/ipxe.efi", "", false, "http://192.0.2.1/t/ipxe.efi"},
		{"http-arm64", "60=HTTPClient file=http://192.0.2.1/t/ipxe.efi", "", false, "http://192.0.2.1/t/ipxe.efi"},
		{"http-x64", "60=PXEClient 67=http://192.0.2.1/t/ipxe.efi", "option 60", false, ""},
		{"http-x64", "60=HTTPClient 67=t/ipxe.efi", "not an http URL", false, ""},
		{"http-x64", "60=HTTPClient", "no boot file name", false, ""},

		{"undionly", "60=PXEClient file=http://192.0.2.1/s", "", false, "http://192.0.2.1/s"},
		{"undionly", "60=PXEClient file=x", "", false, "tftp://192.0.2.1/x"},
		{"undionly", "60=PXEClient file=field 67=option", "", false, "tftp://192.0.2.1/field"},
		{"undionly", "60=PXEClient siaddr= file=x", "siaddr is zero", false, ""},
		{"undionly", "60=PXEClient siaddr= file=http://192.0.2.1/s", "siaddr is zero", false, ""},
		{"undionly", "60=PXEClient", "no boot file name", false, ""},
		{"undionly", "60=PXEClient 54= file=x", "option 54", false, ""},
		{"undionly", "file=x", "option 60", false, ""},
		{"undionly", "yiaddr=192.0.2.9 siaddr= file=http://192.0.2.1/s", "", false, "http://192.0.2.1/s"},

		{"ordinary", "yiaddr=192.0.2.9 60=PXEClient file=x", "ordinary machine", false, ""},
		{"efi-x64", "type=ack 60=PXEClient file=x", "not a DHCPOFFER", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.profile+" "+tt.offer, func(t *testing.T) {
			p, offer := profile(t, tt.profile), answer(t, strings.Fields(tt.offer)...)
			err := p.Accept(offer)
			if got := reason(err); tt.refused == "" && got != "" || !strings.Contains(got, tt.refused) {
				t.Errorf("got %q, want %q", got, tt.refused)
			}
			if got := p.AsksBootServer(offer); got != tt.asks {
				t.Errorf("asks port 4011: got %v, want %v", got, tt.asks)
			}
			if tt.target != "" {
				if u, err := p.target(offer); err != nil || u.String() != tt.target {
					t.Errorf("target: got %v, %v, want %s", u, err, tt.target)
				}
			}
		})
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAcceptAck(t *testing.T) {
	for fields, refused := range map[string]string{
		"type=ack 60=PXEClient file=x":                "",
		"60=PXEClient file=x":                         "not a DHCPACK",
		"type=ack file=x":                             "option 60",
		"type=ack 60=PXEClient":                       "no boot file name",
		"type=ack 60=PXEClient file=x siaddr= 54=":    "names a server",
		"type=ack 60=PXEClient 67=x siaddr=192.0.2.1": "",
	} {
		got := reason(profile(t, "efi-x64").AcceptAck(answer(t, strings.Fields(fields)...)))
		if refused == "" && got != "" || !strings.Contains(got, refused) {
			t.Errorf("%s: got %q, want %q", fields, got, refused)
		}
	}
}

// TestChooseFollowsTheOrderOfEDK2: who offers an address and boot information
// wins over an ordinary server with a proxy beside it, and so on down.
func TestChooseFollowsTheOrderOfEDK2(t *testing.T) {
	const bypass = "43=060108ff"
	order := []*dhcpv4.DHCPv4{
		answer(t, "yiaddr=192.0.2.9", "60=PXEClient", "file=1", bypass),
		answer(t, "60=PXEClient", "file=2", bypass),
		answer(t, "yiaddr=192.0.2.9", "60=PXEClient", "file=3"),
		answer(t, "60=PXEClient", "file=4"),
		answer(t, "yiaddr=192.0.2.9", "file=5"),
	}
	p := profile(t, "efi-x64")
	for i := range order {
		offers := []*dhcpv4.DHCPv4{answer(t, "yiaddr=192.0.2.9")}
		for j := len(order) - 1; j >= i; j-- {
			offers = append(offers, order[j])
		}
		if got, err := p.Choose(offers); err != nil || got != order[i] {
			t.Errorf("of the offers from %d on: got %v, %v", i+1, got, err)
		}
	}
}

func TestIPXEPrefersTheProxy(t *testing.T) {
	ordinary, proxy := answer(t, "yiaddr=192.0.2.9", "file=pxelinux.0"), answer(t, "60=PXEClient", "file=http://192.0.2.1/s")
	if got, err := profile(t, "undionly").Choose([]*dhcpv4.DHCPv4{ordinary, proxy}); err != nil || got != proxy {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestChooseSaysWhyEachWasRefused(t *testing.T) {
	_, err := profile(t, "efi-x64").Choose([]*dhcpv4.DHCPv4{answer(t), answer(t, "60=PXEClient", "43=0680")})
	if !errors.Is(err, ErrNoOffer) || !errors.Is(err, errNotPXE) || !errors.Is(err, errShort43) {
		t.Errorf("got %v", err)
	}
}

// FuzzAccept: whatever a server offers, a firmware decides, and what it accepts
// can be acted upon.
func FuzzAccept(f *testing.F) {
	f.Add(answer(f, "60=PXEClient", "file=x", "43=060108ff").ToBytes())
	f.Add(answer(f, "60=HTTPClient", "67=http://192.0.2.1/x").ToBytes())
	f.Add(answer(f, "60=PXEClient", "43=0807800001c0000202"+"090480000141"+"ff").ToBytes())
	f.Add(answer(f, "60=PXEClient", "file=#://x").ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		offer, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		for _, p := range Profiles() {
			if p.Accept(offer) != nil {
				continue
			}
			if got, err := p.Choose([]*dhcpv4.DHCPv4{offer}); err != nil || got != offer {
				t.Fatalf("%s accepts what it does not choose: %v", p.Name, err)
			}
			if p.AsksBootServer(offer) {
				v, err := parsePXE(offer)
				if err == nil {
					_, err = v.bootServer(offer)
				}
				if err != nil {
					t.Fatalf("%s accepts an offer without a boot server: %v", p.Name, err)
				}
				p.BootServerRequest(testMAC, testXID, testUUID, addr4(net.IP{192, 0, 2, 9}), offer)
			} else if u, err := p.target(offer); err == nil && u.Scheme == "" {
				t.Fatalf("%s accepts an offer of %v", p.Name, u)
			}
		}
	})
}
