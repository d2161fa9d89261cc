package page

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

//go:embed assets
var embedded embed.FS

// builtIn are the files that pages are made of.
func builtIn() fs.FS {
	sub, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err) // the folder is one of the source
	}
	return sub
}

// static are the files that are served as they are, by their type.
var static = map[string]string{
	"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
}

// contentPolicy lets a page use nothing but what this server serves, and nothing
// that stands in it: a name that a machine sends can at worst be seen.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// rowsShown is how many machines one page has.
const rowsShown = 200

// pages are the handlers of what people read, by path.
func (s *Server) pages() map[string]http.Handler {
	all := map[string]http.Handler{
		"/{$}":            s.shows("machines.html", s.machinesPage),
		"/machines/{mac}": s.shows("machine.html", s.machinePage),
		"/configuration":  s.shows("configuration.html", s.configurationPage),
		"/server":         s.shows("server.html", s.serverPage),
	}
	for name, kind := range static {
		all["/assets/"+name] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			b, err := s.asset(name)
			if err != nil {
				say(w, http.StatusInternalServerError, err.Error())
				return
			}
			header(w, kind)
			w.Write(b) // an error is the client's
		})
	}
	return all
}

// asset is the file of that name: that of Assets, else the one built in.
func (s *Server) asset(name string) ([]byte, error) {
	if s.Assets != nil {
		b, err := fs.ReadFile(s.Assets, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return fs.ReadFile(builtIn(), name)
}

// A view is what every page is made of.
type view struct {
	Title   string
	Now     time.Time
	Report  status.Report
	Nav     []link
	Notices []notice
	Follow  string // the path of the events that change the page; empty: none do
	Why     string // of an error

	Query    query
	Machines Machines
	Filters  []link

	MAC     string
	Detail  *MachineDetail
	Summary MachineSummary
	Facts   []fact
	Boots   []events.Boot // the last one first

	Rules   []RuleSummary
	Refused []config.Problem

	Listeners []listener
	Others    []events.Server
}

// A link is one of several ways to go on.
type link struct {
	Name, Path string
	Here       bool
	Count      int
}

// A notice is said at the top of every page.
type notice struct{ Kind, Word, Text string }

type fact struct{ Name, Value string }

// A listener is one with what it did not serve.
type listener struct {
	Name    string
	Waits   []string // for what
	Dropped []status.Dropped
}

// newView is what pages have in common. here is the path of the page that is marked.
func (s *Server) newView(title, here string) *view {
	v := &view{Title: title, Now: time.Now(), Report: s.Daemon.Status(), Follow: "/api/v1/events"}
	for _, l := range []link{{Name: "Machines", Path: "/"}, {Name: "Configuration", Path: "/configuration"}, {Name: "Server", Path: "/server"}} {
		l.Here = l.Path == here
		v.Nav = append(v.Nav, l)
	}
	r := &v.Report
	for _, h := range r.Holds {
		if h.Rule == "" {
			v.Notices = append(v.Notices, notice{"warning", "On hold", "No machine is answered: " + h.Why() + ". `pixiecore resume` ends it."})
		}
	}
	if r.Standin != "" {
		v.Notices = append(v.Notices, notice{"error", "In place of the file", r.Standin})
	}
	if r.OnceError != "" {
		v.Notices = append(v.Notices, notice{"error", "Nobody is armed", r.OnceError})
	}
	if h := r.HeldEdit; h != nil {
		v.Notices = append(v.Notices, notice{"warning", "Edit held", h.Why})
	}
	if l := r.LastReload; l != nil && !l.OK {
		v.Notices = append(v.Notices, notice{"error", "Edit refused", l.Error + ". What was served before goes on. Configuration has the report."})
	}
	return v
}

// shows answers with a page.
func (s *Server) shows(name string, make func(*http.Request) (*view, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := make(r)
		code := http.StatusOK
		if err != nil {
			code = http.StatusInternalServerError
			var no refusal
			if errors.As(err, &no) {
				code = no.code
			}
			v, name := s.newView(http.StatusText(code), ""), "error.html"
			v.Why = err.Error()
			if code == http.StatusNotFound {
				v.Title = "Not heard of"
			} else {
				v.Follow = ""
			}
			s.show(w, r, name, code, v)
			return
		}
		s.show(w, r, name, code, v)
	})
}

func (s *Server) show(w http.ResponseWriter, r *http.Request, name string, code int, v *view) {
	// A page goes out whole or not at all.
	var b bytes.Buffer
	t, err := s.templates(name)
	if err == nil {
		err = t.ExecuteTemplate(&b, "layout.html", v)
	}
	if err != nil {
		s.Log.Error("page not made", zap.String("path", r.URL.Path), zap.Error(err))
		say(w, http.StatusInternalServerError, "page "+name+": "+err.Error())
		return
	}
	header(w, "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(code)
	w.Write(b.Bytes()) // an error is the client's
}

// templates parses those of a page. It is done for each request, which costs a
// fraction of a millisecond, so that an edit below Assets is seen by loading again.
func (s *Server) templates(name string) (*template.Template, error) {
	t := template.New("").Funcs(functions())
	for _, file := range []string{"layout.html", name} {
		b, err := s.asset(file)
		if err != nil {
			return nil, err
		}
		if _, err := t.New(file).Parse(string(b)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Files are the names of all files that pages are made of, which a directory for
// Assets can have its own of.
func Files() []string {
	var names []string
	fs.WalkDir(builtIn(), ".", func(name string, d fs.DirEntry, err error) error { // of the program itself: there is no error
		if err == nil && !d.IsDir() {
			names = append(names, path.Base(name))
		}
		return nil
	})
	return names
}

// resultWords are those of a result for people.
var resultWords = map[events.Result]string{
	events.Running: "booting", events.Booted: "booted", events.BootedLocal: "own disk", events.BootIgnored: "ignored", events.Stalled: "stalled", events.BootFailed: "failed",
}

func resultWord(r events.Result) string { return cmp.Or(resultWords[r], r.String()) }

// machinesPage lists the machines.
func (s *Server) machinesPage(r *http.Request) (*view, error) {
	find, err := parseQuery(r.URL.Query(), rowsShown)
	if err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	find.Limit = min(find.Limit, rowsShown)
	v := s.newView("Machines", "/")
	v.Query, v.Machines = find, s.machines(find, v.Report, v.Now)
	path := func(result string) string {
		values := url.Values{}
		for name, value := range map[string]string{"q": find.Text, "rule": find.Rule, "result": result} {
			if value != "" {
				values.Set(name, value)
			}
		}
		if len(values) == 0 {
			return "/"
		}
		return "/?" + values.Encode()
	}
	all := link{Name: "all", Path: path(""), Here: find.Result == ""}
	for _, n := range v.Machines.Results {
		all.Count += n
	}
	v.Filters = append(v.Filters, all)
	// What an operator looks for comes first.
	for _, result := range []events.Result{events.Stalled, events.BootFailed, events.Running, events.Booted, events.BootedLocal, events.BootIgnored} {
		v.Filters = append(v.Filters, link{resultWord(result), path(result.String()), find.Result == result.String(), v.Machines.Results[result.String()]})
	}
	return v, nil
}

// machinePage is one machine.
func (s *Server) machinePage(r *http.Request) (*view, error) {
	d, err := s.machine(r)
	if err != nil {
		return nil, err
	}
	v := s.newView("", "")
	v.Detail = d
	v.Summary = summary(control.Seen{Name: d.Name, Machine: d.Machine}, v.Now)
	v.MAC = v.Summary.MAC
	v.Title = cmp.Or(d.Name, v.MAC)
	v.Follow += "?mac=" + url.QueryEscape(v.MAC)
	v.Boots = slices.Clone(d.Machine.Boots)
	slices.Reverse(v.Boots)
	v.Facts = facts(d)
	return v, nil
}

// facts are those of a machine, in the order in which people look for them.
func facts(d *MachineDetail) []fact {
	f := d.Machine.Facts
	all := []fact{
		{"architecture", f.Arch}, {"firmware", f.Firmware}, {"manufacturer", f.Manufacturer}, {"product", f.Product}, {"serial", f.Serial},
		{"asset", f.Asset}, {"uuid", f.UUID}, {"hostname", f.Hostname}, {"ip", f.IP},
	}
	if d.Explanation != nil {
		said := d.Explanation.Machine.Facts
		for _, name := range factNames {
			if !slices.ContainsFunc(all, func(f fact) bool { return f.Name == name }) {
				all = append(all, fact{strings.ReplaceAll(name, "_", " "), said[name]})
			}
		}
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}

// configurationPage is what is served, and the rules.
func (s *Server) configurationPage(*http.Request) (*view, error) {
	v := s.newView("Configuration", "/configuration")
	v.Rules = rules(v.Report).Rules
	if l := v.Report.LastReload; l != nil && !l.OK {
		v.Refused = l.Problems
	}
	return v, nil
}

// serverPage is what the daemon serves with.
func (s *Server) serverPage(*http.Request) (*view, error) {
	v := s.newView("Server", "/server")
	v.Others = s.Daemon.Servers()
	for _, name := range v.Report.Listeners {
		l := listener{Name: name}
		for _, w := range v.Report.Waiting {
			if w.Listener == name {
				l.Waits = append(l.Waits, w.Why)
			}
		}
		for _, d := range v.Report.Dropped {
			if d.Listener == name {
				l.Dropped = append(l.Dropped, d)
			}
		}
		v.Listeners = append(v.Listeners, l)
	}
	return v, nil
}

// functions are what templates call.
func functions() template.FuncMap {
	return template.FuncMap{
		"resultWord": resultWord,
		"stepWord":   word,
		"amount":     amount,
		"span":       span,
		"ago":        ago,
		"after":      after,
		"inc":        func(i int) int { return i + 1 },
		"size":       func(n int) string { return status.Bytes(int64(n)) },
		"date":       func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") },
		"clock":      func(t time.Time) string { return t.Local().Format("15:04:05") },
		"stamp":      func(t time.Time) string { return t.Format(time.RFC3339Nano) },
		"took": func(e events.Event, now time.Time) string {
			if d := e.Took(now); d > 0 {
				return brief(d)
			}
			return ""
		},
		"percent": func(e events.Event) *int {
			if p := e.Percent(); p >= 0 {
				return &p
			}
			return nil
		},
		"hardware": func(f events.Facts) string { return strings.TrimSpace(f.Manufacturer + " " + f.Product) },
		"place":    place,
		"mark":     func(truth string) string { return map[string]string{"true": "✓", "false": "✗"}[truth] },
		"outcome":  outcome,
		"stageTitle": func(stage string) string {
			return cmp.Or(map[string]string{
				"firmware": "When the firmware asks", "ipxe": "When iPXE has reported", "shim": "When a shim asks", "grub": "When GRUB asks", "native": "What the firmware starts itself",
			}[stage], stage)
		},
	}
}

// place is where a problem is.
func place(p config.Problem) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// outcome is what a walk over the rules comes to.
func outcome(w control.Walk) string {
	by := ""
	if w.Rule != "" {
		by = fmt.Sprintf(" by rule %s", w.Rule)
	}
	switch w.Action {
	case boot.Ignore.String():
		switch {
		case w.Held != "":
			return "It is not answered" + by + ": " + w.Held + "."
		case w.Rule == "":
			return "It is ignored: no rule matches."
		}
		return "It is ignored" + by + "."
	case boot.Probe.String():
		return fmt.Sprintf("iPXE is loaded, and asked for what rule %s hangs on.", w.Rule)
	case boot.Local.String():
		return "It boots its own disk" + by + "."
	case boot.Park.String():
		return "It waits at a screen" + by + "."
	}
	return "It boots " + cmp.Or(w.Boot, "what is said") + by + "."
}

// ago is how long before now t was; empty for no time.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return span(now, t) + " ago"
}

// span is the time since t in its greatest units.
func span(now, t time.Time) string {
	switch d := max(0, now.Sub(t)); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

// after is how long after a boot began something happened.
func after(began, t time.Time) string { return "+" + brief(max(0, t.Sub(began))) }

// brief is a duration to as many digits as people compare.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
	}
}
