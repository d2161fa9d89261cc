package pixiecore_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Whatever a program says of the original's API, it can say of this one.
func TestEveryNameOfTheGodocIsHere(t *testing.T) {
	type entry struct{ name, typ, value string }
	var entries []entry
	f, err := os.Open("testdata/godoc.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if cols := strings.Split(s.Text(), "\t"); len(cols) > 1 {
			entries = append(entries, entry{cols[0], cols[1], strings.Join(cols[2:], "")})
		}
	}

	// What the list says is read as a program would be that imports the package.
	var src strings.Builder
	fmt.Fprintf(&src, "package p\nimport (\n. %q\n%q\n\"io\"\n\"net\"\n\"net/http\"\n\"time\"\n)\ntype (\n_ = *http.Client\n_ = io.Reader\n_ = net.IP\n_ = time.Duration\n_ = dhcp6.Settings\n", module, module+"/protocols/dhcp6")
	for i, e := range entries {
		fmt.Fprintf(&src, "t%d = %s\n", i, e.typ)
	}
	src.WriteString(")\n")
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "list.go", src.String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", exported(t))}
	list, err := conf.Check("p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := conf.Importer.Import(module)
	if err != nil {
		t.Fatal(err)
	}

	for i, e := range entries {
		want := list.Scope().Lookup(fmt.Sprintf("t%d", i)).Type()
		name, member, _ := strings.Cut(e.name, ".")
		obj := pkg.Scope().Lookup(name)
		if obj != nil && member != "" {
			obj, _, _ = types.LookupFieldOrMethod(obj.Type(), true, pkg, member)
		}
		if obj == nil {
			t.Errorf("%s: not here", e.name)
			continue
		}
		got := obj.Type()
		if _, ok := obj.(*types.TypeName); ok {
			got = got.Underlying()
		}
		if !types.Identical(types.Unalias(got), types.Unalias(want)) {
			t.Errorf("%s: got %s, want %s", e.name, got, want)
		}
		if c, ok := obj.(*types.Const); ok && c.Val().String() != e.value {
			t.Errorf("%s: got %s, want %s", e.name, c.Val(), e.value)
		}
	}
}

// The program that boots a machine in e2e says all of them.
func TestAProgramSaysEveryNameOfTheGodoc(t *testing.T) {
	src, err := os.ReadFile("e2e/library/main.go")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("testdata/godoc.txt")
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(string(src), -1) {
		said[word] = true
	}
	for line := range strings.Lines(string(list)) {
		name, _, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.SplitSeq(name, ".") {
			if !said[word] {
				t.Errorf("%s: not said", name)
			}
		}
	}
}

// exported finds what the compiler wrote of this package and of those below it.
func exported(t *testing.T) importer.Lookup {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}
