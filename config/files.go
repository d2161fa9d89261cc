package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

var (
	errDirectory = errors.New("is a directory")
	errTooLarge  = errors.New("is too large: it has more than 16 MiB")
)

// ReadFile reads a file of a configuration, which may have 16 MiB. A path with
// one of *, ? and [ in its last element is a pattern, as in filepath.Match: it
// is read as the paths that it matches, one a line, in lexical order and
// without hidden files. So what take part is one kind of thing, to watch, to
// compare and to keep.
func ReadFile(path string) ([]byte, error) {
	var src bytes.Buffer
	if st, err := os.Stat(path); err == nil {
		src.Grow(int(min(st.Size(), maxFile)) + bytes.MinRead) // 0 for what is no regular file
	}
	if err := CopyFile(&src, path); err != nil {
		return nil, err
	}
	return src.Bytes(), nil
}

// CopyFile writes to w what ReadFile returns, and holds no file as a whole. With an error,
// w may have got a part.
func CopyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if isPattern(path) && errors.Is(err, fs.ErrNotExist) {
		list, err := expand(path)
		if err != nil {
			return err
		}
		_, err = w.Write(list)
		return err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return err
	case st.IsDir():
		return errDirectory
	}
	n, err := io.Copy(w, io.LimitReader(f, maxFile+1))
	if err == nil && n > maxFile {
		err = errTooLarge
	}
	return err
}

func isPattern(path string) bool { return strings.ContainsAny(filepath.Base(path), "*?[") }

func expand(pattern string) ([]byte, error) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: pattern, Err: err}
	}
	var list strings.Builder
	for _, path := range matches {
		// What an editor keeps beside the file, and what `pixiecore lock` does.
		if base := filepath.Base(path); !strings.HasPrefix(base, ".") && base != lockName {
			fmt.Fprintln(&list, path)
		}
	}
	return []byte(list.String()), nil
}

// list reads a pattern.
func (k *disk) list(pattern string) (paths []string, err error) {
	b, err := k.read(pattern)
	for path := range strings.Lines(string(b)) {
		paths = append(paths, strings.TrimSuffix(path, "\n"))
	}
	return paths, err
}

// take reads one more file of the configuration, which is shown as name. It is
// false for one that takes part already.
func (d *decoder) take(name, path string) (bool, error) {
	if d.added[path] {
		return false, nil
	}
	src, err := d.disk.read(path)
	if err != nil {
		return false, err
	}
	d.added[path] = true
	d.sources[name], d.dirs[name] = src, filepath.Dir(path)
	return true, nil
}

// folder adds the files of a directory, and returns how they are shown.
func (d *decoder) folder(abs string) (names []string) {
	var paths []string
	for _, pattern := range patterns {
		some, err := d.disk.list(filepath.Join(abs, pattern))
		if err != nil {
			d.Report.file(d.name, sumUnreadable, fmt.Sprintf("%v. The user that pixiecore runs as must be able to read it.", err))
		}
		paths = append(paths, some...)
	}
	slices.Sort(paths)
	if len(paths) == 0 && d.Err() == nil {
		d.Report.file(d.name, sumUnreadable, "The directory has no file whose name ends in .hcl or .json. Write one: where a file is missing, `pixiecore serve` prints an example to start from.")
	}
	for _, path := range paths {
		name := filepath.Join(d.name, filepath.Base(path))
		if _, err := d.take(name, path); err != nil {
			d.unsureOfAll()
			d.Report.file(name, sumUnreadable, fmt.Sprintf("%v. The user that pixiecore runs as must be able to read it.", err))
			continue
		}
		names = append(names, name)
	}
	return names
}

// unsureOfAll is for what may have held blocks of any type.
func (d *decoder) unsureOfAll() {
	for _, typ := range fileSchema.Blocks {
		d.unsure[typ] = true
	}
}

// blocks are those of a file and of the files that it includes, which stand
// where the include does. ok is false for a file that cannot be parsed at all.
func (d *decoder) blocks(name string) (all []*hclsyntax.Block, ok bool) {
	body, ok := d.syntaxOf(name)
	if !ok {
		return nil, false
	}
	body = d.names(&fileSchema, body)
	include := body.Attributes["include"]
	for _, b := range body.Blocks {
		if include != nil && include.SrcRange.Start.Byte < b.TypeRange.Start.Byte {
			included, good := d.include(include)
			all, ok, include = append(all, included...), ok && good, nil
		}
		all = append(all, b)
	}
	if include != nil {
		included, good := d.include(include)
		all, ok = append(all, included...), ok && good
	}
	return all, ok
}

// include reads the files that an include names. Each takes part once.
func (d *decoder) include(a *hclsyntax.Attribute) (all []*hclsyntax.Block, ok bool) {
	s := d.in(a.SrcRange)
	if len(a.Expr.Variables()) > 0 {
		d.unsureOfAll()
		s.errorf(a.Expr.Range(), sumVariable, "include is read before any value is known. Write the paths as they are.")
		return nil, true
	}
	texts, whole := s.texts(a, `paths or patterns in quotes, like "conf.d/*.hcl"`)
	if !whole {
		d.unsureOfAll()
	}
	ok = true
	for _, t := range texts {
		pattern := resolve(s.dir, t.s)
		paths := []string{pattern}
		if t.s == "" {
			d.unsureOfAll()
			s.errorf(t.at, sumEmpty, "The name of a file is empty. Write a path or a pattern, like \"conf.d/*.hcl\".")
			continue
		}
		if isPattern(pattern) {
			var err error
			if paths, err = d.disk.list(pattern); err != nil {
				d.unsureOfAll()
				s.errorf(t.at, sumUnreadable, "%v.", err)
			}
		}
		for _, path := range paths {
			shown := path
			if rel, err := filepath.Rel(s.dir, path); err == nil && !filepath.IsAbs(t.s) {
				shown = filepath.Join(filepath.Dir(a.SrcRange.Filename), rel)
			}
			added, err := d.take(shown, path)
			if err != nil {
				d.unsureOfAll()
				way := "An included file must be there, and the user that pixiecore runs as must be able to read it."
				if errors.Is(err, errDirectory) {
					way = fmt.Sprintf("Write %q for the files in it.", t.s+"/*.hcl")
				}
				s.errorf(t.at, sumUnreadable, "%v. %s", err, way)
			}
			if added {
				blocks, good := d.blocks(shown)
				all, ok = append(all, blocks...), ok && good
			}
		}
	}
	return all, ok
}
