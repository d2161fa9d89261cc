package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon"
)

func replayCommand() *cobra.Command {
	var (
		path        string
		ask, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "replay CAPTURE",
		Short: "Say what a configuration file would have answered to a capture",
		Long: `Say what a configuration file would have answered to each request for a boot in a
capture: of ` + "`pixiecore capture`" + `, or of tcpdump on port 67 and 4011, as pcapng or
pcap; - is standard input. Each request of DHCPv4 has a row with the stage, the
rule, and what is offered; SERVER and TOKEN stand for what is of one host and of
one boot. Where the capture has the answers that were given, what is now another is
marked. Requests of machines that do not boot are counted, and leases are left out.

Nothing is sent. Boots begin and end by the times in the capture. The rules are asked
as in DHCP: what only iPXE tells is not known. An API that has the last word is
asked with --ask only.

The exit status is 1 when an answer would be another than in the capture.`,
		Example: "  pixiecore replay db1.pcapng --config new.hcl\n  pixiecore capture 52:54:00:aa:00:01 -o - | pixiecore replay -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var in io.Reader = cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return failed(err)
				}
				defer file.Close()
				in = file
			}
			cfg, report := load(cmd, path)
			if err := report.Err(); err != nil {
				writeReport(cmd, report)
				return exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
			}
			r, err := daemon.ReplayCapture(cmd.Context(), cfg, in, ask)
			if err != nil {
				return failed(fmt.Errorf("%s: %w", args[0], err))
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), r)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				p.replay(r)
				err = p.err
				if r.Cut != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s.\n", args[0], r.Cut)
				}
			}
			for _, x := range r.Requests {
				if err == nil && x.Differs {
					return exitError{status: exitNo}
				}
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return []string{"pcapng", "pcap"}, cobra.ShellCompDirectiveFilterFileExt
	}
	cmd.Flags().StringVar(&path, "config", defaultConfig, "the configuration `file` that is asked")
	cmd.Flags().BoolVar(&ask, "ask", false, "ask the API where one has the last word; else nobody is asked")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RegisterFlagCompletionFunc("config", completeFile) // its only error is a flag that there is not
	return cmd
}

// replay shows what a configuration answers to a capture.
func (p *printer) replay(r *daemon.Replay) {
	var rows [][]string
	differ := 0
	for _, x := range r.Requests {
		answer, mark := x.Offer, ""
		for _, more := range []string{x.Answer, x.Why} {
			if more != "" {
				answer += ": " + more
			}
		}
		if x.Differs {
			differ++
			mark = "~"
			was := "nothing"
			if len(x.Was) > 0 {
				was = strings.Join(x.Was, "; ")
			}
			answer += " (was: " + was + ")"
		}
		rows = append(rows, []string{mark, x.Time.Format("15:04:05.000"), x.MAC, strconv.Itoa(int(x.Port)), x.Firmware + " " + x.Stage, or(x.Rule), answer})
	}
	p.table([]string{"", "TIME", "MAC", "PORT", "STAGE", "RULE", "ANSWER"}, rows)
	told := "none has an answer to compare with"
	if r.Answered {
		told = fmt.Sprintf("%d would be answered in another way", differ)
	}
	p.printf("Requests for a boot: %d, of which %s. Other requests: %d.\n", len(r.Requests), told, r.Others)
}
