package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// told collects what the daemon is asked when somebody looks.
type told struct{ state func() status.Report }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pixiecore_"+name, help, labels, nil)
}

// The metrics of told. They are never modified.
var (
	descBuild      = describe("build_info", "The version that runs: always 1.", "version")
	descGeneration = describe("config_generation", "The generation of the configuration that is served.")
	descLoaded     = describe("config_loaded_timestamp_seconds", "When that was published.")
	descGood       = describe("config_last_reload_successful", "Whether the last reload was applied; 1 before the first.")
	descStandin    = describe("config_standin", "Whether something else than the file says is served since the start.")
	descHeldEdit   = describe("config_edit_held", "Whether an edit waits for somebody to ask for it.")
	descHolds      = describe("holds", "Holds: rules, or everything, that are answered to nobody.")
	descRules      = describe("rules", "Rules of the configuration that is served.")
	descDropped    = describe("requests_dropped_total", "Requests that were not served, by kind of listener and reason, since it was opened.", "listener", "reason")
	descMachines   = describe("machines", "Machines that are remembered, by the result of their last boot.", "result")
	descTransfers  = describe("transfers_active", "Files that are on their way.")
	descMissing    = describe("loaders_missing", "Platforms for which there is no loader.")
	descFiles      = describe("cache_files", "Remote files that are kept.")
	descBytes      = describe("cache_bytes", "Bytes that they take.")
	descMax        = describe("cache_max_bytes", "Bytes that they may take.")
	descPrefetch   = describe("prefetch_files", "Remote files that the configuration which is served wants beforehand, by what became of them.", "state")
	descPrefetched = describe("prefetch_bytes", "Bytes that had to be fetched for it beforehand.")
)

// Describe implements prometheus.Collector.
func (t *told) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descBuild, descGeneration, descLoaded, descGood, descStandin, descHeldEdit, descHolds, descRules, descDropped, descMachines, descTransfers,
		descMissing, descFiles, descBytes, descMax, descPrefetch, descPrefetched,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (t *told) Collect(to chan<- prometheus.Metric) {
	r := t.state()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	is := func(d *prometheus.Desc, yes bool) {
		v := 0.0
		if yes {
			v = 1
		}
		gauge(d, v)
	}
	gauge(descBuild, 1, r.Version)
	gauge(descGeneration, float64(r.Generation))
	gauge(descLoaded, float64(r.Loaded.UnixMilli())/1e3)
	is(descGood, r.LastReload == nil || r.LastReload.OK)
	is(descStandin, r.Standin != "")
	is(descHeldEdit, r.HeldEdit != nil)
	gauge(descHolds, float64(len(r.Holds)))
	gauge(descRules, float64(len(r.Rules)))
	gauge(descMissing, float64(len(r.MissingLoaders)))

	dropped := map[[2]string]uint64{} // several listeners can be of one kind
	for _, d := range r.Dropped {
		kind, _, _ := strings.Cut(d.Listener, " ")
		dropped[[2]string{kind, d.Reason.String()}] += d.Count
	}
	for of, n := range dropped {
		to <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(n), of[0], of[1])
	}

	machines, active := map[events.Result]int{}, 0
	for i := range r.Machines {
		b := r.Machines[i].Current()
		if b == nil {
			continue
		}
		machines[b.Result]++
		for _, e := range b.Steps {
			if e.Active {
				active++
			}
		}
	}
	for _, result := range events.Results() {
		gauge(descMachines, float64(machines[result]), result.String())
	}
	gauge(descTransfers, float64(active))
	if c := r.Cache; c != nil {
		gauge(descFiles, float64(c.Files))
		gauge(descBytes, float64(c.Bytes))
		gauge(descMax, float64(c.Max))
		if p := c.Prefetch; p != nil {
			failed := p.FailedCount()
			gauge(descPrefetch, float64(p.Files-p.Done-failed), "todo")
			gauge(descPrefetch, float64(p.Done), "there")
			gauge(descPrefetch, float64(failed), "failed")
			gauge(descPrefetched, float64(p.Bytes))
		}
	}
}
