package pixiecore_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// A link in a document leads to a file of this repository, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^) ]+)\)`)
	documents, links := 0, 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err == nil && file == "dist": // what was built, in which a package has some of them
			return fs.SkipDir
		case err != nil, d.IsDir(), path.Ext(file) != ".md":
			return err
		}
		documents++
		for _, m := range link.FindAllStringSubmatch(prose(t, file), -1) {
			to, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			links++
			target := file
			if to != "" {
				target = path.Join(path.Dir(file), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: (%s) leads nowhere", file, m[1])
			} else if heading != "" && !headings(t, target)[heading] {
				t.Errorf("%s: (%s) leads to no heading", file, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if documents < 10 || links < 50 {
		t.Errorf("%d documents with %d links: are they read rightly?", documents, links)
	}
}

// Whoever begins at the index finds every document.
func TestTheIndexIsComplete(t *testing.T) {
	index := prose(t, "docs/index.md")
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		if name := path.Base(d); name != "index.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/index.md does not name %s", name)
		}
	}
}

var fenced = regexp.MustCompile("(?ms)^```.*?^```$")

// prose is a document without its blocks of code.
func prose(t *testing.T, file string) string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fenced.ReplaceAllString(string(src), "")
}

// headings are the anchors that the headings of a document have: in small letters,
// without punctuation, with hyphens for spaces.
func headings(t *testing.T, file string) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	for line := range strings.Lines(prose(t, file)) {
		if text, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			all[strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(text))] = true
		}
	}
	return all
}
