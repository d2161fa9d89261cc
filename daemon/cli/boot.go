package cli

import (
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
)

// welcome is what `pixiecore boot` serves without a kernel.
//
//go:embed welcome.ipxe
var welcome string

func bootCommand() *cobra.Command {
	var (
		cmdline, message string
		port             uint16
		share            bool
	)
	cmd := &cobra.Command{
		Use:   "boot [KERNEL [INITRD...]]",
		Short: "Boot every machine on the network, without a configuration file",
		Long: `Boot every machine that asks on any interface, without a configuration file.

KERNEL and INITRD are paths or http(s) URLs. Without them every machine is shown
a screen with its MAC address, architecture and firmware and the rule that would
name it in a configuration file, and goes on to its local disk after ten seconds.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, what, err := bootSpec(args, cmdline, message)
			if err != nil {
				return exitError{exitUsage, err}
			}
			cfg := everybody(spec, what, port, share)
			return run(cmd, daemon.Options{
				Load: func() (*config.Config, *config.Report) { return cfg, &config.Report{} },
			}, func() { announce(cmd, cfg, what) })
		},
	}
	cmd.Flags().StringVar(&cmdline, "cmdline", "", "the kernel's command `line`")
	cmd.Flags().StringVar(&message, "bootmsg", "", "a `message` for the machine's screen")
	cmd.Flags().Uint16VarP(&port, "port", "p", 80, "the `port` of the HTTP server")
	cmd.Flags().BoolVar(&share, "dhcp-no-bind", false, "listen beside a DHCP server on this host")
	return cmd
}

// bootSpec is the one spec that everybody boots, and its name for people.
func bootSpec(args []string, cmdline, message string) (*boot.Spec, string, error) {
	if len(args) == 0 {
		if cmdline != "" {
			return nil, "", fmt.Errorf("--cmdline is for a kernel: name one")
		}
		return &boot.Spec{IpxeScript: welcome}, "the welcome screen", nil
	}
	var ids []boot.ID
	for _, a := range args {
		source, err := sourceOf(a)
		if err != nil {
			return nil, "", err
		}
		ids = append(ids, boot.ID(source))
	}
	return &boot.Spec{Kernel: ids[0], Initrd: ids[1:], Cmdline: cmdline, Message: message}, args[0], nil
}

// sourceOf makes a path of the command line absolute; a URL stays.
func sourceOf(arg string) (string, error) {
	if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
		return arg, nil
	}
	if _, err := os.Stat(arg); err != nil {
		return "", err
	}
	return filepath.Abs(arg)
}

// everybody is the configuration in which all machines boot spec.
func everybody(spec *boot.Spec, what string, port uint16, share bool) *config.Config {
	v4, v6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	return &config.Config{
		Listeners: []config.Listener{
			{Kind: config.DHCP, Address: netip.AddrPortFrom(v4, 67), Share: share},
			{Kind: config.PXE, Address: netip.AddrPortFrom(v4, 4011)},
			{Kind: config.TFTP, Address: netip.AddrPortFrom(v6, 69)},
			{Kind: config.HTTP, Address: netip.AddrPortFrom(v6, port)},
			{Kind: config.Status, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8067)},
		},
		Rules: []booters.Rule{{Name: "everybody", Action: booters.Action{Do: boot.Boot, Boot: what, Spec: spec}}},
		Log:   config.Log{Level: config.LogInfo, Format: config.LogAuto},
	}
}

// announce says what is served and what to do next.
func announce(cmd *cobra.Command, cfg *config.Config, what string) {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "Every machine that boots from the network gets %s.\n", what)
	for _, l := range cfg.Listeners {
		transport := "udp"
		if l.Kind == config.HTTP || l.Kind == config.Status {
			transport = "tcp"
		}
		fmt.Fprintf(w, "  %-6s  %s/%s\n", l.Kind, l.Address, transport)
	}
	fmt.Fprintln(w, "Next: switch on a machine in this network with network boot first in its boot order.")
	fmt.Fprintf(w, "To say which machine boots what, write %s (`pixiecore serve` shows an example). Ctrl-C stops.\n", defaultConfig)
}
