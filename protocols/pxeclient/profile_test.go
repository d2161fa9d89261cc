package pxeclient

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	testMAC  = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	testXID  = [4]byte{1, 2, 3, 4}
	testUUID = [16]byte{0: 0xaa, 15: 0xff}
)

// sent is what a packet says, read back from its bytes.
type sent struct{ Type, Class, User, UNDI, Encap string }

func reread(t *testing.T, d *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, sent) {
	t.Helper()
	r, err := dhcpv4.FromBytes(d.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	s := sent{
		Type: hex.EncodeToString(r.Options[93]), Class: string(r.Options[60]), User: string(r.Options[77]),
		UNDI: hex.EncodeToString(r.Options[94]),
	}
	if _, ok := r.Options[175]; ok {
		s.Encap = "yes"
	}
	return r, s
}

// TestDiscoverIsWhatTheFirmwareSends holds the profiles to the DISCOVERs that
// were captured of real firmware.
func TestDiscoverIsWhatTheFirmwareSends(t *testing.T) {
	tests := map[string]sent{
		"ordinary":           {Class: "udhcp 1.36.1"},
		"bios":               {"0000", "PXEClient:Arch:00000:UNDI:002001", "", "010201", ""},
		"bios-ipxe-rom":      {"0000", "PXEClient:Arch:00000:UNDI:002001", "iPXE", "010201", "yes"},
		"bios-ipxe-rom-2025": {"0000", "PXEClient:Arch:00000:UNDI:002001", "iPXE", "010201", "yes"},
		"bios-ipxe-rom-2.0":  {"0000", "PXEClient", "iPXE", "010201", "yes"},
		"efi-ia32":           {"0006", "PXEClient:Arch:00006:UNDI:003000", "", "010300", ""},
		"efi-x64":            {"0007", "PXEClient:Arch:00007:UNDI:003000", "", "010300", ""},
		"efi-x64-ipxe-rom":   {"0007", "PXEClient:Arch:00007:UNDI:003001", "", "010301", ""},
		"efi-arm64":          {"000b", "PXEClient:Arch:00011:UNDI:003000", "", "010300", ""},
		"http-x64":           {"0010", "HTTPClient:Arch:00016:UNDI:003000", "", "010300", ""},
		"http-arm64":         {"0013", "HTTPClient:Arch:00019:UNDI:003000", "", "010300", ""},
		"undionly":           {"0000", "PXEClient", "iPXE", "010201", "yes"},
		"ipxe-ia32":          {"0006", "PXEClient", "iPXE", "01030a", "yes"},
		"ipxe-x64":           {"0007", "PXEClient:Arch:00007:UNDI:003010", "iPXE", "01030a", "yes"},
		"ipxe-x64-2019":      {"0007", "PXEClient:Arch:00007:UNDI:003010", "iPXE", "01030a", "yes"},
		"ipxe-x64-2.0":       {"0007", "PXEClient", "iPXE", "01030a", "yes"},
		"ipxe-arm64":         {"000b", "PXEClient:Arch:00011:UNDI:003010", "iPXE", "01030a", "yes"},
		"ipxe-no-http":       {"0000", "PXEClient:Arch:00000:UNDI:002001", "iPXE", "010201", "yes"},
		"efi-riscv64":        {"001b", "PXEClient:Arch:00027:UNDI:003000", "", "010300", ""},
		"ipxe-riscv64":       {"001b", "PXEClient", "iPXE", "01030a", "yes"},
		"efi-x64-secure":     {"0007", "PXEClient:Arch:00007:UNDI:003000", "", "010300", ""},
		"http-x64-secure":    {"0010", "HTTPClient:Arch:00016:UNDI:003000", "", "010300", ""},
		// Not captured, but put together by what is published of them.
		"rpi3":             {"0000", "PXEClient:Arch:00000:UNDI:002001", "", "010201", ""},
		"rpi4":             {"0000", "PXEClient:Arch:00000:UNDI:002001", "", "010201", ""},
		"uboot-arm64":      {"0016", "PXEClient:Arch:00022:UNDI:003000", "", "010300", ""},
		"uboot-http-arm64": {"0018", "HTTPClient:Arch:00024:UNDI:003000", "", "010300", ""},
	}
	for _, p := range Profiles() {
		if p.IPv6 {
			continue // see TestSolicitIsWhatTheFirmwareSends
		}
		t.Run(p.Name, func(t *testing.T) {
			want, ok := tests[p.Name]
			if !ok {
				t.Fatal("no line in this table")
			}
			d, got := reread(t, p.Discover(testMAC, testXID, testUUID))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if d.MessageType() != dhcpv4.MessageTypeDiscover || !d.IsBroadcast() || d.TransactionID != testXID || d.ClientHWAddr.String() != testMAC.String() {
				t.Errorf("got %v", d)
			}
			if size, err := d.MaxMessageSize(); err != nil || size != maxMessage {
				t.Errorf("option 57: got %d, %v", size, err)
			}
			guid := d.Options[97]
			if p.Name == "ordinary" {
				if guid != nil {
					t.Error("an ordinary machine sends option 97")
				}
				return
			}
			if p.family == raspberryPi {
				return // it has option 97 from elsewhere
			}
			if want := append([]byte{0}, testUUID[:]...); string(guid) != string(want) {
				t.Errorf("option 97: got %x, want %x", guid, want)
			}
			if p.Becomes != "" {
				if _, err := ProfileByName(p.Becomes); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestFeatures(t *testing.T) {
	for name, want := range map[string][2]bool{ // HTTP, HTTPS
		"bios": {}, "bios-ipxe-rom": {true, false}, "ipxe-x64": {true, false}, "ipxe-x64-2.0": {true, true}, "ipxe-no-http": {},
	} {
		p := profile(t, name)
		if got := [2]bool{p.announces(featureHTTP), p.announces(featureHTTPS)}; got != want {
			t.Errorf("%s: got HTTP, HTTPS %v, want %v", name, got, want)
		}
	}
	p := profile(t, "ipxe-x64")
	if !strings.HasSuffix(string(p.Features), "\xeb\x03\x01\x00\x00") {
		t.Errorf("iPXE 1.21.1 says version 1.0.0, got %x", p.Features)
	}
}

func TestBootServerRequest(t *testing.T) {
	address := netip.MustParseAddr("192.0.2.77")
	for _, tt := range []struct {
		profile, vendor43 string // of the offer
		class, item       string
	}{
		{"bios", "", "PXEClient", ""},
		{"efi-x64", "", "PXEClient:Arch:00007:UNDI:003000", ""},
		{"efi-x64", "060108ff", "PXEClient:Arch:00007:UNDI:003000", ""},
		{"efi-arm64", "0807800001c0000201" + "09048000" + "0141" + "ff", "PXEClient:Arch:00011:UNDI:003000", "470480000000ff"},
	} {
		offer := answer(t, "60=PXEClient", "43="+tt.vendor43)
		d, s := reread(t, profile(t, tt.profile).BootServerRequest(testMAC, testXID, testUUID, address, offer))
		if d.MessageType() != dhcpv4.MessageTypeRequest || !d.ClientIPAddr.Equal(address.AsSlice()) || !d.IsUnicast() {
			t.Errorf("%s: got %v", tt.profile, d)
		}
		if s.Class != tt.class {
			t.Errorf("%s: got class %q, want %q", tt.profile, s.Class, tt.class)
		}
		if got := hex.EncodeToString(d.Options[43]); got != tt.item {
			t.Errorf("%s: got option 43 %s, want %s", tt.profile, got, tt.item)
		}
	}
}

func TestProfileByNameListsTheNames(t *testing.T) {
	if _, err := ProfileByName("amiga"); err == nil || !strings.Contains(err.Error(), "efi-arm64") {
		t.Errorf("got %v", err)
	}
}

func profile(t testing.TB, name string) Profile {
	t.Helper()
	p, err := ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
