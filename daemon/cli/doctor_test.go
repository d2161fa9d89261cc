package cli

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

func TestAPortThatIsTakenIsSaidWithItsHolder(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	me := ""
	if runtime.GOOS == "linux" {
		me = fmt.Sprintf("(pid %d)", os.Getpid())
	}
	for _, l := range []config.Listener{
		{Kind: config.HTTP, Address: netip.MustParseAddrPort(tcp.Addr().String())},
		{Kind: config.DHCP, Address: netip.MustParseAddrPort(udp.LocalAddr().String())},
	} {
		f := port(l)
		if !strings.Contains(f.Is, "is taken") || !strings.Contains(f.Is, me) || f.Remedy == "" {
			t.Errorf("%s: got %+v", l.Kind, f)
		}
		if l.Kind == config.DHCP && !strings.Contains(f.Remedy, "share = true") {
			t.Errorf("got %q", f.Remedy)
		}
	}
	if f := port(config.Listener{Kind: config.HTTP, Address: netip.MustParseAddrPort("127.0.0.1:0")}); f.Remedy != "" {
		t.Errorf("a free port: got %+v", f)
	}
	if f := port(config.Listener{Kind: config.HTTP, Address: netip.MustParseAddrPort("192.0.2.77:0")}); !strings.Contains(f.Remedy, "an address of this host") {
		t.Errorf("another host's address: got %+v", f)
	}
}

func TestFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "linux")
	os.WriteFile(there, nil, 0o644)
	rule := func(kernel string) booters.Rule {
		return booters.Rule{Action: booters.Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: boot.ID(kernel), Initrd: []boot.ID{}}}}
	}
	if got := fileFindings(t.Context(), &config.Config{Rules: []booters.Rule{rule(there), rule(there)}}, booters.NewSources()); len(got) != 1 || got[0].Is != "all 1 local kernels and initrds can be read" {
		t.Errorf("got %+v", got)
	}
	if got := fileFindings(t.Context(), &config.Config{Rules: []booters.Rule{rule(filepath.Join(dir, "none"))}}, booters.NewSources()); len(got) != 1 || got[0].Remedy != "Put it there, or correct the path in the file." {
		t.Errorf("got %+v", got)
	}
}

func TestAnInterfaceThatIsNotThere(t *testing.T) {
	got := interfaceFindings([]config.Listener{{Interfaces: []string{"no-such-0"}}})
	if len(got) != 1 || got[0].Is != "no-such-0 is not there" || got[0].Remedy == "" {
		t.Errorf("got %+v", got)
	}
}

// What an answer to a DISCOVER means depends on whose it is.
func TestWhoAnswersOnAnInterface(t *testing.T) {
	at := netip.MustParseAddr
	own := func(a netip.Addr) bool { return a == at("192.0.2.1") }
	dhcp := pxeclient.Answer{Server: at("192.0.2.2"), Address: true}
	for _, tc := range []struct {
		name    string
		answers []pxeclient.Answer
		want    []finding
	}{
		{"nobody", nil, []finding{{"servers", "nobody offered an address on eth0 within 5s", "Machines need a DHCP server beside pixiecore; see that one serves this network, and unknown machines too."}}},
		{"as it should be", []pxeclient.Answer{dhcp, {Server: at("192.0.2.1"), Proxy: true}}, []finding{
			{What: "servers", Is: "a DISCOVER on eth0 is answered by 192.0.2.2, which gives addresses"},
			{What: "servers", Is: "a DISCOVER on eth0 is answered by 192.0.2.1 (this host), a boot server beside DHCP"},
		}},
		{"a DHCP server that sends machines here", []pxeclient.Answer{{Server: at("192.0.2.2"), Address: true, BootFile: "ipxe-x64.efi", BootServer: at("192.0.2.1")}}, []finding{
			{What: "servers", Is: `a DISCOVER on eth0 is answered by 192.0.2.2, which gives addresses and says to boot "ipxe-x64.efi" from 192.0.2.1`},
		}},
		{"another boot server", []pxeclient.Answer{dhcp, {Server: at("192.0.2.9"), Proxy: true, BootFile: "pxe\x1b[2J", BootServer: at("192.0.2.9")}}, []finding{
			{What: "servers", Is: "a DISCOVER on eth0 is answered by 192.0.2.2, which gives addresses"},
			{"servers", `a DISCOVER on eth0 is answered by 192.0.2.9, a boot server beside DHCP and says to boot "pxe\x1b[2J"`,
				"Machines take whichever boot server they like: stop this one, or leave the machines to it by rules with ignore = true."},
		}},
		{"two DHCP servers", []pxeclient.Answer{dhcp, {Server: at("192.0.2.3"), Address: true}}, []finding{
			{What: "servers", Is: "a DISCOVER on eth0 is answered by 192.0.2.2, which gives addresses"},
			{"servers", "a DISCOVER on eth0 is answered by 192.0.2.3, which gives addresses", "Several servers give addresses here. If that is not meant, stop all but one."},
		}},
	} {
		if diff := cmp.Diff(tc.want, judgeServers("eth0", tc.answers, own)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
}

// A privilege is looked for where a listener needs it.
func TestPrivileges(t *testing.T) {
	none := func(capability) bool { return false }
	shared := config.Listener{Kind: config.DHCP, Address: netip.MustParseAddrPort("0.0.0.0:67"), Share: true}
	free := config.Listener{Kind: config.HTTP, Address: netip.MustParseAddrPort("127.0.0.1:0")}
	if got := capabilityFindings([]config.Listener{free}, none); len(got) != 0 {
		t.Errorf("none is needed: %+v", got)
	}
	want := []finding{{"privilege", "this user has no CAP_NET_RAW, which `share = true` needs", "Run as root, or add CAP_NET_RAW to AmbientCapabilities= of the service."}}
	if diff := cmp.Diff(want, capabilityFindings([]config.Listener{free, shared}, none)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Servers are asked for the files that they have, and files that must have a
// digest are read.
func TestURLsAndDigests(t *testing.T) {
	srv := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer srv.Close()
	local := filepath.Join(t.TempDir(), "linux")
	os.WriteFile(local, nil, 0o644)
	var rules []booters.Rule
	for _, source := range []string{srv.URL + "/", srv.URL + "/none", booters.Source{At: local, SHA256: boot.Digest{1}}.String()} {
		rules = append(rules, booters.Rule{Action: booters.Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: boot.ID(source)}}})
	}
	got := fileFindings(t.Context(), &config.Config{Rules: rules}, booters.NewSources())
	var remedies []string
	for _, f := range got {
		remedies = append(remedies, f.Remedy)
	}
	want := []string{
		"Replace the file, or correct the digest in the configuration.",
		"Correct the URL, or see that this host reaches the server and the server has the file.",
		"",
	}
	if diff := cmp.Diff(want, remedies); diff != "" || got[2].Is != "1 of 2 URLs answer; 2 were asked" {
		t.Errorf("%+v: -want +got\n%s", got, diff)
	}
}

func TestURLsAreAskedByTheFetchBlock(t *testing.T) {
	srv := httptest.NewTLSServer(http.FileServer(http.Dir(t.TempDir())))
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	ca := filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o644)
	cfg := &config.Config{Rules: []booters.Rule{{Action: booters.Action{Do: boot.Boot, Boot: "a", Spec: &boot.Spec{Kernel: boot.ID(srv.URL + "/")}}}}}
	for fetch, want := range map[config.Fetch]string{{}: "fetch { ca = ", {CA: ca}: "1 of 1 URLs answer; 1 were asked"} {
		cfg.Fetch = fetch
		c, err := compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := fileFindings(t.Context(), cfg, c.Sources)
		c.Sources.Close()
		if last := got[len(got)-1]; !strings.Contains(last.Is+last.Remedy, want) {
			t.Errorf("%+v: got %+v, want %q", fetch, got, want)
		}
	}
}
