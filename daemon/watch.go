package daemon

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// settle is how long the file system must be quiet, and the files the same,
	// before a change counts: a file is emptied and then written, and the half
	// of a file may be a valid one.
	settle = 200 * time.Millisecond
	// settleMost bounds the wait for quiet, in units of settle, where something
	// else is written all the time. The files must be the same all the same.
	settleMost = 2.5
	// pollEvery looks without an event, for file systems that send none (NFS,
	// FUSE), and for a directory above the watched ones that is renamed.
	pollEvery = 30 * time.Second
	// maxLinks bounds a chain of symbolic links, as Linux does.
	maxLinks = 40
	// maxLooks bounds how often new directories lead to others.
	maxLooks = 4
)

// A watcher tells when files may have other contents.
type watcher struct {
	log   *zap.Logger
	files func() []string // absolute paths
	poll  time.Duration
	quiet time.Duration // settle, but in tests
	// changed decides by the contents whether they have changed. Whoever reads
	// the files then asks steady when done: if it is false, they were written
	// meanwhile, and what was read is to be forgotten.
	changed func(steady func() bool)
	open    func() (*fsnotify.Watcher, error)

	events *fsnotify.Watcher      // nil: there are none
	dirs   map[string]os.FileInfo // that are watched
	full   bool                   // the limit of watches was told of
}

// run watches until ctx is done.
func (w *watcher) run(ctx context.Context) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	var err error
	if w.events, err = w.open(); err != nil {
		w.log.Warn("no file events: an edit is seen within "+w.poll.String()+"; SIGHUP is faster", zap.Error(err))
		w.events = nil
	} else {
		defer w.events.Close()
		events, errs = w.events.Events, w.events.Errors
	}
	w.look() // what happened since the configuration was loaded
	w.log.Debug("configuration watched", zap.Strings("directories", slices.Sorted(maps.Keys(w.dirs))))
	w.wait(ctx, events, errs)
}

// wait looks at the files after events, and every now and then, once they are
// the same at two looks and there was quiet between these.
func (w *watcher) wait(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) {
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	quiet := time.NewTimer(0)
	<-quiet.C
	defer quiet.Stop()
	most := time.Duration(settleMost * float64(w.quiet))
	var since time.Time // of what is waited out; zero: nothing
	var seen stamp      // the files then
	later := func() {
		if since.IsZero() {
			since, seen = time.Now(), stampOf(w.files())
		}
		quiet.Reset(min(w.quiet, max(0, most-time.Since(since))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			later()
		case err := <-errs:
			// Events were lost (fsnotify.ErrEventOverflow) or cannot be read:
			// anything may have happened.
			w.log.Debug("file events lost", zap.Error(err))
			later()
		case <-poll.C:
			later()
		case <-quiet.C:
			if now := stampOf(w.files()); !now.equal(seen) {
				since, seen = time.Now(), now
				quiet.Reset(w.quiet)
				continue
			}
			since = time.Time{}
			w.look()
		}
	}
}

// look watches the directories that matter now, and then looks at the files,
// until no directory is new: what happened in it before it was watched is then
// seen too.
func (w *watcher) look() {
	w.arm()
	for range maxLooks {
		files := w.files()
		seen := stampOf(files)
		w.changed(func() bool { return stampOf(files).equal(seen) })
		if !w.arm() {
			return
		}
	}
}

// arm watches the directories of the files, and no others. It reports whether
// one is new.
func (w *watcher) arm() (more bool) {
	if w.events == nil {
		return false
	}
	if w.dirs == nil {
		w.dirs = map[string]os.FileInfo{}
	}
	needed := directories(w.files())
	alive := w.events.WatchList() // without those that were removed
	for dir := range w.dirs {
		if !slices.Contains(needed, dir) {
			w.events.Remove(dir) // an error says that it is not watched
			delete(w.dirs, dir)
		}
	}
	for _, dir := range needed {
		info, err := os.Stat(dir)
		if err != nil {
			continue // it went this moment, which is an event of another directory
		}
		if was := w.dirs[dir]; was != nil && slices.Contains(alive, dir) {
			if os.SameFile(was, info) {
				continue
			}
			w.events.Remove(dir) // another directory has taken its name
		}
		err = w.events.Add(dir)
		switch {
		case err == nil:
			w.dirs[dir], more = info, true
		case errors.Is(err, syscall.ENOSPC) && !w.full: // inotify(7): fs.inotify.max_user_watches
			w.full = true
			w.log.Warn("the system's limit of watched directories is reached: some edits are seen within "+w.poll.String()+"; raise fs.inotify.max_user_watches, or use SIGHUP", zap.String("file", dir), zap.Error(err))
		default:
			w.log.Debug("directory not watched", zap.String("file", dir), zap.Error(err))
		}
	}
	return more
}

// directories are those in which a change can change what files are: of each
// file, of each symbolic link on the way to it, at whatever level, and of the
// file that it ends at. Where something is missing, the directory in which it
// will appear.
func directories(files []string) []string {
	var dirs []string
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	split := func(path string) []string { return strings.Split(filepath.ToSlash(path), "/") }
	for _, path := range files {
		at, rest, links := "/", split(path), 0
		for len(rest) > 0 && links <= maxLinks {
			name := rest[0]
			rest = rest[1:]
			switch name {
			case "", ".":
				continue
			case "..":
				at = filepath.Dir(at) // at has no links in it
				continue
			}
			next := filepath.Join(at, name)
			info, err := os.Lstat(next)
			if err != nil {
				add(at)
				break
			}
			if info.Mode()&os.ModeSymlink != 0 {
				links++
				add(at)
				to, err := os.Readlink(next)
				if err != nil {
					break
				}
				if filepath.IsAbs(to) {
					at = "/"
				}
				rest = append(split(to), rest...)
				continue
			}
			if len(rest) == 0 {
				add(at)
				if info.IsDir() {
					add(next) // all that is in it counts
				}
			}
			at = next
		}
	}
	return dirs
}

// A stamp tells states of files apart without reading them. A file that is not
// there is nil.
type stamp []os.FileInfo

// stampOf stamps files, and those that patterns among the paths match.
func stampOf(files []string) stamp {
	var s stamp
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
			matches, _ := filepath.Glob(path) // no pattern, no match
			for _, m := range matches {
				if info, err := os.Stat(m); err == nil {
					s = append(s, info)
				}
			}
		}
		s = append(s, info)
	}
	return s
}

func (s stamp) equal(t stamp) bool {
	return slices.EqualFunc(s, t, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}
