package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// A native file that says the same in JSON means the same.
func TestJSONMeansTheSame(t *testing.T) {
	for _, file := range glob(t, "good/*.hcl") {
		if file == "testdata/good/include.hcl" { // which a file that it includes includes, by that name
			continue
		}
		t.Run(file, func(t *testing.T) {
			src := inJSON(t, read(t, file))
			converted := filepath.Join(filepath.Dir(file), "converted.json")
			abs, err := filepath.Abs(converted)
			if err != nil {
				t.Fatal(err)
			}
			cfg, report := LoadFrom(converted, func(path string) ([]byte, error) {
				if path == abs {
					return src, nil
				}
				return ReadFile(path)
			})
			if cfg == nil {
				t.Fatalf("%v: %s\n%s", report.Err(), report.Problems()[0].Detail, src)
			}
			native, _ := Load(file)
			if diff := cmp.Diff(rendered(t, native), rendered(t, cfg)); diff != "" {
				t.Errorf("(-native +JSON):\n%s\n%s", diff, src)
			}
		})
	}
}

// rendered is dump without places, and with what one machine would boot instead
// of how that is written.
func rendered(t *testing.T, cfg *Config) string {
	t.Helper()
	same := *cfg
	same.Rules = slices.Clone(cfg.Rules)
	m := boot.Machine{MAC: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1}, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true,
		Facts: &boot.Facts{Known: ^boot.Fact(0), Serial: "4711", Transport: boot.TransportPXE}}
	for i := range same.Rules {
		if action := &same.Rules[i].Action; action.Render != nil {
			spec, err := action.Render(booters.Preview(cfg.Inventory, m))
			if err != nil {
				spec = &boot.Spec{Message: err.Error()}
			}
			action.Spec = spec
		}
	}
	return regexp.MustCompile(`[^\s/]+\.(hcl|json)(:\d+)?`).ReplaceAllString(dump(t, &same), "FILE")
}

// inJSON writes a native file in the JSON syntax.
func inJSON(t *testing.T, src string) []byte {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var b bytes.Buffer
	bodyInJSON(&b, []byte(src), f.Body.(*hclsyntax.Body))
	if !json.Valid(b.Bytes()) {
		t.Fatalf("no JSON: %s", &b)
	}
	return b.Bytes()
}

// bodyInJSON writes each block as a property of its own, so that their order is
// kept; JSON lets a name stand twice.
func bodyInJSON(b *bytes.Buffer, src []byte, body *hclsyntax.Body) {
	type item struct {
		at    int
		write func()
	}
	var items []item
	for _, a := range body.Attributes {
		items = append(items, item{a.NameRange.Start.Byte, func() {
			fmt.Fprintf(b, "%s: ", quoted(a.Name))
			expressionInJSON(b, src, a.Expr)
		}})
	}
	for _, inner := range body.Blocks {
		items = append(items, item{inner.TypeRange.Start.Byte, func() {
			fmt.Fprintf(b, "%s: ", quoted(inner.Type))
			for _, l := range inner.Labels {
				fmt.Fprintf(b, "{%s: ", quoted(l))
			}
			bodyInJSON(b, src, inner.Body)
			b.WriteString(strings.Repeat("}", len(inner.Labels)))
		}})
	}
	slices.SortFunc(items, func(a, b item) int { return a.at - b.at })
	b.WriteString("{\n")
	for i, item := range items {
		if i > 0 {
			b.WriteString(",\n")
		}
		item.write()
	}
	b.WriteString("}")
}

func expressionInJSON(b *bytes.Buffer, src []byte, e hclsyntax.Expression) {
	list := func(n int, brackets string, each func(int)) {
		b.WriteByte(brackets[0])
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			each(i)
		}
		b.WriteByte(brackets[1])
	}
	switch e := e.(type) {
	case *hclsyntax.TupleConsExpr:
		list(len(e.Exprs), "[]", func(i int) { expressionInJSON(b, src, e.Exprs[i]) })
		return
	case *hclsyntax.ObjectConsExpr:
		list(len(e.Items), "{}", func(i int) {
			key, _ := e.Items[i].KeyExpr.Value(nil)
			b.WriteString(quoted(escapeTemplate(key.AsString())) + ": ")
			expressionInJSON(b, src, e.Items[i].ValueExpr)
		})
		return
	case *hclsyntax.LiteralValueExpr:
		b.WriteString(string(e.SrcRange.SliceBytes(src)))
		return
	case *hclsyntax.TemplateExpr:
		if text, ok := templateText(src, e); ok {
			b.WriteString(quoted(text))
			return
		}
	}
	b.WriteString(quoted("${" + string(e.Range().SliceBytes(src)) + "}"))
}

// templateText is what stands in the quotes of a template without %{ … }.
func templateText(src []byte, e *hclsyntax.TemplateExpr) (string, bool) {
	var text strings.Builder
	for _, p := range e.Parts {
		switch p := p.(type) {
		case *hclsyntax.LiteralValueExpr:
			if p.Val.Type() != cty.String {
				return "", false
			}
			text.WriteString(escapeTemplate(p.Val.AsString()))
		default:
			if !bytes.HasSuffix(bytes.TrimRight(src[:p.Range().Start.Byte], " "), []byte("${")) {
				return "", false
			}
			text.WriteString("${" + string(p.Range().SliceBytes(src)) + "}")
		}
	}
	return text.String(), true
}

func escapeTemplate(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // there is no such text
	}
	return string(b)
}

// TestJSONPlaces holds that a place in a text is found behind each kind of escape.
func TestJSONPlaces(t *testing.T) {
	for _, before := range []string{"", `\t`, `\"\\\/`, `\u00e4`, `\ud83d\ude00`, `\ud83d`, `\ud83dx`, "ä", strings.Repeat("ä", maxStride), strings.Repeat(`x\n`, maxStride)} {
		src := `{ "locals": { "a": "` + before + `${nonsense.x}" } }`
		_, report := Parse("x.json", []byte(src))
		at := fmt.Sprint(1+len([]rune(src[:strings.Index(src, "nonsense")])), " ", `${nonsense.x}`)
		p := report.Problems()
		if i := slices.IndexFunc(p, func(p Problem) bool { return p.Summary == string(sumIPXEVariable) }); i < 0 || !strings.HasPrefix(at, fmt.Sprint(p[i].Column, " ")) {
			t.Errorf("behind %.20q: %v, want column %s", before, p, at)
		}
	}
}

// TestJSONLimits holds the bounds of the JSON syntax.
func TestJSONLimits(t *testing.T) {
	deep := func(n int) string {
		return `{"locals": {"a": ` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}}`
	}
	for _, tt := range []struct {
		name, src string
		summary   summary // "" for none
	}{
		{"deep", deep(maxNesting), ""},
		{"too deep", deep(maxNesting + 1), sumTooDeep},
		{"far too deep", strings.Repeat(`{"a":`, 100_000), sumTooDeep},
		{"too deep in a text", `{"locals": {"a": "${` + strings.Repeat("[", maxNesting+1) + `"}}`, sumTooDeep},
		{"dense", "[" + strings.Repeat("1,", maxTokens/2), sumTooLarge},
	} {
		_, report := Parse("x.json", []byte(tt.src))
		got := slices.DeleteFunc(report.Problems(), func(p Problem) bool { return p.Summary == string(sumNoListener) })
		if tt.summary == "" && len(got) > 0 || tt.summary != "" && (len(got) != 1 || got[0].Summary != string(tt.summary)) {
			t.Errorf("%s: %.3v, want %q", tt.name, got, tt.summary)
		}
	}
}

// TestJSONFromStandardInput holds that a program's output needs no name.
func TestJSONFromStandardInput(t *testing.T) {
	cfg, report := Read("standard input", strings.NewReader("\n {\"listener\": {\"http\": {}}, \"rule\": {\"all\": {\"local\": true}}}"))
	if cfg == nil || len(report.Problems()) > 0 {
		t.Errorf("%v", report.Problems())
	}
}

func TestJSONExample(t *testing.T) {
	if _, report := Parse("x.json", []byte(jsonExample)); len(report.Problems()) > 0 {
		t.Error(report.Problems())
	}
}

// FuzzParseJSON is FuzzParse for the JSON syntax.
func FuzzParseJSON(f *testing.F) {
	for _, file := range slices.Concat(glob(f, "*/*.json")) {
		f.Add([]byte(read(f, file)))
	}
	f.Add([]byte(`{"listener":{"http":{}},"boot":{"a":{"kernel":"\u00e4\ud83d${machine.name}\n","cmdline":"{{ ID \"x\" }} ${net0/mac}"}},"rule":{"r":{"boot":"${boot[\"a${1}\"]}"}}}`))
	f.Fuzz(func(t *testing.T, src []byte) { parses(t, "/etc/pixiecore.hcl.json", src) })
}
