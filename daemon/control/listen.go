package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// DefaultPath is where the socket is unless the service manager made a
// directory for it: see Path.
const DefaultPath = "/run/pixiecore/control.sock"

// Path is where daemon and commands meet unless they are told otherwise: in
// runtimeDirectory, which systemd hands over as $RUNTIME_DIRECTORY, or else at
// DefaultPath.
func Path(runtimeDirectory string) string {
	if runtimeDirectory == "" {
		return DefaultPath
	}
	// systemd.exec(5): several are separated by colons.
	return filepath.Join(filepath.SplitList(runtimeDirectory)[0], filepath.Base(DefaultPath))
}

// maxPath is what fits into sun_path of every system that we compile for, less
// the closing zero.
const maxPath = 103

// probeTimeout bounds the question whether somebody answers at a socket.
const probeTimeout = time.Second

// Listen opens the socket with mode 0600, in a directory that it makes with
// mode 0700 where it is missing. The socket of a process that has died is
// replaced. The error says so where another process answers at path, or where
// path is something else than a socket.
func Listen(path string) (net.Listener, error) {
	wrap := func(err error) error { return fmt.Errorf("control socket %q: %w", path, err) }
	if len(path) > maxPath {
		return nil, wrap(fmt.Errorf("a path of %d bytes is longer than the %d that a socket may have; name a shorter one with --control", len(path), maxPath))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, wrap(fmt.Errorf("%w; name another place with --control", err))
	}
	if err := removeStale(path); err != nil {
		return nil, wrap(err)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, wrap(errors.New("permission denied; name another place with --control"))
	}
	if err != nil {
		return nil, wrap(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, wrap(err)
	}
	return l, nil
}

// removeStale removes the socket at path if nobody answers there.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return errors.New("something else than a socket is there; remove it, or name another place with --control")
	}
	c, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		c.Close()
		return errors.New("another pixiecore is running and answers there; stop it, or give this one a socket of its own with --control")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
