// Package pixiecore boots machines over the network from within a program: the
// library of the original pixiecore, under its names, over the daemon of this
// module.
//
//	your Booter ─▶ Server ─▶ a configuration in memory ─▶ the daemon's assembly
//	                          │                             dhcp, pxe, tftp, http
//	 Log, Debug ◀─────────────┴── its log, line by line
//
// A program that used the original changes its import path; docs/migrating.md says
// how, and what works better since. Programs that have no Booter of their own are
// better served by `pixiecore serve` and its file.
//
// # Decisions
//
// The names are aliases of the packages that hold them, so that a Booter for one is
// a Booter for the other. A Server is not an alias: it is what the original's
// fields say, as a configuration.
//
// Machines get the IDs that the Booter gives out, as they are, since a program may
// write them into a script of its own: ReadBootFile is asked about whatever a
// client names, as it was by the original.
//
// The process is the program's. A Server reads no file but loaders, keeps nothing
// on the disk, and leaves signals and the service manager alone.
package pixiecore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/classic"
)

// Architecture describes a kind of CPU architecture.
type Architecture = boot.Architecture

// Architecture types that Pixiecore knows how to boot, as machines report them. The
// package booters/boot has more of them.
const (
	// ArchIA32 is a 32-bit x86 machine. It may also support X64 execution, but
	// Pixiecore has no way of knowing.
	ArchIA32 = boot.ArchIA32
	// ArchX64 is a 64-bit x86 machine (aka amd64 aka X64).
	ArchX64 = boot.ArchX64
)

// Firmware describes a kind of firmware attempting to boot.
type Firmware = boot.Firmware

// The firmware that the original knew. The package booters/boot has more of them.
const (
	FirmwareX86PC         = boot.FirmwareX86PC         // "Classic" x86 BIOS with PXE/UNDI support
	FirmwareEFI32         = boot.FirmwareEFI32         // 32-bit x86 processor running EFI
	FirmwareEFI64         = boot.FirmwareEFI64         // 64-bit x86 processor running EFI
	FirmwareEFIBC         = boot.FirmwareEFIBC         // 64-bit x86 processor running EFI
	FirmwareX86Ipxe       = boot.FirmwareX86Ipxe       // "Classic" x86 BIOS running iPXE (no UNDI support)
	FirmwarePixiecoreIpxe = boot.FirmwarePixiecoreIpxe // Pixiecore's iPXE, which has replaced the underlying firmware
)

// A Machine describes a machine that is attempting to boot.
type Machine = boot.Machine

// An ID is an identifier used by Booters to reference files.
type ID = boot.ID

// A Spec describes a kernel and associated configuration.
type Spec = boot.Spec

// A Booter provides boot instructions and files for machines. Its methods are called
// by several goroutines at once.
type Booter = boot.Booter

// StaticBooter boots all machines with the same Spec.
//
// IDs in spec should be either local file paths, or HTTP/HTTPS URLs.
func StaticBooter(spec *Spec) (Booter, error) { return booters.Static(spec) }

// APIBooter gets a BootSpec from a remote server over HTTP, by the v1 boot API, which
// docs/configuration.md describes. timeout is of one request; 0 stands for five
// seconds.
func APIBooter(url string, timeout time.Duration) (Booter, error) {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return nil, err
	}
	return booters.NewAPI(seal, booters.NewSources(), booters.APIOptions{URL: url, Limit: timeout})
}

// A Server boots machines using a Booter. Its fields must not change once Serve is
// called, nor may it be copied.
type Server struct {
	Booter Booter

	// Address to listen on, an IPv4 address, or empty for all interfaces.
	Address string
	// HTTP port for boot services. 0: 80.
	HTTPPort int
	// HTTP port for the status, as a JSON document, which is told to programs of
	// this host only. Can be the same as HTTPPort. 0: it is not told.
	HTTPStatusPort int

	// Ipxe lists the supported bootable Firmwares, and their associated ipxe
	// binary. If it is empty, the binaries are looked for where `pixiecore check`
	// says.
	Ipxe map[Firmware][]byte

	// Log receives logs on Pixiecore's operation. If nil, logging is suppressed.
	// It is called by several goroutines at once.
	Log func(subsystem, msg string)
	// Debug receives extensive logging on Pixiecore's internals. Very useful for
	// debugging, but very verbose.
	Debug func(subsystem, msg string)

	// These ports can technically be set for testing, but the protocols burned in
	// firmware on the client side hardcode these, so if you change them in
	// production, nothing will work. 0 stands for the usual one.
	DHCPPort int
	TFTPPort int
	PXEPort  int

	// Listen for DHCP traffic without binding to the DHCP port. This enables
	// coexistence of Pixiecore with another DHCP server.
	//
	// Currently only supported on Linux.
	DHCPNoBind bool

	// UIAssetsDir has files of the status page, in place of those of the same names
	// that are built in (daemon/page/assets). They are read for each request. Needs
	// HTTPStatusPort.
	UIAssetsDir string

	life life
}

// Serve listens for machines attempting to boot, and uses Booter to help them. It
// returns nil after Shutdown, when transfers have ended or ten seconds have passed,
// and otherwise the error that ended it. A Server serves once.
func (s *Server) Serve() error {
	cfg, err := s.configuration()
	if err != nil {
		return err
	}
	if s.UIAssetsDir != "" && s.HTTPStatusPort == 0 && s.Log != nil {
		s.Log("Init", "UIAssetsDir has no effect without HTTPStatusPort, at which the status page is")
	}
	return s.life.serve(cfg, s.Log, s.Debug)
}

// Shutdown causes Serve() to exit, cleaning up behind itself, and does not wait for
// that. If Serve has not been called yet, it exits at once when it is.
func (s *Server) Shutdown() { s.life.end() }

// configuration is what the fields say.
func (s *Server) configuration() (*config.Config, error) {
	if s.Booter == nil {
		return nil, errors.New("pixiecore: Server.Booter is nil: nobody says what machines boot")
	}
	v4 := netip.IPv4Unspecified()
	if s.Address != "" {
		var err error
		if v4, err = netip.ParseAddr(s.Address); err != nil || !v4.Unmap().Is4() {
			return nil, fmt.Errorf("pixiecore: Server.Address %q is not an IPv4 address", s.Address)
		}
		v4 = v4.Unmap()
	}
	for name, port := range map[string]int{
		"DHCPPort": s.DHCPPort, "PXEPort": s.PXEPort, "TFTPPort": s.TFTPPort, "HTTPPort": s.HTTPPort, "HTTPStatusPort": s.HTTPStatusPort,
	} {
		if port < 0 || port > maxPort {
			return nil, fmt.Errorf("pixiecore: Server.%s: %d is no port, which has 1 to %d, or 0 for the usual one", name, port, maxPort)
		}
	}
	cfg := &config.Config{
		Listeners: config.Everywhere(v4, config.Ports{
			DHCP: uint16(s.DHCPPort), PXE: uint16(s.PXEPort), TFTP: uint16(s.TFTPPort), HTTP: uint16(s.HTTPPort),
		}, s.DHCPNoBind),
		Booter: s.Booter,
		Log:    config.Log{Level: config.LogDebug, Format: config.LogAuto},
	}
	if len(s.Ipxe) > 0 {
		cfg.LoaderData = s.Ipxe
	}
	web := &cfg.Listeners[len(cfg.Listeners)-1] // HTTP is the last one
	switch uint16(s.HTTPStatusPort) {
	case 0:
	case web.Address.Port():
		web.LocalToo = true
	default:
		cfg.Listeners = append(cfg.Listeners, config.LocalStatus(uint16(s.HTTPStatusPort)))
	}
	cfg.Listeners[len(cfg.Listeners)-1].Assets = s.UIAssetsDir // which has the page
	return cfg, nil
}

const maxPort = 1<<16 - 1

// A life is from Serve to Shutdown, whichever is called first. Its zero value is one
// that has not begun.
type life struct {
	mu   sync.Mutex
	stop context.CancelFunc // nil: not served yet
	over bool
}

// serve serves a configuration until end is called.
func (l *life) serve(cfg *config.Config, log, debug classic.Sink) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	l.mu.Lock()
	over, twice := l.over, l.stop != nil
	if !twice {
		l.stop = stop
	}
	l.mu.Unlock()
	switch {
	case over:
		return nil
	case twice:
		return errors.New("pixiecore: Serve is called for a second time: make another Server")
	}
	d, err := daemon.New(daemon.Options{
		Load:     func() (*config.Config, *config.Report) { return cfg, &config.Report{} },
		Log:      classic.New(log, debug),
		Embedded: true,
	})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// end makes serve return.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.stop != nil {
		l.stop()
	}
}
