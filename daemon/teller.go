package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
)

// A Teller is the original's server for IPv6: it leases addresses and tells machines
// a URL, and serves no files and no rules.
type Teller struct {
	Address string // one of the interface to listen on; empty: all of them
	Port    string // empty: 547
	DUID    []byte // the server's identifier; empty: its own
	Boots   dhcp6.BootConfiguration
	Packets *dhcp6.PacketBuilder // the lifetimes of addresses; nil: those of Pool, or the usual ones
	Pool    dhcp6.AddressPool    // nil: none are leased
}

// Configuration is the one that Options.Load returns.
func (t Teller) Configuration() (*config.Config, error) {
	if t.Boots == nil {
		return nil, errors.New("no boot configuration: nobody says what machines boot")
	}
	port, err := strconv.ParseUint(cmp.Or(t.Port, strconv.Itoa(dhcp6.Port)), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", t.Port)
	}
	l := config.Listener{Kind: config.DHCP6, Address: netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))}
	if t.Address != "" {
		name, err := interfaceOf(t.Address)
		if err != nil {
			return nil, err
		}
		l.Interfaces = []string{name}
	}
	l.DHCP6 = config.ServerV6{DUID: t.DUID, URL: func(id []byte, arch uint16) (string, error) {
		url, err := t.Boots.GetBootURL(id, arch)
		return string(url), err
	}}
	if p := t.Boots.GetPreference(); len(p) > 0 {
		l.DHCP6.Preference = &p[0]
	}
	for _, ip := range t.Boots.GetRecursiveDNS() {
		addr, ok := netip.AddrFromSlice(ip.To16())
		if !ok || addr.Is4In6() {
			return nil, fmt.Errorf("%v, of the recursive DNS servers, is not an IPv6 address", ip)
		}
		l.DHCP6.DNS = append(l.DHCP6.DNS, addr)
	}
	if b := t.Packets; b != nil {
		l.DHCP6.Pool.Lifetime = time.Duration(b.ValidLifetime) * time.Second
		l.DHCP6.Preferred = time.Duration(b.PreferredLifetime) * time.Second
	}
	switch p := t.Pool.(type) {
	case nil:
	case *dhcp6.RandomAddressPool:
		pool := p.Pool
		pool.Lifetime = cmp.Or(l.DHCP6.Pool.Lifetime, pool.Lifetime)
		if err := pool.Check(); err != nil {
			return nil, fmt.Errorf("the pool of addresses: %w", err)
		}
		l.DHCP6.Pool = config.Pool{Start: pool.Start, Size: pool.Size, Lifetime: pool.Lifetime}
	default:
		l.DHCP6.Reserve = func(client []byte, iaid [4]byte) (netip.Addr, error) { return reserve(p, client, iaid) }
		l.DHCP6.Release = func(client []byte, iaid [4]byte) { p.ReleaseAddresses(client, [][]byte{iaid[:]}) }
	}
	return &config.Config{
		Listeners: []config.Listener{l}, Inventory: &booters.Inventory{},
		Log: config.Log{Level: config.LogDebug, Format: config.LogAuto},
	}, nil
}

// interfaceOf is the name of the interface that has an IPv6 address.
func interfaceOf(address string) (string, error) {
	want, err := netip.ParseAddr(address)
	if err != nil || !want.Is6() || want.Is4In6() {
		return "", fmt.Errorf("%q is not an IPv6 address", address)
	}
	all, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == want.WithZone("") {
				return i.Name, nil
			}
		}
	}
	return "", fmt.Errorf("IP %s not found on any local interface", want)
}

// reserve asks a program's own pool for one address.
func reserve(p dhcp6.AddressPool, client []byte, iaid [4]byte) (netip.Addr, error) {
	all, err := p.ReserveAddresses(client, [][]byte{iaid[:]})
	if err != nil {
		return netip.Addr{}, err
	}
	if len(all) != 1 || all[0] == nil {
		return netip.Addr{}, errors.New("the pool has no address for this interface")
	}
	addr, ok := netip.AddrFromSlice(all[0].IPAddress.To16())
	if !ok || addr.Is4In6() {
		return netip.Addr{}, fmt.Errorf("the pool gives out %v, which is not an IPv6 address", all[0].IPAddress)
	}
	return addr, nil
}
