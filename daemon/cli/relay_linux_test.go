package cli_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// A machine two routers away boots by ISC's relay agents: the first writes its own
// address into giaddr, the second leaves it there (RFC 1542 §4.1.1), and the answer
// goes to the first. The server has two networks, and tells the machine the address by
// which it is reached from there, or the one that is advertised.
//
//	machine ── floor ── relay 1 ── house ── relay 2 ── server room ── server ── (192.0.2.0/24)
func TestMachinesBehindTwoRelays(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhcrelay", "sysctl")
	l := newLab(t, `
boot "linux" {
  kernel  = "DIR/kernel"
  cmdline = "BOOTIF=${machine.bootif} relay=${machine.relay}"
}
rule "floor" {
  match {
    relay  = "10.1.0.1"
    subnet = "10.1.0.0/24"
  }
  boot = boot.linux
}
`)
	floor, house, room := netlab.New(t), netlab.New(t), netlab.New(t)
	machine := floor.Host("machine", "10.1.0.50/24")
	relay1 := floor.Host("relay1", "10.1.0.1/24")
	house.Attach(relay1, "eth1", "10.2.0.1/24")
	relay2 := house.Host("relay2", "10.2.0.2/24")
	room.Attach(relay2, "eth1", "10.3.0.2/24")
	room.Attach(l.server, "eth1", "10.3.0.1/24")
	for _, r := range []*netlab.Host{relay1, relay2} {
		r.Run("sysctl", "-q", "net.ipv4.ip_forward=1")
	}
	machine.IP("route", "add", "default", "via", "10.1.0.1")
	relay1.IP("route", "add", "default", "via", "10.2.0.2")
	relay2.IP("route", "add", "10.1.0.0/24", "via", "10.2.0.1")
	relay2.IP("route", "add", "192.0.2.0/24", "via", "10.3.0.1")
	l.server.IP("route", "add", "10.0.0.0/8", "via", "10.3.0.2")
	// -a appends option 82, and -m forward leaves that of another relay alone.
	for relay, to := range map[*netlab.Host]string{relay1: "10.2.0.2", relay2: "10.3.0.1"} {
		said := &syncBuffer{}
		agent := exec.Command("dhcrelay", "-4", "-d", "--no-pid", "-a", "-m", "forward", "-id", "eth0", "-iu", "eth1", to)
		agent.Stderr = said
		relay.StartCmd(agent)
		l.await("dhcrelay", func() bool { return strings.Contains(said.String(), "Sending on   Socket/fallback") })
	}

	for _, tc := range []struct{ profile, mac, advertise string }{
		{"bios", "52:54:00:00:05:01", ""}, {"efi-x64", "52:54:00:00:05:02", ""}, {"http-x64", "52:54:00:00:05:03", ""}, {"undionly", "52:54:00:00:05:04", "192.0.2.1"},
	} {
		t.Run(tc.profile, func(t *testing.T) {
			server := "10.3.0.1"
			if tc.advertise != "" {
				server = tc.advertise
				for _, kind := range []string{`listener "dhcp"   {}`, `listener "http"   {}`} {
					l.edit(kind, strings.TrimSuffix(kind, "}")+` advertise = "`+server+`" }`)
				}
				if out, err := command("pixiecore", "reload", "--control", filepath.Dir(l.config)+"/control.sock").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			b := bootOn(t, machine, tc.profile, tc.mac, "10.1.0.50", patience)
			want := "BOOTIF=01-" + strings.ReplaceAll(tc.mac, ":", "-") + " relay=10.1.0.1"
			if b.Err != "" || b.Outcome.Action != pxeclient.ActionBoot || b.Outcome.Cmdline != want {
				t.Fatalf("got %+v, %s; want the command line %q\nsteps %+v", b.Outcome, b.Err, want, b.Steps)
			}
			for _, s := range b.Steps {
				if s.Kind == pxeclient.StepFetch && !strings.Contains(s.URL, "://"+server) {
					t.Errorf("fetched %s, and not of %s", s.URL, server)
				}
			}
		})
	}
}

// A server with a leg in a VLAN answers there by that interface's own address.
func TestAVLAN(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
boot "linux" {
  kernel  = "DIR/kernel"
  cmdline = "by=${machine.interface}"
}
rule "storage" {
  match { interface = "eth0.10" }
  boot = boot.linux
}
`)
	for host, address := range map[*netlab.Host]string{l.server: "10.10.0.1/24", l.machines: "10.10.0.50/24"} {
		if out, err := tryIP(host, "link", "add", "link", "eth0", "name", "eth0.10", "type", "vlan", "id", "10"); err != nil {
			t.Skipf("this kernel makes no VLAN: %v: %s", err, out)
		}
		host.IP("address", "add", address, "brd", "+", "dev", "eth0.10")
		host.IP("link", "set", "eth0.10", "up")
	}
	b := bootOn(t, l.machines, "bios", "52:54:00:00:06:01", "10.10.0.50", patience)
	if b.Err != "" || b.Outcome.Cmdline != "by=eth0.10" {
		t.Errorf("got %+v, %s", b.Outcome, b.Err)
	}
	l.ignores("bios", "52:54:00:00:06:02") // beside the VLAN
}

// tryIP runs the ip command, which may fail.
func tryIP(h *netlab.Host, args ...string) (out []byte, err error) {
	h.Do(func() { out, err = command("ip", args...).CombinedOutput() })
	return out, err
}
