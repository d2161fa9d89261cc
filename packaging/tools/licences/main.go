// Licences writes the copyright file of a package, in Debian's machine-readable
// format: what pixiecore is under, and every Go module that is in its binary.
//
//	licences -header packaging/copyright ./daemon/pixiecore
//
// It runs in the module's folder and asks the go command, so what it lists is
// what is linked, in the version that go.mod has. The files are named as `go
// mod vendor` lays them out.
//
// # Decisions
//
// A licence that is not recognised is an error: somebody has to read it before
// it is shipped. The short name is found by a phrase that only that licence has;
// the text itself is always quoted in full, but for the two that Debian has in
// /usr/share/common-licenses.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A licence is a short name (SPDX, and Debian's where that differs) with the
// phrases that all occur in its text. The first that fits is it.
type licence struct {
	name    string
	phrases []string
	common  bool // in /usr/share/common-licenses
}

var licences = []licence{
	{"Apache-2.0", []string{"Apache License", "Version 2.0, January 2004"}, true},
	{"MPL-2.0", []string{"Mozilla Public License", "2.0"}, true},
	{"BSD-3-clause", []string{"Redistribution and use in source and binary forms", "endorse or promote products"}, false},
	{"BSD-2-clause", []string{"Redistribution and use in source and binary forms"}, false},
	{"Expat", []string{"Permission is hereby granted, free of charge", "The above copyright notice and this permission notice"}, false},
	{"ISC", []string{"Permission to use, copy, modify, and/or distribute"}, false},
}

// toolchain is the path of the module that the standard library passes for.
const toolchain = "go"

// A module is what the go command says of one.
type module struct {
	Path, Version, Dir string
	Main               bool
}

func main() {
	header := flag.String("header", "", "the `file` that stands first: the format, the source and our own licence")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	if err := run(out, *header, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, header string, packages []string) error {
	head, err := os.ReadFile(header)
	if err != nil {
		return err
	}
	modules, err := linked(packages)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	common := map[string]bool{"Apache-2.0": true} // ours
	for _, m := range modules {
		if err := stanza(w, m, common); err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
	}
	for _, l := range licences {
		if common[l.name] {
			fmt.Fprintf(w, "\nLicense: %s\n On Debian systems the text of this licence is in\n /usr/share/common-licenses/%s.\n", l.name, l.name)
		}
	}
	return nil
}

// linked are the modules in a binary made of packages, the standard library
// first.
func linked(packages []string) ([]module, error) {
	deps, err := goCommand(append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, packages...)...)
	if err != nil {
		return nil, err
	}
	paths := slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(deps)))))
	root, err := goCommand("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, err := goCommand("env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	all := []module{{Path: toolchain, Version: strings.TrimSpace(string(version)), Dir: strings.TrimSpace(string(root))}}
	for _, path := range paths {
		m, err := describe(path)
		if err != nil {
			return nil, err
		}
		if !m.Main {
			all = append(all, m)
		}
	}
	return all, nil
}

// describe finds a module's version, and its files: in the module cache, or in
// vendor.
func describe(path string) (module, error) {
	var m module
	text, err := goCommand("list", "-m", "-json", path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	if m.Dir == "" {
		m.Dir = filepath.Join("vendor", filepath.FromSlash(path))
	}
	return m, nil
}

func goCommand(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	// What is linked on Linux, whatever the host is.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

var copyrightLine = regexp.MustCompile(`(?mi)^\s*(?:[#*/]+\s*)?(?:portions )?copyright (?:\(c\)|©|[0-9]{4}).*$`)

// stanza writes the paragraph of one module.
func stanza(w io.Writer, m module, common map[string]bool) error {
	text, err := first(m.Dir, "LICENSE", "LICENCE", "COPYING")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(licences, func(l licence) bool {
		return !slices.ContainsFunc(l.phrases, func(p string) bool { return !bytes.Contains(text, []byte(p)) })
	})
	if i < 0 {
		return errors.New("its licence is none that is known here: read it, and add it to the table")
	}
	l := licences[i]

	owners := []string{"The authors of " + m.Path}
	if found := copyrightLine.FindAllString(string(text), -1); len(found) > 0 && !strings.Contains(found[0], "yyyy") && !strings.Contains(found[0], "[") {
		owners = nil
		for _, line := range found {
			owners = append(owners, strings.TrimSpace(line))
		}
	}
	files := "vendor/" + m.Path
	if m.Path == toolchain {
		files = m.Path
	}
	fmt.Fprintf(w, "\nFiles: %s/*\nCopyright: %s\nLicense: %s\n", files, strings.Join(owners, "\n "), l.name)
	if l.common {
		common[l.name] = true
	} else {
		fmt.Fprintln(w, quoted(text))
	}
	fmt.Fprintf(w, "Comment: %s %s\n", m.Path, m.Version)
	if m.Path == toolchain {
		fmt.Fprint(w, " The standard library and the runtime of the Go toolchain.\n")
	}
	// Apache-2.0 §4(d): a notice goes along.
	notice, err := first(m.Dir, "NOTICE")
	if err == nil {
		fmt.Fprintln(w, quoted(notice))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// first reads the file in dir whose name, whatever its case, is one of names or
// one of them with an ending.
func first(dir string, names ...string) (text []byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		for _, e := range entries {
			base, _, _ := strings.Cut(e.Name(), ".")
			if strings.EqualFold(base, name) && e.Type().IsRegular() {
				return os.ReadFile(filepath.Join(dir, e.Name()))
			}
		}
	}
	return nil, fmt.Errorf("none of %s in %s: %w", strings.Join(names, ", "), dir, fs.ErrNotExist)
}

// quoted is text as the continuation of a field: each line behind a space, an
// empty one as a dot.
func quoted(text []byte) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(string(text))) {
		line = strings.TrimRight(line, " \t\r\n\f")
		if line == "" {
			line = "."
		}
		lines = append(lines, " "+line)
	}
	return strings.Join(lines, "\n")
}
