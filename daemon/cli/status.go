package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
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
		live   bool
	)
	cmd := &cobra.Command{
		Use:   "status [MAC]",
		Short: "Say what the running daemon serves, and what the machines did",
		Long: `Say what the running daemon serves, how its last reload went, and what each
machine did last. With a MAC address: all that is known of this machine, with
each step of its last boots, and why one does not go on. --watch shows it anew
every second, until it is interrupted.

The exit status is 1 for a machine that the daemon has not heard of, and 3 when
no daemon answers. With --json the document is that of /api/v1/status.`,
		Example: "  pixiecore status\n  pixiecore status 52:54:00:aa:00:01 --watch\n  pixiecore status --json | jq .configuration",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var mac net.HardwareAddr
			if len(args) == 1 {
				var err error
				if mac, err = parseMAC(args[0]); err != nil {
					return exitError{exitUsage, err}
				}
			}
			client := control.NewClient(socket)
			draw := func(p *printer) error {
				r, err := client.Status(cmd.Context())
				if err != nil {
					return failed(err)
				}
				var what any = r
				show := func() { p.status(r, time.Now()) }
				if mac != nil {
					m, ok := machineOf(r.Machines, mac)
					if !ok {
						return unheard(mac)
					}
					what, show = m, func() { p.machine(m, time.Now()) }
				}
				if asJSON {
					return failed(writeJSON(p.w, what))
				}
				show()
				return failed(p.err)
			}
			if !live {
				return draw(newPrinter(cmd.OutOrStdout()))
			}
			err := watch(cmd.Context(), cmd.OutOrStdout(), draw)
			if cmd.Context().Err() != nil {
				return nil // which is how it ends
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeMachine(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&live, "watch", "w", false, "show it anew every second")
	cmd.MarkFlagsMutuallyExclusive("json", "watch")
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

// prefetch shows how far the cache is filled beforehand.
func (p *printer) prefetch(f status.Prefetch) {
	if f.FailedCount() == 0 && f.Error == "" {
		p.printf("%s\n", f)
		return
	}
	p.printf("%s\n", p.paint(red, f.String()))
	for _, one := range f.Failed {
		p.printf("  %s\n", one.Error)
	}
	if f.MoreFailed > 0 {
		p.printf("  and %d more\n", f.MoreFailed)
	}
	if way := f.Way(); way != "" {
		p.printf("  → %s\n", way)
	}
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
		p.printf("`pixiecore check` shows all that is wrong with the file, `pixiecore doctor` whatever is with this host.\n")
	}
	switch c := r.Cache; {
	case c == nil:
	case c.Error != "":
		p.printf("cache %s\n", p.paint(red, c.String()))
	default:
		p.printf("cache %s\n", c)
	}
	if r.Cache != nil && r.Cache.Prefetch != nil {
		p.prefetch(*r.Cache.Prefetch)
	}

	p.printf("\n")
	var rows [][]string
	for _, l := range r.Listeners {
		kind, address, _ := strings.Cut(l, " ")
		rows = append(rows, []string{kind, address})
	}
	p.table([]string{"LISTENER", "ADDRESS"}, rows)
	for _, w := range r.Waiting {
		p.printf("%s: %s\n", p.paint(red, w.Listener+" waits"), w.Why)
	}
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
	if len(rows) > 0 {
		p.table([]string{"LOADER", "VERSION", "SHA256", "FILE"}, rows)
	}
	for _, missing := range r.NeededLoaders {
		p.printf("%s\n", p.paint(red, missing))
	}
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
		row := []string{net.HardwareAddr(m.MAC[:]).String(), or(m.Facts.Arch), or(m.Facts.Firmware), "-", "-", "-", "-"}
		if last, ok := m.Last(); ok {
			b := m.Current()
			row[3], row[4], row[5], row[6] = or(b.Rule), ago(last.Latest(), now), b.Result.String(), strings.TrimSpace(last.Kind.String()+" "+bar(last, p.width > 0)+last.What(now))
			if b.Stall != nil {
				row[6] = b.Stall.Cause
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		p.printf("No machine has asked yet.\n")
		return
	}
	p.table([]string{"MACHINE", "ARCH", "FIRMWARE", "RULE", "AGO", "BOOT", "LAST"}, rows)
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
	for _, b := range slices.Backward(m.Boots) {
		p.boot(b, now)
	}
}

// boot shows the steps of a boot.
func (p *printer) boot(b events.Boot, now time.Time) {
	result := b.Result.String()
	switch b.Result {
	case events.Stalled, events.BootFailed:
		result = p.paint(red, result)
	case events.Booted, events.BootedLocal:
		result = p.paint(green, result)
	}
	p.printf("\nboot of %s, %s ago: %s", b.Began.Local().Format(time.DateTime), ago(b.Began, now), result)
	if b.Rule != "" {
		p.printf(", by rule %q", b.Rule)
	}
	if b.Boot != "" {
		p.printf(", boot %q", b.Boot)
	}
	if b.Gen != 0 {
		p.printf(", generation %d", b.Gen)
	}
	if b.Attempts > 1 {
		p.printf(", begun %d times", b.Attempts)
	}
	p.printf("\n")
	if s := b.Stall; s != nil {
		p.printf("%s for %s: %s\n", p.paint(red, "waits for "+s.Due), ago(s.Since, now), s.Cause)
	}
	var rows [][]string
	for i, e := range b.Steps {
		if i == len(b.Steps)*3/4 && b.LeftOut > 0 {
			rows = append(rows, []string{"", "", "…", strconv.Itoa(b.LeftOut) + " files are not shown"})
		}
		took := "-"
		if d := e.Took(now); d > 0 {
			took = d.Round(time.Millisecond).String()
		}
		rows = append(rows, []string{fmt.Sprintf("+%.1fs", e.Time.Sub(b.Began).Seconds()), took, counted(e), or(bar(e, p.width > 0) + e.What(now))})
	}
	p.table([]string{"AFTER", "TOOK", "STEP", "WHAT"}, rows)
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

// once shows which machines are armed, or were, and for which a boot is chosen. Those that somebody has disarmed are as
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
	rows = nil
	for _, n := range r.Next {
		row := []string{n.Machine, n.Boot, "until " + n.Until.Local().Format("2006-01-02 15:04")}
		if !n.Used.IsZero() {
			row[2] = "begun " + ago(n.Used, now) + " ago"
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		p.printf("\n")
		p.table([]string{"NEXT BOOT", "IS", "WHEN"}, rows)
	}
}
