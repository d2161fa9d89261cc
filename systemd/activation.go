package systemd

import (
	"cmp"
	"os"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets are the descriptors that the service manager passed to this process:
// those of .socket units (sd_listen_fds(3)) and those that a process before it put
// into the store, sorted by name. They are closed on exec, and the variables that
// tell of them are taken out of the environment, so that a second call finds none.
// The names are those of File.Name.
func Sockets() []*os.File {
	files := activation.Files(true)
	slices.SortStableFunc(files, func(a, b *os.File) int { return cmp.Compare(a.Name(), b.Name()) })
	return files
}
