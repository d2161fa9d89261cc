package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
)

func captureCommand() *cobra.Command {
	var (
		socket, path string
		follow       bool
	)
	cmd := &cobra.Command{
		Use:   "capture MAC",
		Short: "Write the packets that the running daemon had from a machine, and sent it",
		Long: `Write the packets that the running daemon had from a machine, and sent it, as a
pcapng file for tcpdump, Wireshark or ` + "`pixiecore replay`" + `: DHCP on port 67, 4011 and
547, and what the machine asked for by TFTP. Nothing need be switched on before:
the daemon remembers the last packets of each machine, 256 KiB of one and 16 MiB
in all. With --follow, those that come are written, too, until it is interrupted.

The packets are those of the daemon's sockets, under headers that are made up.

The exit status is 1 when the daemon has no packet of the machine, and 3 when no
daemon answers.`,
		Example: "  pixiecore capture 52:54:00:aa:00:01 -o db1.pcapng\n  pixiecore capture 52:54:00:aa:00:01 --follow -o - | tcpdump -nr -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			mac, err := parseMAC(args[0])
			if err != nil {
				return exitError{exitUsage, err}
			}
			out := &lateFile{path: path}
			if path == "-" {
				if _, color := terminal(cmd.OutOrStdout()); color {
					return exitError{exitUsage, errors.New("a capture is no text for a terminal: name a file by -o, or pipe it")}
				}
				out.w = cmd.OutOrStdout()
			}
			err = control.NewClient(socket).Capture(cmd.Context(), mac, follow, out)
			if closed := out.close(); err == nil {
				err = closed
			}
			var none control.Refusal
			if errors.As(err, &none) {
				return exitError{exitNo, err}
			}
			if err == nil && path != "-" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s written\n", path, status.Bytes(out.size))
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeMachine(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().StringVarP(&path, "output", "o", "", "the `file` that is written, or - for standard output")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with the packets that come")
	cmd.MarkFlagRequired("output") // its only error is a flag that there is not
	return cmd
}

// A lateFile is made when the first byte comes, so that a refusal leaves none.
type lateFile struct {
	path string
	w    io.Writer
	file *os.File
	size int64
}

func (f *lateFile) Write(p []byte) (int, error) {
	if f.w == nil {
		// The packets tell what a network has: they are for the operator alone.
		file, err := os.OpenFile(f.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		f.file, f.w = file, file
	}
	n, err := f.w.Write(p)
	f.size += int64(n)
	return n, err
}

func (f *lateFile) close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
