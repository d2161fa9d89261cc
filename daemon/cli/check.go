package cli

import (
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration file can be served",
		Long: `Say whether a configuration file can be served, with every error and warning
and the loaders that were found. It opens no port and changes nothing.

The exit status is 0 when the file can be served and 1 when it cannot.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := defaultConfig
			if len(args) == 1 {
				path = args[0]
			}
			return check(cmd, path)
		},
	}
}

func check(cmd *cobra.Command, path string) error {
	cfg, report := config.Load(path)
	writeReport(cmd, report)
	if err := report.Err(); err != nil {
		return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
	}
	// Nothing that is sealed here is ever served, so any key will do.
	secret := make([]byte, 32)
	rand.Read(secret)
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return failed(err)
	}
	c, err := daemon.Compile(cfg, seal, booters.NewSources())
	if err != nil {
		return exitError{exitNo, fmt.Errorf("configuration refused: %w", err)}
	}
	out := cmd.OutOrStdout()
	for _, l := range c.Loaders.All() {
		fmt.Fprintf(out, "loader %-12s %s", l.Firmware, l.Path)
		if l.Version != "" {
			fmt.Fprintf(out, " (iPXE %s)", l.Version)
		}
		fmt.Fprintln(out)
		if l.Warning != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: loader for %s: %s: %s\n", l.Firmware, l.Path, l.Warning)
		}
	}
	for _, m := range c.MissingNeeded() {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", m)
	}
	fmt.Fprintf(out, "%s: fine: %d listeners, %d rules\n", path, len(cfg.Listeners), len(cfg.Rules))
	return nil
}
