package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// A Severity is whether a Problem refuses the configuration.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitzero"`   // from 1; 0: the file as a whole
	Column   int      `json:"column,omitzero"` // from 1, in characters as they are seen
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"` // at most six words, without a full stop
	Detail   string   `json:"detail"`  // sentences, the last with the way out

	at    hcl.Range // empty for the file as a whole
	other hcl.Range // a second place that belongs to it; may be empty
	// secret is whether the lines of the source are not shown.
	secret bool
}

// String is one line: "pixiecore.hcl:9:3: error: unknown setting".
func (p Problem) String() string { return p.position() + ": " + string(p.Severity) + ": " + p.Summary }

func (p Problem) position() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Report is everything that Load or Parse had to say, and the source to show
// it against.
type Report struct {
	problems []Problem
	sources  map[string][]byte
	files    []string
	stateDir string
	pins     []pinnedPath
	secrets  []hcl.Range // of which no line is shown
	tested   []TestResult
}

func newReport() *Report { return &Report{sources: make(map[string][]byte)} }

// Problems lists all problems by their place in the file.
func (r *Report) Problems() []Problem { return slices.Clone(r.problems) }

// Files are the absolute paths of all files that were looked at, those that are
// missing included, also where there is no Config: a change of one of them may
// mend it.
func (r *Report) Files() []string { return slices.Clone(r.files) }

// Tests are how the test blocks went, in the order of the file. They are run only
// where nothing else is wrong; one that fails is among the Problems, too.
func (r *Report) Tests() []TestResult { return slices.Clone(r.tested) }

// StateDir is that of the Config, as far as it could be understood also where
// there is none: what was served last is to be found there.
func (r *Report) StateDir() string { return r.stateDir }

// Err is nil unless some problem is an error. It names the first of them and
// counts the others.
func (r *Report) Err() error {
	var first Problem
	n := 0
	for _, p := range r.problems {
		if p.Severity != SeverityError {
			continue
		}
		if n == 0 {
			first = p
		}
		n++
	}
	switch n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s: %s", first.position(), first.Summary)
	default:
		return fmt.Errorf("%s: %s (and %d more)", first.position(), first.Summary, n-1)
	}
}

func (r *Report) file(name string, s summary, detail string) {
	r.problems = append(r.problems, Problem{File: name, Severity: SeverityError, Summary: string(s), Detail: detail})
}

func (r *Report) add(sev Severity, at hcl.Range, s summary, detail string) *Problem {
	r.problems = append(r.problems, Problem{
		File: at.Filename, Line: at.Start.Line, Column: at.Start.Column,
		Severity: sev, Summary: string(s), Detail: detail, at: at,
	})
	return &r.problems[len(r.problems)-1]
}

func (r *Report) warn(at hcl.Range, s summary, detail string) *Problem {
	return r.add(SeverityWarning, at, s, detail)
}

func (r *Report) sort() {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// WriteJSON writes the problems as one JSON array.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if len(r.problems) == 0 {
		return enc.Encode([]Problem{})
	}
	return enc.Encode(r.problems)
}

// The colours of a terminal (ECMA-48 §8.3.117).
const (
	colorError   = "\x1b[1;31m"
	colorWarning = "\x1b[1;33m"
	colorFaint   = "\x1b[2m"
	colorNone    = "\x1b[0m"
)

// WriteText writes the problems for people, with the lines of the source that
// they are about. Sentences are wrapped and lines of source are cut at width
// columns; 0 leaves both as long as they are.
func (r *Report) WriteText(w io.Writer, width int, color bool) error {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return code + s + colorNone
	}
	var b bytes.Buffer
	for i, p := range r.problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		code := colorError
		if p.Severity == SeverityWarning {
			code = colorWarning
		}
		fmt.Fprintf(&b, "%s %s\n  %s\n", paint(code, string(p.Severity)+":"), visible(p.Summary), visible(p.position()))
		for j, at := range []hcl.Range{p.other, p.at} {
			line, mark, ok := r.snippet(at, width)
			if !ok || p.secret {
				continue
			}
			markCode := code
			if j == 0 {
				markCode, mark = colorFaint, strings.ReplaceAll(mark, "^", "-")
			}
			fmt.Fprintf(&b, "%s%s\n%s%s\n", paint(colorFaint, fmt.Sprintf("%6d | ", at.Start.Line)), line,
				paint(colorFaint, "       | "), paint(markCode, mark))
		}
		for line := range strings.Lines(wrap(visible(p.Detail), width-2)) {
			fmt.Fprintf(&b, "  %s", line)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// gutter is the width of what stands before a line of source.
const gutter = len("123456 | ")

// snippet is the first line of the range and the marks that go under it.
func (r *Report) snippet(at hcl.Range, width int) (line, mark string, ok bool) {
	src, ok := r.sources[at.Filename]
	secret := slices.ContainsFunc(r.secrets, func(s hcl.Range) bool {
		return s.Filename == at.Filename && s.Start.Line <= at.Start.Line && at.Start.Line <= s.End.Line
	})
	if !ok || secret || at.Start.Line == 0 || at.Start.Byte > len(src) {
		return "", "", false
	}
	from := bytes.LastIndexByte(src[:at.Start.Byte], '\n') + 1
	to := len(src)
	if i := bytes.IndexByte(src[at.Start.Byte:], '\n'); i >= 0 {
		to = at.Start.Byte + i
	}
	end := min(max(at.End.Byte, at.Start.Byte), to)
	before := []rune(visible(string(src[from:at.Start.Byte])))
	marked := []rune(visible(strings.TrimRight(string(src[at.Start.Byte:end]), "\r")))
	after := []rune(visible(strings.TrimRight(string(src[end:to]), "\r")))

	if room := width - gutter; width > 0 && len(before)+len(marked)+len(after) > room {
		// The marked part is what matters; a few words before it are kept.
		const keep = 16
		if len(before)+len(marked) > room && len(before) > keep {
			before = append([]rune("…"), before[len(before)-keep:]...)
		}
		if over := len(before) + len(marked) - max(room-1, keep); over > 0 && over < len(marked) {
			marked = append(marked[:len(marked)-over], '…')
			after = nil
		}
		if over := len(before) + len(marked) + len(after) - room; over > 0 && over < len(after) {
			after = append(after[:len(after)-over-1], '…')
		}
	}
	mark = strings.Repeat(" ", columns(before)) + strings.Repeat("^", max(columns(marked), 1))
	return string(before) + string(marked) + string(after), mark, true
}

// columns counts the cells that text takes, but for wide characters.
func columns(text []rune) int {
	n := 0
	for _, r := range text {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			n++
		}
	}
	return n
}

// visible makes text safe for a terminal: tabs become blanks, and what is not
// printable (an escape sequence in the file, for one) is replaced. New lines
// stay.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// wrap breaks each line of text between words, at width columns if that is
// positive, and ends every line.
func wrap(text string, width int) string {
	var b strings.Builder
	for para := range strings.SplitSeq(text, "\n") {
		n := 0
		for word := range strings.FieldsSeq(para) {
			switch l := columns([]rune(word)); {
			case n == 0:
				n = l
			case width > 0 && n+1+l > width:
				b.WriteByte('\n')
				n = l
			default:
				b.WriteByte(' ')
				n += 1 + l
			}
			b.WriteString(word)
		}
		if n > 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
