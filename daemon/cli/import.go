package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config/importers"
)

func importCommand() *cobra.Command {
	var asked []string
	for _, k := range importers.Kinds() {
		asked = append(asked, string(k))
	}
	cmd := &cobra.Command{
		Use:   "import [KIND] FILE",
		Short: "Write a configuration for who comes from elsewhere",
		Long: `Write the configuration that does what another one did, to standard output. FILE
may be - for standard input. KIND is one of these, and seen from the file where it
is left out:

  boot-line  a command line of the original pixiecore, alone, in a script or in a unit
  nixos      services.pixiecore of a NixOS configuration
  dnsmasq    dnsmasq.conf
  matchbox   the data directory of matchbox, with groups and profiles

What could not be carried over stands at the top, as comments, and is counted on
standard error: read it before the file is served.`,
		Example: "  pixiecore import /etc/systemd/system/pixiecore.service >/etc/pixiecore.hcl\n  pixiecore import matchbox /var/lib/matchbox",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var kind importers.Kind
			if len(args) == 2 {
				if kind = importers.Kind(args[0]); !slices.Contains(importers.Kinds(), kind) {
					return exitError{exitUsage, fmt.Errorf("%q is none of the kinds %q", args[0], asked)}
				}
			}
			r, err := imported(cmd, args[len(args)-1], kind)
			switch {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
				return failed(err)
			case err != nil:
				return exitError{exitNo, err}
			}
			if _, err := cmd.OutOrStdout().Write(r.HCL); err != nil {
				return failed(err)
			}
			if len(r.Left) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d things could not be carried over: they are the comments at the top.\n", len(r.Left))
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return asked, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

// imported reads path, or standard input for "-".
func imported(cmd *cobra.Command, path string, kind importers.Kind) (*importers.Result, error) {
	if path == "-" {
		const most = 2 << 20 // more than importers takes
		src, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most))
		if err != nil {
			return nil, failed(err)
		}
		return importers.Text(stdin, src, kind)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir, name := filepath.Split(abs)
	if name == "" {
		name = "."
	}
	return importers.Import(os.DirFS(dir), name, kind)
}
