package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
)

// debugCommand has what the original had under that name. Like there, no list
// shows it.
func debugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "debug",
		Short:  "Help those who look for a fault",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(dumpIPXECommand(), tcpdumpCommand())
	return cmd
}

func dumpIPXECommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dump-ipxe",
		Short: "Write the iPXE binaries into the working directory",
		Long: `Write the iPXE binaries that machines get where nothing else is configured, those
in this program or on this host, into the working directory: builtin-ipxe-0 for a
BIOS, -1, -2 and -3 for UEFI of 32 and 64 bits and of byte code, and so on by the
numbers of the original.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := daemon.Compile(&config.Config{}, nil, booters.NewSources())
			if err != nil {
				return failed(err)
			}
			return dumpIPXE(cmd.OutOrStdout(), c)
		},
	}
}

// dumpIPXE writes the loaders of a configuration into the working directory.
func dumpIPXE(out io.Writer, c *daemon.Compiled) error {
	all := c.Loaders.All()
	if len(all) == 0 {
		return exitError{exitNo, fmt.Errorf("there is none to write: %w", c.Missing[0])}
	}
	for _, l := range all {
		path := fmt.Sprintf("builtin-ipxe-%d", int(l.Firmware))
		if err := os.WriteFile(path, l.Data, 0o644); err != nil {
			return failed(err)
		}
		if _, err := fmt.Fprintln(out, "Wrote", path); err != nil {
			return failed(err)
		}
	}
	return nil
}

// bootPorts is the filter of the original: what a machine that boots says before HTTP.
const bootPorts = "port 67 or port 68 or port 69 or port 4011"

func tcpdumpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "tcpdump INTERFACE PCAP-FILE",
		Short: "Capture what machines that boot say, for a report of a fault",
		Long: `Run tcpdump until it is interrupted, for the ports of DHCP, TFTP and the boot
server (` + bootPorts + `), on INTERFACE and into PCAP-FILE.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			// An interrupt of the terminal reaches it, too; it then writes what it has.
			dump := exec.CommandContext(cmd.Context(), "tcpdump", "-w", args[1], "-e", "-i", args[0], bootPorts)
			dump.Cancel = func() error { return dump.Process.Signal(os.Interrupt) }
			dump.Stdout, dump.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			err := dump.Run()
			switch {
			case errors.Is(err, exec.ErrNotFound):
				return failed(errors.New("tcpdump is not installed: `apt install tcpdump`, or what this system has"))
			case cmd.Context().Err() != nil:
				return nil // as it was told
			}
			return failed(err)
		},
	}
}
