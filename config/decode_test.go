package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A file that is parsed in pieces is what it is as a whole, with every place in it; where
// a piece does not stand by itself, it is not parsed so.
func TestInPieces(t *testing.T) {
	many := func(block string) string { return strings.Repeat(block, 3*pieceSize/len(block)) }
	const rule = "rule \"é\" { # }\n  match { mac = \"52:*\" }\n  boot = boot.live\n}\n"
	text := "boot \"b\" {\n  script = <<-EOT\n" + many("a\n}\n") + "  EOT\n}\n"
	for name, tc := range map[string]struct {
		src string
		ok  bool
	}{
		"blocks":                       {many(rule), true},
		"blocks and settings":          {"include = []\n" + many(rule) + "/* the\n}\nend */ log { level = \"warn\" }\n", true},
		"no end of line at the end":    {many(rule) + "log {}", true},
		"lines that end as Windows'":   {strings.ReplaceAll(many(rule), "\n", "\r\n"), true},
		"blocks on one line":           {many("rule \"r\" { ignore = true }\n"), true},
		"a small file":                 {rule, true},
		"nothing":                      {"", true},
		"a text that looks like ends":  {text, false},
		"a comment that does":          {"/*\n" + many("a\n}\n") + "*/\n", false},
		"a setting twice":              {"include = []\n" + many(rule) + "include = []\n", false},
		"an error in it":               {many(rule) + "rule {{\n}\n" + many(rule), false},
		"brackets deep in one another": {many(rule) + "locals { a = " + strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1) + " }\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			body, ok := inPieces([]byte(tc.src), "f")
			if ok != tc.ok {
				t.Fatalf("got %t, want %t", ok, tc.ok)
			}
			if !ok {
				return
			}
			whole, diags := hclsyntax.ParseConfig([]byte(tc.src), "f", hcl.InitialPos)
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			if diff := cmp.Diff(outline(whole.Body.(*hclsyntax.Body)), outline(body)); diff != "" {
				t.Errorf("(-whole +in pieces):\n%s", diff)
			}
		})
	}
}

// outline is where everything in a body stands.
func outline(body *hclsyntax.Body) (all []string) {
	for _, b := range body.Blocks {
		all = append(all, fmt.Sprint(b.Type, b.Labels, b.LabelRanges, b.TypeRange, b.CloseBraceRange))
		all = append(all, outline(b.Body)...)
	}
	for name, a := range body.Attributes { // of which no body here has two
		all = append(all, fmt.Sprint(name, a.NameRange, a.Expr.Range()))
	}
	return all
}
