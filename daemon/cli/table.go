package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Codes of ECMA-48 §8.3.117.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	green  = "\x1b[32m"
	faint  = "\x1b[2m"
	normal = "\x1b[0m"
)

// A printer writes results for people: with colour, and lines cut at the width,
// on a terminal only.
type printer struct {
	w     io.Writer
	width int // 0: not a terminal
	color bool
	err   error // the first of writing
}

func newPrinter(w io.Writer) *printer {
	width, color := terminal(w)
	return &printer{w: w, width: width, color: color}
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); p.err == nil {
		p.err = err
	}
}

func (p *printer) paint(code, s string) string {
	if !p.color {
		return s
	}
	return code + s + normal
}

// table writes rows under their headings, each column as wide as its widest
// cell. A row is cut at the width of the terminal.
func (p *printer) table(headings []string, rows [][]string) {
	widths := make([]int, len(headings))
	for _, row := range append([][]string{headings}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		s := strings.TrimRight(b.String(), " ")
		if r := []rune(s); p.width > 0 && len(r) > p.width {
			s = string(r[:p.width-1]) + "…"
		}
		return s
	}
	p.printf("%s\n", p.paint(bold, line(headings)))
	for _, row := range rows {
		p.printf("%s\n", line(row))
	}
}

// or is s, or a dash for what is empty, so that every column has a word.
func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
