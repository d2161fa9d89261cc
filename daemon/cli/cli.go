// Package cli is the command line of pixiecore, one file for each command.
//
// # Decisions
//
// Results go to standard output, talk goes to standard error. A hint has a line
// of its own. The exit status says how it went:
//
//	0  fine
//	1  the answer is no: the configuration is refused, the machine is unknown
//	2  the command line is wrong
//	3  the command could not be run: no such file, a port is taken, no daemon answers
//
// A flag that is not given takes the value of its variable, PIXIECORE_LISTEN_ADDR
// for --listen-addr, as the original meant it to. An empty variable is none.
//
// Colour only on a terminal, and not where NO_COLOR is set. Tables are aligned
// everywhere and cut at the terminal's width only there, so that grep and awk
// see whole lines.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pixiecore/pixiecore/config"
)

// Exit statuses.
const (
	exitNo     = 1
	exitUsage  = 2
	exitFailed = 3
)

// An exitError ends the program with a status. A nil err has been told already.
type exitError struct {
	status int
	err    error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// failed marks an error of a command that could not be run.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return exitError{exitFailed, err}
}

// Main runs the command that args name and returns the exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if now, mode, err := v1(args); mode != "" {
		if err != nil {
			fmt.Fprintln(stderr, "pixiecore:", err)
			return exitUsage
		}
		log.New(stderr, "", log.LstdFlags).Print("Starting Pixiecore in " + mode)
		args = now
	}
	root := Command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var exit exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			fmt.Fprintln(stderr, "pixiecore:", exit.err)
		}
		return exit.status
	}
	// Everything else comes from the parsing of the command line.
	fmt.Fprintln(stderr, "pixiecore:", err)
	fmt.Fprintf(stderr, "Run `%s --help` for what it takes.\n", cmd.CommandPath())
	return exitUsage
}

// Command is the command line as a whole, for who runs it or writes about it.
func Command() *cobra.Command {
	root := &cobra.Command{
		Use:               "pixiecore",
		Short:             "Boot machines from the network",
		Long:              "Pixiecore boots machines from the network: ProxyDHCP beside your DHCP server, PXE, TFTP and HTTP.\nWhat each machine boots stands in one file, " + defaultConfig + ".",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           buildVersion(),
		Args:              knownCommand,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if err.Error() == "unknown flag: --config" && strings.Contains(cmd.Use, "[FILE]") {
			return fmt.Errorf("the file stands here without a flag: `%s FILE`", cmd.CommandPath())
		}
		return err
	})
	root.AddCommand(
		serveCommand(), reloadCommand(), statusCommand(), eventsCommand(), seenCommand(), explainCommand(), planCommand(), holdCommand(), resumeCommand(), armCommand(), disarmCommand(), nextCommand(),
		checkCommand(), testCommand(), lockCommand(), fmtCommand(), doctorCommand(), fetchCommand(), simulateCommand(), captureCommand(), replayCommand(), snippetCommand(), schemaCommand(), bootCommand(), apiCommand(), bootIPv6Command(), ipv6APICommand(), quickCommand(), importCommand(), debugCommand(), versionCommand(),
	)
	return root
}

// knownCommand refuses a first word that is no command, with the one that may be meant.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := map[string]string{"start": "serve", "run": "serve", "validate": "check", "lint": "check", "logs": "events", "list": "seen"} // as elsewhere
	var all []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			all = append(all, c.Name())
		}
	}
	meant := cmp.Or(names[args[0]], config.Suggest(args[0], all))
	if meant != "" {
		return fmt.Errorf("unknown command %q for %q; did you mean `pixiecore %s`?", args[0], root.Name(), meant)
	}
	return fmt.Errorf("unknown command %q for %q", args[0], root.Name())
}

// noArgs refuses arguments, the file of a command that has a flag for it among them.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.Flags().Lookup("config") != nil:
		return fmt.Errorf("%s takes no argument: write --config %s", cmd.Name(), args[0])
	}
	return fmt.Errorf("%s takes no argument, and this is one: %q", cmd.Name(), args[0])
}

// several is a number with its noun.
func several(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// terminal reports whether w is one, and its width in columns.
func terminal(w io.Writer) (width int, color bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return width, os.Getenv("NO_COLOR") == ""
}
