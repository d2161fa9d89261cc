package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// A machine that is none is booted by the daemon of a network, from another host of
// it and from the daemon's own, beside programs that have the client's port.
func TestSimulateOnANetwork(t *testing.T) {
	t.Parallel()
	l := newLab(t, rules)
	taken := command("pxeclient", "ordinary", "02:00:00:00:00:09", "192.0.2.50", patience.String()) // asks on port 68
	l.machines.StartCmd(taken)
	simulate := func(h *netlab.Host, args ...string) (string, error) {
		t.Helper()
		cmd := command("pixiecore", append([]string{"simulate"}, args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		var err error
		h.Do(func() { err = cmd.Run() })
		return out.String(), err
	}
	for _, tc := range []struct {
		from *netlab.Host
		kind string
		mac  string
		want []string
	}{
		{l.machines, "bios-ipxe-rom", "52:54:00:00:09:01", []string{"offer     of 192.0.2.1  http://192.0.2.1:80/_/ipxe?token=…", "screen    Hello ; world", "loaded    http://192.0.2.1:80/_/file?"}},
		{l.server, "bios", "52:54:00:00:09:02", []string{"loaded    tftp://192.0.2.1/…/undionly.kpxe", "screen    Hello ; world"}},
		{l.machines, "efi-x64", "52:54:00:00:01:09", []string{"✓ goes on to its own disk."}},
	} {
		out, _ := simulate(tc.from, "--interface", "eth0", "--client", tc.kind, "--mac", tc.mac)
		for _, want := range tc.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s: %q is not in\n%s", tc.kind, tc.mac, want, out)
			}
		}
	}
}

// Over IPv6 it is the same, with an address of the client's own port.
func TestSimulateOnANetworkOfIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t, "listener \"dhcp6\" {}\n"+rules)
	l.server.IP("addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	l.machines.IP("addr", "add", "2001:db8::9/64", "dev", "eth0", "nodad")
	l.await("the machines' link-local address", func() bool {
		return !strings.Contains(l.machines.IP("-6", "addr", "show", "dev", "eth0", "scope", "link"), "tentative")
	})
	for kind, want := range map[string]string{"efi-x64-ipv6": "loaded    tftp://[2001:db8::1]/…/ipxe.efi", "http-x64-ipv6": "loaded    http://[2001:db8::1]:80/…/ipxe.efi"} {
		cmd := command("pixiecore", "simulate", "--interface", "eth0", "--client", kind, "--mac", "52:54:00:00:09:06")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		l.machines.Do(func() { _ = cmd.Run() }) // its kernel is none
		for _, want := range []string{want, "screen    Hello ; world", "loaded    http://[2001:db8::1]:80/_/file?"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is not in\n%s", kind, want, &out)
			}
		}
	}
}
