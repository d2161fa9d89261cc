package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitStatuses are those of every command: see package cli.
var exitStatuses = []term{
	{"0", "", "Fine."},
	{"1", "", "The answer is no: the configuration is refused, the machine is unknown, something would change."},
	{"2", "", "The command line is wrong."},
	{"3", "", "The command could not be run: there is no such file, a port is taken, no daemon answers."},
}

// files are what the commands touch unless they are told otherwise.
var files = []term{
	{"/etc/pixiecore.hcl", "", "The configuration, pixiecore.hcl(5)."},
	{"/var/lib/pixiecore", "", "The state directory: the key for addresses, the configuration that was served last, what is on hold."},
	{"/var/cache/pixiecore", "", "The cache of remote files, where the configuration has a `cache` block."},
	{"/run/pixiecore/control.sock", "", "The socket at which the running daemon is asked, for root and the daemon's own user."},
	{"/usr/lib/ipxe, /boot, /usr/share/ipxe", "", "Where loaders are looked for that the configuration does not name and the binary does not have."},
}

var environment = []term{
	{"STATE_DIRECTORY", "", "The state directory, as systemd sets it for the service. `--state-dir` and a `state` block win over it."},
	{"CACHE_DIRECTORY", "", "The directory of the cache, as systemd sets it for the service. The `dir` of a `cache` block wins over it."},
	{"NOTIFY_SOCKET", "", "Where `serve` says that it is ready, what it serves and why a reload was refused (sd_notify(3))."},
	{"LISTEN_FDS, LISTEN_FDNAMES", "", "Sockets that systemd passes to `serve` (sd_listen_fds(3)). They win over the `address` of their listener."},
	{"NO_COLOR", "", "If it is set, reports have no colour."},
	{"PIXIECORE_…", "", "The value of a flag that is not given: `PIXIECORE_LISTEN_ADDR` that of `--listen-addr`. An empty one is none."},
}

// tonight is the way from a package to a machine that boots.
const tonight = `pixiecore quick debian stable                 # everybody boots this, without a file
editor /etc/pixiecore.hcl                     # or: what each machine boots
pixiecore check                               # every error, with the way out
pixiecore simulate --firmware efi64           # a machine that is none boots by it
systemctl enable --now pixiecore
pixiecore status --watch                      # what machines do
pixiecore status 52:54:00:aa:00:01            # how far one came, and why not further
pixiecore explain --live 52:54:00:aa:00:01    # what it should get, and by which rule
pixiecore doctor                              # what on this host would keep it from booting
`

// commands are the manual pages of the command line, by file name.
func commands(root *cobra.Command) map[string][]byte {
	// Cobra adds these two when a command is run.
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	all := make(map[string][]byte)

	m := newMan("pixiecore", 8, "boot machines from the network")
	m.section("Synopsis")
	m.para("`pixiecore` COMMAND [OPTION…] [ARGUMENT…]")
	m.section("Description")
	m.long(root.Long)
	m.section("Commands")
	var commands []term
	related := []string{"pixiecore.hcl(5)"}
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		commands = append(commands, term{c.Name(), "", c.Short + "."})
		if c.Name() == "completion" || c.Name() == "help" { // cobra's, which explain themselves
			continue
		}
		all[page8(c)+".8"] = commandPage(c)
		related = append(related, page8(c)+"(8)")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				all[page8(sub)+".8"] = commandPage(sub)
				related = append(related, page8(sub)+"(8)")
			}
		}
	}
	m.terms([3]string{}, commands)
	m.para("`pixiecore COMMAND --help` says what a command takes.")
	m.section("Examples")
	m.code("", tonight)
	m.section("Exit status")
	m.terms([3]string{}, exitStatuses)
	m.section("Environment")
	m.terms([3]string{}, environment)
	m.section("Files")
	m.terms([3]string{}, append(slices.Clone(files), term{"/usr/share/doc/pixiecore", "",
		"The documentation, which begins at docs/index.md; docs/troubleshooting.md goes by what is seen when a machine does not boot. Examples of configurations."}))
	m.seeAlso(related...)
	all["pixiecore.8"] = m.bytes()
	return all
}

func page8(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func commandPage(c *cobra.Command) []byte {
	m := newMan(page8(c), 8, strings.ToLower(c.Short[:1])+c.Short[1:])
	m.section("Synopsis")
	m.para(fmt.Sprintf("`%s` [OPTION…] %s", c.CommandPath(), strings.TrimSpace(strings.TrimPrefix(c.Use, c.Name()))))
	m.section("Description")
	m.long(c.Long)
	m.section("Options")
	var options []term
	c.InitDefaultHelpFlag()
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { options = append(options, option(f)) })
	m.terms([3]string{}, options)
	if c.Example != "" {
		m.section("Examples")
		m.code("", strings.TrimRight(c.Example, "\n")+"\n")
	}
	m.section("Exit status")
	m.terms([3]string{}, exitStatuses)
	m.section("Files")
	m.terms([3]string{}, files)
	m.seeAlso("pixiecore(8)", "pixiecore.hcl(5)")
	return m.bytes()
}

// option explains a flag. pflag takes the name of its value from backquotes in
// the usage.
func option(f *pflag.Flag) term {
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if value != "" {
		name += "=" + strings.ToUpper(value)
	}
	text := strings.ToUpper(usage[:1]) + usage[1:] + "."
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
		text += fmt.Sprintf(" Default: `%s`.", f.DefValue)
	}
	return term{name: name, text: text}
}
