package dhcp4

import (
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// A site is all servers of one daemon with a table of rules, less their sockets.
type site struct {
	t     testing.TB
	proxy *Server
	tree  bootfiles.Tree
	web   *httpboot.Server
	src   boot.Source
}

// current is the Source of one snapshot.
type current struct{ *boot.Snapshot }

func (c current) Current() *boot.Snapshot { return c.Snapshot }

func newSite(t testing.TB, rules ...booters.Rule) *site {
	t.Helper()
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	inv, err := booters.NewInventory([]booters.Entry{{Name: "db1", UUID: "4c4c4544-0042-3510-8053-b4c04f463433", Labels: map[string]string{"role": "db"}}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), inv, rules)
	if err != nil {
		t.Fatal(err)
	}
	src := current{&boot.Snapshot{Gen: 1, Booter: table, Loaders: map[boot.Firmware][]byte{boot.FirmwareX86PC: []byte("undionly"), boot.FirmwareEFI64: []byte("snponly")}}}
	s := &site{t: t, proxy: server(t, ProxyDHCP, booter{})}
	s.src = src
	s.forget()
	return s
}

// forget makes the servers anew, as a restart does.
func (s *site) forget() {
	s.proxy.Boots = &boots.Memory{Source: s.src}
	s.tree = bootfiles.Tree{Boots: s.proxy.Boots, Tokens: s.proxy.Tokens}
	s.web = &httpboot.Server{Tree: s.tree, Log: zap.NewNop()}
}

// offer is the boot file that a machine is offered, empty where it gets none.
func (s *site) offer(req *dhcpv4.DHCPv4) string {
	s.t.Helper()
	a, err := s.proxy.handle(s.t.Context(), netio.Datagram{Data: req.ToBytes(), Interface: loopback(s.t), Peer: netip.MustParseAddrPort("127.0.0.9:68")})
	if err != nil {
		return ""
	}
	return a.file
}

// fetch gets the loader of an offer by TFTP's way and returns it.
func (s *site) fetch(file string) string {
	f, err := s.tree.Open(s.t.Context(), file, netip.AddrFrom4([4]byte{127, 0, 0, 1}), "http://127.0.0.1:80")
	if err != nil {
		return err.Error()
	}
	return string(f.Data)
}

// script gets the script of an offer, and then the one that it chains with what
// iPXE reports. It returns what that one tells: the first line that it prints.
func (s *site) script(file string, report url.Values) string {
	s.t.Helper()
	first := s.get(file)
	if !strings.Contains(first, "&facts=1&cpu=${cpu}") {
		s.t.Fatalf("no stub: %s", first)
	}
	report.Set("facts", "1")
	for _, line := range strings.Split(s.get(file+"&"+report.Encode()), "\n") {
		if text, ok := strings.CutPrefix(line, "echo "); ok {
			return text
		}
	}
	return ""
}

func (s *site) get(url string) string {
	w := httptest.NewRecorder()
	s.web.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
	return w.Body.String()
}

func glob(s string) []booters.Glob {
	g, err := booters.ParseGlob(s)
	if err != nil {
		panic(err)
	}
	return []booters.Glob{g}
}

// prints boots a kernel and prints text before.
func prints(text string) booters.Action {
	return booters.Action{Do: boot.Boot, Boot: text, Spec: &boot.Spec{Kernel: "/srv/linux", Message: text}}
}

// A rule decides the same from the first DISCOVER to the last script, on a BIOS
// and on UEFI, whatever fact it asks for.
func TestARuleDecidesAtEachStage(t *testing.T) {
	yes := true
	agent := option(82, []byte("\x01\x07sw1/0/7"))
	for _, tc := range []struct {
		name   string
		match  booters.Match
		change func(*dhcpv4.DHCPv4) // of both requests
		report url.Values
		want   string
	}{
		{"a circuit", booters.Match{Further: &booters.Further{CircuitIDs: glob("sw1/*")}}, agent, nil, "matched"},
		{"another circuit", booters.Match{Further: &booters.Further{CircuitIDs: glob("sw2/*")}}, agent, nil, "other"},
		{"a subnet behind a relay", booters.Match{Further: &booters.Further{Subnets: []netip.Prefix{netip.MustParsePrefix("127.9.0.0/16")}}}, giaddr("127.9.0.1"), nil, "matched"},
		{"this link's subnet", booters.Match{Further: &booters.Further{Subnets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, nil, nil, "matched"},
		{"not behind the relay", booters.Match{Further: &booters.Further{Not: []booters.Match{{Further: &booters.Further{Relays: []netip.Prefix{netip.MustParsePrefix("127.9.0.0/16")}}}}}}, nil, nil, "matched"},
		{"the listener", booters.Match{Further: &booters.Further{Listeners: glob("0.0.0.0:67")}}, nil, nil, "matched"},
		{"iPXE does not begin this boot", booters.Match{Further: &booters.Further{IPXE: &yes}}, nil, nil, "other"},
		{"a transport", booters.Match{Further: &booters.Further{Transports: []string{"pxe"}}}, nil, nil, "matched"},
		{"a machine by its UUID", booters.Match{Machines: []string{"db1"}}, nil, nil, "matched"},
		{"a label by its UUID", booters.Match{Labels: map[string]string{"role": "db"}}, nil, nil, "matched"},
		{"a UUID that only iPXE tells", booters.Match{Machines: []string{"db1"}}, option(97, nil), url.Values{"uuid": {"4C4C4544-0042-3510-8053-B4C04F463433"}}, "matched"},
		{"a UUID that nobody tells", booters.Match{Machines: []string{"db1"}}, option(97, nil), nil, "other"},
		{"a serial number", booters.Match{Further: &booters.Further{Serials: glob("X*")}}, nil, url.Values{"serial": {"X1"}}, "matched"},
		{"another serial number", booters.Match{Further: &booters.Further{Serials: glob("X*")}}, nil, url.Values{"serial": {"Y1"}}, "other"},
		{"no serial number", booters.Match{Further: &booters.Further{Not: []booters.Match{{Further: &booters.Further{Serials: glob("X*")}}}}}, nil, nil, "other"},
		{"an asset tag with what does not print", booters.Match{Further: &booters.Further{Assets: glob("A1")}}, nil, url.Values{"asset": {"A\x1b1\n"}}, "matched"},
		{"a circuit and a product", booters.Match{Further: &booters.Further{CircuitIDs: glob("sw1/*"), Products: glob("R*")}}, agent, url.Values{"product": {"R640"}}, "matched"},
	} {
		for _, firmware := range []struct{ rom, ipxe, loader string }{{"bios", "undionly", "undionly"}, {"efi-x64", "ipxe-x64", "snponly"}} {
			t.Run(tc.name+" on "+firmware.rom, func(t *testing.T) {
				s := newSite(t, booters.Rule{Name: "matched", Match: tc.match, Action: prints("matched")}, booters.Rule{Name: "other", Action: prints("other")})
				change := tc.change
				if change == nil {
					change = func(*dhcpv4.DHCPv4) {}
				}
				if got := s.fetch(s.offer(discover(t, firmware.rom, change))); got != firmware.loader {
					t.Fatalf("loader: got %q", got)
				}
				report := url.Values{}
				for k, v := range tc.report {
					report[k] = slices.Clone(v)
				}
				report.Set("cpu", "x64")
				if got := s.script(s.offer(discover(t, firmware.ipxe, change)), report); got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			})
		}
	}
}

func TestABootThatBeginsWithIPXE(t *testing.T) {
	yes := true
	s := newSite(t, booters.Rule{Name: "card", Match: booters.Match{Further: &booters.Further{IPXE: &yes}}, Action: prints("card")}, booters.Rule{Name: "other"})
	if got := s.script(s.offer(discover(t, "bios-ipxe-rom")), url.Values{}); got != "card" {
		t.Errorf("an iPXE in the network card: got %q", got)
	}
	s.forget()
	if got := s.offer(discover(t, "bios")); got != "" {
		t.Errorf("a ROM: got %q", got)
	}
}

// After a restart in the middle of a boot, the loader is served, and iPXE's own
// request brings the facts back. Where there is none, a rule on them is refused
// and says why.
func TestARestartWithinABoot(t *testing.T) {
	rules := []booters.Rule{
		{Name: "rack", Match: booters.Match{Further: &booters.Further{CircuitIDs: glob("sw1/*")}}, Action: prints("rack")},
		{Name: "ignored"},
	}
	agent := option(82, []byte("\x01\x07sw1/0/7"))
	s := newSite(t, rules...)
	file := s.offer(discover(t, "bios", agent))
	s.forget()
	if got := s.fetch(file); got != "undionly" {
		t.Errorf("the loader: got %q", got)
	}
	token, _, _ := strings.Cut(file, "/")
	direct := bootfiles.ScriptURL("http://127.0.0.1:80", token)
	want := `pixiecore: no script for this machine: rule "rack" asks for circuit_id, which this server learns from DHCP, and no such request of this machine is remembered: start it again, and see that its DHCP requests come here`
	if got := s.script(direct, url.Values{}); got != want {
		t.Errorf("a script without DHCP:\ngot  %q\nwant %q", got, want)
	}
	if got := s.script(s.offer(discover(t, "undionly", agent)), url.Values{}); got != "rack" {
		t.Errorf("after iPXE's own request: got %q", got)
	}
}

// Nobody loads iPXE only to be ignored, unless the rule says that it is worth it.
func TestAStrangerIsNotProbed(t *testing.T) {
	serial := booters.Rule{Name: "serial", Match: booters.Match{Further: &booters.Further{Serials: glob("X*")}}, Action: prints("serial")}
	ignored := booters.Rule{Name: "ignored"}
	if got := newSite(t, serial, ignored).offer(discover(t, "bios")); got != "" {
		t.Errorf("got %q", got)
	}
	serial.Probe = true
	s := newSite(t, serial, ignored)
	if got := s.fetch(s.offer(discover(t, "bios"))); got != "undionly" {
		t.Errorf("with probe: got %q", got)
	}
	file := s.offer(discover(t, "undionly"))
	if got := s.script(file, url.Values{"serial": {"X1"}}); got != "serial" {
		t.Errorf("with probe: got %q", got)
	}
	s = newSite(t, serial, ignored)
	if got := s.get(s.offer(discover(t, "undionly")) + "&facts=1&serial=Y1"); !strings.Contains(got, `the rule "ignored" ignores`) || !strings.HasSuffix(got, "exit 1\n") {
		t.Errorf("a machine that is ignored after iPXE was loaded: got %q", got)
	}
}
