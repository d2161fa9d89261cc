// Package cpio makes archives that Linux unpacks over its initial RAM disk: so a
// machine gets a few files of its own beside an initrd that it shares with others.
//
//	Archive([]File{{"etc/hostname", 0o644, "db1\n"}})
//	    ──▶ etc/ │ etc/hostname │ TRAILER!!! │ zeros up to a multiple of 512
//
// # Decisions
//
// The format is newc, the one that Linux takes without a checksum
// (Documentation/driver-api/early-userspace/buffer-format.rst). A library was
// refused: what is written of it is a header of thirteen numbers, and those that there
// are read archives too, from whoever sends them.
//
// The same files make the same bytes, whatever their order: names are sorted, inodes
// are counted, nobody's time or user stands in it. So repeats of a boot agree, and so
// do two requests for parts of one archive.
//
// Each directory on the way to a file is in it, since Linux makes none by itself. Over
// a directory that is there already, that changes its mode: the usual 0755, but for
// those that have another one everywhere. Over a link, it replaces the link:
// see Replaces.
package cpio

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
)

// Bounds of an archive.
const (
	MaxName  = 1024    // bytes of a name
	MaxFiles = 1000    // in an archive
	MaxBytes = 4 << 20 // of what is in its files, together
)

// DefaultMode is that of a file that says none.
const DefaultMode = 0o644

// A File is one regular file. It belongs to root.
type File struct {
	Name string // as Clean returns it
	Mode uint32 // permissions, and the bits of set-user-ID, set-group-ID and sticky, as in chmod(2)
	Data string
}

// Types of an entry (inode(7)).
const (
	typeDir  = 0o040000
	typeFile = 0o100000
)

const (
	blockSize = 512
	trailer   = "TRAILER!!!"
)

// dirs are the modes of directories that are not 0755 by custom.
var dirs = map[string]uint32{"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}

// links are names at the root that are links into usr on most distributions
// (Filesystem Hierarchy, systemd's "The Case for the /usr Merge").
var links = []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"}

// Clean is a name as it stands in an archive: without a slash before it. The error says
// what is wrong with it.
func Clean(name string) (string, error) {
	short := strings.TrimPrefix(name, "/")
	switch {
	case len(name) > MaxName:
		return "", fmt.Errorf("it has %d bytes, and may have %d", len(name), MaxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", errors.New("it has a control character in it")
	case short == "." || short == trailer || !fs.ValidPath(short):
		return "", errors.New("it is no path of a file")
	}
	return short, nil
}

// Replaces is the link that the directory of a name, as Clean returns it, would
// replace on most distributions; empty: there is none.
func Replaces(name string) string {
	if first, _, ok := strings.Cut(name, "/"); ok && slices.Contains(links, first) {
		return first
	}
	return ""
}

// Conflict is a name among those of files that is also a directory of another; empty:
// there is none.
func Conflict(names []string) string {
	in := make(map[string]bool, len(names))
	for _, name := range names {
		in[name] = true
	}
	for _, name := range names {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if in[dir] {
				return dir
			}
		}
	}
	return ""
}

// Archive is the archive of files whose names differ and have no Conflict.
func Archive(files []File) (string, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	total := 0
	for _, f := range files {
		total += len(f.Data)
	}
	switch {
	case len(files) > MaxFiles:
		return "", fmt.Errorf("it has %d files, and may have %d", len(files), MaxFiles)
	case total > MaxBytes:
		return "", fmt.Errorf("its files have %d bytes for this machine, and may have %d together", total, MaxBytes)
	}
	var w writer
	made := make(map[string]bool)
	for _, f := range files {
		for i := range len(f.Name) {
			if dir := f.Name[:i]; f.Name[i] == '/' && !made[dir] {
				made[dir] = true
				w.entry(dir, typeDir|cmp.Or(dirs[dir], 0o755), 2, "")
			}
		}
		w.entry(f.Name, typeFile|f.Mode, 1, f.Data)
	}
	w.inode = -1 // that of the trailer is 0
	w.entry(trailer, 0, 1, "")
	w.pad(blockSize)
	return w.String(), nil
}

// A writer writes entries, one behind the other.
type writer struct {
	strings.Builder
	inode int
}

func (w *writer) entry(name string, mode uint32, nlink int, data string) {
	w.inode++
	// c_magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor,
	// rdevminor, namesize with the NUL, check.
	fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		w.inode, mode, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	w.WriteString(name)
	w.WriteByte(0)
	w.pad(4)
	w.WriteString(data)
	w.pad(4)
}

// pad writes zeros up to a multiple of n.
func (w *writer) pad(n int) {
	for w.Len()%n != 0 {
		w.WriteByte(0)
	}
}
