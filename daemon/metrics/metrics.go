// Package metrics counts what the daemon does, for Prometheus: /metrics of the status
// listener.
//
//	events.Log ── Observe ──▶ boots, steps, requests served, transfers, stalls ─┐
//	daemon ────── Reloaded ─▶ reloads ──────────────────────────────────────────┼─▶ Handler
//	daemon ◀───── State ───── generation, requests not served, cache, machines ─┘
//
// # Decisions
//
// A label is never what a client says, and each has a bound: rules are counted up to
// MaxRules by name, in the order in which they decide, and beyond as "other".
// Machines are no label: Prometheus keeps each series for ever, and `pixiecore status
// MAC` has what one did.
//
// A boot is counted once for each result that it comes to: one that stalls and goes on
// is a stalled and a booted one.
//
// A step takes from the end of the one before it to its own end, so that the sum over
// the steps is the boot. Who looks for what is slow looks there, and for how fast a
// file was at the bytes.
//
// The alert rules and the dashboard of packaging/ are held against the names here by a
// test.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// The bounds of labels.
const (
	MaxRules = 64
	maxArchs = 16
)

// none and other stand for what has no name, and for names beyond a bound.
const (
	none  = "none"
	other = "other"
)

// Metrics are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	boots    *prometheus.CounterVec
	begun    prometheus.Counter
	boot     prometheus.Histogram
	steps    *prometheus.HistogramVec
	stalls   *prometheus.CounterVec
	requests *prometheus.CounterVec
	files    *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	reload   prometheus.Histogram

	mu     sync.Mutex
	rules  names
	archs  names
	before map[events.MAC]before // of boots that go on; at most events.MaxMachines
}

// before is where a boot was when it was last heard of, in nanoseconds since 1970.
type before struct{ began, at int64 }

// New makes the metrics of a daemon, which state tells what it does.
func New(state func() status.Report) *Metrics {
	seconds := []float64{.01, .1, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pixiecore", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		boots:    counter("boots_total", "Boots that came to a result, by the rule that decided.", "rule", "arch", "result"),
		begun:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pixiecore", Name: "boots_begun_total", Help: "Boots that have begun."}),
		boot: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "pixiecore", Name: "boot_seconds", Help: "Time from a machine's first request until it starts its kernel.", Buckets: seconds,
		}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "pixiecore", Name: "boot_step_seconds", Help: "Time from the end of the step before to the end of this one.", Buckets: seconds,
		}, []string{"step"}),
		stalls:   counter("boot_stalls_total", "Boots that did not go on, by diagnosis.", "diagnosis"),
		requests: counter("requests_served_total", "Requests that were answered, by kind of listener.", "listener"),
		files:    counter("transfers_total", "Files that were sent, by step, protocol and whether the whole was.", "step", "protocol", "outcome"),
		bytes:    counter("transfer_bytes_total", "Bytes of files that were sent.", "step", "protocol"),
		reloads:  counter("reloads_total", "Reloads of the configuration, by verdict.", "verdict"),
		reload: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "pixiecore", Name: "reload_seconds", Help: "Time that a reload took which was applied.", Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 30},
		}),
		rules: names{most: MaxRules}, archs: names{most: maxArchs}, before: map[events.MAC]before{},
	}
	m.registry.MustRegister(m.boots, m.begun, m.boot, m.steps, m.stalls, m.requests, m.files, m.bytes, m.reloads, m.reload, &told{state: state},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, verdict := range []string{"applied", "refused", "held"} {
		m.reloads.WithLabelValues(verdict) // so that a rate has a beginning
	}
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Reloaded counts a reload: its verdict is "applied", "refused" or "held".
func (m *Metrics) Reloaded(verdict string, took time.Duration) {
	m.reloads.WithLabelValues(verdict).Inc()
	if verdict == "applied" {
		m.reload.Observe(took.Seconds())
	}
}

// Observe is for events.Log.Observe.
func (m *Metrics) Observe(u *events.Update) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &u.Event
	if u.Result != u.Was && u.Result != events.Running {
		m.boots.WithLabelValues(m.rules.bounded(u.Rule), m.archs.bounded(u.Arch), u.Result.String()).Inc()
		if u.Result == events.Booted {
			m.boot.Observe(max(0, e.Time.Sub(u.Began).Seconds()))
		}
	}
	if e.Count == 0 {
		if u.Stall != nil {
			m.stalls.WithLabelValues(u.Stall.Word).Inc()
		}
		return
	}
	ended := !e.End.IsZero()
	if e.Active { // it counts when it ends
		if u.New {
			m.since(u, e.Time)
		}
		return
	}
	m.step(u, ended)
	if kind := listener(e); kind != "" && (e.Kind.Step() || e.Kind == events.Written) && e.Kind != events.Asked && e.Kind != events.IPXE && e.Kind != events.Address {
		m.requests.WithLabelValues(kind).Inc()
	}
	if ended {
		outcome := "whole"
		if e.Size > 0 && e.Bytes < e.Size {
			outcome = "broken"
		}
		m.files.WithLabelValues(e.Kind.String(), e.Via, outcome).Inc()
		m.bytes.WithLabelValues(e.Kind.String(), e.Via).Add(float64(max(0, e.Bytes)))
	}
}

// step observes how long a step took. The caller holds m.mu.
func (m *Metrics) step(u *events.Update, ended bool) {
	e := &u.Event
	if !e.Kind.Step() || !u.New && !ended { // a repetition
		return
	}
	at := e.Latest()
	if took, ok := m.since(u, at); ok {
		m.steps.WithLabelValues(e.Kind.String()).Observe(max(0, took.Seconds()))
	}
}

// since is the time since the boot was last heard of; false for its beginning. The
// caller holds m.mu.
func (m *Metrics) since(u *events.Update, at time.Time) (time.Duration, bool) {
	was, ok := m.before[u.MAC]
	if !ok || was.began != u.Began.UnixNano() {
		if u.New && u.Event.Kind <= events.Offered {
			m.begun.Inc()
		}
		ok = false
	}
	if len(m.before) >= events.MaxMachines && !ok {
		clear(m.before) // costs a step of each of them, and no more
	}
	if !u.Event.Active {
		m.before[u.MAC] = before{u.Began.UnixNano(), at.UnixNano()}
	} else if !ok {
		m.before[u.MAC] = before{u.Began.UnixNano(), u.Event.Time.UnixNano()}
	}
	return time.Duration(at.UnixNano() - was.at), ok
}

// listener is the kind of listener that served a step.
func listener(e *events.Event) string {
	switch e.Via {
	case "dhcp", "pxe", "dhcp6", "tftp", "http":
		return e.Via
	}
	return ""
}

// names are those that a label has had.
type names struct {
	most int
	seen map[string]struct{}
}

// bounded is the name, or what stands for it.
func (n *names) bounded(name string) string {
	if name == "" {
		return none
	}
	if _, ok := n.seen[name]; ok {
		return name
	}
	if len(n.seen) >= n.most {
		return other
	}
	if n.seen == nil {
		n.seen = map[string]struct{}{}
	}
	n.seen[name] = struct{}{}
	return name
}
