package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
)

const (
	defaultConfig = "/etc/pixiecore.hcl"
	defaultState  = "/var/lib/pixiecore"
	defaultCache  = "/var/cache/pixiecore"
)

func serveCommand() *cobra.Command {
	var path, state, socket string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve what the configuration file says",
		Long: `Serve what the configuration file says, until it is interrupted. An interrupt or
SIGTERM ends it; transfers that have begun have ten seconds to finish.

The file is watched: a saved edit is served at once, and a file with an error in
it changes nothing but the log. SIGHUP and ` + "`pixiecore reload`" + ` read it again at once.

A start with a file that has errors serves the configuration that was served
last, if the state directory has one, and says so. Without one, and where the
file is missing, it ends with status 3 at a terminal; under systemd it stays up,
serves nothing, and starts when there is a file that can be served.

Ports below 1024 need root or CAP_NET_BIND_SERVICE, and a listener with share =
true needs CAP_NET_RAW.`,
		Example: "  pixiecore serve\n  pixiecore serve --config lab.hcl --state-dir '' --control ./control.sock",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			abs, err := filepath.Abs(path) // the working directory may change or go
			if err != nil {
				return failed(err)
			}
			err = run(cmd, daemon.Options{Path: abs, StateDir: state, CacheDir: serviceDir("CACHE_DIRECTORY", defaultCache), FixedStateDir: cmd.Flags().Changed("state-dir"), Control: socket}, nil)
			var bad *daemon.ConfigError
			if errors.As(err, &bad) && bad.Missing {
				fmt.Fprintf(cmd.ErrOrStderr(), "There is no %s yet. Write one; this is a start, of which every line can be changed:\n\n", path)
				fmt.Fprint(cmd.ErrOrStderr(), config.Example())
				fmt.Fprintf(cmd.ErrOrStderr(), "\nThen run `pixiecore check %s`, and this again.\nTo try pixiecore without a file, run `pixiecore boot`.\n", path)
				return exitError{exitFailed, fmt.Errorf("configuration %s: no such file", path)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", defaultConfig, "the configuration `file`")
	cmd.Flags().StringVar(&state, "state-dir", stateDir(), "the `directory` for what outlives the process, also where the file has a state block; empty: nothing does")
	controlFlag(cmd, &socket, "the `path` of the socket for reload, status and the like; empty: none")
	return cmd
}

// stateDir is the directory for what outlives the process.
func stateDir() string { return serviceDir("STATE_DIRECTORY", defaultState) }

// serviceDir is the directory that systemd made for the service, else the usual one.
func serviceDir(env, usual string) string {
	if dir := os.Getenv(env); dir != "" {
		return filepath.SplitList(dir)[0] // systemd.exec(5): several are separated by colons
	}
	return usual
}

// run makes a daemon and runs it until the command is interrupted. bound is
// called when every port is open; it may be nil.
func run(cmd *cobra.Command, o daemon.Options, bound func()) error {
	o.Version = buildVersion()
	d, err := daemon.New(o)
	var bad *daemon.ConfigError
	if errors.As(err, &bad) && !bad.Missing {
		writeReport(cmd, bad.Report)
		return exitError{exitFailed, fmt.Errorf("configuration refused, nothing is served: %w", err)}
	}
	if err != nil {
		return failed(err)
	}
	if bound != nil {
		bound()
	}
	return failed(d.Run(cmd.Context()))
}

// writeReport shows a report to people.
func writeReport(cmd *cobra.Command, r *config.Report) {
	width, color := terminal(cmd.ErrOrStderr())
	r.WriteText(cmd.ErrOrStderr(), width, color)
}
