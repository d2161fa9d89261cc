package cli_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// newLab6 is newLab on a segment of IPv6, with listener "dhcp6" as it is given.
func newLab6(t *testing.T, listener string) *lab {
	t.Helper()
	l := newLab(t, listener+"\nrule \"all\" { local = true }\n")
	for host, address := range map[*netlab.Host]string{l.server: "2001:db8::1/64", l.machines: "2001:db8::50/64"} {
		host.IP("-6", "addr", "add", address, "dev", "eth0", "nodad")
	}
	// A link-local address cannot be used before nobody objects to it.
	l.await("the machines' link-local address", func() bool {
		return !strings.Contains(l.machines.IP("-6", "addr", "show", "dev", "eth0", "scope", "link"), "tentative")
	})
	return l
}

const lab6Pool = `
listener "dhcp6" {
  interfaces = "eth0"
  dns        = ["2001:db8::53"]
  pool {
    start = "2001:db8::1000"
    size  = 200
  }
}
`

// TestDHClientGetsKeepsAndReleasesAnAddress has ISC's client, which other people
// wrote, lease an address, over a restart of the server, too.
func TestDHClientGetsKeepsAndReleasesAnAddress(t *testing.T) {
	t.Parallel()
	netlab.Require(t, "dhclient")
	l := newLab6(t, lab6Pool)
	dir := t.TempDir()
	dhclient := func(args ...string) []string {
		return append([]string{"-6", "-d", "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-sf", "/bin/true"}, args...)
	}
	// lease starts the client, waits until it has an address that it says anew, and
	// kills it, so that it releases nothing.
	address := regexp.MustCompile(`iaaddr (\S+) \{`)
	lease := func() (leased string) {
		t.Helper()
		before, _ := os.ReadFile(filepath.Join(dir, "leases"))
		cmd := l.machines.Start("dhclient", dhclient("eth0")...)
		l.await("dhclient to have an address", func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, "leases"))
			all := address.FindAllSubmatch(b, -1)
			if len(all) > 0 {
				leased = string(all[len(all)-1][1])
			}
			return leased != "" && len(b) > len(before)
		})
		cmd.Process.Kill()
		cmd.Wait()
		return leased
	}

	first := lease()
	if a, err := netip.ParseAddr(first); err != nil || !netip.MustParsePrefix("2001:db8::1000/116").Contains(a) {
		t.Fatalf("leased %q: %v", first, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "leases")); !strings.Contains(string(b), "2001:db8::53") {
		t.Errorf("the name server is not among:\n%s", b)
	}
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	l.start()
	// It asks whether the address still is of this link (CONFIRM), and has it then.
	if got := lease(); got != first {
		t.Errorf("after a restart of both sides %s, before %s", got, first)
	}
	l.machines.Run("dhclient", dhclient("-r", "eth0")...)
	l.await("the release in the log", func() bool { return strings.Contains(l.log.String(), `"of":"RELEASE"`) })
}

// TestPerfdhcpOverIPv6 has Kea's load program play 150 clients of which each
// leases an address.
func TestPerfdhcpOverIPv6(t *testing.T) {
	netlab.Require(t, "perfdhcp")
	l := newLab6(t, lab6Pool)
	out := l.machines.Run("perfdhcp", "-6", "-l", "eth0", "-r", "100", "-R", "150", "-n", "150", "-W", "2000000", "all")
	wantAnswered(t, out, 150, "SOLICIT-ADVERTISE", "REQUEST-REPLY")
}
