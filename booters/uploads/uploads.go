// Package uploads keeps on disk what machines send: logs of an installation, keys that
// they have made, what was found of their hardware.
//
//	Put(db1, "install.log") ──▶ DIR/db1/.part-… ──▶ whole: fsync, rename ──▶ DIR/db1/install.log
//
// # Decisions
//
// Machines choose no names. That of the directory is the machine's, and that of the file
// stands in the configuration; so neither has to be cleaned of what a machine might say,
// and the number of files is bounded by what the operator wrote. They are checked here all
// the same, and opened through an os.Root.
//
// A file takes its name when it is whole and on disk, and then the place of the one that
// the machine sent before. What breaks off leaves nothing; what a kill -9 leaves is removed
// with the next upload of that machine.
//
// Room is taken as bytes come, for all machines together: a length that a machine
// announces proves nothing. Directories are counted, too, for an empty file takes no bytes,
// and anybody can claim to be one more machine. Where there is no room, what lies there is
// counted anew from time to time: somebody may have made some. Files are for the owner only, and never executable: they are
// data that anybody on the network may have written.
package uploads

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

const (
	// maxAtOnce is how many machines send at a time; another one is told to try again.
	maxAtOnce = 32
	// maxMachines is how many directories there are at most.
	maxMachines = 100_000
	// recount is how long it is believed that there is no room.
	recount = 10 * time.Second

	partPrefix = ".part-"
	fileMode   = 0o600
	dirMode    = 0o700
	step       = 64 << 10 // bytes that are written at a time
)

// Errors of Put, beside those of the disk and of what is read.
var (
	ErrFull = fmt.Errorf("%w: the uploads of all machines take as much as they may", boot.ErrNoRoom)
	ErrBusy = fmt.Errorf("%w: the machine sends another file, or too many machines do", boot.ErrNoRoom)
)

// name is what can be the name of a file, or of a machine: it begins with a letter or a
// digit, so that it is neither hidden nor "..".
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

// CheckName refuses what cannot be the name of a file.
func CheckName(s string) error {
	if !name.MatchString(s) {
		return fmt.Errorf("%q is no name for an upload: it has letters, digits, \".\", \"_\" and \"-\", and begins with a letter or a digit", s)
	}
	return nil
}

// Limits bound what is kept, in bytes.
type Limits struct {
	Size  int64 // of one file
	Total int64 // of all
}

// A Dir keeps uploads. It is safe for concurrent use; two of one directory would each
// count alone.
type Dir struct {
	path string

	mu       sync.Mutex
	limits   Limits
	counted  time.Time // when used and machines were; the zero Time: never
	full     bool      // whether something was refused since
	used     int64     // bytes, those that come at the moment included
	machines int       // directories
	busy     map[string]bool
}

// Open makes the directory where it does not exist.
func Open(path string, l Limits) (*Dir, error) {
	if err := os.MkdirAll(path, dirMode); err != nil {
		return nil, err
	}
	return &Dir{path: path, limits: l, busy: make(map[string]bool)}, nil
}

// Limit changes what is kept from now on.
func (d *Dir) Limit(l Limits) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limits = l
}

// Put keeps what is read of body as a machine's file, and says how much that is. Errors
// may wrap boot.ErrTooLarge, ErrFull and ErrBusy.
func (d *Dir) Put(machine, file string, body io.Reader) (n int64, err error) {
	if err := errors.Join(CheckName(machine), CheckName(file)); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	if err := d.enter(machine); err != nil {
		return 0, err
	}
	defer d.leave(machine)
	if err := d.count(root); err != nil {
		return 0, err
	}
	if err := d.mkdir(root, machine); err != nil {
		return 0, err
	}
	own, err := root.OpenRoot(machine)
	if err != nil {
		return 0, err
	}
	defer own.Close()
	sweep(own)
	part := partPrefix + rand.Text()
	f, err := own.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return 0, err
	}
	n, err = d.pour(f, body)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	var before int64
	if info, failed := own.Lstat(file); failed == nil {
		before = info.Size()
	}
	if err == nil {
		err = own.Rename(part, file)
	}
	if err != nil {
		err = errors.Join(err, own.Remove(part))
		d.take(-n)
		return n, err
	}
	d.take(-before)
	dir, err := own.Open(".")
	if err != nil {
		return n, err
	}
	return n, errors.Join(dir.Sync(), dir.Close()) // the name is on disk, too
}

// enter lets one upload of a machine begin.
func (d *Dir) enter(machine string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[machine] || len(d.busy) >= maxAtOnce {
		return ErrBusy
	}
	d.busy[machine] = true
	return nil
}

func (d *Dir) leave(machine string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, machine)
}

// mkdir makes the machine's directory, if there is none and may be one more.
func (d *Dir) mkdir(root *os.Root, machine string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := root.Lstat(machine); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.machines >= maxMachines {
		d.full = true
		return fmt.Errorf("%w: there are %d directories in %s", ErrFull, d.machines, d.path)
	}
	if err := root.Mkdir(machine, dirMode); err != nil {
		return err
	}
	d.machines++
	return nil
}

// count finds out what is kept already: at first, and when there was no room for
// something.
func (d *Dir) count(root *os.Root) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.counted.IsZero() && (!d.full || time.Since(d.counted) < recount) {
		return nil
	}
	machines, total := 0, int64(0)
	err := fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != "." {
				machines++
			}
			return nil
		}
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	if err == nil {
		d.used, d.machines, d.counted, d.full = total, machines, time.Now(), false
	}
	return err
}

// take takes room for n bytes, or gives it back.
func (d *Dir) take(n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > 0 && d.used+n > d.limits.Total {
		d.full = true
		return false
	}
	d.used = max(d.used+n, 0)
	return true
}

// pour writes body to f, and says for how much of it room was taken.
func (d *Dir) pour(f *os.File, body io.Reader) (n int64, err error) {
	d.mu.Lock()
	most := d.limits.Size
	d.mu.Unlock()
	buf := make([]byte, step)
	for {
		got, err := body.Read(buf)
		if got > 0 {
			switch {
			case n+int64(got) > most:
				return n, fmt.Errorf("%w: more than %d bytes", boot.ErrTooLarge, most)
			case !d.take(int64(got)):
				return n, ErrFull
			}
			n += int64(got)
			if _, err := f.Write(buf[:got]); err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// sweep removes what a process left that was killed. A machine sends one file at a time.
func sweep(own *os.Root) {
	list, err := fs.ReadDir(own.FS(), ".")
	if err != nil {
		return // the upload fails by itself then
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), partPrefix) {
			own.Remove(e.Name())
		}
	}
}

// Path is where a file of a machine is kept, for people.
func (d *Dir) Path(machine, file string) string { return filepath.Join(d.path, machine, file) }
