package httpboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// linker is a booter with addresses of its own: any ID with its only name, "file".
type linker struct {
	booter
	link boot.Link
	err  error // of OpenLink
}

func (l linker) Current() *boot.Snapshot {
	snap := *l.booter.Current()
	snap.Booter = l
	return &snap
}

func (l linker) OpenLink(id boot.ID, name string) (boot.Link, error) {
	if name != "file" {
		return boot.Link{}, fmt.Errorf("%q: %w", name, boot.ErrNotFound)
	}
	return l.link, l.err
}

// opens is a Link's Open of a text that names what it is for.
func opens(err error) func(context.Context, boot.Machine, string) (io.ReadCloser, int64, error) {
	return func(_ context.Context, m boot.Machine, base string) (io.ReadCloser, int64, error) {
		serial := ""
		if m.Facts != nil {
			serial = m.Facts.Serial
		}
		text := fmt.Sprintf("%s %s %s from %s", m.MAC, m.Arch.Name(), serial, base)
		return reader{strings.NewReader(text)}, int64(len(text)), err
	}
}

func lab(boot.Machine) (*boot.Verdict, error) {
	return &boot.Verdict{Action: boot.Boot, Rule: "lab", Spec: &boot.Spec{Kernel: "k"}}, nil
}

func TestAddressesOfTheConfiguration(t *testing.T) {
	whose := &boot.Machine{MAC: mac, Arch: boot.ArchX64, Firmware: boot.FirmwareX86PC}
	sentence := fmt.Errorf("the machine db1 has no label: %w", boot.ErrMissing)
	made := boot.Link{Name: "seed/user-data", Boot: "debian", Machine: whose, Made: true, Open: opens(nil)}
	secret := made
	secret.Secret, secret.Issued = true, time.Now()
	secret.To = netip.MustParseAddr("192.0.2.1") // that of httptest's requests
	elsewhere := secret
	elsewhere.To = netip.MustParseAddr("192.0.2.50")
	stale := secret
	stale.Issued = time.Now().Add(-2 * time.Second)
	with := func(err error) boot.Link {
		l := made
		l.Open = opens(err)
		return l
	}
	for _, tc := range []struct {
		name    string
		path    string // empty: ID/file
		link    boot.Link
		err     error
		verdict func(boot.Machine) (*boot.Verdict, error) // nil: lab
		held    bool
		status  int
		body    string
		event   string // the last one of the machine: kind, what; empty: there is none
		cached  bool
	}{
		{name: "a file of its own", link: made, status: 200, body: "52:54:00:12:34:56 x64 X7 from http://192.0.2.1:80", event: "file seed/user-data, 49 B"},
		{name: "a secret", link: secret, status: 200, body: "52:54:00:12:34:56 x64 X7 from http://192.0.2.1:80", event: "file seed/user-data"},
		{name: "a secret of the boot before", link: stale, status: 410,
			body:  "file seed/user-data of boot debian: the address has expired: that of a secret is good for one boot, and the machine has begun another\n",
			event: "failed seed/user-data: file seed/user-data of boot debian: the address has expired: that of a secret is good for one boot, and the machine has begun another"},
		{name: "a secret of another address", link: elsewhere, status: 403,
			body:  "file seed/user-data of boot debian: it is secret, and for another address: 192.0.2.50 asked for the script, and this is 192.0.2.1. Where installers get another address than the firmware, let the DHCP server go by the MAC address, or write any_address = true into the file block\n",
			event: "failed seed/user-data: file seed/user-data of boot debian: it is secret, and for another address: 192.0.2.50 asked for the script, and this is 192.0.2.1. Where installers get another address than the firmware, let the DHCP server go by the MAC address, or write any_address = true into the file block"},
		{name: "a file for whoever has the address", link: boot.Link{Name: "linux", Open: opens(nil)}, status: 200, body: " ia32  from http://192.0.2.1:80", event: "script ", cached: true},
		{name: "no name", path: "ID", status: 404, body: "no such file\n", event: "script "},
		{name: "a name that is not there", path: "ID/vendor-data", link: made, status: 404, body: "no such file\n", event: "script "},
		{name: "a long address", path: strings.Repeat("x", maxLink) + "/file", link: made, status: 404, body: "no such file\n", event: "script "},
		{name: "no ID of ours", link: boot.Link{}, err: boot.ErrNotFound, status: 404, body: "no such file\n", event: "script "},
		{name: "something missing", link: with(sentence), status: 500, body: sentence.Error() + "\n", event: "failed seed/user-data: " + sentence.Error()},
		{name: "a file that is gone", link: with(boot.ErrNotFound), status: 404, body: "no such file\n", event: "script "},
		{name: "a file that cannot be read", link: with(io.ErrUnexpectedEOF), status: 502, body: "couldn't get file\n", event: "failed seed/user-data: unexpected EOF"},
		{name: "another content", link: with(&boot.DigestError{File: "f"}), status: 403, body: (&boot.DigestError{File: "f"}).Error() + "\n", event: "failed " + (&boot.DigestError{File: "f"}).Brief()},
		{name: "too many at a time", link: made, err: fmt.Errorf("%w: too many", boot.ErrNoRoom), status: 503, body: "there is no room for it at the moment: too many\n", event: "failed seed/user-data: there is no room for it at the moment: too many"},
		{name: "too late", link: made, err: fmt.Errorf("key: %w", boot.ErrExpired), status: 410, body: "key: the address has expired\n", event: "failed seed/user-data: key: the address has expired"},
		{name: "a machine that is ignored by now", link: made, verdict: func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{Rule: "printers"}, nil },
			status: 403, body: "refused: the rule \"printers\" ignores 52:54:00:12:34:56 (x64, bios)\n", event: `ignored seed/user-data: refused: the rule "printers" ignores 52:54:00:12:34:56 (x64, bios)`},
		{name: "an inventory that is down", link: made, verdict: func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{}, errors.New("down") },
			status: 200, body: "52:54:00:12:34:56 x64 X7 from http://192.0.2.1:80", event: "file seed/user-data, 49 B"},
		{name: "everything is on hold", link: boot.Link{Name: "linux", Open: opens(nil)}, held: true, status: 403, body: "refused: on hold\n", event: "script "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gen, verdict, held := uint64(1), lab, false
			s := newServer(t, booter{})
			core, logs := observer.New(zapcore.DebugLevel)
			s.Log = zap.New(core)
			src := linker{booter: booter{gen: &gen, verdict: func(m boot.Machine) (*boot.Verdict, error) { return verdict(m) }}, link: tc.link, err: tc.err}
			s.Tree.Boots.Source = src
			s.Tree.Boots.Held = func(string) string {
				if held {
					return "on hold"
				}
				return ""
			}
			s.Tree.Boots.Heard(boots.Request{MAC: boots.MAC(mac), Discover: true, Facts: &boot.Facts{}}, time.Now())
			get(t, s, "GET", "/_/ipxe?facts=1&cpu=x64&serial=X7&token="+s.token(0))
			gen, held = 2, tc.held
			if tc.verdict != nil {
				verdict = tc.verdict
			}
			path := tc.path
			if path == "" {
				path = "ID/file"
			}
			w := get(t, s, "GET", boot.LinkPath+path)
			if w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("got %d, %q\nwant %d, %q", w.Code, w.Body, tc.status, tc.body)
			}
			list := s.Events.Machines()[0].Events()
			if last := list[len(list)-1]; fmt.Sprintf("%s %s", last.Kind, last.What(last.End)) != tc.event {
				t.Errorf("the last event is %s %s, want %s", last.Kind, last.What(last.End), tc.event)
			}
			if cached := w.Header().Get("Cache-Control") != "no-store"; w.Code == 200 && cached != tc.cached {
				t.Errorf("may be kept on the way: %v", cached)
			}
			for _, line := range logs.All() {
				if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "X7 from") || tc.link.Secret && strings.Contains(text, "bytes") {
					t.Errorf("the log has %s", text)
				}
			}
		})
	}
}

// A program that asks for the size, or for a part, has not the whole file.
func TestAPartOfAnAddressIsNoFileSent(t *testing.T) {
	s := newServer(t, booter{})
	s.Tree.Boots.Source = linker{booter: booter{verdict: lab}, link: boot.Link{Name: "seed", Machine: &boot.Machine{MAC: mac}, Made: true, Open: opens(nil)}}
	w := get(t, s, "HEAD", boot.LinkPath+"ID/file")
	if w.Code != http.StatusOK || w.Header().Get("Content-Length") == "" || w.Body.Len() > 0 {
		t.Errorf("got %d, %v", w.Code, w.Header())
	}
	for _, m := range s.Events.Machines() {
		for _, e := range m.Events() {
			if e.Kind == events.File {
				t.Errorf("event %+v", e)
			}
		}
	}
	if w := get(t, s, "POST", boot.LinkPath+"ID/file"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
}

// Whatever path is asked for, there is an answer of a line or the file.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/_/f/ID/file", "/_/f/ID", "/_/f/", "/_/f/ID/../../etc/passwd", "/_/f//file", "/_/file", "/_/ipxe", "//", "/autoexec.ipxe", "/_/f/ID/\x00"} {
		f.Add(path)
	}
	s := newServer(f, booter{})
	s.Tree.Boots.Source = linker{booter: booter{verdict: lab}, link: boot.Link{Name: "file", Machine: &boot.Machine{MAC: mac}, Made: true, Open: opens(nil)}}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest(http.MethodGet, "http://192.0.2.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = path
		w := recorder{header: http.Header{}}
		s.ServeHTTP(&w, r)
		if w.status >= 400 && strings.Count(w.body.String(), "\n") != 1 {
			t.Errorf("%q: %d, %q", path, w.status, w.body.String())
		}
	})
}

// recorder is a ResponseWriter for many requests.
type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// archiver is a booter whose initrd "made" is made for a machine.
type archiver struct {
	booter
	link *boot.Link
}

func (a archiver) Current() *boot.Snapshot {
	snap := *a.booter.Current()
	snap.Booter = a
	return &snap
}

func (a archiver) OpenLink(id boot.ID, name string) (boot.Link, error) {
	if id != "made" || name != "" {
		return boot.Link{}, boot.ErrNotFound
	}
	return *a.link, nil
}

// An initrd that is made for a machine is served under the rules of such files.
func TestAnInitrdThatIsMade(t *testing.T) {
	s := newServer(t, booter{})
	gen, verdict := uint64(1), lab
	link := boot.Link{Name: "initrd[1]", Boot: "debian", Machine: &boot.Machine{MAC: mac, Arch: boot.ArchX64}, Made: true, Open: opens(nil)}
	s.Tree.Boots.Source = archiver{booter{gen: &gen, verdict: func(m boot.Machine) (*boot.Verdict, error) { return verdict(m) }}, &link}
	ask := func() (int, string, string) {
		w := get(t, s, "GET", "/_/file?name=made&type=initrd&token="+s.token(0))
		list := s.Events.Machines()[0].Events()
		last := list[len(list)-1]
		return w.Code, w.Body.String(), fmt.Sprintf("%s %s", last.Kind, last.What(last.End))
	}
	code, body, event := ask()
	if code != 200 || body != "52:54:00:12:34:56 x64  from http://192.0.2.1:80" || event != "initrd initrd[1], 47 B" {
		t.Errorf("got %d, %q, event %q", code, body, event)
	}
	link.Secret, link.Issued = true, time.Now().Add(-time.Hour)
	s.Tree.Boots.Heard(boots.Request{MAC: boots.MAC(mac), Transaction: [4]byte{1}, Discover: true, Facts: &boot.Facts{}}, time.Now())
	if code, body, _ := ask(); code != 410 || !strings.Contains(body, "the machine has begun another") {
		t.Errorf("a secret of another boot: %d, %q", code, body)
	}
	link.Secret, gen = false, 2
	verdict = func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{Rule: "printers"}, nil }
	if code, body, _ := ask(); code != 403 || !strings.Contains(body, `the rule "printers" ignores`) {
		t.Errorf("a machine that is ignored: %d, %q", code, body)
	}
}

// What a machine sends to an address for that goes where the Link says, for as long as
// its boot lasts.
func TestAnUpload(t *testing.T) {
	s := newServer(t, booter{})
	gen, verdict := uint64(1), lab
	var got string
	var refuses error
	link := boot.Link{Name: "log", Boot: "debian", Issued: time.Now(), Machine: &boot.Machine{MAC: mac, Arch: boot.ArchX64}}
	link.Put = func(_ context.Context, m boot.Machine, body io.Reader) (int64, error) {
		b, err := io.ReadAll(body)
		got = m.MAC.String() + " " + string(b)
		return int64(len(b)), errors.Join(refuses, err)
	}
	source := linker{booter: booter{gen: &gen, verdict: func(m boot.Machine) (*boot.Verdict, error) { return verdict(m) }}, link: link}
	s.Tree.Boots.Source = source
	send := func(method string) (int, string, string) {
		r := httptest.NewRequest(method, boot.LinkPath+"ID/file", strings.NewReader("what happened"))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		event := ""
		if all := s.Events.Machines(); len(all) > 0 {
			list := all[0].Events()
			last := list[len(list)-1]
			event = fmt.Sprintf("%s %s", last.Kind, last.What(last.End))
		}
		return w.Code, strings.TrimSpace(w.Body.String()), event
	}
	for _, method := range []string{"PUT", "POST"} {
		if code, body, event := send(method); code != 204 || body != "" || got != "52:54:00:12:34:56 what happened" || event != "written log, 13 B" {
			t.Errorf("%s: %d, %q, got %q, event %q", method, code, body, got, event)
		}
	}
	if code, body, _ := send("GET"); code != 405 || !strings.Contains(body, "PUT") {
		t.Errorf("GET: %d, %q", code, body)
	}
	for _, tc := range []struct {
		err  error
		code int
	}{{boot.ErrTooLarge, 413}, {boot.ErrNoRoom, 507}, {io.ErrShortWrite, 500}} {
		refuses = tc.err
		if code, body, event := send("PUT"); code != tc.code || !strings.HasPrefix(event, "failed log not received: "+tc.err.Error()) {
			t.Errorf("%v: %d, %q, event %q", tc.err, code, body, event)
		}
	}
	refuses, gen = nil, 2
	verdict = func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{Rule: "printers"}, nil }
	got = ""
	if code, body, _ := send("PUT"); code != 403 || !strings.Contains(body, "printers") || got != "" {
		t.Errorf("a machine that is ignored by now: %d, %q, got %q", code, body, got)
	}
	verdict = lab
	source.link.Issued = time.Now().Add(-time.Hour)
	gen = 3
	s.Tree.Boots.Source = source
	s.Tree.Boots.Heard(boots.Request{MAC: boots.MAC(mac), Transaction: [4]byte{1}, Discover: true, Facts: &boot.Facts{}}, time.Now())
	if code, body, _ := send("PUT"); code != 410 || !strings.Contains(body, "that of an upload is good for one boot") || got != "" {
		t.Errorf("another boot: %d, %q, got %q", code, body, got)
	}
}
