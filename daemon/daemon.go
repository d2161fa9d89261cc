package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
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
	"github.com/pixiecore/pixiecore/config"
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
	kept    *store.Store   // under reloading; nil: nothing is kept so far
	dhcp4   *leases.Leases // of DHCP servers, once there is one; likewise
	dhcp6   dhcp6State     // likewise
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
	once       atomic.Pointer[once.States] // what was armed and done; nil: no rule has asked
	packets    *capture.Ring               // what machines sent and got
	chains     *dhcp4.Chains
	boots      *boots.Memory              // outlives generations and listeners, like a boot under way
	past       map[events.MAC]*boot.Facts // what machines said before the start; never modified after New
	record     *record                    // of machines seen; of the goroutine that writes it

	poll       time.Duration // between two looks at the files without an event
	quiet      time.Duration // for which they must not change
	fileEvents func() (*fsnotify.Watcher, error)

	services []Service      // those that no configuration changes
	close    []func() error // their sockets

	reloading sync.Mutex      // held by whoever reloads
	tried     [32]byte        // digest of the files at the last attempt; under reloading
	served    [32]byte        // substance of the files that are served; under reloading
	blocked   *blocked        // what waits for a port; nil: nothing; under reloading
	rebinding *time.Timer     // when that is tried again
	serve     func(*listener) // starts one; nil while the daemon does not run; under reloading
	park      func(*socket)   // drops what comes to one; likewise
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
			d.closeStateFile()
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
	d.boots = &boots.Memory{Source: d.swap, Held: func(rule string) string { return d.hold.why(rule) }, Events: d.events, Once: d.states}
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
	if err := d.bindControl(); err != nil {
		return nil, err
	}
	d.adopt(c.Config.Listeners)
	n, err := d.prepare(c)
	if err != nil {
		d.Close()
		return nil, err
	}
	d.commit(n)
	if bad == nil && d.heldEdit == nil {
		d.releaseEdit()
		d.keep(files)
	}
	return d, nil
}

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

// useKey makes the key for sealed IDs and tokens that of file, or this host's own
// for "". One that has been served with stays, since every address that machines
// have been given hangs on it.
func (d *Daemon) useKey(file string) error {
	if d.seal != nil && file == d.keyFile {
		return nil
	}
	if len(d.listeners) > 0 {
		return fmt.Errorf("url_key: the key of a running daemon cannot change from %s to %s, since machines that boot now hold addresses made with it; restart pixiecore to apply the change",
			keyName(d.keyFile), keyName(file))
	}
	secret, err := d.readKey(file)
	if err != nil {
		return err
	}
	seal, err := booters.NewSealer(secret)
	if err != nil {
		return err
	}
	tokens, err := boot.NewTokenKey(secret)
	if err != nil {
		return err
	}
	d.keyFile, d.seal, d.tokens = file, seal, tokens
	return nil
}

// readKey reads the key of a file, or reads or makes the host's own for "".
func (d *Daemon) readKey(file string) (secret []byte, err error) {
	if d.opts.StateDir != "" {
		if err := os.MkdirAll(d.opts.StateDir, 0o700); err != nil {
			return nil, fmt.Errorf("state directory: %w; name another with --state-dir", err)
		}
	}
	switch {
	case file != "":
		return booters.ReadKey(file)
	case d.opts.StateDir != "":
		secret, _, err = booters.LoadKey(filepath.Join(d.opts.StateDir, "url.key"))
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run as the user that %s belongs to, or name another directory with --state-dir", err, d.opts.StateDir)
		}
		return secret, err
	}
	secret = make([]byte, 32)
	rand.Read(secret) // never fails
	return secret, nil
}

// keyName is a key for people.
func keyName(file string) string {
	if file == "" {
		return "the host's own"
	}
	return strconv.Quote(file)
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
	d.serving.Store(true) // every socket is bound, and what comes waits for its server
	for _, l := range d.listeners {
		d.serve(l)
	}
	d.idle(d.bound)
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
	d.serve, d.park = nil, nil // nothing is started any more: what runs is waited for
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

// reloadChanged is Reload for an event of the file system, which may mean
// nothing. Nothing is done if the files turn out not to be steady: then there
// is another event.
func (d *Daemon) reloadChanged(steady func() bool) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if read(d.files).digest() != d.tried {
		d.reloadIf(steady, edited)
	}
}

// Reload reads the configuration again and serves it. On any error the running
// generation stays in every part, and the error says why. One that a taken port
// keeps from being served is tried again until the files are others.
func (d *Daemon) Reload() error {
	_, err := d.reload()
	return err
}

// reload is Reload, with the report for whoever asked.
func (d *Daemon) reload() (*config.Report, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	return d.reloadIf(func() bool { return true }, asked)
}

// A cause is why the configuration is read again.
type cause int

const (
	asked  cause = iota // somebody wants it served
	edited              // the files have changed
)

// reloadIf reloads if, once everything is read, the files are steady. An edit
// that nobody has asked to be served may be held. The caller holds d.reloading.
func (d *Daemon) reloadIf(steady func() bool, by cause) (*config.Report, error) {
	d.notified(systemd.Reloading)
	defer d.extend()()
	start, files := time.Now(), reading{}
	cfg, report := d.load(files)
	c, err := d.compile(cfg, report)
	var held *status.HeldEdit
	if err == nil && by == edited && files.substance() != d.served {
		held = d.judge(d.compiled(), c, start)
	}
	var n *next
	var waiting *blocked
	if err == nil && held == nil {
		if n, err = d.prepare(c); err != nil {
			waiting = &blocked{c, files, rebindFirst}
		}
	}
	if !steady() {
		if n != nil {
			n.drop()
		}
		d.log.Debug("configuration changed while it was read")
		d.ready(d.statusLine())
		return report, err
	}

	// ── the line: above it everything may fail, below it nothing ──

	d.tried, d.blocked = files.digest(), nil
	d.mu.Lock()
	d.files = files.paths()
	d.lastReload = status.Reload{Time: start, Problems: report.Problems()}
	d.mu.Unlock()
	d.logProblems(report)
	switch {
	case err != nil:
		if waiting != nil {
			err = d.again(err, waiting)
		}
		d.refuse(err)
	case held != nil:
		d.mu.Lock()
		d.lastReload = status.Reload{} // held tells instead
		d.mu.Unlock()
		d.holdEdit(held, files)
		d.metrics.Reloaded("held", 0)
		d.ready(d.statusLine())
	default:
		d.apply(n, files, start)
	}
	return report, err
}

// refuse says everywhere that a reload was refused.
func (d *Daemon) refuse(err error) {
	d.mu.Lock()
	d.lastReload.OK, d.lastReload.Error = false, err.Error()
	d.mu.Unlock()
	d.metrics.Reloaded("refused", 0)
	d.log.Error("reload refused; the running configuration stays", zap.Error(err), zap.Uint64("gen", d.swap.Current().Gen))
	d.ready("reload refused: " + err.Error() + "; running: " + d.statusLine())
}

// apply serves what has been prepared, and says what that changes.
func (d *Daemon) apply(n *next, files reading, start time.Time) {
	d.mu.Lock()
	d.lastReload.Time, d.lastReload.OK, d.lastReload.Error = start, true, ""
	d.mu.Unlock()
	old := d.compiled()
	gen := d.commit(n)
	d.served, d.blocked = files.substance(), nil
	d.releaseEdit()
	d.log.Info("configuration reloaded", zap.Uint64("gen", gen), zap.Duration("took", time.Since(start)))
	d.metrics.Reloaded("applied", time.Since(start))
	d.ready(d.statusLine())
	d.keep(files)
	d.logChanges(gen, old, n.Compiled)
	returnMemory()
}

// worthReturning is how many bytes of memory are returned at once. A small
// configuration never has them.
const worthReturning = 64 << 20

// returnMemory gives the system what it took to load a configuration, several
// times of what it takes to serve it. The runtime would keep most of that until
// the next one, in a service that is limited to what it has in use.
func returnMemory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapSys-m.HeapReleased > worthReturning {
		debug.FreeOSMemory()
	}
}

// A next is a configuration that can be committed: everything of it that could
// fail has been done.
type next struct {
	*Compiled
	listeners []*listener // in the order of the configuration
	placed    []placed    // likewise
	opened    []*listener // those of them that are new
	gone      []*listener
	certs     []*tls.Config      // of https, in the order of the configuration; nil for the others
	addresses []*dhcp4.Addresses // likewise, of DHCP servers; nil: of the others
}

// drop gives up what will not be committed.
func (n *next) drop() {
	for _, l := range n.opened {
		l.close()
	}
}

// prepare does everything of a reload, or of the start, that may fail. With an
// error nothing has changed.
func (d *Daemon) prepare(c *Compiled) (*next, error) {
	cfg := c.Config
	wanted, running := place(cfg.Listeners, d.sockets), d.bound
	steps, err := plan(running, wanted)
	if err != nil {
		return nil, err
	}
	d.useStates(cfg)
	n := &next{Compiled: c, placed: wanted}
	var failed []error
	for _, l := range cfg.Listeners {
		cert, err := loadCertificate(l)
		if err != nil {
			failed = append(failed, err)
		}
		n.certs = append(n.certs, cert)
		n.addresses = append(n.addresses, d.addresses(l.DHCP4, cfg.Inventory))
	}
	for _, s := range steps {
		if s.do == shut {
			n.gone = append(n.gone, d.listeners[s.old])
			continue
		}
		conf := wanted[s.new]
		if s.do == open || conf.Address != running[s.old].Address {
			if err := d.available(conf.Listener); err != nil {
				failed = append(failed, bindError(conf.Listener, err))
				continue
			}
		}
		if s.do != open {
			n.listeners = append(n.listeners, d.listeners[s.old])
			continue
		}
		l, err := d.open(conf)
		if err != nil {
			failed = append(failed, bindError(conf.Listener, err))
			continue
		}
		n.opened = append(n.opened, l)
		n.listeners = append(n.listeners, l)
	}
	if err := errors.Join(failed...); err != nil {
		n.drop()
		return nil, err
	}
	return n, nil
}

// commit publishes a generation. It cannot fail.
//
// Listeners get their settings before the rules are swapped, and those that go
// are closed last: whichever of the two a request has seen, every address that
// it tells a machine is open.
func (d *Daemon) commit(n *next) (gen uint64) {
	c := n.Compiled
	d.level.SetLevel(zapLevel(c.Config.Log.Level))
	d.setFormat(c.Config.Log)
	if c.cache != nil {
		c.cache.SetMax(c.Config.Cache.MaxSize)
	}
	tell(n.listeners, n.placed, n.certs, n.addresses)
	next := boot.Snapshot{Booter: c.booter(), Loaders: c.Loaders.Bytes(), Builds: c.Loaders.Builds()}
	if d.current == nil && d.standin != "" {
		next.Standin = "the file has errors"
	}
	gen = d.swap.Publish(next)
	d.mu.Lock()
	if d.current != nil {
		d.standin = ""
	}
	d.current, d.listeners, d.loaded = c, n.listeners, time.Now()
	d.mu.Unlock()
	for _, why := range append(d.odd, misfits(c.Config.Listeners, n.placed, d.sockets)...) {
		d.log.Warn("socket of systemd", zap.String("why", why))
	}
	d.odd = nil
	// Our own are listeners' like any other from here on.
	d.sockets = slices.DeleteFunc(d.sockets, func(s *socket) bool { return s.own })
	for i := range n.placed {
		if s := n.placed[i].from; s != nil && s.own {
			n.placed[i].from = nil
		}
	}
	d.bound = n.placed
	d.idle(d.bound)
	for _, l := range n.opened {
		if d.serve != nil {
			d.serve(l)
		}
		d.store(l)
	}
	for _, l := range n.gone {
		l.stop()
		if l.stored != "" {
			d.unstore(l.stored)
		}
		d.log.Info("listener closed", zap.Stringer("listener", l.server))
	}
	for i, cert := range n.certs {
		for _, doubt := range doubts(cert, c.Config.Listeners[i], time.Now()) {
			d.log.Warn("certificate", zap.String("file", c.Config.Listeners[i].Cert), zap.String("doubt", doubt))
		}
	}
	for _, l := range c.Loaders.All() {
		if l.Warning != "" {
			d.log.Warn("loader looks odd", zap.Stringer("firmware", l.Firmware), zap.String("file", l.Path), zap.String("doubt", l.Warning))
		}
	}
	for _, m := range c.MissingNeeded() {
		d.log.Warn("loader missing", zap.Stringer("firmware", m.Firmware), zap.Error(m))
	}
	return gen
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
