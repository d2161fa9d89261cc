package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
)

func planCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Say what would change if the running daemon served a file",
		Long: `Say what would change if the running daemon served FILE: listeners, loaders,
rules, and what becomes of each machine that it has seen. Without FILE it is the
one that the daemon serves, as it is on disk now. Nothing is changed.

The exit status is 0 when nothing would change, 1 when something would, and 3
when no daemon answers or the file cannot be served.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			running, err := control.NewClient(socket).Picture(cmd.Context())
			if err != nil {
				return failed(err)
			}
			if len(args) == 0 {
				if len(running.Files) == 0 {
					return exitError{exitUsage, errors.New("the daemon serves no file: name one")}
				}
				args = running.Files[:1]
			}
			c, err := candidate(cmd, args[0])
			if err != nil {
				return err
			}
			changes := control.Compare(running, control.Draw(c, running.Asked))
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), changes)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				p.changes(changes, len(running.Asked))
				err = p.err
			}
			if err == nil && len(changes) > 0 {
				return exitError{status: exitNo}
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeFile
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// changes shows what changes for how many machines.
func (p *printer) changes(changes []control.Change, machines int) {
	if len(changes) == 0 {
		p.printf("Nothing changes, for none of the %d machines seen.\n", machines)
		return
	}
	n := 0
	for _, c := range changes {
		if c.What == "machine" {
			n++
		}
		switch {
		case c.Old == "":
			p.printf("%s %s %s: new: %s\n", p.paint(green, "+"), c.What, c.Name, c.New)
		case c.New == "":
			p.printf("%s %s %s: gone; now it %s\n", p.paint(red, "-"), c.What, c.Name, c.Old)
		default:
			p.printf("~ %s %s: %s (now: %s)\n", c.What, c.Name, c.New, c.Old)
		}
	}
	p.printf("The boot of %d of %d machines seen changes.\n", n, machines)
}
