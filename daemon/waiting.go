package daemon

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// waiting says of a listener that hears machines by interfaces what it waits for of a
// host that has these. It is served as soon as that is there, so that a start need not
// wait for a network; but one that waits for a name which is wrong would be silent for
// ever.
func waiting(l config.Listener, here []netio.Interface) (all []string) {
	for _, name := range l.Interfaces {
		i := slices.IndexFunc(here, func(i netio.Interface) bool { return i.Name == name })
		switch {
		case i < 0:
			all = append(all, fmt.Sprintf("there is no interface %s: `ip link` lists those that there are", name))
		case !here[i].Up:
			all = append(all, fmt.Sprintf("interface %s is down: ip link set %[1]s up", name))
		case (l.Kind == config.DHCP || l.Kind == config.PXE) && !l.Advertise.IsValid() && !has(here[i:i+1], netip.Addr.Is4):
			all = append(all, fmt.Sprintf("interface %s has no IPv4 address that machines could be told: give it one, or set advertise in the listener", name))
		case l.Kind == config.DHCP6 && !has(here[i:i+1], netip.Addr.Is6):
			all = append(all, fmt.Sprintf("interface %s has no IPv6 address: is IPv6 switched off, as by sysctl net.ipv6.conf.%[1]s.disable_ipv6=1?", name))
		}
	}
	switch a := l.Address.Addr(); {
	case l.Kind == config.DHCP && !a.IsUnspecified() && !has(here, func(b netip.Addr) bool { return a == b }):
		all = append(all, fmt.Sprintf("no interface of this host has the address %s", a))
	case l.Kind == config.DHCP6 && len(l.Interfaces) == 0 && !has(here, func(b netip.Addr) bool { return b.Is6() && !b.IsLoopback() }):
		all = append(all, "no interface of this host has an IPv6 address: is IPv6 switched off, as by sysctl net.ipv6.conf.all.disable_ipv6=1?")
	}
	return all
}

// has reports whether one of the addresses of interfaces is such.
func has(all []netio.Interface, such func(netip.Addr) bool) bool {
	return slices.ContainsFunc(all, func(i netio.Interface) bool {
		return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return such(p.Addr()) })
	})
}
