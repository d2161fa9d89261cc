package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/config"
)

// spoolSize bounds what is kept of remote files with a digest where there is no
// cache, in bytes.
const spoolSize = 8 << 30

// caches are those that were ever served with, by their directory. A file that is
// read from one goes on when a reload has named another.
type caches struct {
	mu     sync.Mutex
	opened map[string]*cache.Cache
	temp   string // a directory of the spool's own, which goes with the process; may be empty
}

// open opens the cache in dir, once.
func (c *caches) open(dir string, size int64) (*cache.Cache, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.opened[dir]; known != nil {
		return known, nil
	}
	opened, err := cache.New(dir, size)
	if err != nil {
		return nil, err
	}
	if c.opened == nil {
		c.opened = make(map[string]*cache.Cache)
	}
	c.opened[dir] = opened
	return opened, nil
}

// spool is where remote files with a digest are verified without a cache: in the
// state directory, else in one that goes with the process.
func (c *caches) spool(stateDir string) (*cache.Cache, error) {
	if stateDir != "" {
		return c.open(filepath.Join(stateDir, "spool"), spoolSize)
	}
	c.mu.Lock()
	if c.temp == "" {
		var err error
		if c.temp, err = os.MkdirTemp("", "pixiecore-spool-"); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	dir := c.temp
	c.mu.Unlock()
	return c.open(dir, spoolSize)
}

// close ends all transfers. Files that are open stay open.
func (c *caches) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, opened := range c.opened {
		opened.Close()
	}
	if c.temp == "" {
		return nil
	}
	return os.RemoveAll(c.temp)
}

// make compiles a configuration with all that it fetches with. The cache may have
// another size until it is committed.
func (d *Daemon) make(cfg *config.Config) (*Compiled, error) {
	o := booters.SourceOptions{Spool: func() (*cache.Cache, error) { return d.caches.spool(d.opts.StateDir) }}
	if c := cfg.Cache; c != nil {
		dir := c.Dir
		if dir == "" {
			dir = d.opts.CacheDir
		}
		if dir == "" {
			return nil, errors.New("cache: it has no directory; write dir = \"…\" into the cache block")
		}
		var err error
		if o.Cache, err = d.caches.open(dir, c.MaxSize); err != nil {
			return nil, fmt.Errorf("%w; the directory must belong to the user that pixiecore runs as, and another is named by dir in the cache block", err)
		}
	}
	if u := cfg.Uploads; u != nil {
		var err error
		if o.Uploads, err = d.received(u); err != nil {
			return nil, fmt.Errorf("uploads: %w", err)
		}
	}
	c, err := Compile(cfg, d.seal, d.sources.With(o))
	if err != nil {
		return nil, err
	}
	c.cache = o.Cache
	return c, nil
}
