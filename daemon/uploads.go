package daemon

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pixiecore/pixiecore/booters/uploads"
	"github.com/pixiecore/pixiecore/config"
)

// received is the directory of what machines send. There is one for each path, over all
// generations, since it counts what it keeps. It may have other limits until the
// configuration is committed. It is called by one goroutine at a time, as make is.
func (d *Daemon) received(u *config.Uploads) (*uploads.Dir, error) {
	dir := u.Dir
	switch {
	case dir == "" && d.opts.StateDir == "":
		return nil, errors.New("there is no state directory; write dir = \"…\" into the uploads block")
	case dir == "":
		dir = filepath.Join(d.opts.StateDir, "uploads")
	}
	limits := uploads.Limits{Size: u.MaxSize, Total: u.MaxTotal}
	if kept := d.uploads[dir]; kept != nil {
		kept.Limit(limits)
		return kept, nil
	}
	kept, err := uploads.Open(dir, limits)
	if err != nil {
		return nil, fmt.Errorf("%w; the directory must belong to the user that pixiecore runs as, and another is named by dir in the uploads block", err)
	}
	if d.uploads == nil {
		d.uploads = make(map[string]*uploads.Dir)
	}
	d.uploads[dir] = kept
	return kept, nil
}
