package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
)

// defaultNext is how long what is chosen waits for the machine's boot.
const defaultNext = 24 * time.Hour

func nextCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
		n      = control.Next{For: defaultNext}
	)
	cmd := &cobra.Command{
		Use:   "next MACHINE BOOT | MACHINE --cancel",
		Short: "Choose what a machine boots next, one time; then its rule decides again",
		Long: `Choose what a machine boots the next time, in place of what its rule says: a boot
block of the configuration, such as a rescue system or a memory test. MACHINE is the
name of a machine block, a MAC address or a UUID. Printed is the ipmitool command that
makes it boot from the network, as by arm.

It is for the first boot that the machine begins from now on. As with an arm, it is
used up on disk before the machine gets the first byte of its script, and the same
again within that boot. A machine that does not come is not waited for longer than
--for says.

It changes neither what the machine is armed for nor what it has booted once, and is
preferred to a rule that boots the disk or waits for the operator. A machine that is
ignored, or on hold, stays that. A boot with installs = true cannot be chosen: arm is
for those. Where a reload has removed the boot, the rule decides, and the machine's
events say so.

` + "`pixiecore status`" + ` lists what is chosen.`,
		Example: "  pixiecore next db1 rescue\n  pixiecore next 52:54:00:aa:00:01 memtest --for 2h\n  pixiecore next db1 --cancel",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case n.Cancel && len(args) == 2:
				return exitError{exitUsage, errors.New("--cancel takes back whatever is chosen: name the machine alone")}
			case !n.Cancel && len(args) == 1:
				return exitError{exitUsage, errors.New("name the boot, too; or --cancel")}
			case n.For < control.MinNext || n.For > control.MaxNext:
				return exitError{exitUsage, fmt.Errorf("--for is from 1m to %.0fh", control.MaxNext.Hours())}
			}
			if n.Machine = args[0]; len(args) == 2 {
				n.Boot = args[1]
			}
			done, err := control.NewClient(socket).Next(cmd.Context(), n)
			if err != nil {
				return answered(err)
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), done))
			}
			p := newPrinter(cmd.OutOrStdout())
			switch {
			case done.Begun:
				p.printf("%s has begun to boot boot.%s, and goes on with it; then its rule decides\n", done.Machine, done.Boot)
			case n.Cancel:
				p.printf("%s boots by its rule again, and not boot.%s\n", done.Machine, done.Boot)
			default:
				p.printf("%s boots boot.%s in its next boot, if that begins before %s\n", done.Machine, done.Boot, done.Until.Local().Format("2006-01-02 15:04"))
				p.printf("  %s\n", ipmitool(done.ArmedMachine))
			}
			return failed(p.err)
		},
	}
	names := completeNames(&socket)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return names(cmd, args, begun)
		case len(args) == 1 && !n.Cancel:
			return completeBoots(cmd, socket, begun), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	clientFlag(cmd, &socket)
	cmd.Flags().DurationVar(&n.For, "for", n.For, "forget it when the machine has not begun a boot for this `long`")
	cmd.Flags().BoolVar(&n.Cancel, "cancel", false, "take back what was chosen")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the machine, and what it boots next")
	return cmd
}

// completeBoots offers the boots that can be chosen: of the file that the daemon serves,
// else of the usual one.
func completeBoots(cmd *cobra.Command, socket, begun string) (names []string) {
	for _, b := range served(cmd, socket).Boots {
		if !b.Installs && strings.HasPrefix(b.Action.Boot, begun) && len(names) < maxWords {
			names = append(names, b.Action.Boot)
		}
	}
	return names
}

// served is the file that the daemon serves, or the usual one, as it is now; empty where
// it has errors.
func served(cmd *cobra.Command, socket string) *config.Config {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	path := defaultConfig
	if r, err := control.NewClient(socket).Status(ctx); err == nil && len(r.Files) > 0 {
		path = r.Files[0]
	}
	if cfg, _ := config.Load(path); cfg != nil {
		return cfg
	}
	return &config.Config{}
}
