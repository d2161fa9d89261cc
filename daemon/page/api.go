package page

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

//go:generate go test . -run TestOpenAPISchemas -count 1 -update

// description is the OpenAPI document of api: https://spec.openapis.org/oas/v3.1.0.
//
//go:embed openapi.json
var description []byte

// api are the handlers of the JSON API, by path.
func (s *Server) api() map[string]http.Handler {
	return map[string]http.Handler{
		"/api/v1/openapi.json": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			header(w, "application/json")
			w.Write(description) // an error is the client's
		}),
		"/api/v1/status":        s.tells(func(*http.Request) (any, error) { return s.Daemon.Status(), nil }),
		"/api/v1/configuration": s.tells(func(*http.Request) (any, error) { return configuration(s.Daemon.Status()), nil }),
		"/api/v1/rules":         s.tells(func(*http.Request) (any, error) { return rules(s.Daemon.Status()), nil }),
		"/api/v1/explain":       s.tells(s.explain),
		"/api/v1/machines": s.tells(func(r *http.Request) (any, error) {
			find, err := parseQuery(r.URL.Query(), maxLimit)
			if err != nil {
				return nil, refusal{http.StatusBadRequest, err.Error()}
			}
			return s.machines(find, s.Daemon.Status(), time.Now()), nil
		}),
		"/api/v1/machines/{mac}": s.tells(func(r *http.Request) (any, error) { return s.machine(r) }),
		"/api/v1/once":           s.tells(func(*http.Request) (any, error) { return once(s.Daemon.Status()), nil }),
		"/api/v1/servers":        s.tells(func(*http.Request) (any, error) { return s.servers(), nil }),
		"/api/v1/events":         http.HandlerFunc(s.stream),
	}
}

// A refusal is an error for whoever asked: a status code with a sentence.
type refusal struct {
	code int
	why  string
}

func (r refusal) Error() string { return r.why }

// Refused is the body of an answer of the API that is not 200.
type Refused struct {
	Error string `json:"error"` // a sentence
}

// tells answers with what is found, as JSON.
func (s *Server) tells(find func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := find(r)
		code := http.StatusOK
		if err != nil {
			code = http.StatusInternalServerError
			var no refusal
			if errors.As(err, &no) {
				code = no.code
			}
			v = Refused{err.Error()}
		}
		s.answer(w, r, code, v)
	})
}

// answer tells v as JSON.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, code int, v any) {
	header(w, "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		s.Log.Debug("answer not sent", zap.String("path", r.URL.Path), zap.Error(err))
	}
}

// A Configuration is what is served, and what became of the edits since.
type Configuration struct {
	Generation uint64           `json:"generation"`
	Loaded     time.Time        `json:"loaded"` // when this generation was published
	Files      []string         `json:"files"`
	Standin    string           `json:"standin,omitempty"`     // why it is not what the file says since the start: one line
	Problems   []config.Problem `json:"problems"`              // what there is to say of the configuration that is served: warnings
	LastReload *status.Reload   `json:"last_reload,omitempty"` // absent before the first, and when HeldEdit tells instead
	HeldEdit   *status.HeldEdit `json:"held_edit,omitempty"`   // absent unless there is one
	Holds      []status.Hold    `json:"holds"`
}

func configuration(r status.Report) Configuration {
	return Configuration{
		Generation: r.Generation, Loaded: r.Loaded, Files: append([]string{}, r.Files...), Standin: r.Standin,
		Problems: append([]config.Problem{}, r.Problems...), LastReload: r.LastReload, HeldEdit: r.HeldEdit, Holds: append([]status.Hold{}, r.Holds...),
	}
}

// Rules are those of the configuration that is served, in order.
type Rules struct {
	Generation uint64        `json:"generation"`
	Rules      []RuleSummary `json:"rules"`
}

// A RuleSummary is one of them, and what it has decided.
type RuleSummary struct {
	Name     string       `json:"name"`
	At       string       `json:"at,omitempty"` // "pixiecore.hcl:12"
	Action   string       `json:"action"`
	Boot     string       `json:"boot,omitempty"`
	Boots    int          `json:"boots"`          // of those that are remembered, how many it decided
	Machines int          `json:"machines"`       // that are in one of its boots, or were last
	Last     time.Time    `json:"last,omitzero"`  // when something happened in one of its boots
	Hold     *status.Hold `json:"hold,omitempty"` // that keeps it from being answered
}

func rules(r status.Report) Rules {
	all := Rules{Generation: r.Generation, Rules: []RuleSummary{}}
	at := make(map[string]int)
	for i, rule := range r.Rules {
		at[rule.Name] = i
		one := RuleSummary{Name: rule.Name, At: rule.At, Action: rule.Action, Boot: rule.Boot}
		for _, h := range r.Holds {
			if h.Rule == "" || h.Rule == rule.Name {
				one.Hold = &h
				break
			}
		}
		all.Rules = append(all.Rules, one)
	}
	for _, m := range r.Machines {
		for n, b := range m.Boots {
			i, ok := at[b.Rule]
			if !ok {
				continue
			}
			rule := &all.Rules[i]
			rule.Boots++
			if n == len(m.Boots)-1 {
				rule.Machines++
			}
			if t := b.Latest(); t.After(rule.Last) {
				rule.Last = t
			}
		}
	}
	return all
}

// OnceStates are what happens once: the machines that are armed, or were, and those
// that boot something else than their rule says, one time.
type OnceStates struct {
	Machines []status.Once `json:"machines"`        // by name
	Next     []status.Next `json:"next"`            // by name
	Error    string        `json:"error,omitempty"` // why nothing is known of them, so that they count as spent
}

func once(r status.Report) OnceStates {
	return OnceStates{Machines: append([]status.Once{}, r.Once...), Next: append([]status.Next{}, r.Next...), Error: r.OnceError}
}

// onceOf is how far a machine is with that; nil: nothing is known of it. A machine
// stands under its name, else its UUID, else its address.
func onceOf(all []status.Once, ids ...string) *status.Once {
	for _, id := range ids {
		if i := slices.IndexFunc(all, func(o status.Once) bool { return id != "" && o.Machine == id }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

// nextOf is what is chosen for a machine, which stands there as there; nil: nothing.
func nextOf(all []status.Next, ids ...string) *status.Next {
	for _, id := range ids {
		if i := slices.IndexFunc(all, func(n status.Next) bool { return id != "" && n.Machine == id }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

// Servers are DHCP servers of others on the networks that are served.
type Servers struct {
	Servers []events.Server `json:"servers"` // the one that a machine chose last first
}

func (s *Server) servers() Servers {
	return Servers{Servers: append([]events.Server{}, s.Daemon.Servers()...)}
}

// maxQuery bounds the text of one value in a query, in bytes: what a machine can
// say of itself in one option of DHCP is shorter.
const maxQuery = 1024

// explain is what becomes of the machine that the query describes.
func (s *Server) explain(r *http.Request) (any, error) {
	q, err := question(r.URL.Query())
	if err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	x, err := control.Explain(r.Context(), s.Daemon.Running(), q, false)
	if err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	return x, nil
}

// factNames are the names of facts that a query can have.
var factNames = strings.Split((boot.DHCPFacts | boot.IPXEFacts).String(), ", ")

// question is the machine that a query describes, by the words of the language.
func question(values url.Values) (control.Question, error) {
	q := control.Question{Facts: map[string]string{}}
	for name, all := range values {
		if len(all) != 1 || len(all[0]) > maxQuery {
			return q, fmt.Errorf("%s: it is given once, with at most %d bytes", name, maxQuery)
		}
		switch value := all[0]; {
		case name == "mac":
			q.MAC = value
		case name == "arch":
			q.Arch = value
		case name == "firmware":
			q.Firmware = value
		case name == "early" && (value == "true" || value == "false"):
			q.Early = value == "true"
		case slices.Contains(factNames, name):
			q.Facts[name] = value
		default:
			return q, fmt.Errorf("%s=%s: a machine is described by mac, arch, firmware, early=true, and %s", name, value, strings.Join(factNames, ", "))
		}
	}
	return q, nil
}
