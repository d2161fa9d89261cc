package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
)

// everybody are the flags of the commands that need no file, since all machines
// get the same: those of the original, under its names and with its defaults.
type everybody struct {
	logging
	listen          string
	port, status    int
	dhcp, pxe, tftp uint16
	share           bool
	loaders         map[boot.Firmware]*string
	ui              string
}

// everybodyFlags adds the flags to cmd.
func everybodyFlags(cmd *cobra.Command) *everybody {
	e := &everybody{loaders: make(map[boot.Firmware]*string)}
	f := cmd.Flags()
	e.logging.add(f)
	f.BoolVarP(&e.timestamp, "log-timestamps", "t", false, "log with times; only classic lines have none without the flag")
	f.StringVarP(&e.listen, "listen-addr", "l", "0.0.0.0", "the IPv4 `address` to listen on; DHCP is answered on its interface only")
	f.IntVarP(&e.port, "port", "p", 80, "the `port` of the HTTP server")
	f.IntVar(&e.status, "status-port", 0, "the `port` of the status, which is told to this host only; 0: 8067")
	for flag, to := range map[string]*uint16{"port-dhcp": &e.dhcp, "port-pxe": &e.pxe, "port-tftp": &e.tftp} {
		f.Uint16Var(to, flag, 0, "the port of the protocol, for tests: firmware knows no other than the usual one")
		f.MarkHidden(flag) // its only error is a flag that there is not
	}
	f.BoolVar(&e.share, "dhcp-no-bind", false, "listen beside a DHCP server on this host")
	for _, l := range []struct {
		firmware boot.Firmware
		flag     string
		of       string
	}{
		{boot.FirmwareX86PC, "ipxe-bios", "a BIOS"}, {boot.FirmwareX86Ipxe, "ipxe-ipxe", "a BIOS whose network card has an iPXE that cannot load by HTTP"},
		{boot.FirmwareEFI32, "ipxe-efi32", "an ia32 UEFI"}, {boot.FirmwareEFI64, "ipxe-efi64", "an x64 UEFI"},
	} {
		e.loaders[l.firmware] = f.String(l.flag, "", "the `path` of an iPXE for machines with "+l.of+", in place of the usual one")
	}
	f.StringVar(&e.ui, "ui-assets-dir", "", "a `directory` with files of the status page, in place of those of the same names that are built in")
	f.MarkHidden("ui-assets-dir") // its only error is a flag that there is not
	return e
}

// configuration is the one with these rules. The error is of the command line.
func (e *everybody) configuration(cmd *cobra.Command, rules []booters.Rule) (*config.Config, error) {
	const maxPort = 1<<16 - 1
	switch {
	case e.port <= 0:
		return nil, errors.New("HTTP port must be >0")
	case e.port > maxPort || e.status < 0 || e.status > maxPort:
		return nil, fmt.Errorf("a port is at most %d", maxPort)
	}
	v4, err := netip.ParseAddr(e.listen)
	if err != nil || !v4.Is4() {
		return nil, fmt.Errorf("--listen-addr: %q is not an IPv4 address", e.listen)
	}
	if !v4.IsUnspecified() {
		if err := onHost(v4); err != nil {
			return nil, err
		}
	}
	log, err := e.logging.log()
	if err != nil {
		return nil, err
	}
	listeners := config.Everywhere(v4, config.Ports{DHCP: e.dhcp, PXE: e.pxe, TFTP: e.tftp, HTTP: uint16(e.port)}, e.share)
	if e.status == e.port { // as NixOS has it
		fmt.Fprintln(cmd.ErrOrStderr(), "--status-port is the port of the HTTP server, which tells the status to this host only.")
		listeners[len(listeners)-1].LocalToo = true // HTTP is the last one
	} else {
		listeners = append(listeners, config.LocalStatus(uint16(e.status)))
	}
	listeners[len(listeners)-1].Assets = e.ui // which has the page
	cfg := &config.Config{
		Listeners: listeners,
		Rules:     rules,
		Loaders:   make(config.Loaders),
		Log:       log,
	}
	for firmware, path := range e.loaders {
		if *path == "" {
			continue
		}
		if _, err := os.Stat(*path); err != nil {
			return nil, err
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		cfg.Loaders[firmware] = abs
		if firmware == boot.FirmwareEFI64 {
			cfg.Loaders[boot.FirmwareEFIBC] = abs // the same machines, announced otherwise
		}
	}
	return cfg, nil
}

// onHost reports as an error that no interface has the address.
func onHost(addr netip.Addr) error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
			return nil
		}
	}
	return fmt.Errorf("IP %s not found on any local interface", addr)
}

// run serves the configuration in which all machines get action. what it is ends
// a sentence.
func (e *everybody) run(cmd *cobra.Command, action booters.Action, what string) error {
	return e.serve(cmd, []booters.Rule{{Name: "everybody", Action: action}}, what)
}

// serve is run for rules of any kind.
func (e *everybody) serve(cmd *cobra.Command, rules []booters.Rule, what string) error {
	cfg, err := e.configuration(cmd, rules)
	if err != nil {
		return exitError{exitUsage, err}
	}
	return e.logging.run(cmd, cfg, what)
}
