package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/once"
	"github.com/pixiecore/pixiecore/protocols/pxeclient"
)

// A Simulation is a Daemon apart from this host: its DHCP goes over a network in
// memory, its files over ports of loopback that happen to be free, and it keeps
// nothing: a machine is armed there by Arm and by nobody else. So one that runs is not touched, nor are its ports, its cache or what it
// knows of machines.
//
// What is of the host and not of the file is left out: addresses that are advertised
// or leased, interfaces, relays, certificates. Everything is asked by the loopback
// interface, which is what rules on interface, subnet and relay see.
type Simulation struct {
	daemon  *Daemon
	wire    *netio.Wire
	address netip.Addr
	ports   pxeclient.Ports
	said    *observer.ObservedLogs
}

// Simulate makes a Simulation of a configuration, for clients of IPv6 or of IPv4.
// Nothing is served yet.
func Simulate(cfg *config.Config, six bool) (*Simulation, error) {
	s := &Simulation{address: netip.AddrFrom4([4]byte{127, 0, 0, 1}), ports: pxeclient.StandardPorts()}
	if six {
		s.address = netip.IPv6Loopback()
		s.ports.Client, s.ports.Server = dhcp6.ClientPort, dhcp6.Port
	}
	s.wire = &netio.Wire{}
	for _, i := range netio.NewInterfaces().All() {
		if i.Has(s.address) {
			s.wire.Interface = i.Index
		}
	}
	if s.wire.Interface == 0 {
		return nil, fmt.Errorf("no interface of this host has the address %v, by which a simulated machine loads its files: `ip link set lo up`", s.address)
	}
	core, said := observer.New(zapcore.DebugLevel)
	s.said = said
	apart := s.apart(cfg)
	var err error
	s.daemon, err = New(Options{
		Load:     func() (*config.Config, *config.Report) { return apart, &config.Report{} },
		Embedded: true, FixedStateDir: true, Log: zap.New(core), wire: s.wire,
	})
	if err != nil {
		return nil, err
	}
	s.daemon.once.Store(once.New(forgetful{}, time.Now()))
	for _, l := range s.daemon.listeners {
		if l.kind == config.TFTP {
			s.ports.TFTP = l.port
		}
	}
	said.TakeAll() // about the configuration, which `pixiecore check` tells
	return s, nil
}

// apart is cfg with what is of the host left out.
func (s *Simulation) apart(cfg *config.Config) *config.Config {
	c := *cfg
	c.Listeners, c.Cache, c.URLKey, c.StateDir = nil, nil, "", ""
	for _, l := range cfg.Listeners {
		own := config.Listener{Kind: l.Kind, SinglePort: l.SinglePort, Pos: l.Pos}
		any4 := netip.IPv4Unspecified()
		switch l.Kind {
		case config.DHCP:
			own.Address = netip.AddrPortFrom(any4, s.ports.Server)
		case config.PXE:
			own.Address = netip.AddrPortFrom(any4, s.ports.BootServer)
		case config.DHCP6:
			own.Address = netip.AddrPortFrom(netip.IPv6Unspecified(), s.ports.Server)
			own.DHCP6 = l.DHCP6
			own.DHCP6.Pool = config.Pool{}
		case config.TFTP, config.HTTP:
			own.Address = netip.AddrPortFrom(s.address, 0)
		}
		one := func(other config.Listener) bool { return other.Kind == l.Kind } // of several, which differ by their addresses
		if l.Kind == config.Status || slices.ContainsFunc(c.Listeners, one) || (l.Kind == config.DHCP6) != s.address.Is6() && l.Kind.Transport() == "udp" && l.Kind != config.TFTP {
			continue
		}
		c.Listeners = append(c.Listeners, own)
	}
	return &c
}

// Arm arms a machine for what it boots once.
func (s *Simulation) Arm(mac net.HardwareAddr) error {
	who := once.Machine{MAC: mac}
	if e := s.daemon.compiled().Config.Inventory.Lookup(boot.Machine{MAC: mac}); e != nil {
		who.Name = e.Name
	}
	return s.daemon.states().Arm(who, nil, time.Now())
}

// forgetful is the once.Store of a Simulation: new, and gone with it.
type forgetful struct{}

// Load implements once.Store.
func (forgetful) Load() (map[string]once.Record, bool, error) { return nil, true, nil }

// Save implements once.Store.
func (forgetful) Save(map[string]*once.Record) error { return nil }

// Begin implements once.Store.
func (forgetful) Begin() error { return nil }

// Run serves until ctx is done, and then returns nil.
func (s *Simulation) Run(ctx context.Context) error { return s.daemon.Run(ctx) }

// Configuration is what is served.
func (s *Simulation) Configuration() control.Configuration { return operator{s.daemon}.Running() }

// Place puts a client where it reaches the daemon.
func (s *Simulation) Place(c *pxeclient.Client) {
	c.Address, c.Server, c.Ports = s.address, s.address, s.ports
	c.Open = func() (netio.Conn, error) { return s.wire.Listen(netip.AddrPortFrom(s.address, s.ports.Client)) }
}

// Said is why the daemon did not serve something, a sentence each, and forgets it.
func (s *Simulation) Said() (why []string) {
	for _, e := range s.said.TakeAll() {
		fields := e.ContextMap()
		err, ok := fields["error"].(string) // zap.Error's
		if !ok {
			continue
		}
		if reason, _ := fields["reason"].(string); reason != "" {
			err += ": " + reason
		}
		if line := e.Message + ": " + err; !slices.Contains(why, line) {
			why = append(why, line)
		}
	}
	return why
}
