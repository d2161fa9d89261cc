package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/pixiecore/pixiecore/booters"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// contents are the schema of what stands in a block.
func contents(b *Block) *Block {
	if b.As != "" {
		return block(b.As)
	}
	return b
}

// within is a file with inner in a block, once for each word that the block's
// label can be.
func within(b *Block, inner string) []string {
	switch {
	case b.Name == "":
		return []string{inner}
	case b.Name == "pool":
		return []string{"listener \"dhcp6\" {\npool {\n" + inner + "}\n}\n"}
	case b.Name == onceName:
		return []string{"boot \"a\" { kernel = \"/linux\" }\nrule \"a\" {\nboot = boot.a\nonce {\n" + inner + "}\n}\n"}
	case b.Name == "match":
		return []string{"rule \"a\" {\nmatch {\n" + inner + "}\n}\n"}
	case b.As != "":
		return []string{"rule \"a\" {\nmatch {\n" + b.Name + " {\n" + inner + "}\n}\n}\n"}
	case b.Name == "file":
		return []string{"boot \"a\" {\nkernel = \"/linux\"\nfile \"a\" {\n" + inner + "}\n}\n"}
	case b.Label == "":
		return []string{b.Name + " {\n" + inner + "}\n"}
	}
	labels := b.Labels
	if len(labels) == 0 {
		labels = []Word{{Word: "a"}}
	}
	var all []string
	for _, l := range labels {
		all = append(all, fmt.Sprintf("%s %q {\n%s}\n", b.Name, l.Word, inner))
	}
	return all
}

// complains reports whether one of the files has a problem with this summary,
// whose sentence has detail, in the line that contains at.
func complains(files []string, s summary, at, detail string) bool {
	return slices.ContainsFunc(files, func(src string) bool {
		line := 1 + strings.Count(src[:strings.Index(src, at)], "\n")
		_, report := Parse("pixiecore.hcl", []byte(src))
		return slices.ContainsFunc(report.Problems(), func(p Problem) bool {
			return p.Summary == string(s) && p.Line == line && strings.Contains(p.Detail, detail)
		})
	})
}

// TestEveryAttributeIsDecoded holds that each attribute of the table is looked
// at, and not accepted and inert: a value that means nothing is found.
func TestEveryAttributeIsDecoded(t *testing.T) {
	for _, b := range blocks {
		for _, a := range contents(b).Attributes {
			if !complains(within(b, a.Name+" = nonsense\n"), sumVariable, a.Name+" = nonsense", "") {
				t.Errorf("%s %s: nobody looks at its value", a.Name, b.inside())
			}
		}
	}
}

// TestEveryBlockIsDecoded holds the same for blocks.
func TestEveryBlockIsDecoded(t *testing.T) {
	for _, b := range blocks {
		for _, name := range contents(b).Blocks {
			inner := block(name)
			switch {
			case inner == nil:
				t.Errorf("%s %s is in no table", name, b.inside())
			case name != "locals" && !complains(within(inner, "nonsense = 1\n"), sumUnknownSetting, "nonsense", "nonsense"):
				t.Errorf("%s %s: nobody looks at what it has", name, b.inside())
			}
		}
	}
}

// TestEveryLookupIsInTheTable holds that the decoder asks for no name that the
// table has not, which would be refused before.
func TestEveryLookupIsInTheTable(t *testing.T) {
	known := make(map[string]bool)
	for _, b := range blocks {
		for _, name := range b.names() {
			known[name] = true
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			index, ok := node.(*ast.IndexExpr)
			if !ok {
				return true
			}
			of := ""
			switch x := index.X.(type) {
			case *ast.Ident:
				of = x.Name
			case *ast.SelectorExpr:
				of = x.Sel.Name
			}
			lit, isText := index.Index.(*ast.BasicLit)
			if isText && slices.Contains([]string{"Attributes", "attrs", "settings", "a"}, of) {
				name, _ := strconv.Unquote(lit.Value)
				if n++; !known[name] {
					t.Errorf("%s: %q is in no table", files.Position(lit.Pos()), name)
				}
			}
			return true
		})
	}
	if n < 50 {
		t.Errorf("found only %d names that are looked up", n)
	}
}

// TestMachineValues holds where the table says that values of the machine may
// stand.
func TestMachineValues(t *testing.T) {
	for _, b := range blocks {
		for _, a := range contents(b).Attributes {
			for member, refusal := range map[string]map[MachineValues]summary{
				"name":   {"": sumVariable},
				"serial": {"": sumVariable, MachinePaths: sumPathFact},
			} {
				value := fmt.Sprintf("%s = \"${machine.%s}\"\n", a.Name, member)
				for _, s := range []summary{sumVariable, sumPathFact} {
					if got, want := complains(within(b, value), s, value, ""), refusal[a.Machine] == s; got != want {
						t.Errorf("%s: %q %s: %v; the table says otherwise", b.inside(), strings.TrimSpace(value), s, got)
					}
				}
			}
		}
	}
}

// TestLaterNamesAreNoOthers holds that a name stands in one list only, and that
// those of a later version are refused as such.
func TestLaterNamesAreNoOthers(t *testing.T) {
	for _, b := range blocks {
		all := slices.Concat(b.names(), b.Blocks, b.Later)
		slices.Sort(all)
		if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
			t.Errorf("%s: a name stands in two lists: %v", b.inside(), all)
		}
		if !slices.IsSorted(b.Later) {
			t.Errorf("%s: Later is not sorted", b.inside())
		}
		for _, name := range b.Later {
			if !complains(within(b, name+" = 1\n"), sumLater, name+" = 1", strconv.Quote(name)) {
				t.Errorf("%s %s is not refused as one of a later version", name, b.inside())
			}
		}
	}
}

// TestTableIsWhole holds that the table says of each name what a reader needs.
func TestTableIsWhole(t *testing.T) {
	sentences := func(what, doc string) {
		if !strings.HasSuffix(doc, ".") || strings.TrimSpace(doc) != doc {
			t.Errorf("%s: %q is no sentence", what, doc)
		}
	}
	for _, b := range blocks {
		sentences(b.inside(), b.Doc)
		for _, a := range b.Attributes {
			sentences(a.Name+" "+b.inside(), a.Doc)
			if a.Type == "" || a.Example == "" {
				t.Errorf("%s %s: no type or no example", a.Name, b.inside())
			}
			if (a.Type == TypeObject) != (a.Members != nil) {
				t.Errorf("%s %s: the members of an object are its names", a.Name, b.inside())
			}
		}
		if b.Example == "" {
			t.Errorf("no example of %s", b.Name)
		}
	}
	var labels []string
	for _, l := range listenerSchema.Labels {
		labels = append(labels, l.Word)
	}
	if diff := cmp.Diff(kinds, labels); diff != "" {
		t.Errorf("kinds of listeners (-code +table):\n%s", diff)
	}
}

// loadIn loads src from a folder with the files that documentation names.
func loadIn(t *testing.T, src string) *Report {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/docs")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pixiecore.hcl")
	write(t, file, src)
	cfg, report := Load(file)
	if cfg != nil {
		usable(t, cfg)
	}
	return report
}

// TestExamplesOfTheTable holds that each block's example loads, and that each
// attribute's is taken.
func TestExamplesOfTheTable(t *testing.T) {
	const around = `listener "http" { address = "[::1]:8888" }
boot "live" { kernel = "https://example.org/linux" }
boot "base" { extends = boot.live }
machine "db1" { mac = "02:00:00:00:00:01" }
rule "servers" { boot = boot.base }
listener "dhcp" {
  address = "0.0.0.0:6767"
  mode    = "server"
}
`
	for _, b := range blocks {
		src := b.Example
		if !strings.Contains(src, `listener "http"`) {
			src += "listener \"http\" { address = \"[::1]:8888\" }\n"
		}
		if laid, report := Format("example", []byte(b.Example)); string(laid) != b.Example {
			t.Errorf("%s: the example is not as pixiecore fmt lays it out: %v\n%s", b.inside(), report.Err(), laid)
		}
		report := loadIn(t, src)
		for _, p := range report.Problems() {
			if p.Severity == SeverityError {
				t.Errorf("%s: %v: %s", b.inside(), p, p.Detail)
			}
		}
		for _, a := range contents(b).Attributes {
			line, beside := fmt.Sprintf("%s = %s\n", a.Name, a.Example), ""
			if b.Name == "boot" && slices.Contains(apiSettings, a.Name) && a.Name != "api" {
				beside = "api = \"http://inventory.lan\"\n"
			}
			switch a.Name {
			case "router", "mask", "domain":
				beside = "mode = \"server\"\n"
			case "on_timeout":
				beside = "timeout = \"1h\"\n"
			case "client_ca":
				beside = "cert = \"cert.pem\"\nkey = \"key.pem\"\n"
			case "ip":
				beside = "mac = \"02:00:00:00:00:02\"\n"
			}
			taken := slices.ContainsFunc(within(b, beside+line), func(src string) bool {
				src = around + src
				first := 1 + strings.Count(src[:strings.Index(src, line)], "\n")
				return !slices.ContainsFunc(loadIn(t, src).Problems(), func(p Problem) bool { return p.Severity == SeverityError && p.Line == first })
			})
			if !taken {
				t.Errorf("%s: %q is refused", b.inside(), strings.TrimSpace(line))
			}
		}
	}
}

// TestMembersOfTheTable holds the words that have a description to the code.
func TestMembersOfTheTable(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(facts)), slices.Sorted(maps.Keys(memberDocs))); diff != "" {
		t.Errorf("members of machine (-code +table):\n%s", diff)
	}
	words := func(all []Word) (words []string) {
		for _, w := range all {
			words = append(words, w.Word)
		}
		return words
	}
	if diff := cmp.Diff(boot.ArchitectureNames(), words(architectureWords)); diff != "" {
		t.Errorf("architectures (-code +table):\n%s", diff)
	}
	if diff := cmp.Diff(boot.FirmwareWords(), words(firmwareWords)); diff != "" {
		t.Errorf("firmwares (-code +table):\n%s", diff)
	}
}

// TestStages holds what the reference says of how early a condition is known to
// what a rule does without probe.
func TestStages(t *testing.T) {
	for _, b := range Language().Blocks {
		for _, a := range b.Attributes {
			if isCondition := b.Name == "match" && a.Type != TypeCondition; (a.Stage != "") != isCondition {
				t.Errorf("%s %s: stage %q", a.Name, b.inside(), a.Stage)
			} else if !isCondition {
				continue
			}
			src := "machine \"db1\" { mac = \"02:00:00:00:00:01\" }\n" + within(&b, a.Name+" = "+a.Example+"\n")[0]
			if probes := complains([]string{src}, sumProbes, "match {", ""); probes != (a.Stage == StageIPXE) {
				t.Errorf("%s: stage %s, and the decoder says that every machine would load iPXE: %v", a.Name, a.Stage, probes)
			}
		}
	}
}

// TestFunctionsOfTheTable holds that each function is in it with as many
// arguments as it has, and that its example yields what the table says.
func TestFunctionsOfTheTable(t *testing.T) {
	dir, err := filepath.Abs("testdata/docs")
	if err != nil {
		t.Fatal(err)
	}
	k := &disk{open: ReadFile, getenv: os.LookupEnv, files: make(map[string]content), templates: make(map[string]hclsyntax.Expression)}
	ctx := &hcl.EvalContext{Functions: k.functions(dir)}
	ctx.Functions["upload"] = uploadFunction(booters.Preview(nil, noMachine).Link)
	ctx.Functions["phone_home"] = phoneHome(booters.Preview(nil, noMachine).Link)
	ctx.Functions["url"] = (&scope{dir: dir}).urlFunction(booters.Preview(nil, noMachine).Link)
	evaluate := func(src string) (cty.Value, error) {
		e, diags := hclsyntax.ParseExpression([]byte(src), "", hcl.InitialPos)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		v, diags := e.Value(ctx)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		return v, nil
	}
	var names []string
	for _, f := range functionTable {
		names = append(names, f.Name)
		if f.Result == "" {
			file := fmt.Sprintf("listener \"http\" {}\nboot \"x\" {\n kernel = \"x\"\n initrd = %s\n}\nrule \"r\" { boot = boot.x }\n", f.Example)
			if _, r := Parse("x.hcl", []byte(file)); len(r.Problems()) > 0 {
				t.Errorf("%s: %v", f.Example, r.Problems())
			}
			continue
		}
		code, ok := ctx.Functions[f.Name]
		if !ok {
			t.Errorf("there is no function %s", f.Name)
			continue
		}
		arguments := strings.FieldsFunc(strings.TrimSuffix(strings.TrimPrefix(f.Signature, f.Name+"("), ")"), func(r rune) bool { return r == ',' })
		want := len(code.Params())
		if code.VarParam() != nil {
			want++
		}
		if variadic := strings.HasSuffix(f.Signature, "…)"); len(arguments) != want || variadic != (code.VarParam() != nil) {
			t.Errorf("%s has %d arguments, variadic %v", f.Signature, want, code.VarParam() != nil)
		}
		if !strings.HasSuffix(f.Doc, ".") || !strings.Contains(f.Example, f.Name+"(") {
			t.Errorf("%s: no sentence, or an example of something else", f.Name)
		}
		got, err := evaluate(f.Example)
		if err != nil {
			t.Errorf("%s: %v", f.Example, err)
			continue
		}
		result, err := evaluate(f.Result)
		if err != nil {
			t.Errorf("%s: %v", f.Result, err)
			continue
		}
		if result, err = convert.Convert(result, got.Type()); err != nil || !result.RawEquals(got) {
			t.Errorf("%s is %#v, and not %s", f.Example, got, f.Result)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(functionNames, names); diff != "" {
		t.Errorf("functions (-code +table):\n%s", diff)
	}
}

// TestGoodFilesHaveAll holds that each block and attribute of the table stands in
// a file of testdata/good, whose meaning is written down beside it.
func TestGoodFilesHaveAll(t *testing.T) {
	missing := make(map[string]bool)
	for _, b := range blocks {
		for _, name := range slices.Concat(b.names(), b.Blocks) {
			missing[name+" "+b.inside()] = true
		}
	}
	var look func(b *Block, body *hclsyntax.Body)
	look = func(b *Block, body *hclsyntax.Body) {
		b = contents(b)
		for name := range body.Attributes {
			delete(missing, name+" "+b.inside())
		}
		for _, inner := range body.Blocks {
			delete(missing, inner.Type+" "+b.inside())
			look(block(inner.Type), inner.Body)
		}
	}
	for _, file := range glob(t, "good/*.hcl") {
		f, diags := hclsyntax.ParseConfig([]byte(read(t, file)), file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		look(&fileSchema, f.Body.(*hclsyntax.Body))
	}
	for name := range missing {
		t.Errorf("no file of testdata/good has %s", name)
	}
}
