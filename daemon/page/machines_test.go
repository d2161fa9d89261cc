package page

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/events"
)

func TestMachinesAreFound(t *testing.T) {
	d := newFake(t)
	stranger := events.MAC{0x52, 0x54, 0, 0xbb, 0, 2}
	d.log.Begin(stranger, noon.Add(time.Minute))
	d.log.SetFacts(stranger, events.Facts{Arch: "arm64", Firmware: "efi-arm64", Hostname: "Blade-7"})
	d.log.Add(stranger, events.Event{Time: noon.Add(time.Minute), Kind: events.Ignored})
	d.report.Machines = d.log.Machines()
	h := (&Server{Daemon: d, Log: nop}).Handler()
	for query, want := range map[string][]string{
		"":                       {"52:54:00:bb:00:02", "52:54:00:aa:00:01"},
		"q=DB1":                  {"52:54:00:aa:00:01"},
		"q=blade":                {"52:54:00:bb:00:02"},
		"q=52-54-00-BB":          {"52:54:00:bb:00:02"},
		"q=databases":            {"52:54:00:aa:00:01"},
		"q=nobody":               nil,
		"result=stalled":         {"52:54:00:aa:00:01"},
		"result=ignored&q=arm64": {"52:54:00:bb:00:02"},
		"result=booted":          nil,
		"rule=databases":         {"52:54:00:aa:00:01"},
		"limit=1":                {"52:54:00:bb:00:02"},
	} {
		code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/api/v1/machines?"+query, nil)))
		var all Machines
		if err := json.Unmarshal([]byte(body), &all); code != 200 || err != nil {
			t.Errorf("%q: %d %v", query, code, err)
			continue
		}
		var got []string
		for _, m := range all.Machines {
			got = append(got, m.MAC)
		}
		if !slices.Equal(got, want) || all.All != 2 {
			t.Errorf("%q: got %v of %d, want %v", query, got, all.All, want)
		}
	}
	for query, want := range map[string]string{
		"result=dancing": "one of", "limit=0": "from 1 to", "limit=4097": "from 1 to", "colour=red": "looked for by", "q=" + strings.Repeat("x", maxQuery+1): "at most",
	} {
		if code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/api/v1/machines?"+query, nil))); code != 400 || !strings.Contains(body, want) {
			t.Errorf("%q: %d %s", query, code, body)
		}
	}
}

func TestAMachineInALine(t *testing.T) {
	d := newFake(t)
	all := (&Server{Daemon: d, Log: nop}).machines(query{Limit: 1}, d.report, noon.Add(3*time.Second))
	m := all.Machines[0]
	if m.Name != "db1" || *m.Result != events.Stalled || m.Rule != "databases" || m.Boot != "linux" || m.Stall == nil || *m.Percent != 25 {
		t.Errorf("got %+v", m)
	}
	if want := "loader ipxe.efi, 256.0 KiB of 1.0 MiB, 128.0 KiB/s"; m.Doing != want {
		t.Errorf("it is %q, want %q", m.Doing, want)
	}
}

func TestOneMachine(t *testing.T) {
	h := (&Server{Daemon: newFake(t), Log: nop}).Handler()
	code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/api/v1/machines/52-54-00-aa-00-01", nil)))
	var d MachineDetail
	if err := json.Unmarshal([]byte(body), &d); code != 200 || err != nil || d.Name != "db1" || len(d.Machine.Boots) != 1 || d.Explanation == nil || d.Explanation.Walks[0].Rule != "databases" {
		t.Errorf("%d %v\n%s", code, err, body)
	}
	if strings.Contains(body, "hush") {
		t.Errorf("a secret is told:\n%s", body)
	}
	for mac, want := range map[string]int{"52:54:00:00:00:09": 404, "db1": 400, "52:54:00:00:00:00:00:09": 400} {
		if code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/api/v1/machines/"+mac, nil))); code != want {
			t.Errorf("%s: got %d %s, want %d", mac, code, body, want)
		}
	}
}

func TestRulesAreCounted(t *testing.T) {
	d := newFake(t)
	got := rules(d.report)
	want := []RuleSummary{
		{Name: "printers", At: "pixiecore.hcl:15", Action: "ignore", Hold: &d.report.Holds[0]},
		{Name: "databases", Action: "boot", Boot: "linux", Boots: 1, Machines: 1, Last: noon.Add(time.Second)},
	}
	if diff := cmp.Diff(want, got.Rules); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// follow reads the stream of events of a server.
func follow(t *testing.T, s *Server, query string) (next func() (kind, data string)) {
	t.Helper()
	srv := httptest.NewServer(s.Handler())
	resp, err := srv.Client().Get(srv.URL + "/api/v1/events" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close(); srv.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%s, %s", resp.Status, got)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() (kind, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "event":
				kind = value
			case name == "data":
				data = value
			case lines.Text() == "" && kind != "":
				return kind, data
			}
		}
		return "end", fmt.Sprint(lines.Err())
	}
}

func TestEventsAreFollowed(t *testing.T) {
	d, stop := newFake(t), make(chan struct{})
	next := follow(t, &Server{Daemon: d, Stop: stop, Log: nop}, "?mac=52:54:00:aa:00:01")
	if kind, data := next(); kind != "served" || !strings.Contains(data, `"generation":7`) {
		t.Fatalf("at first: %s %s", kind, data)
	}
	d.log.Add(events.MAC{2}, events.Event{Kind: events.Asked}) // another's
	d.log.Add(events.MAC{0x52, 0x54, 0, 0xaa, 0, 1}, events.Event{Kind: events.Script, Rule: "databases"})
	kind, data := next()
	var u events.Update
	if err := json.Unmarshal([]byte(data), &u); kind != "update" || err != nil || u.Event.Kind != events.Script || u.Rule != "databases" {
		t.Errorf("then: %s %s %v", kind, data, err)
	}
	conforms := conforms(readDescription(t), object{"$ref": "#/components/schemas/Update"}, decoded(t, data), "update")
	for _, wrong := range conforms {
		t.Error(wrong)
	}
	d.log.Tick(noon.Add(2 * time.Minute))
	if kind, data := next(); kind != "update" || !strings.Contains(data, `"loader"`) || !strings.Contains(data, `"bytes":262144`) {
		t.Errorf("of the transfer: %s %s", kind, data)
	}
	d.served.Store(&Served{Generation: 8})
	if kind, data := next(); kind != "served" || !strings.Contains(data, `"generation":8`) {
		t.Errorf("after a reload: %s %s", kind, data)
	}
	close(stop)
	if kind, data := next(); kind != "end" || data != "<nil>" {
		t.Errorf("after the stop: %s %s", kind, data)
	}
}

func decoded(t *testing.T, data string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReadersOfEventsAreBounded(t *testing.T) {
	s := &Server{Daemon: newFake(t), Log: nop}
	s.streams.Store(maxStreams)
	code, body := get(s.Handler(), fromLoopback(httptest.NewRequest("GET", "/api/v1/events", nil)))
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "that is the most") || s.streams.Load() != maxStreams {
		t.Errorf("%d %s, and %d readers are counted", code, body, s.streams.Load())
	}
	if code, body := get((&Server{Daemon: newFake(t), Log: nop}).Handler(), fromLoopback(httptest.NewRequest("GET", "/api/v1/events?mac=x", nil))); code != 400 {
		t.Errorf("no address: %d %s", code, body)
	}
}
