package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A page is a document that is being written. Texts are sentences with code in
// backquotes. What terms take is left out where its heading is empty.
type page interface {
	section(title string)
	subsection(title string)
	para(text string)
	code(lang, text string)
	terms(head [3]string, all []term)
}

// A term is something that is explained.
type term struct {
	name  string // code
	takes string // what it takes, or another short remark; may be empty
	text  string
}

// A markdown is a page for a browser.
type markdown struct{ b bytes.Buffer }

func (m *markdown) section(title string)    { fmt.Fprintf(&m.b, "\n## %s\n", title) }
func (m *markdown) subsection(title string) { fmt.Fprintf(&m.b, "\n### %s\n", title) }
func (m *markdown) para(text string)        { fmt.Fprintf(&m.b, "\n%s\n", text) }
func (m *markdown) code(lang, text string)  { fmt.Fprintf(&m.b, "\n```%s\n%s```\n", lang, text) }

func (m *markdown) terms(head [3]string, all []term) {
	// A bar ends a cell, in code too.
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	if head[1] == "" {
		fmt.Fprintf(&m.b, "\n| %s | %s |\n|---|---|\n", head[0], head[2])
	} else {
		fmt.Fprintf(&m.b, "\n| %s | %s | %s |\n|---|---|---|\n", head[0], head[1], head[2])
	}
	for _, t := range all {
		fmt.Fprintf(&m.b, "| `%s` |", cell(t.name))
		if head[1] != "" {
			fmt.Fprintf(&m.b, " %s |", cell(t.takes))
		}
		fmt.Fprintf(&m.b, " %s |\n", cell(t.text))
	}
}

func (m *markdown) bytes() []byte { return bytes.TrimLeft(m.b.Bytes(), "\n") }

// edition is the date that manual pages carry: that of the last release, so that
// two builds of one source are the same.
const edition = "2026-11-22"

// A man is a manual page.
type man struct {
	b     bytes.Buffer
	begun bool // whether the section has a text, which the next one stands apart from
}

func newMan(name string, section int, what string) *man {
	m := new(man)
	// Without hyphens: they would stand in the midst of names and options.
	fmt.Fprintf(&m.b, ".\\\" Made by `make docs`. Edit the program, not this.\n.TH %s %d %s pixiecore\n.nh\n.ad l\n.SH NAME\n%s \\- %s\n",
		roff(strings.ToUpper(name)), section, edition, roff(name), roff(what))
	return m
}

func (m *man) section(title string) {
	fmt.Fprintf(&m.b, ".SH %s\n", plain(strings.ToUpper(title)))
	m.begun = false
}

func (m *man) subsection(title string) {
	fmt.Fprintf(&m.b, ".SS %s\n", plain(title))
	m.begun = false
}

func (m *man) apart() {
	if m.begun {
		m.b.WriteString(".PP\n")
	}
	m.begun = true
}

func (m *man) para(text string) {
	m.apart()
	m.b.WriteString(roff(text) + "\n")
}

func (m *man) code(_, text string) {
	m.apart()
	m.b.WriteString(".RS 4\n.nf\n")
	for line := range strings.Lines(text) {
		m.b.WriteString(line1(escape(strings.TrimSuffix(line, "\n"), true)) + "\n")
	}
	m.b.WriteString(".fi\n.RE\n")
}

func (m *man) terms(_ [3]string, all []term) {
	m.begun = true
	for _, t := range all {
		fmt.Fprintf(&m.b, ".TP\n%s", roff("`"+t.name+"`"))
		if t.takes != "" {
			fmt.Fprintf(&m.b, " (%s)", roff(t.takes))
		}
		fmt.Fprintf(&m.b, "\n%s\n", roff(t.text))
	}
}

// long is text for a terminal: paragraphs, and lines that are indented.
func (m *man) long(text string) {
	for para := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(para, " ") {
			m.code("", para+"\n")
			continue
		}
		m.para(strings.Join(strings.Fields(para), " "))
	}
}

func (m *man) seeAlso(pages ...string) {
	m.section("See also")
	for i, p := range pages {
		name, section, _ := strings.Cut(p, "(")
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(&m.b, ".BR %s (%s%s\n", escape(name, true), section, comma)
	}
}

func (m *man) bytes() []byte { return m.b.Bytes() }

var backquoted = regexp.MustCompile("`[^`]*`")

// roff is a text with its code in bold.
func roff(text string) string {
	var b strings.Builder
	last := 0
	for _, at := range backquoted.FindAllStringIndex(text, -1) {
		b.WriteString(escape(text[last:at[0]], false))
		b.WriteString(`\fB` + escape(text[at[0]+1:at[1]-1], true) + `\fR`)
		last = at[1]
	}
	b.WriteString(escape(text[last:], false))
	return line1(b.String())
}

// plain is roff for a heading, which is bold as a whole.
func plain(text string) string { return line1(escape(strings.ReplaceAll(text, "`", ""), false)) }

// escape makes text of characters that mean themselves to roff (groff_char(7)). In
// code, a hyphen is a minus sign that can be copied, and quotes stay straight.
func escape(text string, code bool) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-' && code:
			b.WriteString(`\-`)
		case r == '\'' && code:
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// line1 keeps the beginning of a line from being a request.
func line1(text string) string {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}
