package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/config"
)

const root = "../../.."

// What is in the repository is what would be written now, and nothing else.
func TestDocumentsAreThoseOfThisProgram(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/run/elsewhere") // a builder's own, which is not the reader's
	all := documents()
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("%v: run `make docs`", err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what `make docs` writes (-want +got):\n%s", name, diff)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, manual, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := filepath.Join(manual, filepath.Base(page))
		if _, ok := all[name]; !ok {
			t.Errorf("%s is not written by `make docs`: remove it", name)
		}
	}
}

// The reference says of each setting what it takes.
func TestEveryTypeHasWords(t *testing.T) {
	for _, b := range config.Language().Blocks {
		for _, a := range b.Attributes {
			if takes(a) == "" {
				t.Errorf("%s in %s: the type %q has no words", a.Name, b.Name, a.Type)
			}
		}
	}
}

// Whoever has mandoc or man holds the pages to it.
func TestPagesAreSound(t *testing.T) {
	for _, tool := range [][]string{{"mandoc", "-Tlint", "-Wwarning"}, {"man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"}} {
		t.Run(tool[0], func(t *testing.T) {
			if _, err := exec.LookPath(tool[0]); err != nil {
				if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
					t.Fatalf("%s is not installed (and PIXIECORE_NO_SKIP=1)", tool[0])
				}
				t.Skipf("%s is not installed", tool[0])
			}
			for _, name := range slices.Sorted(maps.Keys(documents())) {
				if filepath.Dir(name) != manual {
					continue
				}
				cmd := exec.Command(tool[0], append(tool[1:], filepath.Join(root, name))...)
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
				var said strings.Builder
				cmd.Stderr = &said
				if tool[0] == "mandoc" { // which tells its findings on standard output
					cmd.Stdout = &said
				}
				err := cmd.Run()
				if err != nil || said.Len() > 0 {
					t.Errorf("%s: %v\n%s", name, err, &said)
				}
			}
		})
	}
}
