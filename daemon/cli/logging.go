package cli

import (
	"fmt"
	"log"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/classic"
)

// logging are the flags by which a command without a file logs.
type logging struct {
	debug, timestamp bool
	format           string
}

// add adds them, but for that of the time, which not every command has.
func (l *logging) add(f *pflag.FlagSet) {
	f.BoolVarP(&l.debug, "debug", "d", false, "log what is not answered, too")
	f.StringVar(&l.format, "log-format", string(config.LogAuto), "the `form` of the log's lines: auto, console, json, or classic, which is the original's on standard output")
}

// log is what they say to the configuration.
func (l *logging) log() (config.Log, error) {
	c := config.Log{Level: config.LogInfo, Format: config.LogFormat(l.format)}
	if l.debug {
		c.Level = config.LogDebug
	}
	if l.format != classicFormat && !slices.Contains([]config.LogFormat{config.LogAuto, config.LogConsole, config.LogJSON}, c.Format) {
		return c, fmt.Errorf("--log-format: %q is not one of auto, console, json, classic", l.format)
	}
	return c, nil
}

// classicFormat is the log format that no file can ask for.
const classicFormat = "classic"

// classic writes the original's lines: to standard output, or with times to
// standard error. It is nil for another format.
func (l *logging) classic(cmd *cobra.Command) *zap.Logger {
	if l.format != classicFormat {
		return nil
	}
	to := log.New(cmd.OutOrStdout(), "", 0)
	if l.timestamp {
		to = log.New(cmd.ErrOrStderr(), "", log.LstdFlags)
	}
	line := func(subsystem, msg string) { to.Printf("[%s] %s", subsystem, msg) }
	if l.debug {
		return classic.New(line, line)
	}
	return classic.New(line, nil)
}

// run serves a configuration that is no file until the command is interrupted. what
// machines get ends a sentence.
func (l *logging) run(cmd *cobra.Command, cfg *config.Config, what string) error {
	return run(cmd, daemon.Options{
		Load: func() (*config.Config, *config.Report) { return cfg, &config.Report{} },
		Log:  l.classic(cmd),
	}, func() { announce(cmd, cfg, what) })
}

// announce says what is served and what to do next.
func announce(cmd *cobra.Command, cfg *config.Config, what string) {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "Every machine that boots from the network gets %s.\n", what)
	for _, l := range cfg.Listeners {
		transport := "udp"
		if l.Kind == config.HTTP || l.Kind == config.Status {
			transport = "tcp"
		}
		fmt.Fprintf(w, "  %-6s  %s/%s\n", l.Kind, l.Address, transport)
	}
	fmt.Fprintln(w, "Next: switch on a machine in this network with network boot first in its boot order.")
	fmt.Fprintf(w, "To say which machine boots what, write %s (`pixiecore serve` shows an example). Ctrl-C stops.\n", defaultConfig)
}
