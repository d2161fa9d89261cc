package cli

import (
	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
)

func holdCommand() *cobra.Command {
	var (
		socket, reason string
		asJSON         bool
	)
	cmd := &cobra.Command{
		Use:   "hold [RULE]",
		Short: "Make the running daemon answer nobody, or not the machines of one rule",
		Long: `Make the running daemon answer nobody, or not the machines of one rule, until
` + "`pixiecore resume`" + `. A machine whose boot is on the way is refused at its next
request; a transfer that has begun ends.

A hold outlives reloads, and restarts unless the daemon has no state directory.`,
		Example: "  pixiecore hold\n  pixiecore hold databases --reason 'the new kernel panics; ask Ada'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			holds, err := control.NewClient(socket).Hold(cmd.Context(), first(args), reason)
			return told(cmd, holds, err, asJSON)
		},
	}
	cmd.ValidArgsFunction = completeRule(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: what is on hold now")
	cmd.Flags().StringVar(&reason, "reason", "", "a `sentence` for status, and for the machines' screens")
	return cmd
}

func resumeCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "resume [RULE]",
		Short: "End what hold began: of one rule, or all of it",
		Long: `Make the running daemon answer again: the machines of one rule, or, without RULE,
everybody, whatever was on hold. Machines that gave up in the meantime ask again
at their next start. What is still on hold is printed.`,
		Example: "  pixiecore resume\n  pixiecore resume databases",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			holds, err := control.NewClient(socket).Resume(cmd.Context(), first(args))
			return told(cmd, holds, err, asJSON)
		},
	}
	cmd.ValidArgsFunction = completeRule(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: what is on hold now")
	return cmd
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// told says what is on hold now.
func told(cmd *cobra.Command, holds []status.Hold, err error, asJSON bool) error {
	if err != nil {
		return answered(err)
	}
	if asJSON {
		return failed(writeJSON(cmd.OutOrStdout(), holds))
	}
	p := newPrinter(cmd.OutOrStdout())
	for _, h := range holds {
		p.printf("%s\n", h.Why())
	}
	if len(holds) == 0 {
		p.printf("nothing is on hold\n")
	}
	return failed(p.err)
}
