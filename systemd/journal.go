package systemd

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// maxFieldName is what the journal takes, in bytes.
const maxFieldName = 64

// fieldName is a name that the journal takes, capitals, digits and underscores, the
// first a letter: the log's in capitals (MAC, RULE, FILE), or a longer one for those
// that are short in the log. One that means something to the journal itself is not
// set.
func fieldName(key string) string {
	switch key {
	case "gen":
		return "GENERATION"
	case "iface":
		return "INTERFACE"
	case "arch":
		return "ARCHITECTURE"
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
	name = strings.TrimLeft(name, "_0123456789")
	switch name = name[:min(len(name), maxFieldName)]; name {
	case "", "MESSAGE", "PRIORITY", "MESSAGE_ID", "SYSLOG_IDENTIFIER", "LOGGER":
		return "FIELD_" + name
	}
	return name
}

// priority is a level as syslog counts.
func priority(l zapcore.Level) int {
	switch {
	case l <= zapcore.DebugLevel:
		return 7
	case l == zapcore.InfoLevel:
		return 6
	case l == zapcore.WarnLevel:
		return 4
	case l == zapcore.ErrorLevel:
		return 3
	}
	return 2
}

// A value is one field of an entry.
type value struct{ key, text string }

// values are the fields in their order, as text.
func values(fields []zapcore.Field) (all []value) {
	for _, f := range fields {
		enc := zapcore.NewMapObjectEncoder() // of one, since a map has no order
		f.AddTo(enc)
		for _, key := range slices.Sorted(maps.Keys(enc.Fields)) {
			if strings.HasSuffix(key, "Verbose") {
				continue // a stack, of some errors
			}
			text := ""
			switch v := enc.Fields[key].(type) {
			case time.Time:
				text = v.Format(time.RFC3339Nano)
			default:
				text = fmt.Sprint(v)
			}
			all = append(all, value{key, text})
		}
	}
	return all
}

// message is an entry as journalctl shows it: the phrase, and the fields behind it.
func message(e zapcore.Entry, fields []value) string {
	var b strings.Builder
	b.WriteString(printable(e.Message))
	for _, v := range fields {
		text := v.text
		if text == "" || strings.ContainsAny(text, " \"=") || printable(text) != text {
			text = strconv.Quote(text)
		}
		b.WriteString(" " + v.key + "=" + text)
	}
	return b.String()
}

// printable is s, or s quoted where it holds what would make a message a blob.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// nativeEntry is an entry in the journal's native protocol
// (systemd.io/JOURNAL_NATIVE_PROTOCOL).
func nativeEntry(e zapcore.Entry, fields []value) []byte {
	var b []byte
	b = appendField(b, "MESSAGE", message(e, fields))
	b = appendField(b, "PRIORITY", strconv.Itoa(priority(e.Level)))
	b = appendField(b, "SYSLOG_IDENTIFIER", "pixiecore")
	if e.LoggerName != "" {
		b = appendField(b, "LOGGER", e.LoggerName)
	}
	for _, v := range fields {
		b = appendField(b, fieldName(v.key), v.text)
	}
	return b
}

func appendField(b []byte, name, text string) []byte {
	b = append(b, name...)
	if !strings.ContainsRune(text, '\n') {
		return append(append(append(b, '='), text...), '\n')
	}
	// The length says where it ends, so that no line of it is a field.
	b = binary.LittleEndian.AppendUint64(append(b, '\n'), uint64(len(text)))
	return append(append(b, text...), '\n')
}
