package page

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// Every page stands by itself, and says what it is there for.
func TestPages(t *testing.T) {
	d := newFake(t)
	h := (&Server{Daemon: d, Log: nop}).Handler()
	for path, tc := range map[string]struct {
		code int
		want []string
	}{
		"/":                           {200, []string{"db1", "52:54:00:aa:00:01", "stalled", "look at the path MTU", "databases", "&lt;b&gt;R640&lt;/b&gt;", "1 machine\n"}},
		"/?q=nobody":                  {200, []string{"No machine fits", `value="nobody"`}},
		"/?result=stalled":            {200, []string{"db1"}},
		"/?result=dancing":            {400, []string{"one of"}},
		"/machines/52:54:00:aa:00:01": {200, []string{"db1", "ipxe.efi", "256.0 KiB of 1.0 MiB", "took an address", "S1", "does not fit", "installing", "a secret", "#!ipxe"}},
		"/machines/52:54:00:00:00:09": {404, []string{"has not been heard of"}},
		"/machines/db1":               {400, []string{"not an address"}},
		"/configuration":              {200, []string{"generation", "/etc/pixiecore.hcl", "printers", "on hold", "What happens once", "installing", "unknown setting", "no pxe listener", "pixiecore.hcl:3:1"}},
		"/server":                     {200, []string{"http [::]:80", "not-found", "192.0.2.53", "ipxe.efi", "there is no loader for bios", "/var/cache/pixiecore"}},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, fromLoopback(httptest.NewRequest("GET", path, nil)))
		body := w.Body.String()
		if w.Code != tc.code {
			t.Errorf("%s: got %d, want %d", path, w.Code, tc.code)
		}
		for _, want := range append(tc.want, "<title>", "In place of the file", "Edit refused", "pixiecore 1.2.3") {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is not there:\n%s", path, want, body)
			}
		}
		for _, not := range []string{"<b>R640", "hush", "<style", " style=", " onclick", "http://", "https://", "ZgotmplZ"} {
			if i := strings.Index(body, not); i >= 0 && !strings.HasPrefix(body[i:], "http://SERVER") {
				t.Errorf("%s: %q stands in it: …%s", path, not, body[i:min(len(body), i+80)])
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

// Every outcome of a walk has its sentence.
func TestOutcomes(t *testing.T) {
	for want, w := range map[string]control.Walk{
		"It boots live by rule lab.":                             {Action: boot.Boot.String(), Rule: "lab", Boot: "live"},
		"It boots its own disk by rule lab.":                     {Action: boot.Local.String(), Rule: "lab"},
		"It waits at a screen by rule lab.":                      {Action: boot.Park.String(), Rule: "lab"},
		"It is ignored: no rule matches.":                        {Action: boot.Ignore.String()},
		"It is ignored by rule lab.":                             {Action: boot.Ignore.String(), Rule: "lab"},
		"It is not answered by rule lab: the daemon is on hold.": {Action: boot.Ignore.String(), Rule: "lab", Held: "the daemon is on hold"},
		"iPXE is loaded, and asked for what rule lab hangs on.":  {Action: boot.Probe.String(), Rule: "lab"},
	} {
		if got := outcome(w); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPagesWithoutAnything(t *testing.T) {
	d := newFake(t)
	d.report.Machines, d.report.Cache, d.report.Rules, d.report.Problems, d.report.LastReload = nil, nil, nil, nil, nil
	d.log = events.New()
	h := (&Server{Daemon: d, Log: nop}).Handler()
	for path, want := range map[string]string{
		"/": "No machine has asked yet", "/configuration": "There is nothing to say", "/server": "No machine was seen to take an address",
	} {
		if code, body := get(h, fromLoopback(httptest.NewRequest("GET", path, nil))); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q\n%s", path, code, want, body)
		}
	}
}

// A page has no more rows than can be read, and says so.
func TestManyMachines(t *testing.T) {
	d := newFake(t)
	for i := range 1000 {
		mac := events.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
		d.log.Begin(mac, noon)
		d.log.Add(mac, events.Event{Time: noon, Kind: events.Asked})
	}
	d.report.Machines = d.log.Machines()
	_, body := get((&Server{Daemon: d, Log: nop}).Handler(), fromLoopback(httptest.NewRequest("GET", "/", nil)))
	if rows := strings.Count(body, `<tr id="m-`); rows != rowsShown || !strings.Contains(body, "1001 machines, of which 200 are shown") {
		t.Errorf("%d rows", rows)
	}
}

// Files of a developer take the place of those that are built in, one by one.
func TestAssetsOfADeveloper(t *testing.T) {
	dir := fstest.MapFS{"style.css": {Data: []byte("body { color: red }")}}
	h := (&Server{Daemon: newFake(t), Assets: dir, Log: nop}).Handler()
	if code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/assets/style.css", nil))); code != 200 || body != "body { color: red }" {
		t.Errorf("style: %d %q", code, body)
	}
	if code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/assets/page.js", nil))); code != 200 || !strings.Contains(body, "EventSource") {
		t.Errorf("script: %d %q", code, body)
	}
	dir["error.html"] = &fstest.MapFile{Data: []byte(`{{define "content"}}{{.Nothing}}{{end}}`)}
	if code, body := get(h, fromLoopback(httptest.NewRequest("GET", "/machines/x", nil))); code != 500 || !strings.Contains(body, "error.html") {
		t.Errorf("a template that is wrong: %d %q", code, body)
	}
	if got := Files(); !slices.Contains(got, "layout.html") || !slices.Contains(got, "page.js") {
		t.Errorf("the files are %v", got)
	}
	for _, path := range []string{"/assets/", "/assets/layout.html", "/assets/../page.go", "/assets/openapi.json", "/favicon.ico"} {
		if code, _ := get(h, fromLoopback(httptest.NewRequest("GET", path, nil))); code == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

func FuzzPages(f *testing.F) {
	f.Add("/?q=db&result=stalled&limit=3")
	f.Add("/machines/52:54:00:aa:00:01?x=y")
	f.Add("/assets/%2e%2e/openapi.json")
	d := newFake(f)
	d.log.SetFacts(events.MAC{0x52, 0x54, 0, 0xaa, 0, 1}, events.Facts{Hostname: `"><script>alert(1)</script>`})
	d.report.Machines = d.log.Machines()
	h := (&Server{Daemon: d, Log: nop}).Handler()
	f.Fuzz(func(t *testing.T, target string) {
		r := fromLoopback(httptest.NewRequest("GET", "/", nil))
		path, query, _ := strings.Cut(target, "?")
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/api/v1/events") {
			return
		}
		r.URL.Path, r.URL.RawQuery = path, query
		if code, body := get(h, r); code >= 500 || strings.Contains(body, "hush") || strings.Contains(body, "<script>") {
			t.Errorf("%q: %d\n%s", target, code, body)
		}
	})
}
