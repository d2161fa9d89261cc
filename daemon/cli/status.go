package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func statusCommand() *cobra.Command {
	var (
		socket string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "status [MAC]",
		Short: "Say what the running daemon serves, and what the machines did",
		Long: `Say what the running daemon serves, how its last reload went, and what each
machine did last. With a MAC address: all that is known of this machine.

The exit status is 1 for a machine that the daemon has not heard of, and 3 when
no daemon answers. With --json the document is that of /api/v1/status.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var mac net.HardwareAddr
			if len(args) == 1 {
				var err error
				if mac, err = parseMAC(args[0]); err != nil {
					return exitError{exitUsage, err}
				}
			}
			r, err := control.NewClient(socket).Status(cmd.Context())
			if err != nil {
				return failed(err)
			}
			var what any = r
			p := newPrinter(cmd.OutOrStdout())
			show := func() { p.status(r, time.Now()) }
			if mac != nil {
				m, ok := machineOf(r.Machines, mac)
				if !ok {
					return unheard(mac)
				}
				what, show = m, func() { p.machine(m, time.Now()) }
			}
			if asJSON {
				return failed(writeJSON(cmd.OutOrStdout(), what))
			}
			show()
			return failed(p.err)
		},
	}
	cmd.ValidArgsFunction = completeMachine(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// parseMAC reads an Ethernet address as people write it.
func parseMAC(s string) (net.HardwareAddr, error) {
	spelled := s
	if len(s) == 12 && !strings.ContainsAny(s, ":-.") { // bare hexadecimal
		spelled = strings.Join([]string{s[:4], s[4:8], s[8:]}, ".")
	}
	mac, err := net.ParseMAC(spelled)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("%q is not a MAC address; write it like 52:54:00:aa:00:01", s)
	}
	return mac, nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// status shows what a daemon does.
func (p *printer) status(r status.Report, now time.Time) {
	p.printf("pixiecore %s, up %s\n", r.Version, ago(r.Started, now))
	from := ""
	if len(r.Files) > 0 {
		from = " from " + strings.Join(r.Files, ", ")
	}
	p.printf("generation %d, loaded %s ago%s\n", r.Generation, ago(r.Loaded, now), from)
	for _, h := range r.Holds {
		p.printf("%s, for %s\n", p.paint(red, h.Why()), ago(h.Since, now))
	}
	if h := r.HeldEdit; h != nil {
		p.printf("%s %s\n", p.paint(red, "edit held, for "+ago(h.Since, now)+":"), h.Why)
	}
	if r.Standin != "" {
		p.printf("%s %s\n", p.paint(red, "in place of the file:"), r.Standin)
	}
	switch last := r.LastReload; {
	case last == nil:
	case last.OK:
		p.printf("last reload %s ago: %s\n", ago(last.Time, now), p.paint(green, "applied"))
	default:
		p.printf("last reload %s ago: %s: %s\n", ago(last.Time, now), p.paint(red, "refused"), last.Error)
		p.printf("`pixiecore check` shows all that is wrong.\n")
	}
	switch c := r.Cache; {
	case c == nil:
	case c.Error != "":
		p.printf("cache %s\n", p.paint(red, c.String()))
	default:
		p.printf("cache %s\n", c)
	}

	p.printf("\n")
	var rows [][]string
	for _, l := range r.Listeners {
		kind, address, _ := strings.Cut(l, " ")
		rows = append(rows, []string{kind, address})
	}
	p.table([]string{"LISTENER", "ADDRESS"}, rows)
	if len(r.Dropped) > 0 {
		p.printf("\n")
		rows = nil
		for _, d := range r.Dropped {
			rows = append(rows, []string{d.Listener, d.Reason.String(), strconv.FormatUint(d.Count, 10)})
		}
		p.table([]string{"NOT SERVED BY", "REASON", "REQUESTS"}, rows)
	}

	p.printf("\n")
	rows = nil
	for _, l := range r.Loaders {
		rows = append(rows, []string{l.Firmware, or(l.Version), l.SHA256[:min(12, len(l.SHA256))], l.File})
	}
	p.table([]string{"LOADER", "VERSION", "SHA256", "FILE"}, rows)
	for _, l := range r.Loaders {
		if l.Warning != "" {
			p.printf("%s: %s\n", l.Firmware, l.Warning)
		}
	}

	p.printf("\n")
	rows = nil
	for i, rule := range r.Rules {
		rows = append(rows, []string{strconv.Itoa(i + 1), rule.Name, strings.TrimSpace(rule.Action + " " + rule.Boot), or(rule.At)})
	}
	p.table([]string{"#", "RULE", "DOES", "AT"}, rows)

	p.once(r, now)
	p.printf("\n")
	rows = nil
	for _, m := range r.Machines {
		row := []string{net.HardwareAddr(m.MAC[:]).String(), or(m.Facts.Arch), or(m.Facts.Firmware), "-", "-", "-"}
		if last, ok := m.Last(); ok {
			row[3], row[4], row[5] = or(last.Rule), ago(last.Latest(), now), strings.TrimSpace(last.Kind.String()+" "+last.Detail)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		p.printf("No machine has asked yet.\n")
		return
	}
	p.table([]string{"MACHINE", "ARCH", "FIRMWARE", "RULE", "AGO", "LAST"}, rows)
}

// machine shows all that is known of one machine.
func (p *printer) machine(m events.Machine, now time.Time) {
	p.printf("machine %s\n", net.HardwareAddr(m.MAC[:]))
	f := m.Facts
	for _, fact := range [...][2]string{
		{"arch", f.Arch}, {"firmware", f.Firmware}, {"uuid", f.UUID}, {"ip", f.IP}, {"hostname", f.Hostname},
		{"manufacturer", f.Manufacturer}, {"product", f.Product}, {"serial", f.Serial}, {"asset", f.Asset},
	} {
		if fact[1] != "" {
			p.printf("  %-12s %s\n", fact[0], fact[1])
		}
	}
	p.printf("\n")
	var rows [][]string
	for _, e := range m.Events() {
		kind := e.Kind.String()
		if e.Count > 1 {
			kind += " ×" + strconv.Itoa(e.Count)
		}
		rows = append(rows, []string{e.Time.Local().Format(time.DateTime), kind, or(e.Rule), strconv.FormatUint(e.Gen, 10), or(e.Detail)})
	}
	p.table([]string{"TIME", "EVENT", "RULE", "GEN", "DETAIL"}, rows)
}

// ago is the time since t in its two greatest units.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// once shows which machines are armed, or were. Those that somebody has disarmed are as
// all others.
func (p *printer) once(r status.Report, now time.Time) {
	var rows [][]string
	for _, o := range r.Once {
		if o.State == "disarmed" {
			continue
		}
		what := strings.TrimSpace(o.Boot + " " + o.By)
		if o.Damage != "" {
			what = "cannot be read: " + o.Damage
		}
		rows = append(rows, []string{o.Machine, o.State, ago(o.Since, now), or(what)})
	}
	if r.OnceError != "" {
		p.printf("\n%s %s\n", p.paint(red, "every machine counts as spent, for rules with once:"), r.OnceError)
	}
	if len(rows) > 0 {
		p.printf("\n")
		p.table([]string{"ONCE", "STATE", "FOR", "WHAT"}, rows)
	}
}
