package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func eventsCommand() *cobra.Command {
	var (
		socket         string
		follow, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "events [MAC]",
		Short: "List what machines did, step by step",
		Long: `List what machines did, or one of them: each step of their boots, the oldest first.

With --follow, what they do from now on, as it happens; on a terminal, a file on
its way is a line that fills. With --json a step is one line, as in the stream of
/api/v1/events.

The exit status is 1 for a machine that the daemon has not heard of, and 3 when
no daemon answers.`,
		Example: "  pixiecore events --follow\n  pixiecore events 52:54:00:aa:00:01 --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var only net.HardwareAddr
			if len(args) == 1 {
				var err error
				if only, err = parseMAC(args[0]); err != nil {
					return exitError{exitUsage, err}
				}
			}
			v := &eventView{printer: newPrinter(cmd.OutOrStdout()), json: asJSON}
			client := control.NewClient(socket)
			if !follow {
				r, err := client.Status(cmd.Context())
				if err != nil {
					return failed(err)
				}
				all := updatesOf(r.Machines, only)
				if _, ok := machineOf(r.Machines, only); only != nil && !ok {
					return unheard(only)
				}
				if len(r.Machines) == 0 {
					nobodyYet(cmd)
				}
				for _, u := range all {
					v.show(u, time.Now())
				}
				return failed(v.err)
			}
			err := client.Follow(cmd.Context(), func(u events.Update) error {
				if only == nil || string(u.MAC[:]) == string(only) {
					v.show(u, time.Now())
				}
				return v.err
			})
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return failed(err)
		},
	}
	cmd.ValidArgsFunction = completeMachine(&socket)
	clientFlag(cmd, &socket)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for what happens, and show it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one document in each line")
	return cmd
}

// updatesOf are the steps of machines as updates, the oldest first.
func updatesOf(machines []events.Machine, only net.HardwareAddr) []events.Update {
	var all []events.Update
	for _, m := range machines {
		if only != nil && string(m.MAC[:]) != string(only) {
			continue
		}
		for _, b := range m.Boots {
			for _, e := range b.Steps {
				all = append(all, events.Update{MAC: m.MAC, Arch: m.Facts.Arch, Began: b.Began, Result: b.Result, Was: b.Result, Rule: b.Rule, Event: e, New: true})
			}
			if b.Stall != nil {
				all = append(all, events.Update{MAC: m.MAC, Arch: m.Facts.Arch, Began: b.Began, Result: b.Result, Was: b.Result, Rule: b.Rule, Stall: b.Stall})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b events.Update) int { return when(a).Compare(when(b)) })
	return all
}

// when an update is of.
func when(u events.Update) time.Time {
	if u.Event.Count == 0 && u.Stall != nil {
		return u.Stall.Time
	}
	return u.Event.Time
}

// An eventView shows updates, one line each.
type eventView struct {
	*printer
	json bool
	open *events.Update // whose line can still be written over; nil: none can
}

func (v *eventView) show(u events.Update, now time.Time) {
	if v.json {
		enc := json.NewEncoder(v.w)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(u); v.err == nil {
			v.err = err
		}
		return
	}
	if u.Lost > 0 {
		v.close()
		v.printf("%s\n", v.paint(red, "some steps are missing: this reader was too slow"))
	}
	moving := u.Event.Active && !u.New
	same := v.open != nil && v.open.MAC == u.MAC && v.open.Event.Time.Equal(u.Event.Time) && v.open.Event.Kind == u.Event.Kind
	if moving && v.width == 0 {
		return // a file is no place for a bar
	}
	if same {
		v.printf("\r")
	} else {
		v.close()
	}
	line := v.line(u, now)
	if v.width > 0 && utf8.RuneCountInString(line) >= v.width {
		line = string([]rune(line)[:v.width-2]) + "…"
	}
	v.printf("%s", line)
	if v.width > 0 {
		v.printf("\x1b[K") // ECMA-48 §8.3.41: the rest of the line before it
	}
	v.open = nil
	if v.width > 0 && u.Event.Active {
		v.open = &u
		return
	}
	v.printf("\n")
}

// close ends a line that could still be written over.
func (v *eventView) close() {
	if v.open != nil {
		v.printf("\n")
		v.open = nil
	}
}

// line is one update for people.
func (v *eventView) line(u events.Update, now time.Time) string {
	at := when(u).Local().Format("15:04:05")
	mac := net.HardwareAddr(u.MAC[:]).String()
	e := u.Event
	if e.Count == 0 {
		what := u.Result.String()
		if u.Stall != nil {
			what += " [" + u.Stall.Word + "]: " + u.Stall.Cause
		}
		return strings.Join([]string{at, mac, what}, "  ")
	}
	return strings.TrimRight(strings.Join([]string{at, mac, pad(counted(e), 14), pad(or(e.Rule), 12), bar(e, v.width > 0) + e.What(now)}, "  "), " ")
}

// counted is what a step is, and how often it was.
func counted(e events.Event) string {
	if e.Count > 1 {
		return e.Kind.String() + " ×" + strconv.Itoa(e.Count)
	}
	return e.Kind.String()
}

// barWidth is the width of a progress bar in columns.
const barWidth = 20

// bar is how far a transfer is that runs, for a terminal.
func bar(e events.Event, terminal bool) string {
	p := e.Percent()
	if !terminal || !e.Active || p < 0 {
		return ""
	}
	full := p * barWidth / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat(" ", barWidth-full) + "] "
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

// watch draws a screen every second until ctx is done, on a terminal from its top,
// elsewhere one below the other where it has changed.
func watch(ctx context.Context, out io.Writer, draw func(*printer) error) error {
	to := newPrinter(out)
	before := ""
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var screen strings.Builder
		p := &printer{w: &screen, width: to.width, color: to.color}
		if err := draw(p); err != nil {
			return err
		}
		if text := screen.String(); text != before {
			before = text
			if to.width > 0 {
				// ECMA-48 §8.3.21, §8.3.39, §8.3.41: to the top, line by line, and nothing
				// of what was below.
				text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
			}
			to.printf("%s", text)
		}
		select {
		case <-ctx.Done():
			return to.err
		case <-tick.C:
		}
	}
}
