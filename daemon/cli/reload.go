package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
)

// controlFlag is the --control of every command that has to do with a running daemon.
func controlFlag(cmd *cobra.Command, path *string, usage string) {
	cmd.Flags().StringVar(path, "control", control.Path(os.Getenv("RUNTIME_DIRECTORY")), usage)
}

// clientFlag is controlFlag for the commands that speak to one.
func clientFlag(cmd *cobra.Command, path *string) {
	controlFlag(cmd, path, "the `path` of the running daemon's control socket")
}

func reloadCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon read its configuration again, and say how that went",
		Long: `Make the running daemon read its configuration again, wait for its verdict, and
print the report as ` + "`pixiecore check`" + ` does. It is fit for a service manager's
ExecReload=. It also applies an edit that is held (see reload in the
configuration).

The exit status is 0 when the configuration was applied, 1 when it was refused
(the running one stays in every part), and 3 when no daemon answers.`,
		Example: "  pixiecore reload",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			width, color := terminal(cmd.ErrOrStderr())
			v, err := control.NewClient(socket).Reload(cmd.Context(), width, color)
			if err != nil {
				return failed(err)
			}
			if asJSON {
				v.Text = "" // Problems tell it
				if err := writeJSON(cmd.OutOrStdout(), v); err != nil {
					return failed(err)
				}
			}
			fmt.Fprint(cmd.ErrOrStderr(), v.Text)
			if v.HeldEdit != nil && !asJSON {
				fmt.Fprintf(cmd.ErrOrStderr(), "An edit is still held: %s\n", v.HeldEdit.Why)
			}
			if !v.Applied {
				return exitError{exitNo, fmt.Errorf("reload refused, generation %d stays: %w", v.Generation, errors.New(v.Error))}
			}
			if asJSON {
				return nil
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "generation %d is served\n", v.Generation)
			return failed(err)
		},
	}
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// answered marks an error of a Client: the daemon says no, or cannot be asked.
func answered(err error) error {
	var no control.Refusal
	if errors.As(err, &no) {
		return exitError{exitNo, err}
	}
	return failed(err)
}
