package facts

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

var (
	mac   = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	start = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
)

// said are the facts of a request, told apart by their user class.
func said(class string, ipxe bool, known boot.Fact) *boot.Facts {
	return &boot.Facts{Known: known, UserClass: class, IPXE: ipxe}
}

func TestABootIsWhatItsFirstRequestSays(t *testing.T) {
	const some = boot.FactIPXE | boot.FactUserClass
	type request struct {
		after time.Duration
		said  *boot.Facts
	}
	rom, ipxe, card := said("rom", false, boot.DHCPFacts), said("ipxe", true, boot.DHCPFacts), said("card", true, boot.DHCPFacts)
	for _, tt := range []struct {
		name     string
		requests []request
		want     string
	}{
		{"the first one", []request{{0, rom}}, "rom"},
		{"iPXE goes on", []request{{0, rom}, {9 * time.Minute, ipxe}}, "rom"},
		{"iPXE on its own, much later", []request{{0, rom}, {10 * time.Minute, ipxe}}, "ipxe"},
		{"iPXE after iPXE", []request{{0, ipxe}, {time.Minute, card}}, "card"},
		{"another boot", []request{{0, ipxe}, {time.Minute, rom}}, "rom"},
		{"the boot server's port tells less", []request{{0, rom}, {time.Second, said("4011", false, some)}}, "rom"},
		{"which is better than nothing", []request{{0, said("4011", false, some)}}, "4011"},
		{"and brought back by iPXE after a restart", []request{{0, said("4011", false, some)}, {time.Minute, ipxe}}, "ipxe"},
		{"until the whole is told", []request{{0, said("4011", false, some)}, {time.Minute, rom}}, "rom"},
		{"a request without UUID is whole", []request{{0, rom}, {time.Minute, said("no-uuid", false, boot.DHCPFacts&^boot.FactUUID)}}, "no-uuid"},
	} {
		tab := New()
		var got *boot.Facts
		for _, r := range tt.requests {
			got = tab.Heard([6]byte(mac), r.said, start.Add(r.after))
		}
		if got.UserClass != tt.want || tab.Of(mac) != got {
			t.Errorf("%s: got %q, want %q; remembered is %q", tt.name, got.UserClass, tt.want, tab.Of(mac).UserClass)
		}
	}
}

func TestAReportIsOfOneBoot(t *testing.T) {
	rom, ipxe := said("rom", false, boot.DHCPFacts), said("ipxe", true, boot.DHCPFacts)
	serial := &boot.Facts{Known: boot.DHCPFacts | boot.FactSerial, Serial: "X7"}
	tab := New()
	tab.Heard([6]byte(mac), rom, start)
	if got := tab.Reported(mac); got != nil {
		t.Errorf("before iPXE runs: got %+v", got)
	}
	tab.Report([6]byte(mac), serial)
	tab.Heard([6]byte(mac), ipxe, start.Add(time.Minute)) // a script may run DHCP once more
	if got := tab.Reported(mac); got != serial || tab.Of(mac) != rom {
		t.Errorf("in this boot: got %+v, and %+v of DHCP", got, tab.Of(mac))
	}
	tab.Heard([6]byte(mac), rom, start.Add(2*time.Minute))
	if got := tab.Reported(mac); got != nil {
		t.Errorf("in the next one: got %+v", got)
	}

	// One that was never heard, for another DHCP server sent it here.
	tab = New()
	tab.Report([6]byte(mac), serial)
	if got := tab.Reported(mac); got != serial || tab.Of(mac) != nil {
		t.Errorf("unheard: got %+v, and %+v of DHCP", got, tab.Of(mac))
	}
	if got := tab.Heard([6]byte(mac), ipxe, start); got != ipxe || tab.Reported(mac) != nil {
		t.Errorf("heard then: got %+v", got)
	}
	var none *Table
	none.Report([6]byte(mac), serial)
	if none.Reported(mac) != nil {
		t.Error("a nil table remembers")
	}
}

func TestTheMachineThatWasSilentLongestIsForgotten(t *testing.T) {
	tab := New()
	rom := said("", false, boot.DHCPFacts)
	number := func(i int) (m [6]byte) {
		binary.BigEndian.PutUint32(m[2:], uint32(i))
		return m
	}
	hw := func(i int) net.HardwareAddr { m := number(i); return m[:] }
	for i := range MaxMachines {
		tab.Heard(number(i), rom, start)
	}
	if tab.Of(hw(0)) == nil { // and is heard of by that
		t.Fatal("forgotten too early")
	}
	tab.Heard(number(MaxMachines), rom, start)
	if tab.Of(hw(0)) == nil || tab.Of(hw(1)) != nil || tab.Of(hw(MaxMachines)) == nil {
		t.Error("the wrong machine is forgotten")
	}
	if got := len(tab.machines); got != MaxMachines || tab.recent.Len() != got {
		t.Errorf("got %d machines, want %d", got, MaxMachines)
	}
}

func TestANilTableRemembersNothing(t *testing.T) {
	var tab *Table
	rom := said("", false, boot.DHCPFacts)
	if got := tab.Heard([6]byte(mac), rom, start); got != rom || tab.Of(mac) != nil {
		t.Errorf("got %v, %v", got, tab.Of(mac))
	}
	if New().Of(mac[:4]) != nil {
		t.Error("four octets are a machine")
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"PXEClient:Arch:00007\x00":          "PXEClient:Arch:00007",
		" \x1b[31mred\u202e ":               "[31mred",
		"\xff\xfe":                          "",
		"caf\u00e9":                         "café",
		strings.Repeat("x", 254) + "é":      strings.Repeat("x", 254), // cut within a character
		strings.Repeat("x", 300):            strings.Repeat("x", 255),
		"two\nlines\tand a tab":             "twolinesand a tab",
		"sw1/0/7":                           "sw1/0/7",
		"":                                  "",
		string(make([]byte, MaxText)) + "x": "",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
