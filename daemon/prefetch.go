package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/cache"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
)

const (
	fetchAtOnce = 4  // files that are fetched beforehand at a time: machines' go beside them
	maxFailures = 20 // files that could not be fetched of which the status tells; more are counted
)

// CachingSources are Sources that keep what they fetch as a daemon with the
// configuration does, in dir where its cache block names none; open opens the cache.
// The error is for the operator.
func CachingSources(cfg *config.Config, dir string) (at string, open func() (_ *booters.Sources, close func(), err error), err error) {
	if cfg.Cache == nil {
		return "", nil, errors.New("the configuration has no cache block, so that nothing is kept; write cache {} into it")
	}
	if cfg.Cache.Dir != "" {
		dir = cfg.Cache.Dir
	}
	o := booters.SourceOptions{}
	if cfg.Fetch != (config.Fetch{}) {
		if o.TLS, err = fetchTLS(cfg.Fetch); err != nil {
			return "", nil, fmt.Errorf("fetch: %w", err)
		}
	}
	return dir, func() (*booters.Sources, func(), error) {
		c, err := cache.New(dir, cfg.Cache.MaxSize)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", dir, err)
		}
		o.Cache = c
		s := booters.NewSources().With(o)
		return s, func() { s.Close(); c.Close() }, nil
	}, nil
}

// A Fetched is what became of a file that was to be fetched beforehand.
type Fetched struct {
	cache.Kept
	Err error // that it is not there, for the operator
}

// OfCache reports whether the error is of the cache, which says the way out itself.
func (f Fetched) OfCache() bool {
	return errors.As(f.Err, new(*cache.TooLargeError)) || errors.As(f.Err, new(*cache.DiskError))
}

// Fetch sees to it that files are in the cache of sources, some at a time. seen, by
// the index of the file, is called as bytes come, and done with what became of it,
// one at a time. A file that ctx has ended is not told of.
func Fetch(ctx context.Context, sources *booters.Sources, files []config.Remote, seen func(i int, have, size int64), done func(i int, f Fetched)) {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(fetchAtOnce)
	for i := range files {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			k, err := sources.Keep(ctx, files[i].Source.String(), func(have, size int64) {
				mu.Lock()
				defer mu.Unlock()
				seen(i, have, size)
			})
			if ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				done(i, Fetched{k, err})
			}
			return nil
		})
	}
	_ = g.Wait() // there is no error
}

// Holds reports whether the cache in dir, which need not exist, has a copy of a file.
func Holds(dir string, file config.Remote) bool {
	return cache.Holds(dir, file.Source.At, file.Source.SHA256)
}

// TooMuch says that files of so many bytes do not stay in a cache together.
func TooMuch(bytes, max int64) error {
	if bytes <= max {
		return nil
	}
	return fmt.Errorf("the files have %s, and the cache keeps %s at most, so that some have gone again: raise its max_size", status.Bytes(bytes), status.Bytes(max))
}

// A prefetcher fills the cache of the newest generation that wants it.
type prefetcher struct {
	mu     sync.Mutex
	log    *zap.Logger
	run    runner             // nil while the daemon does not run
	cancel context.CancelFunc // ends the one that runs
	ended  chan struct{}      // closed when it has ended; nil: there was none
	state  *status.Prefetch   // nil: the generation wants none
}

// A runner starts what Run waits for and ends, and returns what ends it before.
type runner func(func(context.Context)) context.CancelFunc

// start lets it begin.
func (p *prefetcher) start(log *zap.Logger, run runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log, p.run = log.Named("prefetch"), run
}

// stop lets nothing begin any more.
func (p *prefetcher) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = nil
}

// begin ends what goes on for the generation before, and begins anew for this one.
// It waits for nothing.
func (p *prefetcher) begin(c *Compiled, gen uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
	p.state = nil
	if c.Config.Cache == nil || !c.Config.Cache.Prefetch || p.run == nil {
		return
	}
	state := &status.Prefetch{Generation: gen, Started: time.Now()}
	before, ended := p.ended, make(chan struct{})
	p.ended, p.state = ended, state
	p.cancel = p.run(func(ctx context.Context) {
		defer close(ended)
		if before != nil {
			<-before
		}
		p.fill(ctx, c, state)
	})
}

// fill fetches what is missing. state is written under p.mu.
func (p *prefetcher) fill(ctx context.Context, c *Compiled, state *status.Prefetch) {
	log := p.log.With(zap.Uint64("gen", state.Generation))
	remotes, err := c.Config.Remotes(ctx)
	if err == nil {
		p.mu.Lock()
		state.Files = len(remotes.Files)
		for _, s := range remotes.Skipped {
			state.Skipped += len(s.Who) + s.More
		}
		p.mu.Unlock()
		for _, s := range remotes.Skipped {
			log.Info("file not known beforehand", zap.String("at", s.At()), zap.String("boot", s.Boot), zap.String("setting", s.What), zap.Strings("machines", s.Who), zap.Int("more", s.More), zap.String("why", s.Why))
		}
		total := int64(0)
		Fetch(ctx, c.Sources, remotes.Files, func(int, int64, int64) {}, func(i int, f Fetched) {
			p.mu.Lock()
			defer p.mu.Unlock()
			total += f.Size
			if f.Err != nil {
				state.Fail(remotes.Files[i].Shown(), f.Err.Error(), maxFailures)
				log.Warn("file not fetched beforehand; a machine that needs it fetches it, and `pixiecore fetch` tries again", zap.String("asked", remotes.Files[i].Places[0].At()), zap.Error(f.Err))
				return
			}
			if state.Done++; f.Fetched {
				state.Fetched++
				state.Bytes += f.Size
			}
			if f.Note != "" {
				log.Warn("file kept all the same", zap.String("file", remotes.Files[i].Shown()), zap.String("note", f.Note))
			}
		})
		err = TooMuch(total, c.Config.Cache.MaxSize)
	}
	if ctx.Err() != nil {
		log.Debug("fetching beforehand was ended")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	state.Ended = time.Now()
	if err != nil {
		state.Error = err.Error()
		log.Warn("not all is fetched beforehand", zap.Error(err))
	}
	log.Info("files fetched beforehand", zap.Int("files", state.Files), zap.Int("fetched", state.Fetched), zap.Int64("bytes", state.Bytes), zap.Int("failed", state.FailedCount()), zap.Duration("took", state.Ended.Sub(state.Started)))
}

// status is how far it is; nil: the generation wants none.
func (p *prefetcher) status() *status.Prefetch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return nil
	}
	now := *p.state
	now.Failed = append([]status.FetchFailure(nil), now.Failed...)
	return &now
}
