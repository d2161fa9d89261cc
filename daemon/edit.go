package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/systemd"
)

const (
	editFile = "held-edit.json" // in the state directory, while an edit is held
	// judgedFor is how long ago a machine was heard of that an edit is judged by.
	judgedFor = recordFor
	// wayOut ends what is said of an edit that is held.
	wayOut = "`pixiecore plan` shows it, `pixiecore reload` applies it"
)

// A heldEdit is what a restart knows of an edit that is held.
type heldEdit struct {
	status.HeldEdit
	Digest string `json:"digest"` // of the files: reading.substance, in hexadecimal
}

// judge says why an edit of the file is not to be served without being asked
// to; nil: it is. The limits are those of the configuration that is served, so
// that no edit lifts its own.
func (d *Daemon) judge(running, next *Compiled, now time.Time) *status.HeldEdit {
	r := running.Config.Reload
	held := &status.HeldEdit{Since: now}
	if r.Manual {
		held.Why = "the file differs from what is served: " + wayOut
		return held
	}
	installs := slices.ContainsFunc(next.Config.Rules, func(r booters.Rule) bool { return r.Once != nil && r.Once.Installs })
	if !r.MaxChanged.Set && !r.MaxRemoved.Set && !installs {
		return nil
	}
	asked, all := control.Judged(d.seen(now, judgedFor), next.Config, running.Config)
	before, after := control.Draw(running.Explainable(), asked), control.Draw(next.Explainable(), asked)
	after.All = all
	n := control.Tally(before, after, control.Compare(before, after))
	why := exceeded(r, n, installs)
	if why == nil {
		return nil
	}
	held.Why = fmt.Sprintf("the edit %s: %s", strings.Join(why, ", and "), wayOut)
	held.Changed, held.Removed, held.Of = n.Differ, n.Removed, n.Of
	return held
}

// exceeded says by what an edit goes beyond the limits of r. Machines that could
// not be compared count, since nobody knows what becomes of them.
//
// Every reason to hold an edit is a clause of this.
func exceeded(r config.Reload, n control.Count, installs bool) (why []string) {
	left := n.All - n.Asked
	sentence := func(what string, count int) string {
		s := fmt.Sprintf("%s %d of %d machines", what, count, n.Of)
		if left > 0 {
			s += fmt.Sprintf(" and perhaps of %d addresses more, which are too many to compare", left)
		}
		return s
	}
	clause := func(l config.Limit, name, what string, count int) {
		if l.Exceeded(count + left) {
			why = append(why, fmt.Sprintf("%s (%s = %d)", sentence(what, count), name, l.Most))
		}
	}
	clause(r.MaxChanged, "max_changed", "changes the boot of", n.Differ)
	clause(r.MaxRemoved, "max_removed", "takes the boot away from", n.Removed)
	// Armed or not: who arms a machine has read what it would install.
	if installs && n.Gained+left > 0 {
		why = append(why, sentence("gives a boot that writes disks to", n.Gained))
	}
	return why
}

// holdEdit says everywhere that an edit is held, and notes it for a restart.
func (d *Daemon) holdEdit(held *status.HeldEdit, files reading) {
	d.setHeld(held)
	d.log.Warn("edit held", zap.String("why", held.Why), zap.Uint64("gen", d.swap.Current().Gen))
	if d.opts.Path == "" || d.opts.StateDir == "" {
		return
	}
	b, err := json.Marshal(heldEdit{*held, fmt.Sprintf("%x", files.substance())})
	if err == nil {
		err = replaceFile(filepath.Join(d.opts.StateDir, editFile), append(b, '\n'))
	}
	if err != nil {
		d.log.Warn("held edit not noted: a restart would serve it", zap.Error(err))
	}
}

// releaseEdit ends what holdEdit began. The note goes before what was applied
// is kept: a start between the two finds the file, and serves it.
func (d *Daemon) releaseEdit() {
	d.setHeld(nil)
	if d.opts.Path == "" || d.opts.StateDir == "" {
		return
	}
	if err := os.Remove(filepath.Join(d.opts.StateDir, editFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("a restart will hold the edit that was applied", zap.Error(err))
	}
}

func (d *Daemon) setHeld(held *status.HeldEdit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heldEdit = held
}

// loadHeldEdit reads what was held when the daemon stopped; nil: nothing was. One
// that cannot be read was held all the same, of whatever files.
func loadHeldEdit(stateDir string, now time.Time) *heldEdit {
	if stateDir == "" {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(stateDir, editFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var held heldEdit
	if err == nil {
		err = json.Unmarshal(b, &held)
	}
	if err != nil || held.Why == "" {
		held = heldEdit{HeldEdit: status.HeldEdit{Since: now, Why: "an edit is held, and the note why cannot be read: " + wayOut}}
	}
	return &held
}

// errNothingServed is wrapped by the error of stayHeld.
var errNothingServed = errors.New("what was served last cannot be served in its place")

// stayHeld is what a start serves while an edit is held: what was served last,
// with what is held; or next, the file, if it was edited since and no limit of
// what was served last is exceeded by it any more.
func (d *Daemon) stayHeld(held *heldEdit, next *Compiled, files reading, now time.Time) (*Compiled, *status.HeldEdit, [32]byte, error) {
	good, err := loadLastGood(d.opts.StateDir, d.opts.Path)
	if err == nil {
		err = d.useKey(good.cfg.URLKey)
	}
	var c *Compiled
	if err == nil {
		c, err = d.make(good.cfg)
	}
	if err != nil {
		return nil, nil, [32]byte{}, fmt.Errorf("an edit is held since %s, and %w: %w", held.Since.Format(time.RFC3339), errNothingServed, err)
	}
	served, is := good.files.substance(), files.substance()
	still := &held.HeldEdit
	switch {
	case is == served:
		still = nil
	case fmt.Sprintf("%x", is) != held.Digest:
		still = d.judge(c, next, now)
	}
	if still == nil {
		return next, nil, is, d.useKey(next.Config.URLKey)
	}
	return c, still, served, nil
}

const (
	// rebindFirst and rebindMost are the waits before a reload is tried again
	// whose only fault is that a port is taken. Each is twice the one before it.
	rebindFirst = time.Second
	rebindMost  = time.Minute
)

// errAgain is added to the error of a reload that is tried again.
var errAgain = errors.New("this is tried again until the port is free")

// A blocked is a configuration that would be served if a port of it were free.
type blocked struct {
	c     *Compiled
	files reading
	wait  time.Duration // before the next attempt
}

// rebind tries again to serve what a taken port has kept from being served,
// until that goes well or the files are others, of which the watcher tells. It
// logs nothing that has been logged.
func (d *Daemon) rebind() {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	b := d.blocked
	if b == nil || d.ended || digestNow(b.files.paths()) != d.tried {
		return
	}
	start := time.Now()
	n, err := d.prepare(b.c)
	if err == nil {
		d.notified(systemd.Reloading)
		d.apply(n, b.files, start)
		return
	}
	if err = d.again(err, b); err.Error() != d.lastReload.Error {
		d.refuse(err)
	}
}

// again arranges for another attempt if a port is taken, and says so.
func (d *Daemon) again(err error, b *blocked) error {
	d.blocked = nil
	if !taken(err) {
		return err
	}
	d.blocked = b
	d.rebinding.Reset(b.wait)
	b.wait = min(2*b.wait, rebindMost)
	return fmt.Errorf("%w; %w", err, errAgain)
}
