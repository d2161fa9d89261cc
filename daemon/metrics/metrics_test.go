package metrics

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scrape is what Prometheus gets.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wants(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("there is no line %q", line)
		}
	}
}

// booted is a daemon of which a machine has booted, and another one stalls.
func booted() *Metrics {
	log := events.New()
	m := New(func() status.Report {
		return status.Report{
			Version: "1.2.3", Generation: 7, Loaded: noon, LastReload: &status.Reload{}, Machines: log.Machines(), Rules: make([]status.Rule, 2),
			Dropped: []status.Dropped{{Listener: "dhcp 192.0.2.1:67", Reason: drops.Relay, Count: 2}, {Listener: "dhcp 192.0.2.2:67", Reason: drops.Relay, Count: 3}},
			Cache: &status.Cache{Files: 3, Bytes: 4096, Max: 8192, Prefetch: &status.Prefetch{
				Files: 9, Done: 4, Fetched: 3, Bytes: 3072, Failed: []status.FetchFailure{{File: "https://mirror/linux", Error: "404"}}, MoreFailed: 1,
			}},
		}
	})
	log.Observe(m.Observe)
	mac := events.MAC{2, 0, 0, 0, 0, 1}
	at := func(seconds int, e events.Event) events.Event {
		e.Time, e.Rule = noon.Add(time.Duration(seconds)*time.Second), "lab"
		return e
	}
	log.SetFacts(mac, events.Facts{Arch: "x64"})
	log.Begin(mac, noon)
	log.Add(mac, at(0, events.Event{Kind: events.Asked, Via: "dhcp"}))
	log.Add(mac, at(0, events.Event{Kind: events.Offered, Via: "dhcp"}))
	log.Add(mac, at(4, events.Event{Kind: events.Offered, Via: "dhcp"})) // a retransmit
	log.Add(mac, at(6, events.Event{Kind: events.BootServer, Via: "pxe"}))
	log.Add(mac, at(9, events.Event{Kind: events.Script, Via: "http"}))
	log.Start(mac, at(10, events.Event{Kind: events.Kernel, Via: "http", Size: 4096}), nil).End(4096, "")
	log.Start(mac, at(11, events.Event{Kind: events.Initrd, Via: "http", Size: 4096}), nil).End(1024, "")
	log.Add(mac, at(20, events.Event{Kind: events.Booting, Via: "http"}))

	other := events.MAC{2, 0, 0, 0, 0, 2}
	log.Begin(other, noon)
	log.Add(other, at(0, events.Event{Kind: events.Offered, Via: "dhcp"}))
	log.Stall(other, noon, events.Stall{Word: "no-lease"})
	m.Reloaded("applied", 20*time.Millisecond)
	m.Reloaded("refused", 0)
	return m
}

func TestWhatIsCounted(t *testing.T) {
	text := scrape(t, booted())
	wants(t, text,
		`pixiecore_boots_begun_total 2`,
		`pixiecore_boots_total{arch="x64",result="booted",rule="lab"} 1`,
		`pixiecore_boots_total{arch="none",result="stalled",rule="lab"} 1`,
		`pixiecore_boot_stalls_total{diagnosis="no-lease"} 1`,
		`pixiecore_boot_seconds_sum 20`,
		`pixiecore_boot_step_seconds_sum{step="script"} 3`,
		`pixiecore_requests_served_total{listener="dhcp"} 3`,
		`pixiecore_requests_served_total{listener="pxe"} 1`,
		`pixiecore_requests_dropped_total{listener="dhcp",reason="relay"} 5`,
		`pixiecore_transfers_total{outcome="whole",protocol="http",step="kernel"} 1`,
		`pixiecore_transfers_total{outcome="broken",protocol="http",step="initrd"} 1`,
		`pixiecore_transfer_bytes_total{protocol="http",step="initrd"} 1024`,
		`pixiecore_config_generation 7`,
		`pixiecore_config_last_reload_successful 0`,
		`pixiecore_reloads_total{verdict="applied"} 1`,
		`pixiecore_reloads_total{verdict="refused"} 1`,
		`pixiecore_machines{result="stalled"} 1`,
		`pixiecore_cache_max_bytes 8192`,
		`pixiecore_prefetch_files{state="todo"} 3`,
		`pixiecore_prefetch_files{state="there"} 4`,
		`pixiecore_prefetch_files{state="failed"} 2`,
		`pixiecore_prefetch_bytes 3072`,
	)
}

// No label grows with what comes in.
func TestLabelsAreBounded(t *testing.T) {
	m := New(func() status.Report { return status.Report{} })
	log := events.New()
	log.Observe(m.Observe)
	for i := range 3 * events.MaxMachines {
		mac := events.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}
		log.SetFacts(mac, events.Facts{Arch: fmt.Sprint("arch", i)})
		log.Add(mac, events.Event{Kind: events.Offered, Rule: fmt.Sprint("rule", i)})
		log.Add(mac, events.Event{Kind: events.Local, Rule: fmt.Sprint("rule", i)})
	}
	n := strings.Count(scrape(t, m), "\npixiecore_boots_total{")
	if most := (MaxRules + 1) * (maxArchs + 1); n > most || n < MaxRules {
		t.Errorf("%d series, at most %d", n, most)
	}
	if len(m.before) > events.MaxMachines {
		t.Errorf("%d machines are remembered", len(m.before))
	}
}

// promtool is Prometheus's own judge.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		cache, _ := os.UserCacheDir()
		path = filepath.Join(cache, "pixiecore-e2e", "promtool")
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
				t.Fatal("promtool is not there (and PIXIECORE_NO_SKIP=1): e2e/setup fetches it")
			}
			t.Skip("promtool is not there: e2e/setup fetches it")
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = "../../packaging/prometheus"
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtool(t *testing.T) {
	// What Go's own collector says is not ours to mend.
	var own strings.Builder
	for line := range strings.Lines(scrape(t, booted())) {
		if strings.Contains(line, "pixiecore_") {
			own.WriteString(line)
		}
	}
	promtool(t, own.String(), "check", "metrics")
	promtool(t, "", "check", "rules", "pixiecore.rules.yml")
	promtool(t, "", "test", "rules", "pixiecore.test.yml")
}

// What the alerts, the dashboard and the document name is what there is, and the
// document names all of it.
func TestNames(t *testing.T) {
	text := scrape(t, booted())
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (pixiecore_\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		there[m[1]] = true
		if m[2] == "histogram" {
			there[m[1]+"_bucket"], there[m[1]+"_sum"], there[m[1]+"_count"] = true, true, true
		}
	}
	for _, file := range []string{"../../packaging/prometheus/pixiecore.rules.yml", "../../packaging/prometheus/pixiecore.test.yml", "../../packaging/grafana/pixiecore.json", "../../docs/metrics.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bpixiecore_\w+`).FindAllString(string(content), -1) {
			if !there[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
		if filepath.Ext(file) == ".json" && !json.Valid(content) {
			t.Errorf("%s is no JSON", file)
		}
		if filepath.Ext(file) != ".md" {
			continue
		}
		for name := range there {
			if !strings.Contains(string(content), "`"+name) && !regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) {
				t.Errorf("%s does not say what %s is", file, name)
			}
		}
	}
}
