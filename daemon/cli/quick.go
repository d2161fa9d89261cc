package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/config/recipes"
)

// quickFlags choose what a recipe boots.
type quickFlags struct {
	recipes.Choice
	catalogues []string
}

func (q *quickFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.Version, "version", "", "the `version`, which may also stand behind the recipe's name")
	f.StringVar(&q.Arch, "arch", "", "the `architecture`, in the word of the distribution")
	f.StringVar(&q.Mirror, "mirror", "", "the `URL` or directory below which the files lie, in place of the usual one")
	f.StringArrayVar(&q.catalogues, "catalogue", nil, "a `file` with recipes, or with single settings of those that there are; several take effect in their order")
	cmd.ValidArgsFunction = q.complete
}

// recipe is the one that args name. The error is of the command line, or of a
// catalogue.
func (q *quickFlags) recipe(args []string) (*recipes.Recipe, error) {
	c, err := recipes.Load(q.catalogues...)
	if err != nil {
		return nil, failed(err)
	}
	r, err := c.Find(args[0])
	if err != nil {
		return nil, exitError{exitUsage, fmt.Errorf("%w `pixiecore quick --list` says what each of them is", err)}
	}
	if len(args) > 1 {
		if q.Version != "" && q.Version != args[1] {
			return nil, exitError{exitUsage, fmt.Errorf("the version is %q, and by --version %q: leave one of the two out", args[1], q.Version)}
		}
		q.Version = args[1]
	}
	return r, nil
}

// complete offers recipes, and then versions.
func (q *quickFlags) complete(_ *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
	c, err := recipes.Load(q.catalogues...)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	switch len(args) {
	case 0:
		for _, r := range c.All() {
			words = append(words, r.Name+"\t"+r.Title)
		}
	case 1:
		if r, err := c.Find(args[0]); err == nil {
			words = slices.DeleteFunc(slices.Clone(r.Versions), func(v string) bool { return strings.ContainsAny(v, "*?[") })
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

func quickCommand() *cobra.Command {
	var (
		q                   quickFlags
		cmdline, message    string
		list, print, asJSON bool
		e                   *everybody
	)
	cmd := &cobra.Command{
		Use:   "quick RECIPE [VERSION]",
		Short: "Boot every machine into a distribution's installer or live system",
		Long: `Boot every machine that asks on any interface into a distribution's installer or
live system, without a configuration file. A recipe knows where the kernel lies:
--list shows the recipes, "pixiecore quick check" asks whether their files are
still there, and --print prints the boot block, for a configuration file.

The recipe's own command line comes first, then that of --cmdline. A machine of
another architecture is shown how it could be booted.`,
		Example: "  pixiecore quick debian stable\n  pixiecore quick fedora 43 --cmdline inst.text\n  pixiecore quick arch --mirror https://mirrors.kernel.org/archlinux",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case list:
				return listRecipes(cmd, q.catalogues, asJSON)
			case asJSON:
				return exitError{exitUsage, errors.New("--json is for --list and for quick check")}
			case len(args) == 0:
				return exitError{exitUsage, errors.New("name a recipe: `pixiecore quick --list` shows what there is")}
			}
			r, err := q.recipe(args)
			if err != nil {
				return err
			}
			sources := booters.NewSources()
			defer sources.Close()
			b, err := r.Resolve(cmd.Context(), sources, q.Choice)
			var unknown *recipes.Unknown
			switch {
			case errors.As(err, &unknown):
				return exitError{exitUsage, err}
			case err != nil:
				return failed(err)
			}
			block := b.HCL(cmdline, message)
			if b.Notes != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), b.Notes)
			}
			if print {
				_, err := cmd.OutOrStdout().Write(block)
				return failed(err)
			}
			cfg, report := config.Read("quick "+b.Name, io.MultiReader(bytes.NewReader(block), strings.NewReader(quickRules(b))))
			if err := report.Err(); err != nil {
				writeReport(cmd, report)
				return exitError{exitUsage, fmt.Errorf("what the recipe makes of the command line cannot be served: %w", err)}
			}
			what := strings.Join(slices.DeleteFunc([]string{b.Name, b.Version, b.Arch}, func(s string) bool { return s == "" }), " ")
			return e.serve(cmd, cfg.Rules, what)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&list, "list", false, "list the recipes")
	f.BoolVar(&print, "print", false, "print the boot block, and serve nothing")
	f.BoolVar(&asJSON, "json", false, "with --list: print JSON")
	f.StringVar(&cmdline, "cmdline", "", "what to add to the kernel's command `line`")
	f.StringVar(&message, "bootmsg", "", "a `message` for the machine's screen")
	q.add(cmd)
	e = everybodyFlags(cmd)
	cmd.AddCommand(quickCheckCommand())
	return cmd
}

// quickRules is what stands behind the boot block in the file that quick makes.
func quickRules(b *recipes.Boot) string {
	var t strings.Builder
	// A file without a listener is refused; the command line has them.
	fmt.Fprintf(&t, "\nlistener \"http\" {}\n\nrule %q {\n", "everybody")
	if len(b.Machines) == 0 {
		fmt.Fprintf(&t, "  boot = boot.%s\n}\n", b.Label())
		return t.String()
	}
	// What a BIOS is comes out late, and the kernel itself tells a CPU that is
	// too small for it, so that a recipe for x64 is for ia32 as well.
	fmt.Fprintf(&t, "  match { arch = [%s] }\n  boot = boot.%s\n}\n", quoted(b.Machines), b.Label())
	fmt.Fprintf(&t, `
boot "no-kernel" {
  script = <<-EOT
    #!ipxe
    echo pixiecore quick serves %[1]s for %[2]s, and this machine is ${machine.arch}.
    echo Stop it, and start it with the option --arch for this one.
    prompt --timeout 60000 Press a key to go on. ||
    exit
  EOT
}

rule "other architectures" { boot = boot.no-kernel }
`, b.Name, b.Arch)
	return t.String()
}

func quoted(words []string) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(all, ", ")
}

// listed is a recipe in JSON.
type listed struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Aliases  []string `json:"aliases,omitempty"`
	Versions []string `json:"versions,omitempty"` // patterns among them
	Version  string   `json:"version,omitempty"`  // without one
	Arches   []string `json:"arches,omitempty"`
	Arch     string   `json:"arch,omitempty"` // without one
}

func listRecipes(cmd *cobra.Command, catalogues []string, asJSON bool) error {
	c, err := recipes.Load(catalogues...)
	if err != nil {
		return failed(err)
	}
	all := []listed{}
	var rows [][]string
	for _, r := range c.All() {
		all = append(all, listed{r.Name, r.Title, r.Aliases, r.Versions, r.Version, r.Arches, r.Arch})
		rows = append(rows, []string{r.Name, r.Title, or(strings.Join(r.Arches, " ")), or(strings.Join(r.Versions, " "))})
	}
	if asJSON {
		return failed(writeJSON(cmd.OutOrStdout(), all))
	}
	p := newPrinter(cmd.OutOrStdout())
	p.table([]string{"RECIPE", "BOOTS", "ARCHITECTURES", "VERSIONS"}, rows)
	return failed(p.err)
}

const (
	// maxRecipeFiles bounds how many files one check asks for.
	maxRecipeFiles = 2000
	// recipeFileTimeout is for one of them, askedAtOnce at a time.
	recipeFileTimeout = 10 * time.Second
	// maxSums is how much of a mirror's list of files is read; that of Debian's
	// installer has 80 KB.
	maxSums = 4 << 20
	// quickCheckTimeout is for all.
	quickCheckTimeout = 10 * time.Minute
)

// A recipeFile is what quick check found out of a file.
type recipeFile struct {
	File    string   `json:"file"`
	Recipes []string `json:"recipes"` // name, version and architecture
	Verdict string   `json:"verdict"` // there, gone or unchecked
	Why     string   `json:"why,omitempty"`

	sums string // the mirror's list in which it should stand; may be empty
}

// The verdicts.
const (
	fileThere     = "there"
	fileGone      = "gone"
	fileUnchecked = "unchecked"
)

func quickCheckCommand() *cobra.Command {
	var (
		q      quickFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "check [RECIPE [VERSION]]",
		Short: "Ask whether the files of recipes are where they should be",
		Long: `Ask the servers of a recipe's kernel, initrds and further files, or those of all
recipes, whether they are there, by HEAD. Files that are gone are listed, and so
is what could not be asked, with the reason: it may be there or not. That is also
so for what a mirror does not give out but has in its own list of files.

The exit status is 1 when a file is gone, and 3 when no server could be asked.`,
		Example: "  pixiecore quick check\n  pixiecore quick check fedora 43",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), quickCheckTimeout)
			defer cancel()
			sources := booters.NewSources()
			defer sources.Close()
			files, err := q.files(ctx, sources, args)
			if err != nil {
				return err
			}
			lookAll(ctx, sources, files)
			count := map[string]int{}
			p := newPrinter(cmd.OutOrStdout())
			for _, f := range files {
				count[f.Verdict]++
				if f.Verdict != fileThere && !asJSON {
					p.printf("%-9s  %s  %s\n           %s\n", f.Verdict, strings.Join(f.Recipes, ", "), f.File, f.Why)
				}
			}
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), files); err != nil {
					return failed(err)
				}
			} else if p.printf("%d files are there, %d are gone, %d unchecked\n", count[fileThere], count[fileGone], count[fileUnchecked]); p.err != nil {
				return failed(p.err)
			}
			switch {
			case count[fileGone] > 0:
				return exitError{exitNo, fmt.Errorf("%d files are gone: name another --mirror or version, or correct the recipe by a --catalogue of your own", count[fileGone])}
			case count[fileThere] == 0:
				return failed(errors.New("nothing could be asked"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	q.add(cmd)
	return cmd
}

// files are those of the recipes that args and flags choose, each once. Where a
// choice has no files that could be asked for, there is one without a name that
// says why.
func (q *quickFlags) files(ctx context.Context, sources *booters.Sources, args []string) ([]*recipeFile, error) {
	var (
		all   []*recipeFile
		found = map[string]*recipeFile{}
	)
	add := func(file, of, sums, verdict, why string) {
		if f := found[file]; f != nil && file != "" {
			f.Recipes = append(f.Recipes, of)
			return
		}
		f := &recipeFile{File: file, Recipes: []string{of}, Verdict: verdict, Why: why, sums: sums}
		found[file] = f
		all = append(all, f)
	}
	resolve := func(r *recipes.Recipe, c recipes.Choice) {
		of := strings.TrimSpace(strings.Join([]string{r.Name, c.Version, c.Arch}, " "))
		b, err := r.Resolve(ctx, sources, c)
		if err != nil {
			add("", of, "", fileUnchecked, err.Error())
			return
		}
		for _, file := range b.Files() {
			add(file, of, b.Sums, "", "")
		}
	}
	if len(args) == 0 {
		if q.Choice != (recipes.Choice{}) {
			return nil, exitError{exitUsage, errors.New("--version, --arch and --mirror are for one recipe: name it")}
		}
		c, err := recipes.Load(q.catalogues...)
		if err != nil {
			return nil, failed(err)
		}
		for _, r := range c.All() {
			known, patterns := r.Choices()
			for _, choice := range known {
				resolve(r, choice)
			}
			for _, v := range patterns {
				add("", r.Name, "", fileUnchecked, fmt.Sprintf("version %s is a pattern: `pixiecore quick check %s VERSION` asks for one", v, r.Name))
			}
		}
		return all, nil
	}
	r, err := q.recipe(args)
	if err != nil {
		return nil, err
	}
	// The choice itself is held to the recipe here, so that an unknown word is one
	// of the command line.
	known, _ := r.Choices()
	chosen := slices.DeleteFunc(known, func(c recipes.Choice) bool {
		return q.Version != "" && c.Version != q.Version || q.Arch != "" && c.Arch != q.Arch
	})
	if len(chosen) == 0 {
		b, err := r.Resolve(ctx, sources, q.Choice)
		var unknown *recipes.Unknown
		if errors.As(err, &unknown) {
			return nil, exitError{exitUsage, err}
		}
		if err == nil {
			chosen = append(chosen, recipes.Choice{Version: b.Version, Arch: b.Arch})
		} else {
			chosen = append(chosen, q.Choice)
		}
	}
	for _, c := range chosen {
		c.Mirror = q.Mirror
		resolve(r, c)
	}
	return all, nil
}

// lookAll asks for each file that has no verdict yet.
func lookAll(ctx context.Context, sources *booters.Sources, files []*recipeFile) {
	var g errgroup.Group
	g.SetLimit(askedAtOnce)
	asked := 0
	for _, f := range files {
		if f.Verdict != "" {
			continue
		}
		if asked++; asked > maxRecipeFiles {
			f.Verdict, f.Why = fileUnchecked, fmt.Sprintf("one check asks for %d files at most", maxRecipeFiles)
			continue
		}
		g.Go(func() error {
			own, cancel := context.WithTimeout(ctx, recipeFileTimeout)
			defer cancel()
			f.Verdict, f.Why = judge(sources.Look(own, f.File))
			return nil
		})
	}
	g.Wait() // there is no error

	lists := map[string]map[string]bool{}
	for _, f := range files {
		if f.Verdict != fileGone || f.sums == "" {
			continue
		}
		listed, read := lists[f.sums]
		if !read {
			own, cancel := context.WithTimeout(ctx, recipeFileTimeout)
			listed = readSums(own, sources, f.sums) // nothing, if that goes wrong
			cancel()
			lists[f.sums] = listed
		}
		if listed[f.File] {
			f.Verdict, f.Why = fileUnchecked, f.Why+", but the mirror's own list has it ("+f.sums+"): this mirror gives out a part only, so name another by --mirror"
		}
	}
}

// readSums reads a list as sha256sum writes it: the files that it has, under their
// whole names.
func readSums(ctx context.Context, sources *booters.Sources, at string) map[string]bool {
	body, _, err := sources.Open(ctx, at)
	if err != nil {
		return nil
	}
	defer body.Close()
	listed := map[string]bool{}
	dir := at[:strings.LastIndexByte(at, '/')+1]
	for s := bufio.NewScanner(io.LimitReader(body, maxSums)); s.Scan(); {
		if _, name, ok := strings.Cut(s.Text(), " "); ok {
			listed[dir+strings.TrimPrefix(strings.TrimLeft(name, " *"), "./")] = true
		}
	}
	return listed
}

// judge says what an answer means. Only an answer that the file is not there
// says that it is gone: all else may be the matter of this host or of the moment.
func judge(err error) (verdict, why string) {
	var answer *booters.AnswerError
	switch {
	case err == nil:
		return fileThere, ""
	case errors.Is(err, fs.ErrNotExist):
		return fileUnchecked, "it is not on this host"
	case errors.As(err, &answer) && (answer.Status == http.StatusNotFound || answer.Status == http.StatusGone || answer.Status == http.StatusForbidden):
		return fileGone, err.Error()
	}
	return fileUnchecked, err.Error()
}
