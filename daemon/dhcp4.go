package daemon

import (
	"net/netip"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// addresses are what a DHCP server leases; nil: it leases none. It is called under
// reloading.
func (d *Daemon) addresses(v config.ServerV4, inventory *booters.Inventory) *dhcp4.Addresses {
	if !v.Server {
		return nil
	}
	if d.dhcp4 == nil {
		d.dhcp4 = d.leases("dhcp leases")
	}
	without := leases.Set{}
	for _, told := range [][]netip.Addr{v.Routers, v.DNS} {
		for _, a := range told {
			without[a] = struct{}{}
		}
	}
	reserved := map[[6]byte]dhcp4.Reservation{}
	for _, e := range inventory.Entries() {
		if !e.IP.IsValid() {
			continue
		}
		without[e.IP] = struct{}{}
		for _, mac := range e.MACs {
			reserved[[6]byte(mac)] = dhcp4.Reservation{Name: e.Name, Addr: e.IP}
		}
	}
	life := dhcp4.DefaultLifetime
	if v.Pool.Size > 0 {
		life = v.Pool.Lifetime
	}
	return &dhcp4.Addresses{
		Leases:   d.dhcp4,
		Pool:     leases.Pool{Start: v.Pool.Start, Size: v.Pool.Size, Lifetime: v.Pool.Lifetime, Without: &without},
		Reserved: func(mac [6]byte) (dhcp4.Reservation, bool) { r, ok := reserved[mac]; return r, ok },
		Lifetime: life, Mask: v.Mask, Routers: v.Routers, DNS: v.DNS, Domain: v.Domain, InUse: netio.InUse,
	}
}
