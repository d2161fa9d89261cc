package cli

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// welcome is what `pixiecore boot` serves without a kernel.
//
//go:embed welcome.ipxe
var welcome string

func bootCommand() *cobra.Command {
	var (
		cmdline, message string
		e                *everybody
	)
	cmd := &cobra.Command{
		Use:   "boot [KERNEL [INITRD...]]",
		Short: "Boot every machine on the network, without a configuration file",
		Long: `Boot every machine that asks on any interface, without a configuration file.

KERNEL and INITRD are paths or http(s) URLs. Without them every machine is shown
a screen with its MAC address, architecture and firmware and the rule that would
name it in a configuration file, and goes on to its local disk after ten seconds.

The ports of DHCP and TFTP need root or CAP_NET_BIND_SERVICE. It ends with an
interrupt, and keeps nothing.`,
		Example: "  pixiecore boot\n  pixiecore boot /srv/live/vmlinuz /srv/live/initrd --cmdline 'root=live:http://mirror.lan/live.squashfs ip=dhcp'",
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, what, err := bootSpec(args, cmdline, message)
			if err != nil {
				return exitError{exitUsage, err}
			}
			return e.run(cmd, booters.Action{Do: boot.Boot, Boot: what, Spec: spec}, what)
		},
	}
	cmd.Flags().StringVar(&cmdline, "cmdline", "", "the kernel's command `line`")
	cmd.Flags().StringVar(&message, "bootmsg", "", "a `message` for the machine's screen")
	e = everybodyFlags(cmd)
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
