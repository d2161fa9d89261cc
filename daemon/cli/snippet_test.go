package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/events"
)

const (
	snippetServer = "192.0.2.1"
	snippetScript = "http://192.0.2.1:80/boot.ipxe"
)

// Every loader with a fixed name is in the snippets of servers that can tell
// any architecture.
func TestSnippetsNameEveryLoader(t *testing.T) {
	for _, server := range []string{"dnsmasq", "isc", "kea"} {
		text := snippets[server](snippetServer, snippetScript, fixedLoaders())
		for file := range bootfiles.FixedNames() {
			if !strings.Contains(text, file) {
				t.Errorf("%s: no %s in\n%s", server, file, text)
			}
		}
	}
	for name, snippet := range snippets {
		if text := snippet(snippetServer, snippetScript, fixedLoaders()); !strings.Contains(text, snippetScript) || !strings.Contains(text, snippetServer) || !strings.Contains(text, "ipxe-x64.efi") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestTheKeaSnippetIsJSON(t *testing.T) {
	if text := snippets["kea"](snippetServer, snippetScript, fixedLoaders()); !json.Valid([]byte(text)) {
		t.Error(text)
	}
}

func TestDnsmasqTakesItsSnippet(t *testing.T) {
	dnsmasq, err := exec.LookPath("dnsmasq")
	if err != nil {
		t.Skip("needs dnsmasq")
	}
	conf := filepath.Join(t.TempDir(), "dnsmasq.conf")
	text := "port=0\ndhcp-range=192.0.2.100,192.0.2.199\n" + snippets["dnsmasq"](snippetServer, snippetScript, fixedLoaders())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(dnsmasq, "--test", "--conf-file="+conf).CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
}

// What machines say of themselves cannot become configuration.
func TestMachineBlocksAreConfiguration(t *testing.T) {
	var src strings.Builder
	src.WriteString("listener \"http\" {}\nrule \"all\" {\n  local = true\n}\n")
	for i, f := range []events.Facts{
		{Firmware: "bios"},
		{UUID: "4C4C4544-0042-3510-8053-B4C04F463433", Product: "PowerEdge", Serial: `"} rule "evil" {`},
		{UUID: "nonsense", Hostname: "${evil}"},
	} {
		src.WriteString(machineBlock(control.Seen{Machine: events.Machine{MAC: [6]byte{0x52, 0x54, 0, 0, 0, byte(i)}, Facts: f}}))
	}
	cfg, report := config.Parse("x.hcl", []byte(src.String()))
	if report.Err() != nil {
		t.Fatalf("%v\n%s", report.Problems(), &src)
	}
	got := cfg.Inventory.Entries()
	if len(got) != 3 || len(cfg.Rules) != 1 || got[1].UUID != "4c4c4544-0042-3510-8053-b4c04f463433" || got[2].UUID != "" || got[0].Name != "m-52-54-00-00-00-00" {
		t.Errorf("got %+v", got)
	}
	if out, report := config.Format("x.hcl", []byte(src.String())); string(out) != src.String() {
		t.Errorf("pixiecore fmt would change it: %v\n%s", report.Problems(), out)
	}
}
