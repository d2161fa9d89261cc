package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config"
)

func fmtCommand() *cobra.Command {
	var write, showDiff bool
	cmd := &cobra.Command{
		Use:   "fmt [FILE...]",
		Short: "Lay configuration files out as everybody does",
		Long: `Lay configuration files out as everybody does: two blanks of indentation, and
the equals signs of neighbouring lines below each other. What a file means stays.

Like gofmt it prints the result, or with -w writes it back and prints the names
of the files that it changed, or with -d prints the differences. Without FILE, and
for -, it reads standard input, so an editor can use it as a filter.

The exit status is 1 for a file with a syntax error, which stays as it is, and,
with -d and without -w, when any file would change: that is the check for CI.`,
		Example: "  pixiecore fmt -w /etc/pixiecore.hcl\n  pixiecore fmt -d *.hcl",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && args[0] == "-" {
				if write {
					return exitError{exitUsage, errors.New("-w writes files back: name them")}
				}
				src, err := io.ReadAll(cmd.InOrStdin())
				if err != nil {
					return failed(err)
				}
				return formatted(cmd, stdin, src, write, showDiff)
			}
			var errs []error
			for _, path := range args {
				src, err := os.ReadFile(path)
				if err != nil {
					return failed(err)
				}
				errs = append(errs, formatted(cmd, path, src, write, showDiff))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the files back")
	cmd.Flags().BoolVarP(&showDiff, "diff", "d", false, "print the differences")
	return cmd
}

// formatted does one file.
func formatted(cmd *cobra.Command, name string, src []byte, write, showDiff bool) error {
	out, report := config.Format(name, src)
	if err := report.Err(); err != nil {
		writeReport(cmd, report)
		return exitError{exitNo, fmt.Errorf("not formatted: %w", err)}
	}
	changes := !bytes.Equal(src, out)
	if showDiff && changes {
		if _, err := cmd.OutOrStdout().Write(diff.Diff(name, src, "formatted", out)); err != nil {
			return failed(err)
		}
	}
	switch {
	case write && changes:
		// In place, so that owner, mode and links stay. The mode counts only
		// for a file that has vanished meanwhile.
		if err := os.WriteFile(name, out, 0o644); err != nil {
			return failed(err)
		}
		if !showDiff {
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
	case write:
	case showDiff && changes:
		return exitError{status: exitNo}
	case !showDiff:
		_, err := cmd.OutOrStdout().Write(out)
		return failed(err)
	}
	return nil
}
