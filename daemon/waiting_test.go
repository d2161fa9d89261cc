package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

func TestWhatListenersWaitFor(t *testing.T) {
	here := []netio.Interface{
		{Name: "lo", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}},
		{Name: "eth0", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
		{Name: "eth1", Up: true},
		{Name: "eth2"},
	}
	any4, any6 := netip.MustParseAddrPort("0.0.0.0:67"), netip.MustParseAddrPort("[::]:547")
	for _, tt := range []struct {
		name string
		l    config.Listener
		want string
	}{
		{"all that there are", config.Listener{Kind: config.DHCP, Address: any4}, ""},
		{"one that is ready", config.Listener{Kind: config.DHCP, Address: any4, Interfaces: []string{"eth0"}}, ""},
		{"a name that is wrong", config.Listener{Kind: config.DHCP, Address: any4, Interfaces: []string{"eth0", "eno1"}}, "there is no interface eno1: `ip link` lists those that there are"},
		{"one that is down", config.Listener{Kind: config.TFTP, Address: any4, Interfaces: []string{"eth2"}}, "interface eth2 is down: ip link set eth2 up"},
		{"one without an address", config.Listener{Kind: config.DHCP, Address: any4, Interfaces: []string{"eth1"}}, "interface eth1 has no IPv4 address that machines could be told: give it one, or set advertise in the listener"},
		{"one that need not have one", config.Listener{Kind: config.DHCP, Address: any4, Interfaces: []string{"eth1"}, Advertise: netip.MustParseAddr("192.0.2.9")}, ""},
		{"an address of another host", config.Listener{Kind: config.DHCP, Address: netip.MustParseAddrPort("192.0.2.9:67")}, "no interface of this host has the address 192.0.2.9"},
		{"an address of this host", config.Listener{Kind: config.DHCP, Address: netip.MustParseAddrPort("192.0.2.1:67")}, ""},
		{"IPv6 that is off", config.Listener{Kind: config.DHCP6, Address: any6}, "no interface of this host has an IPv6 address: is IPv6 switched off, as by sysctl net.ipv6.conf.all.disable_ipv6=1?"},
		{"IPv6 that is off there", config.Listener{Kind: config.DHCP6, Address: any6, Interfaces: []string{"eth0"}}, "interface eth0 has no IPv6 address: is IPv6 switched off, as by sysctl net.ipv6.conf.eth0.disable_ipv6=1?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(waiting(tt.l, here), "; "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
