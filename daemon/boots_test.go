package daemon

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// A booting machine asks the real servers of a daemon, stage by stage. Each
// stage tells by which version of the configuration it was served.
type booting struct {
	t       *testing.T
	dir     string
	o       Options
	d       *Daemon
	mac     net.HardwareAddr
	boot    byte   // its number, which makes the transactions
	kernels string // the address of the kernel, from the script
}

// stages are those of a boot by UEFI, in order.
var stages = []string{"DHCP", "4011", "TFTP", "script", "kernel", "initrd"}

// newBooting is a machine before a daemon with version "a".
func newBooting(t *testing.T) *booting {
	b := &booting{t: t, dir: t.TempDir(), mac: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	for _, version := range []string{"a", "b"} {
		for _, name := range []string{"loader", "kernel", "initrd"} {
			must(t, put(b.dir, version, name+"-"+version))
		}
	}
	b.version("a")
	b.o = options(t, filepath.Join(b.dir, "pixiecore.hcl"))
	b.o.Path = "" // no watching: the reloads are the test's
	b.d = run(t, b.o)
	return b
}

// version writes a configuration by whose rule of that name everybody boots what
// is of that name.
func (b *booting) version(v string) {
	b.write(strings.ReplaceAll(`
boot "V" {
  kernel = "kernel-V"
  initrd = ["initrd-V"]
}
rule "V" {
  boot = boot.V
}
ipxe {
  efi64 = "loader-V"
}
`, "V", v))
}

// write writes a configuration with that beside the listeners.
func (b *booting) write(rest string) {
	var listeners string
	for _, kind := range []string{"dhcp", "pxe", "tftp", "http"} {
		listeners += listen(kind, "127.0.0.1:0")
	}
	write(b.t, filepath.Join(b.dir, "pixiecore.hcl"), listeners+rest)
}

func (b *booting) reload() {
	b.t.Helper()
	must(b.t, b.d.Reload())
}

// ask goes through one stage. It returns the version that served it, or the
// sentence of the refusal.
func (b *booting) ask(stage string) string {
	b.t.Helper()
	switch stage {
	case "DHCP":
		return b.dhcp(dhcp4.ProxyDHCP, "efi-x64")
	case "iPXE's DHCP":
		return b.dhcp(dhcp4.ProxyDHCP, "ipxe-x64")
	case "4011":
		return b.dhcp(dhcp4.BootServer, "efi-x64")
	case "TFTP":
		got, err := pxeclient.Fetch(b.t.Context(), service[*tftp.Server](b.t, b.d).Conn.LocalAddr(), b.token()+"/ipxe.efi", pxeclient.FetchOptions{})
		if err != nil {
			return err.Error()
		}
		return string(got)
	case "script":
		_, body := get(b.t, b.web()+"/_/ipxe?facts=1&token="+b.token())
		if url := regexp.MustCompile(`(?m)^kernel --name kernel (\S+)`).FindStringSubmatch(body); url != nil {
			b.kernels = url[1]
		}
		return b.versionOf(b.last(), body)
	case "kernel":
		_, body := get(b.t, b.kernels)
		return strings.TrimSpace(body)
	case "initrd":
		_, body := get(b.t, strings.Replace(b.kernels, string(b.sealed("kernel")), string(b.sealed("initrd")), 1))
		return strings.TrimSpace(body)
	}
	b.t.Fatalf("no stage %q", stage)
	panic("unreachable")
}

// sealed is the ID of a file of the version that the script was of.
func (b *booting) sealed(name string) boot.ID {
	b.t.Helper()
	for _, version := range []string{"a", "b"} {
		kernel := b.d.seal.Seal(filepath.Join(b.dir, "kernel-"+version))
		if strings.Contains(b.kernels, string(kernel)) {
			return b.d.seal.Seal(filepath.Join(b.dir, name+"-"+version))
		}
	}
	b.t.Fatalf("no kernel in %q", b.kernels)
	panic("unreachable")
}

func (b *booting) token() string {
	return b.d.tokens.Seal(boot.Token{MAC: [6]byte(b.mac), Type: 7, Time: time.Now()})
}

func (b *booting) web() string {
	return "http://" + service[*httpboot.Server](b.t, b.d).Listener.Addr().String()
}

// last is what happened to the machine last.
func (b *booting) last() events.Event {
	for _, m := range b.d.events.Machines() {
		if e, ok := m.Last(); ok && m.MAC == [6]byte(b.mac) {
			return e
		}
	}
	return events.Event{}
}

// versionOf is the rule of an event, which is called like its version, or what
// the machine is told instead.
func (b *booting) versionOf(e events.Event, told string) string {
	if e.Kind != events.Ignored {
		return e.Rule
	}
	if e.Detail != "" {
		return e.Detail
	}
	return told
}

// dhcp sends a request. Its answer goes to port 68, which is not this test's, so
// that it is the daemon's event which tells of it.
func (b *booting) dhcp(role dhcp4.Role, profile string) string {
	b.t.Helper()
	firmware, err := pxeclient.ProfileByName(profile)
	must(b.t, err)
	xid := [4]byte{b.boot, byte(len(profile))}
	req := firmware.Discover(b.mac, xid, [16]byte{1})
	if role == dhcp4.BootServer {
		xid[2] = 1
		req = firmware.BootServerRequest(b.mac, xid, [16]byte{1}, netip.MustParseAddr("127.0.0.1"), &dhcpv4.DHCPv4{})
	}
	req.ClientIPAddr = net.IPv4(127, 0, 0, 1) // that is where the answer goes
	var at netip.AddrPort
	for _, l := range b.d.listeners {
		if s, ok := l.server.(*dhcp4.Server); ok && s.Role == role {
			at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Conn.LocalAddr().Port())
		}
	}
	before, _ := json.Marshal(b.last())
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	must(b.t, err)
	defer conn.Close()
	_, err = conn.Write(req.ToBytes())
	must(b.t, err)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if e := b.last(); e.Kind == events.Offered || e.Kind == events.BootServer || e.Kind == events.Ignored || e.Kind == events.Local {
			if after, _ := json.Marshal(e); string(after) != string(before) {
				return b.versionOf(e, e.Kind.String())
			}
		}
	}
	b.t.Fatalf("%s by %s: nothing happened", profile, role)
	panic("unreachable")
}

// A reload between any two stages of a boot changes nothing of it; the next boot is
// by the new configuration.
func TestAReloadWithinABoot(t *testing.T) {
	b := newBooting(t)
	for at := 1; at <= len(stages); at++ {
		b.version("a")
		b.reload()
		b.boot++
		for i, stage := range stages {
			if i == at {
				b.version("b")
				b.reload()
			}
			if got := b.ask(stage); got != "a" {
				t.Errorf("reloaded before stage %d: %s: got %q, want a", at, stage, got)
			}
		}
	}
	b.version("b")
	b.reload()
	if got := b.ask("DHCP"); got != "a" {
		t.Errorf("a retransmit: got %q, want a", got)
	}
	if got := b.ask("iPXE's DHCP"); got != "a" {
		t.Errorf("iPXE goes on: got %q, want a", got)
	}
	b.boot++
	for _, stage := range stages {
		if got := b.ask(stage); got != "b" {
			t.Errorf("the next boot: %s: got %q, want b", stage, got)
		}
	}
}

// What is on hold is refused at each stage, and goes on after it as it began.
func TestAHoldWithinABoot(t *testing.T) {
	for _, tc := range []struct{ rule, why string }{
		{"", "the daemon is on hold: rain"},
		{"a", `rule "a" is on hold: rain`},
	} {
		b := newBooting(t)
		for _, stage := range stages {
			b.ask(stage)
		}
		must(t, operator{b.d}.Hold(tc.rule, "rain"))
		for _, stage := range stages {
			if got := b.ask(stage); !strings.Contains(got, tc.why) {
				t.Errorf("%s: got %q, want %q", stage, got, tc.why)
			}
		}
		dropped := map[string]uint64{}
		for _, x := range b.d.report().Dropped {
			kind, _, _ := strings.Cut(x.Listener, " ")
			dropped[kind+" "+x.Reason.String()] = x.Count
		}
		if diff := cmp.Diff(map[string]uint64{"dhcp on-hold": 1, "pxe on-hold": 1, "tftp on-hold": 1, "http on-hold": 3}, dropped); diff != "" {
			t.Errorf("counted: -want +got\n%s", diff)
		}
		b.version("b")
		b.reload()
		must(t, operator{b.d}.Resume(tc.rule))
		for _, stage := range stages {
			if got := b.ask(stage); got != "a" {
				t.Errorf("after resume: %s: got %q, want a", stage, got)
			}
		}
		must(t, operator{b.d}.Hold("b", "another rule's"))
		if got := b.ask("TFTP"); got != "a" {
			t.Errorf("another rule is on hold: got %q", got)
		}
	}
}

// A machine that the table ignores by now, or that no rule names, is refused at each
// stage.
func TestAReloadThatIgnoresABootingMachine(t *testing.T) {
	for rest, why := range map[string]string{
		"rule \"no\" {\n  ignore = true\n}\n":                                `the rule "no" ignores 02:00:00:00:00:01`,
		"rule \"others\" {\n  match { mac = \"06:*\" }\n  local = true\n}\n": "no rule of the server boots 02:00:00:00:00:01",
	} {
		b := newBooting(t)
		for _, stage := range stages {
			b.ask(stage)
		}
		b.write(rest)
		b.reload()
		for _, stage := range stages {
			want := why
			if stage == "DHCP" || stage == "4011" {
				want = "ignored" // which has no screen to say it on
			}
			if got := b.ask(stage); !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q", stage, got, want)
			}
		}
	}
}

// Where the firmware is an iPXE, its own request begins the boot, and a reset of the
// machine another one.
func TestABootThatBeginsWithIPXE(t *testing.T) {
	b := newBooting(t)
	own := []string{"iPXE's DHCP", "script", "kernel", "initrd"}
	for at := range own {
		b.version("a")
		b.reload()
		b.boot++
		for i, stage := range own {
			if got := b.ask(stage); got != "a" {
				t.Errorf("reloaded after stage %d: %s: got %q, want a", at, stage, got)
			}
			if i == at {
				b.version("b")
				b.reload()
			}
		}
		b.boot++
		if got := b.ask("iPXE's DHCP"); got != "b" {
			t.Errorf("a reset: got %q, want b", got)
		}
	}
}

// A daemon that is started again in the middle of a boot opens what its predecessor
// gave out, and goes on by the configuration that it finds.
func TestARestartInTheMiddleOfABoot(t *testing.T) {
	for at := 1; at < len(stages); at++ {
		t.Run("before "+stages[at], func(t *testing.T) {
			b := newBooting(t)
			for _, stage := range stages[:at] {
				b.ask(stage)
			}
			old := b.web()
			b.version("b")
			b.d.reloading.Lock()
			b.d.closeStateFile() // as a process does that ends
			b.d.reloading.Unlock()
			b.d = run(t, b.o) // with the same state
			b.kernels = strings.Replace(b.kernels, old, b.web(), 1)
			want := "b"
			if stages[at] == "kernel" || stages[at] == "initrd" {
				want = "a" // the sources are in the addresses
			}
			for _, stage := range stages[at:] {
				if got := b.ask(stage); got != want {
					t.Errorf("%s: got %q, want %s", stage, got, want)
				}
			}
		})
	}
}

// A machine with two interfaces and one UUID has a boot on each.
func TestTwoInterfacesOfOneMachine(t *testing.T) {
	b := newBooting(t)
	second := *b
	second.mac = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	if got := b.ask("DHCP"); got != "a" {
		t.Errorf("the first: got %q", got)
	}
	b.version("b")
	b.reload()
	if got := second.ask("DHCP"); got != "b" {
		t.Errorf("the second: got %q", got)
	}
	if first, other := b.ask("TFTP"), second.ask("TFTP"); first != "a" || other != "b" {
		t.Errorf("got %q and %q", first, other)
	}
}

// Events are of the generation that the boot began with.
func TestEventsTellTheGenerationOfTheBoot(t *testing.T) {
	b := newBooting(t)
	b.ask("DHCP")
	b.version("b")
	b.reload()
	for _, stage := range stages[1:] {
		b.ask(stage)
	}
	get(t, fmt.Sprintf("%s/_/booting?token=%s", b.web(), b.token()))
	for _, m := range b.d.events.Machines() {
		for _, e := range m.Events() {
			if e.Kind != events.Asked && (e.Gen != 1 || e.Rule != "a") {
				t.Errorf("%s: rule %s of generation %d", e.Kind, e.Rule, e.Gen)
			}
		}
	}
}
