package control

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/pixiecore/pixiecore/config"
)

// Whatever is set of a listener, plan tells when it changes.
func TestEverySettingOfAListenerIsCompared(t *testing.T) {
	preference := uint8(7)
	set := map[string][]func(*config.Listener){
		"Kind": nil, "Address": nil, "Pos": nil, // its name, and where it is written
		"Interfaces": {func(l *config.Listener) { l.Interfaces = []string{"eth0"} }},
		"Advertise":  {func(l *config.Listener) { l.Advertise = netip.MustParseAddr("192.0.2.1") }},
		"Share":      {func(l *config.Listener) { l.Share = true }},
		"Relays":     {func(l *config.Listener) { l.Relays = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} }},
		"Relayed":    {func(l *config.Listener) { l.Relayed = true }},
		"SinglePort": {func(l *config.Listener) { l.SinglePort = true }},
		"Cert":       {func(l *config.Listener) { l.Cert = "/a" }},
		"Key":        {func(l *config.Listener) { l.Key = "/a" }},
		"Token":      {func(l *config.Listener) { l.Token = "0123456789abcdef" }},
		"ClientCA":   {func(l *config.Listener) { l.ClientCA = "/a" }},
		"Assets":     {func(l *config.Listener) { l.Assets = "/a" }},
		"LocalToo":   {func(l *config.Listener) { l.LocalToo = true }},
		"DHCP4": {
			func(l *config.Listener) { l.DHCP4.Server = true },
			func(l *config.Listener) { l.DHCP4.Pool.Size = 1 },
			func(l *config.Listener) { l.DHCP4.Mask = 24 },
			func(l *config.Listener) { l.DHCP4.Routers = []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
			func(l *config.Listener) { l.DHCP4.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
			func(l *config.Listener) { l.DHCP4.Domain = "lab" },
		},
		"DHCP6": {
			func(l *config.Listener) { l.DHCP6.Pool.Size = 1 },
			func(l *config.Listener) { l.DHCP6.Preference = &preference },
			func(l *config.Listener) { l.DHCP6.DNS = []netip.Addr{netip.IPv6Loopback()} },
		},
	}
	seen := map[string]string{settings(config.Listener{}): "nothing"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Listener]()) {
		changes, ok := set[f.Name]
		if !ok {
			t.Errorf("%s: not in this test", f.Name)
		}
		for _, change := range changes {
			var a, b config.Listener
			change(&a)
			change(&b)
			if settings(a) != settings(b) {
				t.Errorf("%s: differs from itself", f.Name)
			}
			if other, twice := seen[settings(a)]; twice {
				t.Errorf("%s: as %s", f.Name, other)
			}
			seen[settings(a)] = f.Name
		}
	}
	other := preference
	a, b := config.Listener{}, config.Listener{}
	a.DHCP6.Preference, b.DHCP6.Preference = &preference, &other
	if settings(a) != settings(b) {
		t.Error("a preference differs by where it lies")
	}
}
