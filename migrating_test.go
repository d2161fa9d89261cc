package pixiecore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/migrating.md says of the original is shown by tests that there are.
func TestMigratingNamesItsTests(t *testing.T) {
	there := make(map[string]bool)
	named := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range named.FindAllSubmatch(src, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || strings.HasPrefix(line, "| the original") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		verdict, test := cells[1], strings.Trim(cells[3], " |")
		if script, ok := strings.CutPrefix(test, "TestScripts/"); ok {
			_, err := os.Stat(filepath.Join("daemon/cli/testdata/script", script+".txtar"))
			there[test] = err == nil
		}
		switch {
		case verdict != "same" && verdict != "fixed" && verdict != "dropped":
			t.Errorf("%s: neither same, fixed nor dropped", line)
		case !there[test] && (test != "" || verdict != "dropped"):
			t.Errorf("%s: there is no test %q", cells[0], test)
		}
	}
	if rows < 80 {
		t.Errorf("%d rows: is the table read rightly?", rows)
	}
}
