package booters

import (
	"strings"
	"testing"
	"text/template"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// render does what a server does with a command line for a machine.
func render(t *testing.T, cmdline string) string {
	t.Helper()
	tmpl, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"ID": func(id string) string { return "http://host/" + id },
	}).Parse(cmdline)
	if err != nil {
		t.Fatalf("%q: %v", cmdline, err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		t.Fatalf("%q: %v", cmdline, err)
	}
	return b.String()
}

func upper(_ fileKind, source string) (boot.ID, error) {
	_, err := ParseSource(source)
	return boot.ID(strings.ToUpper(source)), err
}

func TestCmdline(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "quiet splash", "quiet splash"},
		{"empty", "", ""},
		{"space around it", " \n quiet \n", "quiet"},
		{"a file", `url={{ ID "/a" }} quiet`, "url=http://host//A quiet"},
		{"the alias", `url={{ URL "/a" }}`, "url=http://host//A"},
		{"two side by side", `{{ ID "/a" }}{{ ID "/b" }}`, "http://host//Ahttp://host//B"},
		{"a computed name", `{{ printf "/%s" "x" | ID }}`, "http://host//X"},
		{"once named, used twice", `{{ $x := ID "/a" }}a={{ $x }} b={{ $x }}`, "a=http://host//A b=http://host//A"},
		{"iPXE's own variables", `ip=${net0/ip} x={y}`, `ip=${net0/ip} x={y}`},
		{"braces that were quoted", `a={{ "{{" }}b}}`, `a={{b}}`},
		{"a brace before a file", `a={{ "{" }}{{ ID "/a" }}`, `a={http://host//A`},
		{"quotes beside braces", `a={{ "{{\"" }}`, `a={{"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prepared, err := prepareCmdline(tt.in, []string{"ID", "URL"}, upper)
			if err != nil {
				t.Fatal(err)
			}
			if got := render(t, prepared); got != tt.want {
				t.Errorf("got %q, want %q, by %q", got, tt.want, prepared)
			}
		})
	}
}

func TestCmdlinesThatAreRefused(t *testing.T) {
	for in, want := range map[string]string{
		`{{ ID "/a" `:              "cmdline:1: unclosed action",
		`{{ ID }}`:                 "cmdline:1:3: executing",
		`{{ .Machine }}`:           `cmdline:1:3: executing "cmdline" at <.Machine>: nil data`,
		`{{ ID "a" }}`:             `cmdline: "a" is neither an absolute path nor an http or https URL`,
		"a\nb":                     "cmdline: it has more than one line",
		"a\x00b":                   "cmdline: it holds a NUL character",
		`{{ ID "/a" | urlquery }}`: "cmdline: the result of ID or URL must stand in it as it is",
	} {
		got, err := prepareCmdline(in, []string{"ID", "URL"}, upper)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want %s", in, got, err, want)
		}
	}
}
