package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/uploads"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/metrics"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/once"
	"github.com/pixiecore/pixiecore/systemd"
)

// Options say what a Daemon runs.
type Options struct {
	// Path is the absolute path of the configuration file, which is watched;
	// empty for a configuration that is no file.
	Path string
	// Load makes the configuration where there is no Path. It is called by New
	// and by every reload.
	Load func() (*config.Config, *config.Report)
	// StateDir keeps what outlives the process (the URL key, the configuration
	// that was served last), in files of mode 0600. Empty: nothing does, and
	// addresses in a boot under way die with the process.
	StateDir string
	// CacheDir is where a cache block that names no directory keeps files. Empty:
	// it must name one.
	CacheDir string
	// FixedStateDir makes StateDir win over the state block of the file.
	FixedStateDir bool
	// Control is the path of the control socket; empty: there is none.
	Control string
	// Log takes the log. Nil: a logger as the configuration says, to standard error.
	Log *zap.Logger
	// Version is told by the status listener.
	Version string
	// Embedded says that the process is another program's: its signals, its service
	// manager and the sockets that it was started with are not the daemon's.
	Embedded bool

	sockets []*os.File  // in tests: instead of systemd.Sockets
	wire    *netio.Wire // of a Simulation: what DHCP goes over; nil: the host's network
}

// A ConfigError is a configuration that cannot be served, with the report that
// says why.
type ConfigError struct {
	Report  *config.Report
	Missing bool // there is no file
}

func (e *ConfigError) Error() string { return e.Report.Err().Error() }

// A Service is one long-running part of the daemon.
type Service interface {
	String() string                // names it in errors and status
	Run(ctx context.Context) error // serves until ctx is done, then cleans up and returns nil
}

// A Daemon serves one configuration after the other.
type Daemon struct {
	opts    Options
	log     *zap.Logger
	level   zap.AtomicLevel
	state   string // the state block's directory at the start
	keyFile string // the url_key that seal and tokens are of; under reloading
	seal    *booters.Sealer
	tokens  boot.TokenKey
	sources *booters.Sources // what every generation's are made of
	caches  caches
	uploads map[string]*uploads.Dir // by path; see received
	kept    *store.Store            // under reloading; nil: nothing is kept so far
	dhcp4   *leases.Leases          // of DHCP servers, once there is one; likewise
	dhcp6   dhcp6State              // likewise
	swap    *booters.Swapper
	events  *events.Log
	metrics *metrics.Metrics
	started time.Time
	serving atomic.Bool                  // from the first listener's start to the stop
	output  atomic.Pointer[zapcore.Core] // of a log that is the daemon's own
	journal zapcore.Core                 // takes it where standard error leads there; else nil
	stderr  zapcore.WriteSyncer

	stopping chan struct{} // closed when Run is told to end

	interfaces *netio.Interfaces
	prefetch   prefetcher
	once       atomic.Pointer[once.States] // what was armed and done; nil: no rule has asked
	next       atomic.Pointer[once.Nexts]  // what was chosen for machines; nil: nothing ever
	packets    *capture.Ring               // what machines sent and got
	chains     *dhcp4.Chains
	boots      *boots.Memory              // outlives generations and listeners, like a boot under way
	past       map[events.MAC]*boot.Facts // what machines said before the start; never modified after New
	record     *record                    // of machines seen; of the goroutine that writes it

	poll       time.Duration // between two looks at the files without an event
	quiet      time.Duration // for which they must not change
	fileEvents func() (*fsnotify.Watcher, error)

	services []Service       // those that no configuration changes
	control  *control.Server // one of them; nil where there is no socket
	close    []func() error  // their sockets

	reloading sync.Mutex      // held by whoever reloads
	tried     [32]byte        // digest of the files at the last attempt; under reloading
	served    [32]byte        // substance of the files that are served; under reloading
	blocked   *blocked        // what waits for a port; nil: nothing; under reloading
	rebinding *time.Timer     // when that is tried again
	serve     func(*listener) // starts one; nil while the daemon does not run; under reloading
	park      func(*socket)   // drops what comes to one; likewise
	ended     bool            // Run was told to stop, so that nothing would serve or close what is opened; under reloading
	sockets   []*socket       // that the process was started with and has not given up; under reloading
	odd       []string        // what there is to say of the others

	mu         sync.Mutex // guards what follows; written under reloading too
	current    *Compiled
	listeners  []*listener // of current, in its order
	bound      []placed    // likewise
	files      []string    // that were read at the last attempt, or are missing
	loaded     time.Time
	lastReload status.Reload
	hold       *hold
	heldEdit   *status.HeldEdit // nil: none
	standin    string           // why current is not what the file says; empty: it is, or was
}

// New loads the configuration, compiles it and binds every listener. Nothing
// is served yet.
//
// Where the file has errors, the configuration that was served last takes its
// place. If there is none, or no file at all, the error is a *ConfigError; but
// under a service manager, the Daemon serves nothing then and waits for a file
// that it can serve, since a service that exits for a typing error may be given
// up with its sockets.
func New(o Options) (_ *Daemon, err error) {
	d := &Daemon{
		opts: o, log: o.Log, level: zap.NewAtomicLevel(), stopping: make(chan struct{}),
		sources: booters.NewSources(), swap: &booters.Swapper{}, events: events.New(), started: time.Now(),
		interfaces: netio.NewInterfaces(), packets: &capture.Ring{}, chains: &dhcp4.Chains{}, poll: pollEvery, quiet: settle, fileEvents: fsnotify.NewWatcher,
		rebinding: time.NewTimer(rebindFirst), stderr: zapcore.Lock(os.Stderr),
	}
	d.rebinding.Stop() // until it is needed
	d.metrics = metrics.New(d.report)
	d.events.Observe(d.metrics.Observe)
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	defer d.extend()()
	inherited := o.sockets
	if inherited == nil && !o.Embedded {
		inherited = systemd.Sockets()
	}
	d.sockets, d.odd = inherit(inherited)
	d.odd = append(d.odd, rivals(d.sockets)...)
	files := reading{}
	d.boots = &boots.Memory{Source: d.swap, Held: func(rule string) string { return d.hold.why(rule) }, Events: d.events, Once: d.states, Next: d.nexts}
	cfg, report := d.load(files)
	d.tried, d.files = files.digest(), files.paths()
	d.state = report.StateDir()
	if d.state != "" && !o.FixedStateDir {
		d.opts.StateDir = d.state
	}
	missing := errors.Is(files[o.Path].err, fs.ErrNotExist)
	if report.Err() != nil && !d.canStandIn(missing) {
		return nil, &ConfigError{report, missing}
	}
	if report.Err() == nil {
		// A key is of the host, not of the text: a last good one does not mend it.
		if err := d.useKey(cfg.URLKey); err != nil {
			return nil, err
		}
	}
	// A daemon that runs already is a better reason than all that it has open.
	if err := d.bindControl(); err != nil {
		return nil, err
	}
	seen, forgotten := d.loadRecord(d.started)
	d.recall(seen)
	d.served = files.substance()
	c, bad := d.compile(cfg, report)
	var unheld error
	noted := loadHeldEdit(d.opts.StateDir, d.started)
	switch {
	case bad != nil:
		var err error
		if c, err = d.standIn(missing, report, bad); err != nil {
			return nil, err
		}
		if noted != nil {
			d.heldEdit = &noted.HeldEdit
		}
	case noted != nil && o.Path != "":
		if c, d.heldEdit, d.served, unheld = d.stayHeld(noted, c, files, d.started); unheld != nil {
			var err error
			if c, err = d.nothing(noted, unheld); err != nil {
				return nil, err
			}
		}
	}
	if d.log == nil {
		d.journal = systemd.NewJournal(zap.DebugLevel)
		d.setFormat(c.Config.Log)
		d.log = newLogger(&d.output, d.level)
	}
	d.logProblems(report)
	if bad != nil {
		d.lastReload = status.Reload{Time: d.started, Error: bad.Error(), Problems: report.Problems()}
		d.log.Error("configuration refused at the start", zap.String("running", d.standin), zap.Error(bad))
	}
	if forgotten != nil {
		d.log.Warn("boots of before the start are forgotten, as far as they cannot be read", zap.Error(forgotten))
	}
	switch {
	case unheld != nil:
		d.log.Error("nothing is served", zap.Error(unheld))
	case d.heldEdit != nil:
		d.log.Warn("edit held", zap.String("why", d.heldEdit.Why), zap.Time("since", d.heldEdit.Since))
	}
	d.hold = loadHold(d.opts.StateDir, d.log)
	d.recallNexts()
	if d.control != nil {
		d.control.Log = d.log.Named("control")
		d.services = append(d.services, d.control)
	}
	d.adopt(c.Config.Listeners)
	n, err := d.prepare(c)
	if err != nil {
		return nil, err
	}
	d.commit(n)
	if bad == nil && d.heldEdit == nil {
		d.releaseEdit()
		d.keep(files)
	}
	return d, nil
}

// Close gives up the listeners of a Daemon that is not run.
func (d *Daemon) Close() {
	for _, s := range d.sockets {
		s.close()
	}
	for _, l := range d.listeners {
		l.close()
	}
	for _, c := range d.close {
		c()
	}
	d.caches.close()
	d.closeStateFile()
}

// Run serves until ctx is done, reloads on SIGHUP and when a watched file
// changes, and returns nil after a clean stop, which lets transfers finish
// within ten seconds. When one listener fails, all stop, and that is the error.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.caches.close() // what is left of a directory of its own is of no harm
	defer d.closeStateFile()
	defer d.sources.Close()
	defer func() {
		for _, s := range d.sockets {
			s.close()
		}
	}()
	hup := make(chan os.Signal, 1)
	if !d.opts.Embedded {
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := d.interfaces.Watch(ctx); err != nil {
			d.log.Debug("interfaces are looked at each second", zap.Error(err))
		}
		return nil
	})
	for _, s := range d.services {
		g.Go(func() error {
			if err := s.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
			return nil
		})
		d.log.Info("listening", zap.Stringer("listener", s))
	}
	d.reloading.Lock()
	d.serve = func(l *listener) {
		var own context.Context
		own, l.cancel = context.WithCancel(ctx)
		g.Go(func() error { return l.run(own) })
		d.log.Info("listening", zap.Stringer("listener", l.server))
	}
	d.park = func(s *socket) {
		var idle context.Context
		idle, s.discarding = context.WithCancel(ctx)
		done := make(chan struct{})
		s.discarded = done
		g.Go(func() error {
			defer close(done)
			if err := s.discard(idle); err != nil {
				d.log.Warn("socket without a listener not read", zap.String("socket", s.name), zap.Error(err))
			}
			return nil
		})
	}
	d.prefetch.start(d.log, func(f func(context.Context)) context.CancelFunc {
		own, cancel := context.WithCancel(ctx)
		g.Go(func() error {
			defer cancel()
			f(own)
			return nil
		})
		return cancel
	})
	d.serving.Store(true) // every socket is bound, and what comes waits for its server
	for _, l := range d.listeners {
		d.serve(l)
	}
	d.idle(d.bound)
	d.prefetch.begin(d.current, d.swap.Current().Gen)
	d.reloading.Unlock()
	if !d.opts.Embedded {
		g.Go(func() error {
			d.watchdog(ctx, systemd.Watchdog())
			return nil
		})
	}
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hup:
				d.Reload() // its verdict is logged and notified
			case <-d.rebinding.C:
				d.rebind()
			}
		}
	})
	g.Go(func() error {
		d.remember(ctx)
		return nil
	})
	g.Go(func() error {
		d.stalls().Run(ctx)
		return nil
	})
	if d.opts.Path != "" {
		g.Go(func() error {
			w := watcher{log: d.log, files: d.watched, poll: d.poll, quiet: d.quiet, changed: d.reloadChanged, open: d.fileEvents}
			w.run(ctx)
			return nil
		})
	}
	d.ready(d.statusLine())
	returnMemory()
	<-ctx.Done()
	d.serving.Store(false)
	close(d.stopping)
	d.reloading.Lock()
	d.serve, d.park, d.ended = nil, nil, true // nothing is started any more: what runs is waited for
	d.prefetch.stop()
	d.reloading.Unlock()
	d.notified(systemd.Stopping)
	d.log.Info("stopping")
	return g.Wait()
}

// watched are the files whose change means a new configuration.
func (d *Daemon) watched() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files
}

func (d *Daemon) compiled() *Compiled {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// statusLine is the one line for systemctl status.
func (d *Daemon) statusLine() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.standin != "" {
		return d.standin
	}
	if d.heldEdit != nil {
		return fmt.Sprintf("edit held: %s; running: %s", d.heldEdit.Why, inService(d.swap.Current().Gen, d.current.Config))
	}
	return inService(d.swap.Current().Gen, d.current.Config)
}

// inService counts what a generation has.
func inService(gen uint64, cfg *config.Config) string {
	return fmt.Sprintf("generation %d: listeners %d, rules %d, machines %d", gen, len(cfg.Listeners), len(cfg.Rules), len(cfg.Inventory.Entries()))
}

// supervised reports whether a service manager wants to be told of this daemon.
func (d *Daemon) supervised() bool { return !d.opts.Embedded && systemd.Supervised() }

// ready tells the service manager that the daemon serves, or that a reload has ended.
func (d *Daemon) ready(status string) {
	d.notified(func() error { return systemd.Ready(status) })
}

// notified tells the service manager something, and logs what it could not be told.
func (d *Daemon) notified(tell func() error) {
	if !d.supervised() {
		return
	}
	if err := tell(); err != nil {
		d.log.Debug("systemd not notified", zap.Error(err))
	}
}
