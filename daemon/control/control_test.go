package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// The test binary is also a client of another user: see
// TestAnotherUserIsRefused.
func TestMain(m *testing.M) {
	if path := os.Getenv("CONTROL_TEST_CLIENT"); path != "" {
		_, err := NewClient(path).Status(context.Background())
		if err != nil {
			os.Stdout.WriteString(err.Error())
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// fake is a daemon that reads src, and serves running.
type fake struct {
	src     string
	running Configuration
	held    map[string]string
	packets *capture.Ring
	log     *events.Log
}

func (f fake) Follow(waiting int) *events.Subscription { return f.log.Subscribe(waiting) }

func (f fake) Status() status.Report {
	r := status.Report{Version: "test", Generation: 7}
	for rule, reason := range f.held {
		r.Holds = append(r.Holds, status.Hold{Rule: rule, Reason: reason})
	}
	return r
}

func (f fake) Heard(net.HardwareAddr) *boot.Facts { return nil }

func (f fake) Packets() *capture.Ring { return f.packets }

func (f fake) Hold(rule, reason string) error {
	if rule != "all" {
		return errors.New("there is no such rule")
	}
	f.held[rule] = reason
	return nil
}

func (f fake) Arm(Arming) (Armed, error)    { return Armed{}, nil }
func (f fake) Disarm(Arming) (Armed, error) { return Armed{}, nil }
func (f fake) Next(Next) (Chosen, error)    { return Chosen{}, nil }

func (f fake) Resume(rule string) error {
	delete(f.held, rule)
	return nil
}

func (f fake) Running() Configuration { return f.running }

func (f fake) Reload() (*config.Report, error) {
	_, report := config.Parse("pixiecore.hcl", []byte(f.src))
	return report, report.Err()
}

const (
	good = "listener \"http\" {}\nrule \"all\" {\n  local = true\n}\n"
	bad  = "listener \"http\" {}\nrule \"all\" {\n  lokal = true\n}\n"
)

// serve serves d on a socket until the test ends.
func serve(t testing.TB, d Daemon) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &Server{Listener: l, Daemon: d, Log: zap.NewNop()}
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket is left behind")
		}
	})
	return path
}

func TestTheSocketIsForItsOwnerOnly(t *testing.T) {
	path := serve(t, fake{src: good})
	for p, want := range map[string]os.FileMode{path: os.ModeSocket | 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		st, err := os.Stat(p)
		if err != nil || st.Mode() != want {
			t.Errorf("%s: got %v, %v; want %v", p, st.Mode(), err, want)
		}
	}
	for _, tc := range []struct {
		name     string
		peer     peer
		own      int
		sentence string // "" lets in
	}{
		{"root", peer{uid: 0}, 990, ""},
		{"its own user", peer{uid: 990}, 990, ""},
		{"another user", peer{uid: 1000}, 990, "user 1000 may not control this daemon: only root and the user that it runs as (990) may; use sudo"},
		{"another user, of root's daemon", peer{uid: 1000}, 0, "user 1000 may not control this daemon: only root and the user that it runs as (0) may; use sudo"},
		{"nobody knows", peer{err: errors.New("no idea")}, 0, "the kernel does not say who is asking: no idea"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := authorize(tc.peer, tc.own); err != nil {
				got = err.Error()
			}
			if got != tc.sentence {
				t.Errorf("got %q, want %q", got, tc.sentence)
			}
		})
	}
}

// What the kernel says of a client decides, also where the file's mode lets it in.
func TestAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		skip(t, "needs root: to be another user")
	}
	path := serve(t, fake{src: good})
	exe := filepath.Join(t.TempDir(), "client")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, exe} {
		for ; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
			if err := os.Chmod(p, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "CONTROL_TEST_CLIENT="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if want := "user 65534 may not control this daemon"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("got %q, %v; want %q…", out, err, want)
	}
}

// skip leaves a test out, unless everything is to be run.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("PIXIECORE_NO_SKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestASocketInTheWay(t *testing.T) {
	t.Run("of a process that died is replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "control.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
		if l, err = Listen(path); err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
	t.Run("of a live process is an error", func(t *testing.T) {
		path := serve(t, fake{src: good})
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another pixiecore is running") {
			t.Errorf("got %v", err)
		}
		if _, err := NewClient(path).Status(t.Context()); err != nil {
			t.Errorf("the first daemon's socket: %v", err)
		}
	})
	t.Run("that is none is left alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "control.sock")
		os.WriteFile(path, []byte("precious"), 0o600)
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "something else than a socket") {
			t.Errorf("got %v", err)
		}
		if b, err := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("got %q, %v", b, err)
		}
	})
	t.Run("with too long a path is an error", func(t *testing.T) {
		if _, err := Listen("/" + strings.Repeat("x", maxPath)); err == nil || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPath(t *testing.T) {
	for dir, want := range map[string]string{
		"":                              "/run/pixiecore/control.sock",
		"/run/pixiecore-2":              "/run/pixiecore-2/control.sock",
		"/run/pixiecore-2:/run/another": "/run/pixiecore-2/control.sock",
	} {
		if got := Path(dir); got != want {
			t.Errorf("%q: got %q, want %q", dir, got, want)
		}
	}
}

func TestReloadTellsTheVerdictAndTheReport(t *testing.T) {
	t.Run("applied", func(t *testing.T) {
		got, err := NewClient(serve(t, fake{src: good})).Reload(t.Context(), 0, false)
		if diff := cmp.Diff(Verdict{Applied: true, Generation: 7}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
	t.Run("refused", func(t *testing.T) {
		for _, color := range []bool{false, true} {
			got, err := NewClient(serve(t, fake{src: bad})).Reload(t.Context(), 60, color)
			if err != nil || got.Applied || got.Generation != 7 || len(got.Problems) == 0 || !strings.HasPrefix(got.Error, "pixiecore.hcl:3:3: unknown setting") {
				t.Errorf("got %+v, %v", got, err)
			}
			// As `check` prints it.
			_, report := config.Parse("pixiecore.hcl", []byte(bad))
			var want bytes.Buffer
			report.WriteText(&want, 60, color)
			if diff := cmp.Diff(want.String(), got.Text); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Over the socket, the answers are those of Explain and Draw.
func TestTheDaemonIsAskedAboutWhatItServes(t *testing.T) {
	c := compile(t, lab)
	client := NewClient(serve(t, fake{running: c}))
	q := Question{MAC: "52:54:00:00:00:01", Firmware: "efi64", Facts: map[string]string{"serial": "S1"}}
	want, err := Explain(t.Context(), c, q, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Explain(t.Context(), q, false)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	picture, err := client.Picture(t.Context(), nil)
	if diff := cmp.Diff(Draw(c, nil), picture, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := client.Explain(t.Context(), Question{}, false); err == nil || !strings.Contains(err.Error(), `MAC ""`) {
		t.Errorf("a question without a machine: %v", err)
	}
}

func TestHoldAndResume(t *testing.T) {
	client := NewClient(serve(t, fake{held: map[string]string{}}))
	got, err := client.Hold(t.Context(), "all", "new kernel\n\x1b[2J"+strings.Repeat("é", maxReason))
	if err != nil || len(got) != 1 || !strings.HasPrefix(got[0].Why(), `rule "all" is on hold: new kernel  [2Jé`) || len(got[0].Reason) > maxReason {
		t.Errorf("got %q, %v", got, err)
	}
	var no Refusal
	if _, err := client.Hold(t.Context(), "none", ""); !errors.As(err, &no) || err.Error() != "there is no such rule" {
		t.Errorf("got %v", err)
	}
	if got, err := client.Resume(t.Context(), "all"); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for path, way := range map[string]string{
		filepath.Join(dir, "none.sock"): "start `pixiecore serve`, or name its socket with --control",
		dead:                            "the one that made the socket is gone",
	} {
		if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), way) {
			t.Errorf("%s: got %v, want %q", path, err, way)
		}
	}
}

// A daemon that has stopped takes a connection all the same.
func TestADaemonThatHangsIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hangs.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now()) // as after ten seconds
	defer cancel()
	if _, err := NewClient(path).Status(ctx); err == nil || !strings.Contains(err.Error(), "has taken the question and does not answer") {
		t.Errorf("got %v", err)
	}
}

// Whatever comes over the socket is answered, and with JSON or an error of HTTP.
func FuzzHandler(f *testing.F) {
	for _, target := range []string{"/v1/status", "/v1/explain", "/v1/picture", "/v1/hold?rule=all&reason=x", "/v1/resume", "/v1/reload?width=80&color=true", "/v1/reload?width=-1", "/v1/reload?width=%zz", "/../../etc"} {
		f.Add("POST", target, []byte("width=9"))
		f.Add("GET", target, []byte(nil))
	}
	f.Add("POST", "/v1/explain", []byte(`{"mac":"52:54:00:00:00:01","firmware":"efi64","facts":{"serial":"S1","subnet":"192.0.2.0/24"}}`))
	f.Add("POST", "/v1/picture", []byte(`[{"mac":"52:54:00:00:00:01","early":true,"unseen":true},{"mac":"00:00:00:00:00:00","facts":{"uuid":"4c4c4544-0042-3510-8053-b4c04f463433"}}]`))
	h := (&Server{Daemon: fake{src: bad, running: compile(f, lab), held: map[string]string{}}, Log: zap.NewNop()}).Handler()
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, peer{}), method, "http://control"+target, bytes.NewReader(body))
		if err != nil {
			t.Skip(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q: %d %s", method, target, w.Code, w.Body)
		}
	})
}

// A capture has what a machine sent so far, and with follow what it sends next, until
// its reader ends it.
func TestCapture(t *testing.T) {
	ring := &capture.Ring{}
	path := serve(t, fake{src: good, packets: ring})
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	packet := pcap.Datagram{From: netip.MustParseAddrPort("0.0.0.0:68"), To: netip.MustParseAddrPort("255.255.255.255:67"), Data: []byte("discover")}
	var none Refusal
	if err := NewClient(path).Capture(t.Context(), mac, false, io.Discard); !errors.As(err, &none) || !strings.Contains(err.Error(), "no packet") {
		t.Errorf("of a stranger: %v", err)
	}
	ring.Add([6]byte(mac), packet)
	var all bytes.Buffer
	if err := NewClient(path).Capture(t.Context(), mac, false, &all); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- NewClient(path).Capture(ctx, mac, true, w)
		w.Close()
	}()
	followed, err := pcap.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		d, err := followed.Next()
		if err != nil || string(d.Data) != "discover" || d.From != packet.From {
			t.Fatalf("packet %d: %+v, %v", i, d, err)
		}
		ring.Add([6]byte(mac), packet)
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-ended; err != nil {
		t.Errorf("an end by the reader is no error: %v", err)
	}
	got, err := pcap.NewReader(&all)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := got.Next(); err != nil || string(d.Data) != "discover" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := got.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("one packet was there: %v", err)
	}
}

// Who follows gets what machines do, until he goes or the daemon stops.
func TestFollow(t *testing.T) {
	log := events.New()
	path := serve(t, fake{src: good, log: log})
	enough := errors.New("enough")
	mac := events.MAC{2, 0, 0, 0, 0, 1}
	done := make(chan struct{})
	go func() {
		for i := 0; ; i++ { // from when on it follows, nobody is told
			select {
			case <-done:
				return
			default:
				log.Add(mac, events.Event{Kind: events.Offered, Rule: "r", Detail: strconv.Itoa(i)})
			}
		}
	}()
	var got events.Update
	err := NewClient(path).Follow(t.Context(), func(u events.Update) error {
		got = u
		return enough
	})
	close(done)
	if !errors.Is(err, enough) || got.MAC != mac || got.Event.Kind != events.Offered || got.Rule != "r" || !got.New {
		t.Errorf("got %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewClient(path).Follow(ctx, func(events.Update) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is told to stop: %v", err)
	}
}
