// Package classic writes the log as the original pixiecore did, for programs and
// people that read its lines.
//
//	[DHCP] Offering to boot 52:54:00:12:34:56
//	[TFTP] Sent "…/undionly.kpxe" to 192.0.2.50:2070
//	[HTTP] Sending ipxe boot script to 192.0.2.50:49152
//	[HTTP] Sent file "kernel" to 192.0.2.50:49153
//
// # Decisions
//
// The lines that a boot makes, which is what others look for, have the words of the
// original: of its log, and where that was silent (port 4011, the end) those that its
// list of machines had. A file is named by its kind, "initrd" where the original had
// "initrd-0". All others have ours, with their fields behind them as key=value. The
// original knew two levels, so a warning is a line like any other.
package classic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A Sink takes one line: the name of the part that it is about ("Init", "DHCP",
// "PXE", "TFTP", "HTTP"; of DHCPv6, "dhcpv6"), and the line itself. It may be called
// by several goroutines at once.
type Sink = func(subsystem, msg string)

// New is a logger whose lines go to log, and those at level debug to debug. Either
// may be nil: its lines are dropped.
func New(log, debug Sink) *zap.Logger { return zap.New(&core{log: log, debug: debug}) }

// core is a zapcore.Core over two Sinks.
type core struct {
	log, debug Sink
	fields     []zapcore.Field
}

// to is who takes the lines of a level; nil: nobody.
func (c *core) to(l zapcore.Level) Sink {
	if l < zapcore.InfoLevel {
		return c.debug
	}
	return c.log
}

// Enabled implements zapcore.LevelEnabler.
func (c *core) Enabled(l zapcore.Level) bool { return c.to(l) != nil }

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	more := *c
	more.fields = slices.Concat(c.fields, fields)
	return &more
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.to(e.Level)(subsystem(e.LoggerName), line(e, slices.Concat(c.fields, fields)))
	return nil
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }

// subsystem is the original's word for the part that a logger is of.
func subsystem(logger string) string {
	switch part, _, _ := strings.Cut(logger, "."); part {
	case "":
		return "Init"
	case "dhcp6":
		return "dhcpv6"
	case "status":
		return "HTTP"
	default:
		return strings.ToUpper(part)
	}
}

// A phrase is what the original said where we say something else, with fields of
// ours in it.
type phrase struct {
	logger, message string
	format          string
	fields          []string
}

// phrases are the lines that others look for.
var phrases = [...]phrase{
	{"dhcp", "offer sent", "Offering to boot %s", []string{"mac"}},
	{"pxe", "boot server answer sent", "Sent PXE configuration to %s", []string{"mac"}},
	{"tftp", "file sent", "Sent %q to %s", []string{"file", "client"}},
	{"http", "script sent", "Sending ipxe boot script to %s", []string{"peer"}},
	{"http", "file sent", "Sent file %q to %s", []string{"type", "peer"}},
	{"http", "machine boots", "Booting into OS: %s", []string{"mac"}},
}

// line is an entry in one line of text. What a client says of itself stands quoted
// in it, so that it makes no lines of its own.
func line(e zapcore.Entry, fields []zapcore.Field) string {
	for _, p := range phrases {
		if p.logger != e.LoggerName || p.message != e.Message {
			continue
		}
		args := make([]any, len(p.fields))
		for i, key := range p.fields {
			at := slices.IndexFunc(fields, func(f zapcore.Field) bool { return f.Key == key })
			if at < 0 {
				args[i] = "?"
				continue
			}
			args[i] = text(fields[at])
		}
		return fmt.Sprintf(p.format, args...)
	}
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range fields {
		v := text(f)
		if v == "" || strings.ContainsFunc(v, odd) {
			v = fmt.Sprintf("%q", v)
		}
		fmt.Fprintf(&b, " %s=%s", f.Key, v)
	}
	return b.String()
}

// odd reports whether a value with r in it must be quoted. What does not print may be
// something that a terminal obeys, in one byte (0x9B) or in two (U+009B).
func odd(r rune) bool {
	return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !strconv.IsPrint(r)
}

// text is the value of a field.
func text(f zapcore.Field) string {
	enc := zapcore.NewMapObjectEncoder()
	f.AddTo(enc)
	return fmt.Sprint(enc.Fields[f.Key])
}
