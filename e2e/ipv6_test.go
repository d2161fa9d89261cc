//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// TestBootOverIPv6 has UEFI boot where IPv4 is not to be had, by PXE and by HTTP
// Boot: with addresses of ours, and with those of another server.
func TestBootOverIPv6(t *testing.T) {
	const (
		alone = `
listener "dhcp6" {
  pool {
    start = "2001:db8::1000"
    size  = 50
  }
}
`
		beside = `listener "dhcp6" {}`
	)
	for name, of := range map[string]struct {
		listener string
		// What dnsmasq does beside announcing, as every router, that there is a
		// DHCPv6 server.
		dnsmasq []string
	}{
		"with addresses of ours":       {alone, []string{"--dhcp-ignore=tag:!known"}},
		"beside another DHCPv6 server": {beside, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of a boot is the firmware's waiting for IPv4
			l := newSegment(t)
			l.dnsmasq(t, append(of.dnsmasq, "--enable-ra", "--dhcp-range=2001:db8::2000,2001:db8::2fff,64,10m")...)
			machines := []machine{
				{mac: "52:54:00:00:06:01", uefi: true, off: []string{"IPv4PXESupport"}},
				{mac: "52:54:00:00:06:02", uefi: true, off: []string{"IPv4PXESupport", "IPv6PXESupport"}}, // HTTP Boot is left
			}
			rules := []rule{{mac: machines[0].mac, nonce: nonce()}, {mac: machines[1].mac, nonce: nonce()}}
			config := l.config(rules...)
			config = config[strings.Index(config, `listener "tftp"`):] // nothing for IPv4's DHCP
			l.testAtOnce(t, l.serve(t, of.listener+"\n"+config), machines, rules)
		})
	}
}
