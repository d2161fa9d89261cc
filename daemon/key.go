package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// useKey makes the key for sealed IDs and tokens that of file, or this host's own
// for "". One that has been served with stays, since every address that machines
// have been given hangs on it.
func (d *Daemon) useKey(file string) error {
	if d.seal != nil && file == d.keyFile {
		return nil
	}
	if len(d.listeners) > 0 {
		return fmt.Errorf("url_key: the key of a running daemon cannot change from %s to %s, since machines that boot now hold addresses made with it; restart pixiecore to apply the change",
			keyName(d.keyFile), keyName(file))
	}
	secret, err := d.readKey(file)
	if err != nil {
		return err
	}
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return err
	}
	tokens, err := boot.NewTokenKey(secret)
	if err != nil {
		return err
	}
	d.keyFile, d.seal, d.tokens = file, seal, tokens
	return nil
}

// readKey reads the key of a file, or reads or makes the host's own for "".
func (d *Daemon) readKey(file string) (secret []byte, err error) {
	if d.opts.StateDir != "" {
		if err := os.MkdirAll(d.opts.StateDir, 0o700); err != nil {
			return nil, fmt.Errorf("state directory: %w; name another with --state-dir", err)
		}
	}
	switch {
	case file != "":
		return booters.ReadKey(file)
	case d.opts.StateDir != "":
		secret, _, err = booters.LoadKey(filepath.Join(d.opts.StateDir, "url.key"))
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run as the user that %s belongs to, or name another directory with --state-dir", err, d.opts.StateDir)
		}
		return secret, err
	}
	secret = make([]byte, 32)
	rand.Read(secret) // never fails
	return secret, nil
}

// keyName is a key for people.
func keyName(file string) string {
	if file == "" {
		return "the host's own"
	}
	return strconv.Quote(file)
}
