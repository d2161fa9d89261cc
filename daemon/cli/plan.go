package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
)

func planCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Say what would change if the running daemon served a file",
		Long: `Say what would change if the running daemon served FILE: the blocks uploads, cache
and fetch, listeners, loaders, rules, and what becomes of each machine that it has
seen or that stands in the inventory, old or new. What a machine would get is
compared, not how the file is written: a template or a local value may change it.
Without FILE it is the one that the daemon serves, as it is on disk now, and if the
daemon holds an edit of it, this says why. Nothing is changed.

The servers of files that pixiecore.lock.hcl has are asked whether they still have
the same: a file that has changed there is refused, and so shown.

The exit status is 0 when nothing would change, 1 when something would or an edit
is held, and 3 when no daemon answers or the file cannot be served.`,
		Example: "  pixiecore plan\n  pixiecore plan new.hcl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := control.NewClient(socket)
			var held *status.HeldEdit
			if len(args) == 0 {
				now, err := client.Status(cmd.Context())
				if err != nil {
					return failed(err)
				}
				if len(now.Files) == 0 {
					return exitError{exitUsage, errors.New("the daemon serves no file: name one")}
				}
				args, held = now.Files[:1], now.HeldEdit
			}
			compiled, err := compileFile(cmd, args[0])
			if err != nil {
				return err
			}
			c := compiled.Explainable()
			others, all := control.Compared(nil, c.Config)
			running, err := client.Picture(cmd.Context(), others)
			if err != nil {
				return failed(err)
			}
			next := control.Draw(c, running.Asked)
			next.All = all
			changes := control.Compare(running, next)
			tally := control.Tally(running, next, changes)
			refused, unknown, err := upstreamChanges(cmd.Context(), c.Config, compiled.Sources)
			if err != nil {
				return failed(err)
			}
			for _, why := range unknown {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: whether it has changed is not known: %s\n", why)
			}
			changes = append(changes, refused...)
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), changes)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				if held != nil {
					p.printf("%s %s\n", p.paint(red, "edit held:"), held.Why)
				}
				p.changes(changes, tally)
				err = p.err
			}
			if err == nil && (len(changes) > 0 || held != nil) {
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

// changes shows what changes, and for how many machines.
func (p *printer) changes(changes []control.Change, n control.Count) {
	if len(changes) == 0 {
		p.printf("Nothing changes: ")
	}
	for _, c := range changes {
		name := c.Name
		if c.Machine != "" {
			name = fmt.Sprintf("%s (%s)", c.Machine, c.Name)
		}
		switch {
		case c.Old == "":
			p.printf("%s %s %s: new: %s\n", p.paint(green, "+"), c.What, name, c.New)
		case c.New == "":
			p.printf("%s %s %s: gone; now it %s\n", p.paint(red, "-"), c.What, name, c.Old)
		default:
			p.printf("~ %s %s: %s (now: %s)\n", c.What, name, c.New, c.Old)
		}
	}
	p.printf("%s.\n", n)
}
