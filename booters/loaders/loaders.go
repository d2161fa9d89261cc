package loaders

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// maxSize bounds a loader in bytes. The largest iPXE of a distribution has
// about 1 MB; every loader of a set that came from a file is held in memory for as
// long as its generation lives.
const maxSize = 16 << 20

// embeddedPrefix begins the Path of a loader that came out of the binary.
const embeddedPrefix = "embedded:"

// A Loader is the network boot program for one firmware.
type Loader struct {
	Firmware boot.Firmware
	Path     string // where it was read, "embedded:NAME" for one from the binary
	Data     []byte // shared between firmwares: not to be modified
	Warning  string // what is odd about it, as a clause; empty if nothing is

	about *about
}

// SHA256 is the digest of Data in lower-case hexadecimal.
func (l Loader) SHA256() string { return l.about.read().sha256 }

// Version is that of iPXE, as the program itself says; empty if it does not.
func (l Loader) Version() string { return l.about.read().version }

// An about is what takes a look at all of a file, once, and when somebody asks: those in the
// binary have 3 MB, which would be in memory from the start only for that.
type about struct {
	data            []byte
	once            sync.Once
	sha256, version string
}

func (a *about) read() *about {
	a.once.Do(func() {
		sum := sha256.Sum256(a.data)
		a.sha256, a.version = hex.EncodeToString(sum[:]), version(a.data)
	})
	return a
}

// Missing says that there is no loader for a firmware. Machines with that
// firmware cannot be booted; all others can.
type Missing struct {
	Firmware boot.Firmware
	Looked   []string // why what is there was passed over; last, what is not there
	mend     string
}

// Error names the firmware, the places and the way out, in one line.
func (m Missing) Error() string {
	return fmt.Sprintf("loader for %s: %s; %s", m.Firmware, strings.Join(m.Looked, ", "), m.mend)
}

// firmwares are all that can have a loader: the platforms, and the BIOS that came as
// an iPXE.
func firmwares() []boot.Firmware { return append(boot.Platforms(), boot.FirmwareX86Ipxe) }

// A Set holds the loaders of one generation. The zero Set has none.
type Set struct {
	loaders map[boot.Firmware]Loader
	// builds are those of iPXE that were found beside: of a firmware's two, the one
	// that is not in loaders.
	builds map[boot.Loader]map[boot.Firmware]Loader
}

// Build returns the loader for f that a boot asks for by its loader setting: of the
// build, where there is such a one, else the only one.
func (s *Set) Build(f boot.Firmware, want boot.Loader) (l Loader, ok bool) {
	if l, ok = s.builds[want][f]; ok {
		return l, true
	}
	return s.Get(f)
}

// Get returns the loader for f.
func (s *Set) Get(f boot.Firmware) (l Loader, ok bool) {
	l, ok = s.loaders[f]
	return l, ok
}

// All returns the loaders in the order of boot.Platforms.
func (s *Set) All() []Loader {
	var all []Loader
	for _, f := range firmwares() {
		if l, ok := s.loaders[f]; ok {
			all = append(all, l)
		}
	}
	return all
}

// Bytes is what a boot.Snapshot holds. The map is the caller's, the bytes are
// the Set's.
func (s *Set) Bytes() map[boot.Firmware][]byte {
	b := make(map[boot.Firmware][]byte, len(s.loaders))
	for f, l := range s.loaders {
		b[f] = l.Data
	}
	return b
}

// Builds is what a boot.Snapshot holds beside.
func (s *Set) Builds() map[boot.Loader]map[boot.Firmware][]byte {
	all := make(map[boot.Loader]map[boot.Firmware][]byte, len(s.builds))
	for want, loaders := range s.builds {
		all[want] = make(map[boot.Firmware][]byte, len(loaders))
		for f, l := range loaders {
			all[want][f] = l.Data
		}
	}
	return all
}

// Dirs are the directories where distributions install iPXE. Debian keeps it
// in the first (bookworm's EFI binary in the second), Fedora in the third.
func Dirs() []string { return []string{"/usr/lib/ipxe", "/boot", "/usr/share/ipxe"} }

// Load looks for a loader for every firmware that can take one: in configured,
// then in the binary itself, then in dirs.
//
// The error joins one sentence for each configured path that cannot be read;
// there is no Set then. A firmware without a loader is reported as Missing and
// is no error.
func Load(configured map[boot.Firmware]string, dirs []string) (*Set, []Missing, error) {
	return load(configured, embedded(), dirs)
}

// load takes the files of the binary by their names.
func load(configured map[boot.Firmware]string, binary map[string][]byte, dirs []string) (*Set, []Missing, error) {
	l := lookup{configured: configured, binary: binary, dirs: dirs, seen: make(map[string]file)}
	set := &Set{loaders: make(map[boot.Firmware]Loader), builds: make(map[boot.Loader]map[boot.Firmware]Loader)}
	var missing []Missing
	var errs []error
	for _, f := range firmwares() {
		k, known := kindOf(f)
		if p, by, ok := l.path(k); ok {
			got := l.read(p)
			if got.err != nil {
				if by == f { // said once, for the firmware that names the path
					errs = append(errs, fmt.Errorf("loader for %s: %w", f, got.err))
				}
				continue
			}
			set.loaders[f] = newLoader(k, p, got)
			continue
		}
		if !known {
			continue
		}
		found, looked := l.find(k)
		if found == nil {
			missing = append(missing, Missing{Firmware: f, Looked: looked, mend: k.mend})
			continue
		}
		set.loaders[f] = *found
		for _, want := range []boot.Loader{boot.LoaderIPXE, boot.LoaderSNPOnly} {
			one := k
			one.names = slices.DeleteFunc(slices.Clone(k.names), func(name string) bool { return buildOf(name) != want })
			if other, _ := l.find(one); other != nil && other.Path != found.Path {
				if set.builds[want] == nil {
					set.builds[want] = make(map[boot.Firmware]Loader)
				}
				set.builds[want][f] = *other
			}
		}
	}
	if len(errs) > 0 {
		return nil, missing, errors.Join(errs...)
	}
	return set, missing, nil
}

// Given is the Set of the loaders that a program brings along, whatever bytes they
// are: nothing else is looked for. A firmware that has none takes that of the one it
// is like (EFIBC that of EFI64); a BIOS takes that for a BIOS that already runs iPXE.
// The bytes must not be modified.
func Given(data map[boot.Firmware][]byte) (*Set, []Missing) {
	set := &Set{loaders: make(map[boot.Firmware]Loader)}
	var missing []Missing
	for _, f := range firmwares() {
		k, known := kindOf(f)
		from := []boot.Firmware{f, k.like}
		if f == boot.FirmwareX86PC {
			from = append(from, boot.FirmwareX86Ipxe)
		}
		given := func(f boot.Firmware) bool { return len(data[f]) > 0 }
		if i := slices.IndexFunc(from, given); i >= 0 {
			set.loaders[f] = newLoader(k, "given by the program", file{about: &about{data: data[from[i]]}})
		} else if known {
			missing = append(missing, Missing{Firmware: f, Looked: []string{"the program gives none"}, mend: "give one, or give none at all: then the usual ones are looked for"})
		}
	}
	return set, missing
}

// A lookup is one call of Load. It reads each file once, although two
// firmwares may share it.
type lookup struct {
	configured map[boot.Firmware]string
	binary     map[string][]byte
	dirs       []string
	seen       map[string]file
}

type file struct {
	*about
	err error
}

// path is the configured path for k, and for which firmware it is configured.
func (l *lookup) path(k kind) (p string, by boot.Firmware, ok bool) {
	if p, ok = l.configured[k.firmware]; ok {
		return p, k.firmware, ok
	}
	p, ok = l.configured[k.like]
	return p, k.like, ok
}

// find looks into the binary and the directories.
func (l *lookup) find(k kind) (found *Loader, looked []string) {
	var paths []string
	for _, name := range k.names {
		paths = append(paths, embeddedPrefix+name)
	}
	for _, dir := range l.dirs {
		for _, name := range k.names {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	for _, p := range paths {
		got := l.read(p)
		switch {
		case errors.Is(got.err, fs.ErrNotExist): // is said below
		case got.err != nil:
			looked = append(looked, got.err.Error())
		case otherMachine(k, got.data) != "":
			looked = append(looked, fmt.Sprintf("%s (%s)", p, otherMachine(k, got.data)))
		default:
			loader := newLoader(k, p, got)
			return &loader, nil
		}
	}
	absent := slices.Clone(k.names)
	absent = slices.DeleteFunc(absent, func(name string) bool {
		return !slices.ContainsFunc(l.dirs, func(dir string) bool {
			return errors.Is(l.read(filepath.Join(dir, filepath.FromSlash(name))).err, fs.ErrNotExist)
		})
	})
	if len(absent) > 0 {
		looked = append(looked, fmt.Sprintf("no %s in %s", strings.Join(absent, ", "), strings.Join(l.dirs, ", ")))
	}
	return nil, looked
}

func newLoader(k kind, p string, f file) Loader {
	return Loader{
		Firmware: k.firmware,
		Path:     p,
		Data:     f.data,
		Warning:  doubt(k, f.data),
		about:    f.about,
	}
}

func (l *lookup) read(p string) file {
	f, ok := l.seen[p]
	if ok {
		return f
	}
	f.about = &about{}
	if name, embedded := strings.CutPrefix(p, embeddedPrefix); embedded {
		if f.data, ok = l.binary[name]; !ok {
			f.err = fs.ErrNotExist
		} else if len(f.data) == 0 {
			f.err = errEmpty
		}
	} else {
		f.data, f.err = readBounded(p)
	}
	if f.err != nil {
		f.err = fmt.Errorf("%s: %w", p, f.err)
	}
	l.seen[p] = f
	return f
}

var errEmpty = errors.New("empty")

// readBounded reads a regular file of 1 to maxSize bytes. One that is not
// regular could block for ever (a FIFO) or never end (a device). Its errors
// leave the naming of the file to the caller.
func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() == 0:
		return nil, errEmpty
	case info.Size() > maxSize:
		return nil, fmt.Errorf("larger than %d bytes", maxSize)
	}
	data, err := os.ReadFile(name)
	return data, withoutPath(err)
}

func withoutPath(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
