//go:build !linux

package netio

import (
	"net"
	"net/netip"
)

// readPrefixes returns the addresses of all interfaces by index.
func readPrefixes(links []net.Interface) (map[int][]netip.Prefix, error) {
	prefixes := make(map[int][]netip.Prefix)
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, _ := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			if p := netip.PrefixFrom(ip.Unmap(), bits); p.IsValid() {
				prefixes[l.Index] = append(prefixes[l.Index], p)
			}
		}
	}
	return prefixes, nil
}
