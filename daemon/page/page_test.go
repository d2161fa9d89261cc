package page

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/booters/loaders"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nop = zap.NewNop()

const lab = `
listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "linux" {
  kernel  = "/srv/linux"
  initrd  = ["/srv/initrd"]
  cmdline = "answers=${url(file.answers)} key=${url(file.key)}"
  file "answers" { content = "hello ${machine.name}" }
  file "key" {
    content = "hush-hush"
    secret  = true
  }
}
rule "printers" {
  match { mac = "00:80:77:*" }
  ignore = true
}
rule "databases" {
  match { machine = "db1" }
  boot = boot.linux
}
rule "others" { local = true }
`

// A fake is a daemon that serves lab, and of which the document is all there can be.
type fake struct {
	report  status.Report
	running control.Configuration
	heard   *boot.Facts
	ready   error
	log     *events.Log
	served  atomic.Pointer[Served]
}

func (f *fake) Status() status.Report                   { return f.report }
func (f *fake) Running() control.Configuration          { return f.running }
func (f *fake) Heard(mac net.HardwareAddr) *boot.Facts  { return f.heard }
func (f *fake) Servers() []events.Server                { return f.log.Servers() }
func (f *fake) Follow(waiting int) *events.Subscription { return f.log.Subscribe(waiting) }
func (f *fake) Served() Served                          { return *f.served.Load() }
func (f *fake) Ready() error                            { return f.ready }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newFake(t testing.TB) *fake {
	t.Helper()
	cfg, report := config.Parse("pixiecore.hcl", []byte(lab))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	seal, err := booters.NewSealer(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), cfg.Inventory, cfg.Rules)
	if err != nil {
		t.Fatal(err)
	}
	loader := filepath.Join(t.TempDir(), "ipxe.efi")
	if err := os.WriteFile(loader, bytes.Repeat([]byte("loader"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	set, _, err := loaders.Load(map[boot.Firmware]string{boot.FirmwareEFI64: loader}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := events.New()
	mac := events.MAC{0x52, 0x54, 0, 0xaa, 0, 1}
	log.Begin(mac, noon)
	log.SetFacts(mac, events.Facts{Arch: "x64", Firmware: "efi64", Serial: "S1", Product: "<b>R640</b>"})
	log.Add(mac, events.Event{Time: noon, Kind: events.Offered, Rule: "databases", Gen: 7})
	log.Chose(mac, netip.MustParseAddr("192.0.2.53"), noon.Add(time.Second))
	log.Start(mac, events.Event{Time: noon.Add(time.Second), Kind: events.Loader, Rule: "databases", Boot: "linux", Gen: 7, Via: "tftp", File: "ipxe.efi", Size: 1 << 20}, func() int64 { return 1 << 18 })
	log.Stall(mac, noon, events.Stall{Time: noon.Add(time.Minute), Since: noon.Add(time.Second), Word: "loader", Due: "the end of the loader", Cause: "Nothing is acknowledged: look at the path MTU."})
	problem := config.Problem{File: "pixiecore.hcl", Line: 3, Column: 1, Severity: config.SeverityWarning, Summary: "no pxe listener", Detail: "Write one."}
	f := &fake{
		log:     log,
		running: control.Configuration{Gen: 7, Config: cfg, Table: table, Loaders: set},
		report: status.Report{
			Version: "1.2.3", Started: noon.Add(-time.Hour), Generation: 7, Loaded: noon, Files: []string{"/etc/pixiecore.hcl"}, Standin: "it is old",
			Problems:   []config.Problem{problem},
			LastReload: &status.Reload{Time: noon, Error: "pixiecore.hcl:3:1: unknown setting", Problems: []config.Problem{problem}},
			HeldEdit:   &status.HeldEdit{Since: noon, Why: "too many", Changed: 3, Removed: 1, Of: 9},
			Listeners:  []string{"http [::]:80"}, Dropped: []status.Dropped{{Listener: "http [::]:80", Reason: drops.NotFound, Count: 4}},
			Rules:          []status.Rule{{Name: "printers", At: "pixiecore.hcl:15", Action: "ignore"}, {Name: "databases", Action: "boot", Boot: "linux"}},
			Loaders:        []status.Loader{{Firmware: "efi64", File: loader, SHA256: "ab", Version: "1.21", Warning: "odd"}},
			Cache:          &status.Cache{Dir: "/var/cache/pixiecore", Files: 2, Bytes: 3 << 20, Max: 20 << 30, Error: "none"},
			Holds:          []status.Hold{{Rule: "printers", Since: noon, Reason: "paper"}},
			Once:           []status.Once{{Machine: "db1", State: "installing", Since: noon, By: "operator", Boot: "linux", Boots: 1, Damage: "torn"}},
			OnceError:      "the store cannot be read",
			MissingLoaders: []string{"there is no loader for bios"},
			Machines:       log.Machines(),
		},
	}
	f.served.Store(&Served{Generation: 7})
	return f
}

// fromLoopback is a request of a program of this host.
func fromLoopback(r *http.Request) *http.Request {
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:8067"
	return r
}

// get asks a handler, and returns the status code and the body.
func get(h http.Handler, r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAccess(t *testing.T) {
	const token = "0123456789abcdef"
	request := func(from, host string, change ...func(*http.Request)) *http.Request {
		r := httptest.NewRequest("GET", "/api/v1/rules", nil)
		r.RemoteAddr, r.Host = from+":40000", host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8067}))
		for _, c := range change {
			c(r)
		}
		return r
	}
	bearer := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s) }
	}
	basic := func(s string) func(*http.Request) { return func(r *http.Request) { r.SetBasicAuth("anybody", s) } }
	verified := func(r *http.Request) {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	}
	unverified := func(r *http.Request) {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	}
	for _, tc := range []struct {
		name   string
		access Access
		r      *http.Request
		code   int
		why    string
	}{
		{"this host", Access{}, request("127.0.0.1", "127.0.0.1:8067"), 200, ""},
		{"this host, by its name", Access{}, request("127.0.0.1", "LocalHost:8067"), 200, ""},
		{"this host over IPv6", Access{}, request("[::1]", "[::1]:8067"), 200, ""},
		{"this host by an address of its own", Access{}, request("192.0.2.1", "192.0.2.1"), 200, ""},
		{"this host without a name, as HTTP/1.0 has it", Access{}, request("127.0.0.1", ""), 200, ""},
		{"a name that leads here", Access{}, request("127.0.0.1", "evil.example:8067"), 403, "under a name"},
		{"another host", Access{}, request("192.0.2.9", "192.0.2.1:8067"), 403, "token = "},
		{"another host, without the token", Access{Token: token}, request("192.0.2.9", "pxe.example"), 401, "password of any user"},
		{"this host, without the token", Access{Token: token}, request("127.0.0.1", "localhost"), 401, ""},
		{"a bearer", Access{Token: token}, request("192.0.2.9", "pxe.example", bearer(token)), 200, ""},
		{"a wrong bearer", Access{Token: token}, request("192.0.2.9", "pxe.example", bearer(token+"0")), 401, ""},
		{"an empty bearer", Access{Token: token}, request("192.0.2.9", "pxe.example", bearer("")), 401, ""},
		{"a password", Access{Token: token}, request("192.0.2.9", "pxe.example", basic(token)), 200, ""},
		{"a wrong password", Access{Token: token}, request("192.0.2.9", "pxe.example", basic("guess")), 401, ""},
		{"a bearer where there is no token", Access{Certificate: true}, request("192.0.2.9", "pxe.example", bearer("")), 403, "client_ca"},
		{"a certificate", Access{Certificate: true}, request("192.0.2.9", "pxe.example", verified), 200, ""},
		{"a certificate that is not verified", Access{Certificate: true}, request("192.0.2.9", "pxe.example", unverified), 403, ""},
		{"a certificate where none counts", Access{Token: token}, request("192.0.2.9", "pxe.example", verified), 401, ""},
		{"a certificate in place of the token", Access{Token: token, Certificate: true}, request("192.0.2.9", "pxe.example", verified), 200, ""},
		{"the token in place of a certificate", Access{Token: token, Certificate: true}, request("192.0.2.9", "pxe.example", basic(token)), 200, ""},
	} {
		s := &Server{Daemon: newFake(t), Access: func() Access { return tc.access }, Log: nop}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, tc.r)
		if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.why) {
			t.Errorf("%s: got %d %q, want %d with %q", tc.name, w.Code, w.Body, tc.code, tc.why)
		}
		if asks := strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic "); asks != (tc.code == 401) {
			t.Errorf("%s: a browser asks for a password: %v", tc.name, asks)
		}
		// A probe is none of them.
		tc.r.URL.Path = "/healthz"
		tc.r.Header.Del("Authorization")
		if code, body := get(s.Handler(), tc.r); code != 200 || body != "ok\n" {
			t.Errorf("%s: health is %d %q", tc.name, code, body)
		}
	}
}

// Nothing but health is told to those who may not read.
func TestEveryPathIsGuarded(t *testing.T) {
	s := &Server{Daemon: newFake(t), Access: func() Access { return Access{Token: "0123456789abcdef"} }, Log: nop}
	h := s.Handler()
	for _, handlers := range []map[string]http.Handler{s.api(), s.pages()} {
		for path := range handlers {
			path = strings.NewReplacer("{mac}", "52:54:00:aa:00:01", "{$}", "").Replace(path)
			if code, body := get(h, httptest.NewRequest("GET", path, nil)); code != http.StatusUnauthorized {
				t.Errorf("%s: got %d\n%s", path, code, body)
			}
			if code, _ := get(h, fromLoopback(httptest.NewRequest("POST", path, nil))); code != http.StatusMethodNotAllowed {
				t.Errorf("%s: POST is answered by %d", path, code)
			}
		}
	}
}

func TestReady(t *testing.T) {
	d := newFake(t)
	h := (&Server{Daemon: d, Access: func() Access { return Access{Token: "0123456789abcdef"} }, Log: nop}).Handler()
	if code, body := get(h, httptest.NewRequest("GET", "/readyz", nil)); code != 200 || body != "ready\n" {
		t.Errorf("got %d %q", code, body)
	}
	d.ready = errors.New("the daemon starts")
	if code, body := get(h, httptest.NewRequest("GET", "/readyz", nil)); code != 503 || body != "the daemon starts\n" {
		t.Errorf("got %d %q", code, body)
	}
}

func TestExplainOverHTTP(t *testing.T) {
	h := (&Server{Daemon: newFake(t), Log: nop}).Handler()
	ask := func(query string) (int, string) {
		return get(h, fromLoopback(httptest.NewRequest("GET", "/api/v1/explain?"+query, nil)))
	}
	code, body := ask("mac=52:54:00:aa:00:01&firmware=efi64&serial=S1")
	var x control.Explanation
	if err := json.Unmarshal([]byte(body), &x); code != 200 || err != nil || len(x.Walks) != 2 || x.Walks[1].Rule != "databases" || x.Walks[1].Script == "" {
		t.Errorf("%d %v\n%s", code, err, body)
	}
	if strings.Contains(body, "hush") {
		t.Errorf("a secret is told:\n%s", body)
	}
	for query, want := range map[string]string{
		"": "not an address", "mac=52:54": "not an address", "mac=52:54:00:aa:00:01&colour=red": "a machine is described by mac",
		"mac=52:54:00:aa:00:01&mac=52:54:00:aa:00:02": "once", "mac=52:54:00:aa:00:01&firmware=amiga": "firmware",
		"mac=52:54:00:aa:00:01&serial=" + strings.Repeat("x", maxQuery+1): "at most", "mac=52:54:00:aa:00:01&early=perhaps": "early=true",
	} {
		code, body := ask(query)
		var no Refused
		if err := json.Unmarshal([]byte(body), &no); code != 400 || err != nil || !strings.Contains(no.Error, want) {
			t.Errorf("%q: %d %q, want 400 with %q", query, code, body, want)
		}
	}
}

// Nothing that a reader sends can bring it down, or show a secret.
func FuzzQuery(f *testing.F) {
	f.Add("mac=52:54:00:aa:00:01&firmware=efi64&serial=S1")
	f.Add("mac=52:54:00:aa:00:01&subnet=192.0.2.0/24,::1&relay=&early=true")
	h := (&Server{Daemon: newFake(f), Log: nop}).Handler()
	f.Fuzz(func(t *testing.T, query string) {
		r := fromLoopback(httptest.NewRequest("GET", "/api/v1/explain", nil))
		r.URL.RawQuery = query
		if code, body := get(h, r); code != 200 && code != 400 || strings.Contains(body, "hush") {
			t.Errorf("%d\n%s", code, body)
		}
	})
}

func TestRunServesUntilItIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Listener: Listener(l), Daemon: newFake(t), Log: nop}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + l.Addr().String() + "/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %s with %v", resp.Status, resp.Header)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("after the stop: %v", err)
	}
}
