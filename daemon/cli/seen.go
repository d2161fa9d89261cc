package cli

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
)

func seenCommand() *cobra.Command {
	var (
		socket                 string
		unknown, asHCL, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "seen",
		Short: "List the machines that have asked, as a start of an inventory",
		Long: `List the machines that have asked the running daemon, the one heard of last
first. Those of the last 30 days are known after a restart, too.

With --hcl they are machine blocks for the configuration file, to begin an
inventory with; with --unknown only those that have none there yet. With --json
each has the facts that rules can ask.`,
		Example: "  pixiecore seen\n  pixiecore seen --unknown --hcl >>/etc/pixiecore.d/machines.hcl",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := control.NewClient(socket).Seen(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if len(all) == 0 {
				nobodyYet(cmd)
			}
			if unknown {
				all = slices.DeleteFunc(all, func(s control.Seen) bool { return s.Name != "" })
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), all))
			}
			p := newPrinter(cmd.OutOrStdout())
			if asHCL {
				for _, s := range all {
					p.printf("%s", machineBlock(s))
				}
			} else if len(all) > 0 {
				p.seen(all, time.Now())
			}
			return failed(p.err)
		},
	}
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&unknown, "unknown", false, "only machines that the configuration has no machine block for")
	cmd.Flags().BoolVar(&asHCL, "hcl", false, "print machine blocks")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("hcl", "json")
	return cmd
}

// nobodyYet says why there is nothing to show, apart from what a program reads.
func nobodyYet(cmd *cobra.Command) {
	fmt.Fprintln(cmd.ErrOrStderr(), "No machine has asked yet. `pixiecore doctor` looks at what on this host could keep one from it.")
}

// seen shows the machines as a table.
func (p *printer) seen(all []control.Seen, now time.Time) {
	var rows [][]string
	for _, s := range all {
		f, last := s.Machine.Facts, "-"
		if at := s.Machine.Latest(); !at.IsZero() {
			last = ago(at, now)
		}
		rows = append(rows, []string{
			net.HardwareAddr(s.Machine.MAC[:]).String(), or(s.Name), or(f.Arch), or(f.Firmware), last,
			or(strings.TrimSpace(f.Manufacturer + " " + f.Product)), or(f.Serial),
		})
	}
	p.table([]string{"MACHINE", "NAME", "ARCH", "FIRMWARE", "AGO", "MODEL", "SERIAL"}, rows)
}

// machineBlock is a machine as the configuration names it. What the machine
// says of itself stands in a comment only, but for a UUID that is one.
func machineBlock(s control.Seen) string {
	mac, f := net.HardwareAddr(s.Machine.MAC[:]).String(), s.Machine.Facts
	name := s.Name
	if name == "" {
		// A label begins with a letter.
		name = "m-" + strings.ReplaceAll(mac, ":", "-")
	}
	about := strings.TrimSpace(strings.Join([]string{f.Manufacturer, f.Product, f.Serial, f.Hostname}, " "))
	if about == "" {
		about = f.Firmware
	}
	uuid, err := boot.ParseUUID(f.UUID)
	if err != nil {
		return fmt.Sprintf("machine %q { # %s\n  mac = [%q]\n}\n", name, about, mac)
	}
	return fmt.Sprintf("machine %q { # %s\n  mac  = [%q]\n  uuid = %q\n}\n", name, about, mac, uuid)
}
