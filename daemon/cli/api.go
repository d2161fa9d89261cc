package cli

import (
	"errors"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

func apiCommand() *cobra.Command {
	var (
		limit time.Duration
		facts bool
	)
	cmd := &cobra.Command{
		Use:   "api URL",
		Short: "Boot every machine as an HTTP API says, without a configuration file",
		Long: `Ask an HTTP API, the v1 boot API of the original pixiecore, about every machine
that asks on any interface: GET URL/v1/boot/MAC, of which the answer is JSON with
kernel, initrd, cmdline and message, or 404 for a machine to leave alone.

In a configuration file, boot { api = "URL" } does the same for the machines of a
rule; docs/configuration.md says what an API may answer.`,
		Example: "  pixiecore api http://inventory.lan/netboot\n  pixiecore api http://inventory.lan/netboot --send-facts --port 8080",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("you must specify an API URL")
			}
			return nil
		},
	}
	e := everybodyFlags(cmd)
	cmd.Flags().DurationVar(&limit, "api-request-timeout", booters.DefaultAPILimit, "how long the API may take for an answer; DHCP waits 1.5s of that, and takes a later answer for the machine's next request")
	cmd.Flags().BoolVar(&facts, "send-facts", false, "tell the API what is known of the machine, by a query that the original did not send")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := &booters.APIOptions{URL: args[0], Limit: limit, Facts: facts}
		if limit <= 0 {
			return exitError{exitUsage, errors.New("--api-request-timeout: no API answers in no time")}
		}
		if err := o.Check(); err != nil {
			return exitError{exitUsage, err}
		}
		return e.run(cmd, booters.Action{Do: boot.Boot, Boot: "api", API: o}, "what "+redacted(args[0])+" says")
	}
	return cmd
}

// redacted is a URL without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Redacted()
}
