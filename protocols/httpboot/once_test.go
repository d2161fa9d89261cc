package httpboot

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// kept is a once.Store.
type kept struct{}

func (kept) Load() (map[string]once.Record, bool, error) { return nil, false, nil }
func (kept) Save(map[string]*once.Record) error          { return nil }
func (kept) Begin() error                                { return nil }

// newInstaller is a server that installs the machine db1 once, with States of which
// nobody is armed.
func newInstaller(t *testing.T, by boot.DoneBy) (*Server, *once.States) {
	o := &boot.Once{Attempts: 1, DoneBy: by, Spent: boot.Local}
	verdict := &boot.Verdict{Action: boot.Boot, Rule: "databases", Boot: "debian", Machine: "db1", Spec: &boot.Spec{Kernel: "k"}, Once: o}
	b := booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return verdict, nil }, files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"k": func() (io.ReadCloser, int64, error) { return reader{strings.NewReader("kernel")}, 6, nil },
	}}
	s := newServer(t, b)
	s.Tree.Boots.Source = linker{b, boot.Link{Name: "phone-home", PhoneHome: true, Issued: time.Now(), Machine: &boot.Machine{MAC: mac}}, nil}
	states := once.New(kept{}, time.Now())
	s.Tree.Boots.Once = func() *once.States { return states }
	return s, states
}

var db1 = once.Machine{Name: "db1", MAC: mac}

func (s *Server) scriptOf() string { return "/_/ipxe?facts=1&token=" + s.token(7) }

func state(t *testing.T, states *once.States) once.State {
	t.Helper()
	r, _ := states.Find(db1)
	return r.State
}

func TestAScriptUsesTheArm(t *testing.T) {
	s, states := newInstaller(t, boot.DoneByPhoneHome)
	if body := get(t, s, http.MethodGet, s.scriptOf()).Body.String(); strings.Contains(body, "kernel") || !strings.Contains(body, "exit") {
		t.Errorf("a machine that nobody has armed gets %q", body)
	}
	states.Arm(db1, nil, time.Now())
	if got := get(t, s, http.MethodHead, s.scriptOf()); got.Code != http.StatusOK || state(t, states) != once.Armed {
		t.Errorf("a probe: got %d, %s", got.Code, state(t, states))
	}
	first := get(t, s, http.MethodGet, s.scriptOf()).Body.String()
	if !strings.Contains(first, "\nboot kernel") || state(t, states) != once.Installing {
		t.Errorf("got %q, %s", first, state(t, states))
	}
	if again := get(t, s, http.MethodGet, s.scriptOf()).Body.String(); again != first {
		t.Errorf("the second time: got %q, want %q", again, first)
	}
	s.Tree.Boots.Script(mac, time.Now()) // another boot
	if body := get(t, s, http.MethodGet, s.scriptOf()).Body.String(); !strings.Contains(body, "sleep") || strings.Contains(body, "sanboot") || strings.Contains(body, "kernel") {
		t.Errorf("a boot in between gets %q", body)
	}
}

func TestBootingIsTheEnd(t *testing.T) {
	s, states := newInstaller(t, boot.DoneByBooting)
	states.Arm(db1, nil, time.Now())
	get(t, s, http.MethodGet, s.scriptOf())
	get(t, s, http.MethodHead, "/_/booting?mac="+mac.String())
	if got := state(t, states); got != once.Installing {
		t.Errorf("after a probe: %s", got)
	}
	get(t, s, http.MethodGet, "/_/booting?mac="+mac.String())
	if got := state(t, states); got != once.Spent {
		t.Errorf("got %s", got)
	}
	if body := get(t, s, http.MethodGet, s.scriptOf()).Body.String(); strings.Contains(body, "kernel") {
		t.Errorf("got %q", body)
	}
}

func TestPhoningHome(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		s, states := newInstaller(t, boot.DoneByPhoneHome)
		states.Arm(db1, nil, time.Now())
		get(t, s, http.MethodGet, s.scriptOf())
		for probe, status := range map[string]int{http.MethodHead: 200, http.MethodDelete: 405} {
			if got := get(t, s, probe, "/_/f/ID/file"); got.Code != status || state(t, states) != once.Installing {
				t.Errorf("%s: got %d, %s", probe, got.Code, state(t, states))
			}
		}
		for range 2 { // installers try again
			r := httptest.NewRequest(method, "http://h/_/f/ID/file", strings.NewReader("hostname=db1"))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != http.StatusOK || w.Body.String() != "ok\n" || state(t, states) != once.Spent {
				t.Errorf("%s: got %d, %q, %s", method, w.Code, w.Body, state(t, states))
			}
		}
		if e := lastEvent(t, s); e.Kind != events.PhonedHome {
			t.Errorf("got %+v", e)
		}
	}
}

// A machine that does not end what it says has phoned home all the same, and holds
// nothing.
func TestPhoningHomeWithoutAnEnd(t *testing.T) {
	t.Parallel()
	s, states := newInstaller(t, boot.DoneByPhoneHome)
	states.Arm(db1, nil, time.Now())
	get(t, s, http.MethodGet, s.scriptOf())
	srv := httptest.NewServer(s)
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /_/f/ID/file HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhostname=")
	c.SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := io.ReadAll(c) // to the end of the connection
	if err != nil || !strings.Contains(string(answer), "200 OK") || state(t, states) != once.Spent {
		t.Errorf("got %q, %v, %s", answer, err, state(t, states))
	}
}

func TestPhoningHomeTooLate(t *testing.T) {
	s, states := newInstaller(t, boot.DoneByPhoneHome)
	l := s.Tree.Boots.Source.(linker)
	l.link.Issued = time.Now().Add(-time.Hour)
	s.Tree.Boots.Source = l
	states.Arm(db1, nil, time.Now())
	get(t, s, http.MethodGet, s.scriptOf())
	if got := get(t, s, http.MethodPost, "/_/f/ID/file"); got.Code != http.StatusGone || state(t, states) != once.Installing {
		t.Errorf("got %d %s, %s", got.Code, got.Body, state(t, states))
	}
}

// What somebody takes back from a machine it does not go on with.
func TestFilesOfAMachineThatIsDisarmed(t *testing.T) {
	s, states := newInstaller(t, boot.DoneByPhoneHome)
	states.Arm(db1, nil, time.Now())
	get(t, s, http.MethodGet, s.scriptOf())
	for _, who := range []string{"&token=" + s.token(7), "&mac=" + mac.String()} {
		if got := get(t, s, http.MethodGet, "/_/file?type=kernel&name=k"+who); got.Code != http.StatusOK {
			t.Errorf("installing: got %d %s", got.Code, got.Body)
		}
	}
	states.Disarm(db1, nil, time.Now())
	for _, who := range []string{"&token=" + s.token(7), "&mac=" + mac.String()} {
		if got := get(t, s, http.MethodGet, "/_/file?type=kernel&name=k"+who); got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), "pixiecore arm db1") {
			t.Errorf("disarmed: got %d %s", got.Code, got.Body)
		}
	}
}
