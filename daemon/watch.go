package daemon

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// settle is how long the file system must be quiet before a change counts:
	// a file is emptied and then written, and an empty file parses.
	settle = 200 * time.Millisecond
	// settleMost bounds the wait for a file that is written in a loop.
	settleMost = 2 * time.Second
	// pollEvery looks without an event, for file systems that send none (NFS,
	// FUSE) and changes behind a link.
	pollEvery = 30 * time.Second
	// maxLinks bounds a chain of symbolic links, as Linux does.
	maxLinks = 40
	// maxDigest bounds what is read of one file for its digest.
	maxDigest = 64 << 20
)

// watch calls changed whenever files() may have other contents, until ctx is
// done. changed decides by the contents whether they have.
func watch(ctx context.Context, log *zap.Logger, files func() []string, changed func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("file events not available; looking at the configuration every "+pollEvery.String(), zap.Error(err))
		w = &fsnotify.Watcher{} // its nil channels never deliver
	} else {
		defer w.Close()
	}
	arm := func() {
		if err != nil {
			return
		}
		for _, dir := range directories(files()) {
			if err := w.Add(dir); err != nil {
				log.Debug("directory not watched", zap.String("file", dir), zap.Error(err))
			}
		}
	}
	arm()
	changed() // since the configuration was loaded, before anything was watched

	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	quiet := time.NewTimer(0)
	<-quiet.C
	defer quiet.Stop()
	var first time.Time // of the events that are being waited out; zero: none
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.Events:
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(min(settle, max(0, settleMost-time.Since(first))))
		case err := <-w.Errors:
			// Events were lost (fsnotify.ErrEventOverflow) or cannot be read:
			// look at everything.
			log.Debug("file events lost", zap.Error(err))
			quiet.Reset(settle)
		case <-quiet.C:
			first = time.Time{}
			changed()
			arm()
		case <-poll.C:
			changed()
			arm()
		}
	}
}

// directories are those whose change can change what files are: of each file,
// of each symbolic link on the way to it, and of the file that it ends at.
func directories(files []string) []string {
	seen := map[string]bool{}
	var dirs []string
	add := func(path string) {
		if dir := filepath.Dir(path); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	for _, path := range files {
		for range maxLinks {
			add(path)
			if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
				add(filepath.Join(real, filepath.Base(path)))
			}
			to, err := os.Readlink(path)
			if err != nil {
				break
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(path), to)
			}
			path = to
		}
	}
	return dirs
}

// digest tells contents apart. A file that cannot be read counts by its error.
func digest(files []string) [32]byte {
	h := sha256.New()
	for _, path := range files {
		io.WriteString(h, path+"\x00")
		f, err := os.Open(path)
		if err != nil {
			io.WriteString(h, err.Error())
			continue
		}
		one := sha256.New()
		if _, err := io.Copy(one, io.LimitReader(f, maxDigest)); err != nil {
			io.WriteString(h, err.Error())
		}
		f.Close()
		h.Write(one.Sum(nil))
	}
	return [32]byte(h.Sum(nil))
}
