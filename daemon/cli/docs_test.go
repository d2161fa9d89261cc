package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/cli"
)

// The configuration in the README can be served as it stands there.
func TestTheREADMEsConfigurationIsValid(t *testing.T) {
	src, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllSubmatch(src, -1)
	if len(blocks) == 0 {
		t.Fatal("no ```hcl in the README")
	}
	for _, b := range blocks {
		_, report := config.Parse("README.hcl", b[1])
		for _, p := range report.Problems() {
			t.Errorf("%s: %s", p, p.Detail)
		}
	}
}

// A command line in a document, or in the help of a command, is one that this
// program takes, as far as names of commands and flags go.
func TestDocumentsNameCommandsAndFlagsThatThereAre(t *testing.T) {
	texts := map[string]string{}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../README.md", "../../packaging/README.md", "../../packaging/man/pixiecore.8") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = strings.ReplaceAll(string(src), `\-`, "-")
	}
	for _, cmd := range cli.Command().Commands() {
		if cmd.Example == "" && !cmd.Hidden && cmd.Name() != "version" {
			t.Errorf("pixiecore %s has no example", cmd.Name())
		}
		texts["pixiecore "+cmd.Name()+" --help"] = "sudo " + strings.ReplaceAll(strings.TrimSpace(cmd.Example), "\n  ", "\nsudo ")
	}
	// Between backquotes, and at the beginning of a line in a block.
	line := regexp.MustCompile("(?m)(?:`|^    |^(?:    )?[#$] |^(?:sudo )?\\./|^sudo )pixiecore ([a-z][^`\n|>#]*)|^pixiecore ([a-z][^`\n|>#]*)  +#")
	lines := 0
	for where, text := range texts {
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			lines++
			text := m[1] + m[2]
			words := strings.Fields(text)
			cmd, _, err := cli.Command().Find(words)
			if err != nil || cmd.Name() == "pixiecore" {
				t.Errorf("%s: `pixiecore %s`: no such command", where, text)
				continue
			}
			cmd.InitDefaultHelpFlag()
			for _, w := range words {
				name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
				if strings.HasPrefix(w, "--") && cmd.Flags().Lookup(name) == nil || len(w) == 2 && w[0] == '-' && cmd.Flags().ShorthandLookup(name) == nil {
					t.Errorf("%s: `pixiecore %s`: %s has no flag %s", where, text, cmd.Name(), w)
				}
			}
		}
	}
	if lines < 150 {
		t.Errorf("%d command lines: are they read rightly?", lines)
	}
}
