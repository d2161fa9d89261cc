package pixiecore

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
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
	cfg, err := daemon.Teller{Address: s.Address, Port: s.Port, DUID: s.Duid, Boots: s.BootConfig, Packets: s.PacketBuilder, Pool: s.AddressPool}.Configuration()
	if err != nil {
		return nil, fmt.Errorf("pixiecore: ServerV6: %w", err)
	}
	return cfg, nil
}
