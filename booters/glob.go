package booters

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// maxGlob bounds a Glob, in bytes, and with it the cost of a match: no fact is
// longer, so a longer pattern would match nothing that a shorter one could not.
const maxGlob = 255

// A Glob is a pattern over text, in which "*" stands for any characters, none
// included, and "?" for one. Case counts. Globs may be compared with ==. The
// zero Glob matches nothing.
type Glob struct{ pattern string }

// ParseGlob reads a pattern of 1 to 255 bytes.
func ParseGlob(s string) (Glob, error) {
	switch {
	case s == "":
		return Glob{}, errors.New(`pattern "": it is empty; write "*" for any text`)
	case len(s) > maxGlob:
		return Glob{}, fmt.Errorf("pattern %q…: it has more than %d bytes; write the beginning and a \"*\"", s[:20], maxGlob)
	}
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	return Glob{s}, nil
}

// ParseUUIDGlob reads a UUID, with or without dashes, or a pattern over UUIDs
// with their dashes ("4c4c4544-*"), in any case.
func ParseUUIDGlob(s string) (Glob, error) {
	if !strings.ContainsAny(s, "*?") {
		u, err := boot.ParseUUID(s)
		return Glob{u}, err
	}
	low := strings.ToLower(s)
	if i := strings.IndexFunc(low, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef-*?", r) }); i >= 0 {
		return Glob{}, fmt.Errorf(`UUID pattern %q: it holds something other than hexadecimal digits, "-", "?" and "*"`, s)
	}
	return ParseGlob(low)
}

// String is the pattern.
func (g Glob) String() string { return g.pattern }

// Match reports whether the pattern holds for the whole of text. Text that is
// empty matches no pattern, for it is how a fact that a machine does not have
// is written. The time is linear in the length of text.
func (g Glob) Match(text string) bool {
	if text == "" || g.pattern == "" {
		return false
	}
	// What follows a "*" is matched as early as it can be. Where it fails later
	// on, only the last "*" has to take one character more: the parts before it
	// leave the most to match already.
	p, t := 0, 0
	star, retry := -1, 0
	for t < len(text) {
		switch {
		case p < len(g.pattern) && g.pattern[p] == '*':
			star, retry = p, t
			p++
			continue
		case p < len(g.pattern) && g.pattern[p] == '?':
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
			continue
		case p < len(g.pattern) && g.pattern[p] == text[t]:
			p, t = p+1, t+1
			continue
		case star < 0:
			return false
		}
		_, n := utf8.DecodeRuneInString(text[retry:])
		retry += n
		p, t = star+1, retry
	}
	return strings.TrimLeft(g.pattern[p:], "*") == ""
}
