package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/config"
)

// load loads the configuration and notes which files that took.
func (d *Daemon) load(files reading) (*config.Config, *config.Report) {
	if d.opts.Path == "" {
		return d.opts.Load()
	}
	cfg, report := config.LoadFrom(d.opts.Path, files.open)
	if cfg != nil {
		// Before they are read to be used: a change in between is one more reload.
		for _, path := range credentials(cfg) {
			files.beside(path)
		}
	}
	return cfg, report
}

func (d *Daemon) compile(cfg *config.Config, report *config.Report) (*Compiled, error) {
	if err := report.Err(); err != nil {
		return nil, err
	}
	if cfg.StateDir != d.state && !d.opts.FixedStateDir {
		return nil, fmt.Errorf("state: a running daemon keeps its state in %q and cannot move to another directory; move what is in it and restart pixiecore to apply the change", d.opts.StateDir)
	}
	if err := d.useKey(cfg.URLKey); err != nil {
		return nil, err
	}
	c, err := d.make(cfg)
	if err == nil {
		c.problems = report.Problems()
	}
	return c, err
}

// canStandIn reports whether there is something to do at the start with a file
// that cannot be served.
func (d *Daemon) canStandIn(missing bool) bool {
	if d.opts.Path == "" || d.supervised() {
		return d.opts.Path != ""
	}
	_, err := os.Stat(filepath.Join(d.opts.StateDir, lastGood))
	return d.opts.StateDir != "" && !missing && err == nil
}

// standIn is what is served at the start in place of a file that cannot be: the
// last good configuration, or nothing. A file that is missing may be missing on
// purpose, so that what was in it is not served.
func (d *Daemon) standIn(missing bool, report *config.Report, bad error) (*Compiled, error) {
	if d.opts.Path != "" && d.opts.StateDir != "" && !missing {
		good, err := loadLastGood(d.opts.StateDir, d.opts.Path)
		var c *Compiled
		if err == nil {
			err = d.useKey(good.cfg.URLKey)
		}
		if err == nil {
			c, err = d.make(good.cfg)
		}
		if err == nil {
			d.served = good.files.substance()
			d.standin = fmt.Sprintf("the configuration of %s, which is %s old, since the file has errors: %v", good.saved.Format(time.RFC3339), time.Since(good.saved).Round(time.Second), bad)
			return c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			bad = fmt.Errorf("%w; the last good configuration cannot be used either: %w", bad, err)
		}
	}
	if d.opts.Path == "" || !d.supervised() {
		if report.Err() == nil {
			return nil, bad
		}
		return nil, &ConfigError{report, missing}
	}
	return d.serveNothing(bad)
}

// serveNothing is the configuration of a service that waits.
func (d *Daemon) serveNothing(why error) (*Compiled, error) {
	if err := d.useKey(""); err != nil {
		return nil, err
	}
	d.standin = fmt.Sprintf("nothing is served: %v", why)
	return d.make(&config.Config{Log: config.Log{Level: config.LogInfo, Format: config.LogAuto}})
}

// nothing is what is served at the start while an edit is held and what was
// served before it is gone: at a terminal there is somebody to decide. Under a
// service manager every edit is held then, since there is nothing to compare it
// with.
func (d *Daemon) nothing(held *heldEdit, why error) (*Compiled, error) {
	if !d.supervised() {
		return nil, fmt.Errorf("%w; to serve the file as it is, remove %s and start again", why, filepath.Join(d.opts.StateDir, editFile))
	}
	d.heldEdit = &held.HeldEdit
	c, err := d.serveNothing(fmt.Errorf("%w; `pixiecore reload` serves the file as it is", why))
	if err == nil {
		c.Config.Reload.Manual = true
	}
	return c, err
}

// keep saves a configuration that is served.
func (d *Daemon) keep(files reading) {
	if d.opts.Path == "" || d.opts.StateDir == "" {
		return
	}
	if err := files.save(d.opts.StateDir, time.Now()); err != nil {
		d.log.Warn("configuration not kept for a start with a bad file", zap.Error(err))
	}
}

// logProblems logs what a report says.
func (d *Daemon) logProblems(report *config.Report) {
	for _, p := range report.Problems() {
		level := zap.WarnLevel
		if p.Severity == config.SeverityError {
			level = zap.ErrorLevel
		}
		d.log.Log(level, p.Summary, zap.String("at", p.String()), zap.String("detail", p.Detail))
	}
}
