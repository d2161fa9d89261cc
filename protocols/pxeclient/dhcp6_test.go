package pxeclient

import (
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// What firmware was seen to send over IPv6.
func TestSolicitIsWhatTheFirmwareSends(t *testing.T) {
	for name, want := range map[string]struct{ class, user, undi string }{
		"efi-x64-ipv6":   {"PXEClient:Arch:00007:UNDI:003000", "", "\x01\x03\x00"},
		"efi-arm64-ipv6": {"PXEClient:Arch:00011:UNDI:003000", "", "\x01\x03\x00"},
		"http-x64-ipv6":  {"HTTPClient:Arch:00016:UNDI:003000", "", "\x01\x03\x00"},
		"ipxe-x64":       {"PXEClient:Arch:00007:UNDI:003010", "iPXE", "\x01\x03\x0a"},
	} {
		p := profile(t, name)
		packet, err := dhcpv6.FromBytes(p.Solicit(testMAC, [3]byte{1, 2, 3}, testUUID).ToBytes())
		if err != nil {
			t.Fatal(err)
		}
		d := packet.(*dhcpv6.Message)
		var class string
		for _, o := range d.Options.Get(dhcpv6.OptionVendorClass) {
			class = string(o.(*dhcpv6.OptVendorClass).Data[0])
		}
		user := ""
		for _, u := range d.Options.UserClasses() {
			user += string(u)
		}
		types := d.Options.ArchTypes()
		if class != want.class || user != want.user || string(d.GetOneOption(optUNDI6).ToBytes()) != want.undi ||
			len(types) != 1 || uint16(types[0]) != uint16(p.Type) || d.MessageType != dhcpv6.MessageTypeSolicit || len(d.Options.IANA()) != 1 {
			t.Errorf("%s: got %v", name, d.Summary())
		}
		if _, ok := d.Options.ClientID().(*dhcpv6.DUIDUUID); !ok {
			t.Errorf("%s: known by %v", name, d.Options.ClientID())
		}
		if _, ok := p.Solicit(testMAC, [3]byte{}, [16]byte{}).Options.ClientID().(*dhcpv6.DUIDLL); !ok {
			t.Errorf("%s: without a UUID it is known by its MAC address", name)
		}
	}
}

func TestWhatFirmwareTakesOverIPv6(t *testing.T) {
	advertise := func(url, class string, options ...dhcpv6.Option) *dhcpv6.Message {
		m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeAdvertise}
		if url != "" {
			m.AddOption(dhcpv6.OptBootFileURL(url))
		}
		if class != "" {
			m.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: pxeEnterprise, Data: [][]byte{[]byte(class)}})
		}
		for _, o := range options {
			m.AddOption(o)
		}
		return m
	}
	ia := &dhcpv6.OptIANA{}
	ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: testAddress6})
	const tftp, http = "tftp://[2001:db8::1]/t/ipxe.efi", "http://[2001:db8::1]:80/t/ipxe.efi"
	for _, tc := range []struct {
		name, profile string
		a             *dhcpv6.Message
		want          string
	}{
		{"a proxy's", "efi-x64-ipv6", advertise(tftp, "PXEClient"), ""},
		{"a server's", "efi-x64-ipv6", advertise(tftp, "", ia), ""},
		{"a proxy's without its class", "efi-x64-ipv6", advertise(tftp, ""), "not a proxy's"},
		{"HTTP for PXE", "efi-x64-ipv6", advertise(http, "PXEClient"), "PXE-E53"},
		{"no boot file", "efi-x64-ipv6", advertise("", "PXEClient"), "no boot file URL"},
		{"a URL that is none", "efi-x64-ipv6", advertise("tftp://[", "PXEClient"), "option 59"},
		{"a REPLY", "efi-x64-ipv6", &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply}, "not an ADVERTISE"},
		{"HTTP Boot", "http-x64-ipv6", advertise(http, "HTTPClient"), ""},
		{"HTTP Boot without its class", "http-x64-ipv6", advertise(http, "PXEClient"), "cancelled"},
		{"TFTP for HTTP Boot", "http-x64-ipv6", advertise(tftp, "HTTPClient"), "not an http URL"},
		{"a script", "ipxe-x64", advertise("http://[2001:db8::1]:80/_/ipxe", ""), ""},
		{"a machine that does not boot", "ordinary", advertise(tftp, "PXEClient"), "does not boot"},
	} {
		switch err := profile(t, tc.profile).Accept6(tc.a); {
		case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

var testAddress6 = []byte{0x20, 1, 0xd, 0xb8, 15: 9}

func FuzzAccept6(f *testing.F) {
	f.Add((&dhcpv6.Message{MessageType: dhcpv6.MessageTypeAdvertise}).ToBytes())
	f.Add([]byte("noise"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := dhcpv6.FromBytes(data)
		m, ok := p.(*dhcpv6.Message)
		if err != nil || !ok {
			return
		}
		for _, name := range []string{"efi-x64-ipv6", "http-x64-ipv6", "ipxe-x64", "ordinary"} {
			_ = profile(t, name).Accept6(m)
		}
	})
}
