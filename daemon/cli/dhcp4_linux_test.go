package cli_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// newServerLab is newLab with a DHCP server whose settings are given, and with a
// machine that has a reservation.
func newServerLab(t *testing.T, settings string) *lab {
	t.Helper()
	l := newLab(t, rules)
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	l.edit("listener \"dhcp\"   {}", "listener \"dhcp\" {\n  mode   = \"server\"\n  router = \"192.0.2.254\"\n  dns    = \"192.0.2.53\"\n"+settings+"}\n"+
		"machine \"named\" {\n  mac = [\"52:54:00:00:03:01\"]\n  ip  = \"192.0.2.10\"\n}\n")
	l.start()
	return l
}

const labPool = "  pool {\n    start = \"192.0.2.100\"\n    size  = 150\n  }\n"

// client4 is an ISC client on a new interface of the machines' host, which has no
// address.
type client4 struct {
	l   *lab
	dir string
	mac string
}

func newClient4(t *testing.T, l *lab, mac string) *client4 {
	t.Helper()
	l.machines.IP("addr", "flush", "dev", "eth0")
	l.machines.IP("link", "set", "eth0", "address", mac)
	return &client4{l, t.TempDir(), mac}
}

func (c *client4) args(args ...string) []string {
	return append([]string{"-4", "-d", "-lf", filepath.Join(c.dir, "leases"), "-pf", filepath.Join(c.dir, "pid"), "-sf", "/bin/true"}, args...)
}

var fixedAddress = regexp.MustCompile(`fixed-address (\S+);`)

// lease starts the client, waits until it has an address that it says anew, and kills
// it, so that it releases nothing.
func (c *client4) lease() (leased string) {
	c.l.t.Helper()
	before, _ := os.ReadFile(filepath.Join(c.dir, "leases"))
	cmd := c.l.machines.Start("dhclient", c.args("eth0")...)
	c.l.await("dhclient to have an address", func() bool {
		b, _ := os.ReadFile(filepath.Join(c.dir, "leases"))
		if all := fixedAddress.FindAllSubmatch(b, -1); len(all) > 0 {
			leased = string(all[len(all)-1][1])
		}
		return leased != "" && len(b) > len(before)
	})
	cmd.Process.Kill()
	cmd.Wait()
	return leased
}

// TestDHClientGetsKeepsAndReleasesAnIPv4Address has ISC's client lease an address,
// over a restart of the server, too.
func TestDHClientGetsKeepsAndReleasesAnIPv4Address(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhclient")
	l := newServerLab(t, labPool)
	c := newClient4(t, l, "52:54:00:00:09:01")
	first := c.lease()
	if a, err := netip.ParseAddr(first); err != nil || a.Less(netip.MustParseAddr("192.0.2.100")) {
		t.Fatalf("leased %q: %v", first, err)
	}
	b, _ := os.ReadFile(filepath.Join(c.dir, "leases"))
	for _, want := range []string{"subnet-mask 255.255.255.0", "routers 192.0.2.254", "domain-name-servers 192.0.2.53", "dhcp-lease-time 3600"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q is not among:\n%s", want, b)
		}
	}
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	l.start()
	if got := c.lease(); got != first { // INIT-REBOOT
		t.Errorf("after a restart of both sides %s, before %s", got, first)
	}
	l.machines.IP("addr", "add", first+"/24", "dev", "eth0") // a RELEASE is by unicast
	l.machines.Run("dhclient", c.args("-r", "eth0")...)
	l.await("the release in the log", func() bool { return strings.Contains(l.log.String(), "address given back") })
}

// TestPerfdhcpOverIPv4 has Kea's load program play 100 clients of which each leases an
// address, while every address is looked for first.
func TestPerfdhcpOverIPv4(t *testing.T) {
	netlab.Require(t, "perfdhcp")
	l := newServerLab(t, labPool)
	out := l.machines.Run("perfdhcp", "-4", "-l", "eth0", "-r", "50", "-R", "100", "-n", "100", "-W", "2000000", "all")
	wantAnswered(t, out, 100, "DISCOVER-OFFER", "REQUEST-ACK")
}

var perfdhcpStatistics = regexp.MustCompile(`(?s)\*\*\*Statistics for: (\w+-\w+)\*\*\*.*?sent packets: (\d+).*?received packets: (\d+)`)

// wantAnswered reads what perfdhcp prints: each of the exchanges with so many clients was
// had. On a busy host it sends a few more than it is told to.
func wantAnswered(t *testing.T, out string, clients int, exchanges ...string) {
	t.Helper()
	sent, answered := map[string]int{}, map[string]int{}
	for _, m := range perfdhcpStatistics.FindAllStringSubmatch(out, -1) {
		sent[m[1]], _ = strconv.Atoi(m[2])
		answered[m[1]], _ = strconv.Atoi(m[3])
	}
	for _, kind := range exchanges {
		if sent[kind] < clients || answered[kind] != sent[kind] {
			t.Errorf("%s: %d sent, %d answered, want all of %d\n%s", kind, sent[kind], answered[kind], clients, out)
		}
	}
}

// TestReservationsBesideAnotherServer: the named machine has its address from us, and
// what it boots; all others have theirs from the network's server, and hear no NAK.
func TestReservationsBesideAnotherServer(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhclient", "dnsmasq")
	l := newServerLab(t, "")
	dnsmasq := exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=eth0",
		"--dhcp-range=192.0.2.200,192.0.2.250,10m", "--dhcp-ignore=tag:ours", "--dhcp-host=52:54:00:00:03:01,set:ours", "--leasefile-ro", "--no-ping", "--log-facility=-", "--log-dhcp", "--pid-file=")
	served := &syncBuffer{}
	dnsmasq.Stderr = served
	other := l.other("192.0.2.2/24")
	other.StartCmd(dnsmasq)
	l.await("dnsmasq", func() bool { return strings.Contains(served.String(), "started") })

	if b := l.boot("efi-x64", "52:54:00:00:03:01"); b.Outcome.Action != pxeclient.ActionBoot {
		t.Errorf("the named machine: got %+v, %s", b.Outcome, b.Err)
	}
	c := newClient4(t, l, "52:54:00:00:03:01")
	if got := c.lease(); got != "192.0.2.10" {
		t.Errorf("the named machine has %s, want 192.0.2.10", got)
	}
	if got := c.lease(); got != "192.0.2.10" {
		t.Errorf("the named machine has %s the second time, want 192.0.2.10", got)
	}
	c = newClient4(t, l, "52:54:00:00:09:02")
	for range 2 {
		if got := c.lease(); !strings.HasPrefix(got, "192.0.2.2") {
			t.Errorf("another machine has %s, want one of the other server's", got)
		}
	}
	if strings.Contains(l.log.String(), "refused") || strings.Contains(served.String(), "DHCPNAK") {
		t.Errorf("somebody was refused an address:\n%s\n%s", l.log, served)
	}
}
