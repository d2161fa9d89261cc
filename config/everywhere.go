package config

import (
	"cmp"
	"net/netip"
)

// Ports are those of a server that has no file. 0 stands for a kind's usual one.
type Ports struct{ DHCP, PXE, TFTP, HTTP uint16 }

// Everywhere are the listeners for booting machines where no file names them: on an
// IPv4 address, or on all of this host's for the unspecified one, where TFTP and
// HTTP serve IPv6 too. share is Listener.Share of DHCP.
func Everywhere(v4 netip.Addr, p Ports, share bool) []Listener {
	at := func(k Kind, a netip.Addr, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(a, cmp.Or(port, k.defaultAddress().Port()))
	}
	both := v4
	if v4.IsUnspecified() {
		both = netip.IPv6Unspecified()
	}
	return []Listener{
		{Kind: DHCP, Address: at(DHCP, v4, p.DHCP), Share: share},
		{Kind: PXE, Address: at(PXE, v4, p.PXE)},
		{Kind: TFTP, Address: at(TFTP, both, p.TFTP)},
		{Kind: HTTP, Address: at(HTTP, both, p.HTTP)},
	}
}

// LocalStatus is the listener that tells this host of the server. With port 0 it
// has the usual one.
func LocalStatus(port uint16) Listener {
	at := Status.defaultAddress()
	return Listener{Kind: Status, Address: netip.AddrPortFrom(at.Addr(), cmp.Or(port, at.Port()))}
}
