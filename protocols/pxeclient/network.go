package pxeclient

import (
	"fmt"
	"net/netip"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Join puts the machine on the network of this host's interface of that name, under
// the interface's own address. Boot reads copies of the answers, and takes none from
// this host's own DHCP client; it needs CAP_NET_RAW, and Linux.
func (c *Client) Join(name string) error {
	iface, ok := netio.NewInterfaces().ByName(name)
	if !ok {
		return fmt.Errorf("interface %s: there is none of that name; `ip link` lists them", name)
	}
	address, ok := iface.AddrFor(netip.Addr{})
	if !ok {
		return fmt.Errorf("interface %s: it has no IPv4 address for the simulated machine to use; give it one", name)
	}
	c.Address, c.Server, c.Ports = address, netip.Addr{}, StandardPorts()
	c.Open = func() (netio.Conn, error) {
		conn, err := netio.Snoop(c.Ports.Client)
		if err != nil {
			err = fmt.Errorf("answers of DHCP cannot be read: %w; run this as root, on Linux", err)
		}
		return conn, err
	}
	return nil
}
