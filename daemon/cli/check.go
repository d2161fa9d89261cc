package cli

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/status"
)

func checkCommand() *cobra.Command {
	var strict, asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration file can be served",
		Long: `Say whether a configuration file can be served, with every error and warning
and the loaders that were found. It opens no port and changes nothing. FILE may
be - for standard input; paths in it then count from the working directory.

The exit status is 0 when the file can be served and 1 when it cannot. With
--strict a file with a warning cannot, be it only a kernel that is not there.`,
		Example: "  pixiecore check\n  pixiecore check --strict new.hcl && cp new.hcl /etc/pixiecore.hcl\n  generate | pixiecore check -",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := defaultConfig
			if len(args) == 1 {
				path = args[0]
			}
			c := check(cmd, path, strict)
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), c); err != nil {
					return failed(err)
				}
			} else if err := c.write(cmd); err != nil {
				return failed(err)
			}
			if !c.OK {
				return exitError{exitNo, errors.New("configuration refused: " + c.Error)}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = completeFile
	cmd.Flags().BoolVar(&strict, "strict", false, "refuse a file with a warning")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// stdin is how the report calls the file "-".
const stdin = "standard input"

// load reads the file at path, or standard input for "-".
func load(cmd *cobra.Command, path string) (*config.Config, *config.Report) {
	if path == "-" {
		return config.Read(stdin, cmd.InOrStdin())
	}
	return config.Load(path)
}

// compile makes all of cfg that a daemon would make, but for its ports.
func compile(cfg *config.Config) (*daemon.Compiled, error) {
	// Nothing that is sealed here is ever served, so any key will do.
	secret := make([]byte, 32)
	rand.Read(secret)
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return nil, err
	}
	return daemon.Compile(cfg, seal, booters.NewSources())
}

// A checked is the result of check.
type checked struct {
	File      string           `json:"file"`
	OK        bool             `json:"ok"`
	Error     string           `json:"error,omitempty"` // why it is not
	Problems  []config.Problem `json:"problems"`
	Loaders   []status.Loader  `json:"loaders"`
	Missing   []string         `json:"missing_loaders"` // of those that the file needs, a sentence each
	Listeners int              `json:"listeners"`
	Rules     int              `json:"rules"`
	Locked    int              `json:"locked,omitzero"` // files of other servers whose digests the lock file has

	report *config.Report
}

func check(cmd *cobra.Command, path string, strict bool) checked {
	cfg, report := load(cmd, path)
	sources := booters.NewSources()
	defer sources.Close()
	report.CheckDigests(cmd.Context(), sources)
	c := checked{File: path, Problems: report.Problems(), Loaders: []status.Loader{}, Missing: []string{}, report: report}
	if c.Problems == nil {
		c.Problems = []config.Problem{}
	}
	if path == "-" {
		c.File = stdin
	}
	if err := report.Err(); err != nil {
		c.Error = err.Error()
		return c
	}
	c.Listeners, c.Rules = len(cfg.Listeners), len(cfg.Rules)
	if cfg.Lock != nil {
		c.Locked = len(cfg.Lock.Files)
	}
	compiled, err := compile(cfg)
	if err != nil {
		c.Error = err.Error()
		return c
	}
	warnings := len(c.Problems)
	for _, l := range compiled.Loaders.All() {
		c.Loaders = append(c.Loaders, status.Loader{Firmware: l.Firmware.String(), File: l.Path, SHA256: l.SHA256(), Version: l.Version(), Warning: l.Warning})
		if l.Warning != "" {
			warnings++
		}
	}
	for _, m := range compiled.MissingNeeded() {
		c.Missing = append(c.Missing, m.Error())
		warnings++
	}
	if strict && warnings > 0 {
		c.Error = fmt.Sprintf("with --strict it may have no warning, and it has %d", warnings)
		return c
	}
	c.OK = true
	return c
}

// write shows the result to people: what is wrong to standard error, what was
// found to standard output.
func (c checked) write(cmd *cobra.Command) error {
	writeReport(cmd, c.report)
	out := cmd.OutOrStdout()
	for _, l := range c.Loaders {
		fmt.Fprintf(out, "loader %-12s %s", l.Firmware, l.File)
		if l.Version != "" {
			fmt.Fprintf(out, " (iPXE %s)", l.Version)
		}
		fmt.Fprintln(out)
		if l.Warning != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: loader for %s: %s: %s\n", l.Firmware, l.File, l.Warning)
		}
	}
	for _, m := range c.Missing {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", m)
	}
	if !c.OK {
		return nil
	}
	if c.Locked > 0 {
		fmt.Fprintf(out, "locked: %s of other servers, by pixiecore.lock.hcl\n", several(c.Locked, "file"))
	}
	_, err := fmt.Fprintf(out, "%s: fine: %s, %s\n", c.File, several(c.Listeners, "listener"), several(c.Rules, "rule"))
	return err
}
