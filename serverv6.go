package pixiecore

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

// StaticBootConfiguration provides values for dhcp options that remain unchanged
// until restart.
type StaticBootConfiguration = booters.StaticBootConfiguration

// MakeStaticBootConfiguration creates a new StaticBootConfiguration with provided
// values.
func MakeStaticBootConfiguration(httpBootURL, ipxeBootURL string, preference uint8, usePreference bool,
	dnsServerAddresses []net.IP) *StaticBootConfiguration {
	return booters.MakeStaticBootConfiguration(httpBootURL, ipxeBootURL, preference, usePreference, dnsServerAddresses)
}

// APIBootConfiguration provides an interface to retrieve Boot File URL from an
// external server based on client ID and architecture type.
type APIBootConfiguration = booters.APIBootConfiguration

// MakeAPIBootConfiguration creates a new APIBootConfiguration initialized with
// provided values.
func MakeAPIBootConfiguration(url string, timeout time.Duration, preference uint8, usePreference bool,
	dnsServerAddresses []net.IP) *APIBootConfiguration {
	return booters.MakeAPIBootConfiguration(url, timeout, preference, usePreference, dnsServerAddresses)
}

// ServerV6 boots machines by DHCPv6: it tells them a URL, and serves no files. Its
// fields must not change once Serve is called, nor may it be copied.
type ServerV6 struct {
	// Address is one of the interface to listen on, or empty for all of them.
	Address string
	// Port is 547 where it is empty.
	Port string
	// Duid is the server's identifier. Empty: one is made at each start.
	Duid []byte

	// BootConfig says what machines boot.
	BootConfig dhcp6.BootConfiguration
	// PacketBuilder has the lifetimes of addresses. Nil: those of AddressPool, or of the
	// original where it is not this module's.
	PacketBuilder *dhcp6.PacketBuilder
	// AddressPool is what is leased. Nil: machines have their addresses from another
	// server.
	AddressPool dhcp6.AddressPool

	// Log and Debug are as those of Server.
	Log   func(subsystem, msg string)
	Debug func(subsystem, msg string)

	life life
}

// NewServerV6 returns a new ServerV6.
func NewServerV6() *ServerV6 { return &ServerV6{Port: strconv.Itoa(dhcp6.Port)} }

// Serve listens for machines attempting to boot, and responds to their DHCPv6
// requests. It returns nil after Shutdown, and otherwise the error that ended it. A
// ServerV6 serves once.
func (s *ServerV6) Serve() error {
	cfg, err := s.configuration()
	if err != nil {
		return err
	}
	return s.life.serve(cfg, s.Log, s.Debug)
}

// Shutdown causes Serve() to exit, cleaning up behind itself, and does not wait for
// that. If Serve has not been called yet, it exits at once when it is.
func (s *ServerV6) Shutdown() { s.life.end() }

// configuration is what the fields say.
func (s *ServerV6) configuration() (*config.Config, error) {
	if s.BootConfig == nil {
		return nil, errors.New("pixiecore: ServerV6.BootConfig is nil: nobody says what machines boot")
	}
	port, err := strconv.ParseUint(cmp.Or(s.Port, strconv.Itoa(dhcp6.Port)), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("pixiecore: ServerV6.Port %q is no port", s.Port)
	}
	l := config.Listener{Kind: config.DHCP6, Address: netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))}
	if s.Address != "" {
		name, err := interfaceOf(s.Address)
		if err != nil {
			return nil, err
		}
		l.Interfaces = []string{name}
	}
	l.DHCP6 = config.ServerV6{DUID: s.Duid, URL: func(id []byte, arch uint16) (string, error) {
		url, err := s.BootConfig.GetBootURL(id, arch)
		return string(url), err
	}}
	if p := s.BootConfig.GetPreference(); len(p) > 0 {
		l.DHCP6.Preference = &p[0]
	}
	for _, ip := range s.BootConfig.GetRecursiveDNS() {
		addr, ok := netip.AddrFromSlice(ip.To16())
		if !ok || addr.Is4In6() {
			return nil, fmt.Errorf("pixiecore: %v, of the recursive DNS servers, is not an IPv6 address", ip)
		}
		l.DHCP6.DNS = append(l.DHCP6.DNS, addr)
	}
	if b := s.PacketBuilder; b != nil {
		l.DHCP6.Pool.Lifetime = time.Duration(b.ValidLifetime) * time.Second
		l.DHCP6.Preferred = time.Duration(b.PreferredLifetime) * time.Second
	}
	switch p := s.AddressPool.(type) {
	case nil:
	case *dhcp6.RandomAddressPool:
		pool := p.Pool
		pool.Lifetime = cmp.Or(l.DHCP6.Pool.Lifetime, pool.Lifetime)
		if err := pool.Check(); err != nil {
			return nil, fmt.Errorf("pixiecore: ServerV6.AddressPool: %w", err)
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
		return "", fmt.Errorf("pixiecore: ServerV6.Address %q is not an IPv6 address", address)
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
