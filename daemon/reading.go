package daemon

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pixiecore/pixiecore/config"
)

// A reading is the files of one attempt to load a configuration, as they were
// read then: those that made it fail included, and those that were not there.
type reading map[string]content

type content struct {
	data   []byte
	err    error
	beside bool // the configuration names it, and it is no part of that
}

// open reads a file, for config.LoadFrom.
func (r reading) open(path string) ([]byte, error) {
	data, err := config.ReadFile(path)
	r[path] = content{data: data, err: err}
	return data, err
}

// beside reads a file that is served with the configuration and is no part of it: a
// change of it is one to serve, but no edit, and no copy of it is kept.
func (r reading) beside(path string) {
	data, err := config.ReadFile(path)
	r[path] = content{data, err, true}
}

// paths are those of all files.
func (r reading) paths() []string { return slices.Sorted(maps.Keys(r)) }

// digest tells contents apart. A file that cannot be read counts by its error.
func (r reading) digest() [32]byte {
	return digest(r.paths(), func(path string) ([32]byte, error) { return sha256.Sum256(r[path].data), r[path].err })
}

// digestNow is the digest of files as they are now, of which it holds none in memory: it
// is asked at every look at them.
func digestNow(paths []string) [32]byte {
	return digest(slices.Compact(slices.Sorted(slices.Values(paths))), func(path string) ([32]byte, error) {
		h := sha256.New()
		if err := config.CopyFile(h, path); err != nil {
			return sha256.Sum256(nil), err
		}
		return [32]byte(h.Sum(nil)), nil
	})
}

// digest is that of files, of which content tells the contents of one.
func digest(paths []string, content func(path string) ([32]byte, error)) [32]byte {
	h := sha256.New()
	for _, path := range paths {
		sum, err := content(path)
		fmt.Fprintf(h, "%q %x %v\n", path, sum, err)
	}
	return [32]byte(h.Sum(nil))
}

// substance is a digest of the configuration as far as it could be read. That of a
// copy is the same.
func (r reading) substance() [32]byte {
	h := sha256.New()
	for _, path := range r.paths() {
		if c := r[path]; c.err == nil && !c.beside {
			fmt.Fprintf(h, "%q %x\n", path, sha256.Sum256(c.data))
		}
	}
	return [32]byte(h.Sum(nil))
}

// lastGood is the name, in the state directory, of the configuration that was
// served last: a ZIP archive of its files under their absolute paths.
const lastGood = "last-good.zip"

// save keeps the files for a start at which they are not usable. The archive is
// for its owner only, since there may be secrets in it, and is replaced as a
// whole.
func (r reading) save(dir string, now time.Time) error {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, path := range r.paths() {
		c := r[path]
		if c.err != nil || c.beside {
			continue // one that is missing is missing in the archive, too
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: member(path), Method: zip.Deflate, Modified: now})
		if err != nil {
			return err
		}
		if _, err := w.Write(c.data); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, lastGood), archive.Bytes())
}

// A good is a configuration that was served.
type good struct {
	cfg   *config.Config
	files reading
	saved time.Time
}

// loadLastGood loads the configuration at path, as it was when it was served
// last.
func loadLastGood(dir, path string) (good, error) {
	name := filepath.Join(dir, lastGood)
	info, err := os.Stat(name)
	if err != nil {
		return good{}, err
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		return good{}, fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	files := reading{}
	cfg, report := config.LoadFrom(path, func(path string) ([]byte, error) {
		data, err := readMember(z, path)
		files[path] = content{data: data, err: err}
		return data, err
	})
	return good{cfg, files, info.ModTime()}, report.Err()
}

func readMember(z *zip.ReadCloser, path string) ([]byte, error) {
	i := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == member(path) })
	if i < 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	f, err := z.File[i].Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// member is the name in an archive of the file at an absolute path.
func member(path string) string { return strings.TrimPrefix(filepath.ToSlash(path), "/") }
