package cli

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
)

// completeTimeout is how long a shell waits for words at the Tab key.
const completeTimeout = time.Second

// completer is what cobra asks for the words of an argument.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeFile offers configuration files.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"hcl", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeRule offers the rules that the daemon serves, else those of the file
// that it would serve, with what they do.
func completeRule(socket *string) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		if r, err := control.NewClient(*socket).Status(ctx); err == nil {
			for _, rule := range r.Rules {
				words = append(words, rule.Name+"\t"+rule.Action+" "+rule.Boot)
			}
		} else if cfg, _ := config.Load(defaultConfig); cfg != nil {
			for _, rule := range cfg.Rules {
				words = append(words, rule.Name+"\t"+rule.Action.Do.String()+" "+rule.Action.Boot)
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeMachine offers the machines that the daemon has seen.
func completeMachine(socket *string) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		seen, err := control.NewClient(*socket).Seen(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		for _, s := range seen {
			words = append(words, net.HardwareAddr(s.Machine.MAC[:]).String()+"\t"+s.Name)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// maxWords bounds what a shell is offered: nobody reads more.
const maxWords = 1000

// completeInventory offers the addresses of the machines that the file names,
// with their names: of the file among the arguments, else of the one that the
// daemon serves, else of the usual one. Those that the daemon has seen follow.
func completeInventory(socket *string) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		client, path := control.NewClient(*socket), defaultConfig
		if len(args) > 0 {
			path = args[0]
		} else if r, err := client.Status(ctx); err == nil && len(r.Files) > 0 {
			path = r.Files[0]
		}
		var words []string
		offered := make(map[string]bool)
		offer := func(mac net.HardwareAddr, name string) {
			if s := mac.String(); strings.HasPrefix(s, begun) && !offered[s] && len(words) < maxWords {
				offered[s] = true
				words = append(words, s+"\t"+name)
			}
		}
		if cfg, _ := config.Load(path); cfg != nil {
			for _, e := range cfg.Inventory.Entries() {
				for _, mac := range e.MACs {
					offer(mac, e.Name)
				}
			}
		}
		seen, _ := client.Seen(ctx) // none where no daemon answers
		for _, s := range seen {
			offer(s.Machine.MAC[:], s.Name)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePlatform offers the language's words for --arch and --firmware.
func completePlatform(cmd *cobra.Command) {
	var firmwares []string
	for _, f := range boot.Platforms() {
		firmwares = append(firmwares, f.String())
	}
	for flag, words := range map[string][]string{"arch": boot.ArchitectureNames(), "firmware": firmwares} {
		// Its only error is a flag that there is not.
		cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// completeInterface offers this host's interfaces for --interface.
func completeInterface(cmd *cobra.Command) {
	// Its only error is a flag that there is not.
	cmd.RegisterFlagCompletionFunc("interface", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var words []string
		all, _ := net.Interfaces()
		for _, i := range all {
			words = append(words, i.Name)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	})
}
