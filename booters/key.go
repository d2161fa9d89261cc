package booters

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	minKey = 32   // bytes; what LoadKey makes
	maxKey = 4096 // bytes
)

// LoadKey reads the server's secret from a file, and makes the file with 32
// random bytes if there is none (created). Processes that do so at the same
// time get the same secret. Servers that share one, by a copy of the file, open
// each other's IDs and tokens; any 32 to 4096 bytes will do, taken as they are.
//
// A file that others can read is refused, and so is one that is too short: its
// secret is none.
func LoadKey(path string) (secret []byte, created bool, err error) {
	const mend = "remove it, and the next start makes a new one"
	secret, err = readKey(path, mend)
	if errors.Is(err, fs.ErrNotExist) {
		created, err = createKey(path)
		if err == nil {
			secret, err = readKey(path, mend)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("URL key %q: %w", path, bare(err))
	}
	return secret, created, nil
}

// ReadKey is LoadKey of a file that the operator has named, for several servers
// to share. It is never made: one that is missing is more likely not copied yet,
// and a server with a key of its own would refuse the others' addresses.
func ReadKey(path string) ([]byte, error) {
	secret, err := readKey(path, "copy it again from the server that has the right one")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("URL key %q: %w; copy it from a server that has it, or make the first with `(umask 077; openssl rand -out %s 32)`", path, bare(err), shellQuote(path))
	case err != nil:
		return nil, fmt.Errorf("URL key %q: %w", path, bare(err))
	}
	return secret, nil
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/._-", r)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// readKey reads what is a secret. mend is the way out if it is none.
func readKey(path, mend string) ([]byte, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner can read or write it (mode %04o), so it may be known: "+
			"%s; or chmod 600 it, if nobody has seen it", mode, mend)
	}
	secret, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	if err != nil {
		return nil, err
	}
	if len(secret) < minKey || len(secret) > maxKey {
		return nil, fmt.Errorf("its length of %d bytes is not between %d and %d: %s", info.Size(), minKey, maxKey, mend)
	}
	return secret, nil
}

// createKey makes the file as a whole or not at all; made is false when
// another process was faster.
func createKey(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".url-key-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	secret := make([]byte, minKey)
	rand.Read(secret) // never fails
	_, err = f.Write(secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return false, err
	}
	// A link, unlike a rename, does not replace what is there.
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, syncDir(dir)
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openRegular opens a file that must be a regular one. A FIFO, on which a plain
// open would wait for a writer, cannot hold it up.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is %s, not a regular file", kindOf(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	default:
		return "a device or socket"
	}
}

// bare takes the operation and path off an error, for a sentence that has
// named them already.
func bare(err error) error {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err
	}
	if l := new(os.LinkError); errors.As(err, &l) {
		return l.Err
	}
	return err
}
