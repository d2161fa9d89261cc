package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
)

func armCommand() *cobra.Command {
	var (
		socket string
		labels []string
		a      control.Arming
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "arm [NAME]...",
		Short: "Let machines boot once what they only boot when they are armed",
		Long: `Arm machines for rules with a once block: the next boot of each gets what its rule
boots, one time, whatever the machine has done before. NAME is the name of a machine
block, a MAC address or a UUID. Printed is what each is armed for, and the ipmitool command
that makes it boot from the network (of a machine with the label bmc, with that
address; the password is that of IPMI_PASSWORD).

--all-of means every machine that has all of these labels; with --limit as many as
that, in the order of the file, of those that are neither armed nor installing, so
that the same command again goes on with the next. A machine that no rule boots once
cannot be armed.

--begin says that what the daemon keeps of machines is complete, though it may hold
none: start = "armed" in a rule has an effect from then on, until it is lost.

` + "`pixiecore status`" + ` lists machines that are armed or have been.`,
		Example: "  pixiecore arm db1\n  pixiecore arm --all-of role=db --limit 5",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if a.AllOf, err = parseLabels(labels); err != nil {
				return exitError{exitUsage, err}
			}
			if a.Machines = args; len(args) == 0 && len(labels) == 0 && !a.Begin {
				return exitError{exitUsage, errors.New("name the machines, or their labels by --all-of")}
			}
			if a.Limit != 0 && len(labels) == 0 || a.Limit < 0 {
				return exitError{exitUsage, errors.New("--limit is how many of --all-of are armed, from 1")}
			}
			done, err := control.NewClient(socket).Arm(cmd.Context(), a)
			if err != nil {
				return answered(err)
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), done))
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, m := range done.Machines {
				p.printf("%s is armed for boot.%s (rule %q)\n", m.Machine, m.Boots[0], m.Rules[0])
				p.printf("  %s\n", ipmitool(m))
			}
			switch {
			case len(done.Machines) == 0 && a.Begin:
				p.printf("what is kept of machines counts as complete\n")
			case len(done.Machines) == 0:
				p.printf("all of these machines are armed or installing\n")
			}
			if done.Left > 0 {
				p.printf("%d more could be armed\n", done.Left)
			}
			return failed(p.err)
		},
	}
	cmd.ValidArgsFunction = completeNames(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().StringArrayVar(&labels, "all-of", nil, "arm the machines with this `label=value`; several must all be theirs")
	cmd.Flags().IntVar(&a.Limit, "limit", 0, "arm `N` machines of --all-of at most")
	cmd.Flags().BoolVar(&a.Begin, "begin", false, "say that nothing of what is kept of machines is missing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the machines that are armed now")
	return cmd
}

// ipmitool is the command that lets a machine boot from the network and starts it.
func ipmitool(m control.ArmedMachine) string {
	bmc, options := m.BMC, ""
	if bmc == "" {
		bmc = "BMC-OF-" + m.Machine
	}
	if m.UEFI {
		options = " options=efiboot"
	}
	to := "ipmitool -I lanplus -H " + shellWord(bmc) + " -U ADMIN -E chassis "
	return to + "bootdev pxe" + options + " && " + to + "power cycle"
}

// shellWord is a word for a shell.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func disarmCommand() *cobra.Command {
	var (
		socket string
		labels []string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "disarm [NAME]...",
		Short: "Take back what arm did, also from machines that have begun",
		Long: `Disarm machines: from their next request on they get what spent says in the once
block of their rule, and nothing of what they were armed for, files included. What a
machine has already fetched it keeps; a transfer that has begun ends.

That is also how a machine is let go that waits for the operator, to boot its disk.`,
		Example: "  pixiecore disarm db1\n  pixiecore disarm --all-of role=db",
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := parseLabels(labels)
			if err != nil {
				return exitError{exitUsage, err}
			}
			if len(args) == 0 && len(labels) == 0 {
				return exitError{exitUsage, errors.New("name the machines, or their labels by --all-of")}
			}
			done, err := control.NewClient(socket).Disarm(cmd.Context(), control.Arming{Machines: args, AllOf: all})
			if err != nil {
				return answered(err)
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), done))
			}
			p := newPrinter(cmd.OutOrStdout())
			for _, m := range done.Machines {
				p.printf("%s is disarmed\n", m.Machine)
			}
			return failed(p.err)
		},
	}
	cmd.ValidArgsFunction = completeNames(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().StringArrayVar(&labels, "all-of", nil, "disarm the machines with this `label=value`; several must all be theirs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the machines that are disarmed now")
	return cmd
}

// parseLabels reads label=value.
func parseLabels(all []string) (map[string]string, error) {
	labels := make(map[string]string)
	for _, s := range all {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is no label; write it like role=db", s)
		}
		if had, twice := labels[name]; twice && had != value {
			return nil, fmt.Errorf("no machine has the label %s twice: %q and %q", name, had, value)
		}
		labels[name] = value
	}
	return labels, nil
}

// completeNames offers the names of machine blocks: of the file that the daemon serves,
// else of the usual one.
func completeNames(socket *string) completer {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, e := range served(cmd, *socket).Inventory.Entries() {
			if strings.HasPrefix(e.Name, begun) && len(names) < maxWords {
				names = append(names, e.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
