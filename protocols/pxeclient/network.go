package pxeclient

import (
	"fmt"
	"net/netip"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Join puts the machine on the network of this host's interface of that name, under
// the interface's own address. Boot reads copies of the answers, and takes none from
// this host's own DHCP client; it needs CAP_NET_RAW, and Linux. Over IPv6, it needs the
// client's port instead.
func (c *Client) Join(name string) error {
	iface, ok := netio.NewInterfaces().ByName(name)
	if !ok {
		return fmt.Errorf("interface %s: there is none of that name; `ip link` lists them", name)
	}
	var peer netip.Addr
	family := "IPv4"
	if c.Profile.IPv6 {
		peer, family = netip.IPv6Unspecified(), "IPv6"
	}
	address, ok := iface.AddrFor(peer)
	if !ok {
		return fmt.Errorf("interface %s: it has no %s address for the simulated machine to use; give it one", name, family)
	}
	c.Address, c.Server, c.Ports, c.Open = address, netip.Addr{}, StandardPorts(), nil
	if c.Profile.IPv6 {
		c.Ports.Client, c.Ports.Server = 546, 547 // RFC 8415 §7.2
		return nil
	}
	c.Open = func() (netio.Conn, error) {
		conn, err := netio.Snoop(c.Ports.Client)
		if err != nil {
			err = fmt.Errorf("answers of DHCP cannot be read: %w; run this as root, on Linux", err)
		}
		return conn, err
	}
	return nil
}
