package daemon

import (
	"crypto/tls"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/systemd"
)

// reloadChanged is Reload for an event of the file system, which may mean
// nothing. Nothing is done if the files turn out not to be steady: then there
// is another event.
func (d *Daemon) reloadChanged(steady func() bool) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if digestNow(d.files) != d.tried {
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

// errEnded is for who asks for a reload while the daemon stops.
var errEnded = errors.New("pixiecore is stopping, so nothing is reloaded: the configuration is read when it starts again")

// A cause is why the configuration is read again.
type cause int

const (
	asked  cause = iota // somebody wants it served
	edited              // the files have changed
)

// reloadIf reloads if, once everything is read, the files are steady. An edit
// that nobody has asked to be served may be held. The caller holds d.reloading.
func (d *Daemon) reloadIf(steady func() bool, by cause) (*config.Report, error) {
	if d.ended {
		return &config.Report{}, errEnded
	}
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
	d.prefetch.begin(n.Compiled, gen)
	returnMemory()
}

// worthReturning is how many bytes of memory are returned at once. A small
// configuration never has them.
const worthReturning = 16 << 20

// returnMemory gives the system what it took to load a configuration, several
// times of what it takes to serve it. The runtime would keep most of that until
// the next one, in a service that is limited to what it has in use.
func returnMemory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapSys-m.HeapReleased > worthReturning {
		runtime.GC() // what lies in a sync.Pool, as the compressor of the last good configuration, goes by the second
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
	d.checkNexts(c)
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
		if errors.Is(err, os.ErrPermission) {
			err = errors.Join(append(failed, errPrivilege)...)
		}
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
	here := d.interfaces.All()
	for _, l := range n.listeners {
		for _, why := range waiting(l.settings.Load().Listener, here) {
			d.log.Warn("listener waits", zap.Stringer("listener", l.server), zap.String("why", why))
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
