package cli

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func explainCommand() *cobra.Command {
	var (
		socket, mac, live string
		asJSON, ask       bool
		q                 = control.Question{Facts: map[string]string{}}
		facts             = map[string]*string{}
	)
	cmd := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Say what a machine would boot, by which rule, and why not by an earlier one",
		Long: `Say what a machine would boot: the rule that decides, for every rule before it
the first condition that fails, the answers that the machine gets at each stage,
and the script that iPXE is given at the end.

The machine is described by its facts, or with --live is one that the running
daemon has seen. Without FILE the configuration is the one that the daemon
serves. Names of the boot's own (SERVER, TOKEN) are placeholders.

A boot has two stages. The firmware tells its platform and what DHCP carries;
what only iPXE knows (the CPU of a BIOS machine, serial, product, …) is unknown
then. With --early it stays unknown.

Where a boot asks an API, the address is shown, and with --ask the API is asked
as at each of the stages.`,
		Example: "  pixiecore explain --live 52:54:00:aa:00:01\n  pixiecore explain --mac 52:54:00:aa:00:01 --firmware efi64\n  pixiecore explain new.hcl --mac 52:54:00:aa:00:01 --firmware bios --arch x64 --serial 4711",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := control.NewClient(socket)
			switch {
			case len(args) == 1 && mac == "" && live == "" && isMAC(args[0]):
				return exitError{exitUsage, fmt.Errorf("how is %s meant: write --live %[1]s for what the daemon knows of the machine, or --mac %[1]s with its --firmware", args[0])}
			case (mac == "") == (live == ""):
				return exitError{exitUsage, errors.New("name the machine: --mac with facts, or --live for one that the daemon has seen")}
			case live != "":
				hw, err := parseMAC(live)
				if err != nil {
					return exitError{exitUsage, err}
				}
				if q, err = seenMachine(cmd, client, hw, q.Early); err != nil {
					return err
				}
			default:
				hw, err := parseMAC(mac)
				if err != nil {
					return exitError{exitUsage, err}
				}
				q.MAC = hw.String()
				for name, value := range facts {
					if cmd.Flags().Changed(flagOf(name)) {
						q.Facts[name] = *value
					}
				}
				if _, err := q.Machine(); err != nil {
					return exitError{exitUsage, err}
				}
			}
			x, err := explain(cmd, client, args, q, ask)
			if err != nil {
				return err
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), x))
			}
			p := newPrinter(cmd.OutOrStdout())
			p.explanation(x)
			return failed(p.err)
		},
	}
	cmd.ValidArgsFunction = completeFile
	clientFlag(cmd, &socket)
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&ask, "ask", false, "ask the API where one has the last word; else nobody is asked")
	f.StringVar(&live, "live", "", "the `MAC` of a machine that the running daemon has seen")
	f.StringVar(&mac, "mac", "", "the machine's `MAC` address")
	f.StringVar(&q.Arch, "arch", "", "its `architecture`; without it the first that its firmware can have")
	f.StringVar(&q.Firmware, "firmware", "bios", "its `firmware`")
	f.BoolVar(&q.Early, "early", false, "only as far as the firmware's own request")
	for name := range strings.SplitSeq((boot.DHCPFacts | boot.IPXEFacts).String(), ", ") {
		facts[name] = f.String(flagOf(name), "", "the fact "+name)
	}
	completePlatform(cmd)
	cmd.RegisterFlagCompletionFunc("mac", completeInventory(&socket))
	cmd.RegisterFlagCompletionFunc("live", completeMachine(&socket)) // its only error is a flag that there is not
	return cmd
}

func isMAC(s string) bool {
	_, err := parseMAC(s)
	return err == nil
}

// flagOf is the flag for a fact.
func flagOf(fact string) string { return strings.ReplaceAll(fact, "_", "-") }

// seenMachine asks the daemon for what it knows of a machine.
func seenMachine(cmd *cobra.Command, client *control.Client, mac net.HardwareAddr, early bool) (control.Question, error) {
	all, err := client.Seen(cmd.Context())
	if err != nil {
		return control.Question{}, failed(err)
	}
	i := slices.IndexFunc(all, func(s control.Seen) bool { return string(s.Machine.MAC[:]) == string(mac) })
	if i < 0 {
		return control.Question{}, unheard(mac)
	}
	q := all[i].Question
	q.Early = q.Early || early
	return q, nil
}

func machineOf(all []events.Machine, mac net.HardwareAddr) (events.Machine, bool) {
	i := slices.IndexFunc(all, func(m events.Machine) bool { return string(m.MAC[:]) == string(mac) })
	if i < 0 {
		return events.Machine{}, false
	}
	return all[i], true
}

func unheard(mac net.HardwareAddr) error {
	return exitError{exitNo, fmt.Errorf("%s: the daemon has not heard of this machine since it was started, or has forgotten it", mac)}
}

// explain asks the file that args name, or the daemon.
func explain(cmd *cobra.Command, client *control.Client, args []string, q control.Question, ask bool) (control.Explanation, error) {
	if len(args) == 0 {
		x, err := client.Explain(cmd.Context(), q, ask)
		return x, failed(err)
	}
	c, err := candidate(cmd, args[0])
	if err != nil {
		return control.Explanation{}, err
	}
	x, err := control.Explain(cmd.Context(), c, q, ask)
	return x, failed(err)
}

// candidate loads a file that is not served, and says so where it could not be.
func candidate(cmd *cobra.Command, path string) (control.Configuration, error) {
	compiled, err := compileFile(cmd, path)
	if err != nil {
		return control.Configuration{}, err
	}
	return compiled.Explainable(), nil
}

// compileFile makes all of the file at path that a daemon would make, but for its ports.
func compileFile(cmd *cobra.Command, path string) (*daemon.Compiled, error) {
	cfg, report := load(cmd, path)
	if err := report.Err(); err != nil {
		writeReport(cmd, report)
		return nil, exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
	}
	compiled, err := compile(cfg)
	if err != nil {
		return nil, exitError{exitFailed, fmt.Errorf("configuration refused: %w", err)}
	}
	return compiled, nil
}

// stageTitles are the titles of an explanation's parts.
var stageTitles = map[string]string{
	"firmware": "When the firmware asks", "ipxe": "When iPXE has reported",
	"shim": "When GRUB asks, which the shim has loaded", "grub": "When GRUB asks", "native": "What the firmware starts",
}

// explanation shows what becomes of a machine.
func (p *printer) explanation(x control.Explanation) {
	for i, w := range x.Walks {
		if i > 0 {
			p.printf("\n")
		}
		p.printf("%s\n", p.paint(bold, stageTitles[w.Stage]))
		for _, s := range w.Steps {
			mark, why := p.paint(green, "✓"), "matches"
			switch s.Truth {
			case "false":
				mark, why = "✗", s.Failed+" does not fit"
			case "unknown":
				mark, why = "?", s.Failed+" is not known yet"
			}
			p.printf("  %s %s  %s: %s\n", mark, s.Rule, or(s.At), why)
		}
		switch w.Action {
		case boot.Ignore.String():
			why := ""
			switch {
			case w.Held != "":
				why = ": " + w.Held
			case w.Rule == "":
				why = ": no rule matches"
			}
			p.printf("  → ignored%s\n", why)
		case boot.Park.String():
			p.printf("  → waits at a screen\n")
		case boot.Probe.String():
			p.printf("  → iPXE is loaded, and asked\n")
		case boot.Local.String():
			p.printf("  → boots its own disk\n")
		default:
			by := ""
			if w.Loader != "" {
				by = ", by loader " + w.Loader
			}
			p.printf("  → boots %s%s\n", w.Boot, by)
		}
		if w.Next != "" {
			p.printf("  next: %s\n", w.Next)
		}
		if w.Once != "" {
			p.printf("  once: %s\n", w.Once)
		}
		switch {
		case w.Asked:
			p.printf("  by the answer of %s\n", w.Asks)
		case w.Asks != "":
			p.printf("  if its API says so, which was not asked (--ask): %s\n", w.Asks)
		}
		if w.Error != "" {
			p.printf("  %s\n", p.paint(red, w.Error))
		}
		for _, o := range w.Offers {
			p.printf("  %-9s is offered: %s %s\n", o.Stage, o.Offer, o.File)
			if o.Loader != "" {
				p.printf("            which is %s\n", o.Loader)
			}
			if o.Then != "" {
				p.printf("            and then GRUB, which is %s\n", o.Then)
			}
			if o.Error != "" {
				p.printf("            %s\n", p.paint(red, o.Error))
			}
		}
		for _, part := range [...][2]string{{"kernel", w.Kernel}, {"initrd", strings.Join(w.Initrd, " ")}, {"cmdline", w.Cmdline}} {
			if part[1] != "" {
				p.printf("  %-8s %s\n", part[0], part[1])
			}
		}
		for _, at := range slices.Sorted(maps.Keys(w.SHA256)) {
			by := ""
			if slices.Contains(w.Locked, at) {
				by = ", by pixiecore.lock.hcl"
			}
			p.printf("  %-8s %s must be that of %s%s\n", "sha256", w.SHA256[at], at, by)
		}
		for _, at := range slices.Sorted(maps.Keys(w.Checksums)) {
			p.printf("  %-8s of %s stands in %s\n", "sha256", at, w.Checksums[at])
		}
		for _, f := range w.Files {
			what := f.Source
			switch {
			case f.Error != "":
				what = p.paint(red, f.Error)
			case f.Secret:
				what = "(secret)"
			case f.Source == "":
				what = fmt.Sprintf("%d bytes", f.Bytes)
			}
			p.printf("  %-8s %s, %s: %s\n", "file", f.Name, f.Kind, what)
		}
		if w.Script != "" {
			p.printf("\n%s", w.Script)
		}
	}
}
