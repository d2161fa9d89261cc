package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// A look at files that are as they were read tells that nothing has changed, whatever they
// are, and one at any other tells that something has.
func TestDigestNowIsThatOfWhatWasRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.hcl", "a")
	write("large", "")
	if err := os.Truncate(path("large"), 64<<20); err != nil { // more than a file may have
		t.Fatal(err)
	}
	files := reading{}
	for _, name := range []string{"a.hcl", "large", "missing", ".", "*.hcl", "*.none"} {
		files.open(path(name))
	}
	tried := files.digest()
	if digestNow(files.paths()) != tried {
		t.Fatal("the same files have another digest")
	}
	for _, change := range []func(){
		func() { write("a.hcl", "b") },
		func() { write("a.hcl", "a"); write("b.hcl", "") },
		func() { os.Remove(path("b.hcl")); write("missing", "") },
		func() { os.Remove(path("missing")); write("large", "") },
	} {
		if change(); digestNow(files.paths()) == tried {
			t.Error("a change is not seen")
		}
	}
}
