package booters

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"sw1/0/7", "sw1/0/7", true},
		{"sw1/0/7", "sw1/0/70", false},
		{"sw1/*", "sw1/0/7", true},
		{"sw1/*", "sw1/", true},
		{"*", "x", true},
		{"*", "", false}, // a fact that the machine does not have
		{"?", "é", true},
		{"??", "é", false},
		{"*é?", "caféx", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"*ab", "aab", true},
		{"a**b", "ab", true},
		{"PXEClient:Arch:0000?:*", "PXEClient:Arch:00007:UNDI:003016", true},
		{"dell*", "Dell Inc.", false}, // case counts
	} {
		if got := globs(t, tt.pattern)[0].Match(tt.text); got != tt.want {
			t.Errorf("%s matches %q: got %v, want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
	if (Glob{}).Match("") || (Glob{}).Match("x") {
		t.Error("the zero Glob matches")
	}
}

func TestGlobErrors(t *testing.T) {
	for _, s := range []string{"", strings.Repeat("a", 256)} {
		if g, err := ParseGlob(s); err == nil {
			t.Errorf("%.10q…: got %v", s, g)
		}
	}
	for in, want := range map[string]string{
		"4C4C4544-0042-3510-8053-B4C04F463433": someUUID,
		"4c4c45440042351080 53b4c04f463433":    "error",
		"4C4C4544-*":                           "4c4c4544-*",
		"4c4c4544":                             "error",
		"dell-*":                               "error",
		"":                                     "error",
	} {
		got := "error"
		if g, err := ParseUUIDGlob(in); err == nil {
			got = g.String()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// The reference is a regular expression, which Go matches in linear time too.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "aXXbYc"}, {"*", ""}, {"?é*", "xé"}, {"**a", "\xffa"}, {"a*a*a*b", "aaaaaaaa"}, {"[a]", "[a]"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(text) > 300 {
			return
		}
		g, err := ParseGlob(pattern)
		if err != nil {
			return
		}
		again, err := ParseGlob(g.String())
		if err != nil || again != g {
			t.Fatalf("%q is printed as %s, which is read as %s, %v", pattern, g, again, err)
		}
		expr := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(g.String()))
		re, err := regexp.Compile(`(?s)\A` + expr + `\z`)
		if err != nil {
			return // it holds what is no UTF-8
		}
		if got, want := g.Match(text), text != "" && re.MatchString(text); got != want {
			t.Errorf("%q matches %q: got %v, want %v", pattern, text, got, want)
		}
	})
}
