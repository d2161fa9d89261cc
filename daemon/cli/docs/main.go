// Docs writes the documents that are made of the program: docs/language.md, the
// reference of the configuration language, and the manual pages in
// packaging/man.
//
//	config.Language() ──┬──▶ docs/language.md
//	                    └──▶ packaging/man/pixiecore.hcl.5
//	cli.Command() ─────────▶ packaging/man/pixiecore.8, pixiecore-COMMAND.8
//
// Run it by `make docs`. A test fails when a file is not what would be written.
//
// # Decisions
//
// The results are in the repository: a change of the language shows in a review
// as it will read, and packages take them without running anything.
//
// One walk over the language writes both forms of its reference (page), so they
// say the same. Sentences come with code in backquotes and nothing else of
// Markdown, which roff can say as well.
//
// The pages have man(7) macros, which every formatter knows. Cobra's own
// generator writes Markdown first and needs a library to make roff of it; it has
// no exit statuses and no files either.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/cli"
)

//go:generate go run . ../../..

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docs ROOT, the folder of the module")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	for name, text := range documents() {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manual is where the manual pages are.
const manual = "packaging/man"

// documents are all that is made, by their path in the module.
func documents() map[string][]byte {
	// A default of serve is the directory that systemd made for the process.
	os.Unsetenv("STATE_DIRECTORY")
	all := make(map[string][]byte)

	var md markdown
	language(&md, config.Language())
	all["docs/language.md"] = md.bytes()

	hcl := newMan("pixiecore.hcl", 5, "configuration of the network boot server pixiecore")
	language(hcl, config.Language())
	hcl.seeAlso("pixiecore(8)", "pixiecore-check(8)", "pixiecore-fmt(8)", "pixiecore-schema(8)")
	all[manual+"/pixiecore.hcl.5"] = hcl.bytes()

	for name, text := range commands(cli.Command()) {
		all[filepath.Join(manual, name)] = text
	}
	return all
}
