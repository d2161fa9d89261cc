package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/config"
)

func testCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test [FILE]",
		Short: "Run the test blocks of a configuration file",
		Long: `Run the test blocks of a configuration file, each for the machine that it
describes, and say where one gets something else than it expects. It opens no
port and asks no API. FILE may be - for standard input; paths in it then count
from the working directory.

check and serve run them too: a file with a test that fails is not served.

The exit status is 0 when all pass, 1 when one fails, and 3 when they cannot be
run because the file has other errors.`,
		Example: "  pixiecore test\n  pixiecore test new.hcl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := defaultConfig
			if len(args) == 1 {
				path = args[0]
			}
			_, report := load(cmd, path)
			t := tested{File: path, Tests: report.Tests()}
			if path == "-" {
				t.File = stdin
			}
			if err := report.Err(); err != nil && len(t.Tests) == 0 {
				writeReport(cmd, report)
				return exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
			}
			for _, one := range t.Tests {
				if !one.Passed {
					t.Failed++
				}
			}
			var err error
			if asJSON {
				if t.Tests == nil {
					t.Tests = []config.TestResult{}
				}
				err = writeJSON(cmd.OutOrStdout(), t)
			} else {
				p := newPrinter(cmd.OutOrStdout())
				p.tested(t)
				err = p.err
				if len(t.Tests) == 0 {
					fmt.Fprintln(cmd.ErrOrStderr(), "Write one: test \"NAME\" { machine = { mac = \"…\" }, expect = { rule = \"…\" } }, with each of the two on a line of its own.")
				}
			}
			if err == nil && t.Failed > 0 {
				return exitError{exitNo, errors.New("correct the tests that fail, or what they test: until then the file is not served")}
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeFile
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A tested is the result of test.
type tested struct {
	File   string              `json:"file"`
	Failed int                 `json:"failed"`
	Tests  []config.TestResult `json:"tests"`
}

// tested shows each test, with what it expects and gets where the two differ.
func (p *printer) tested(t tested) {
	for _, one := range t.Tests {
		if one.Passed {
			p.printf("%s    %s  %s\n", p.paint(green, "ok"), one.Name, one.At)
			continue
		}
		p.printf("%s  %s  %s\n", p.paint(red, "FAIL"), one.Name, one.At)
		for _, m := range one.Failures {
			if m.What != "" {
				p.printf("        %s\n          expected  %q\n", m.What, m.Expected)
			}
			if m.Problem != "" {
				p.printf("          %s\n", m.Problem)
			} else {
				p.printf("          got       %q\n", m.Got)
			}
		}
	}
	p.printf("%s: %s, %d failed\n", t.File, several(len(t.Tests), "test"), t.Failed)
}
