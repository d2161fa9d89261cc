package httpboot

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A machine that is ignored by now, or on hold, gets no new file, but goes on with
// one that it has begun. Who comes without a token is told nothing but that
// everything is on hold.
func TestFilesOfAMachineThatIsSentAway(t *testing.T) {
	ignores := &boot.Verdict{Rule: "printers"}
	boots := &boot.Verdict{Action: boot.Boot, Rule: "lab", Spec: &boot.Spec{Kernel: "kernel"}}
	const refused = `the rule "printers" ignores 52:54:00:12:34:56 (x64, efi64)`
	for _, tc := range []struct {
		name         string
		method       string // empty: GET
		token, begun bool
		now          *boot.Verdict // of the table, by the second generation
		held         string        // the rule; "*": everything
		byteRange    string
		status       int
		body         string
	}{
		{name: "a machine that boots", token: true, now: boots, status: 200, body: "linux"},
		{name: "a new file", token: true, now: ignores, status: 403, body: refused + "\n"},
		{name: "its size", method: "HEAD", token: true, now: ignores, status: 403},
		{name: "its rest, when it has begun", token: true, begun: true, now: ignores, byteRange: "bytes=2-", status: 206, body: "nux"},
		{name: "a piece of it", token: true, begun: true, now: ignores, byteRange: "bytes=1-2", status: 206, body: "in"},
		{name: "its beginning once more", token: true, begun: true, now: ignores, byteRange: "bytes=0-", status: 403, body: refused + "\n"},
		{name: "its end, which nobody goes on with", token: true, begun: true, now: ignores, byteRange: "bytes=-2", status: 403, body: refused + "\n"},
		{name: "the rest of another", token: true, now: ignores, byteRange: "bytes=2-", status: 403, body: refused + "\n"},
		{name: "its rule is on hold", token: true, now: boots, held: "lab", status: 403, body: "52:54:00:12:34:56 (x64, efi64) is not booted: on hold\n"},
		{name: "another rule is", token: true, now: boots, held: "desk", status: 200, body: "linux"},
		{name: "no token", now: ignores, status: 200, body: "linux"},
		{name: "no token, and everything is on hold", now: boots, held: "*", status: 403, body: "on hold\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gen, verdict := uint64(1), boots
			files := map[boot.ID]func() (io.ReadCloser, int64, error){
				"kernel": func() (io.ReadCloser, int64, error) { return reader{strings.NewReader("linux")}, 5, nil },
			}
			s := newServer(t, booter{files: files, gen: &gen, verdict: func(boot.Machine) (*boot.Verdict, error) { return verdict, nil }})
			s.Tree.Boots.Held = func(rule string) string {
				if tc.held == "*" || rule != "" && tc.held == rule {
					return "on hold"
				}
				return ""
			}
			ask := func(method, byteRange string) *httptest.ResponseRecorder {
				target := "/_/file?name=kernel&type=kernel&mac=52:54:00:12:34:56"
				if tc.token {
					target += "&token=" + s.token(7)
				}
				r := httptest.NewRequest(method, target, nil)
				if byteRange != "" {
					r.Header.Set("Range", byteRange)
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				return w
			}
			get(t, s, "GET", "/_/ipxe?facts=1&token="+s.token(7)) // decided by the first table
			if tc.begun {
				ask("GET", "bytes=0-0")
			} else {
				ask("HEAD", "") // begins nothing
			}
			gen, verdict = 2, tc.now
			method := tc.method
			if method == "" {
				method = "GET"
			}
			w := ask(method, tc.byteRange)
			if w.Code != tc.status || method == "GET" && w.Body.String() != tc.body {
				t.Errorf("got %d, %q; want %d, %q", w.Code, w.Body, tc.status, tc.body)
			}
			last := s.Events.Machines()[0].Events()
			if got := last[len(last)-1]; (got.Kind == events.Ignored) != (tc.status == 403) {
				t.Errorf("the last event: got %+v", got)
			}
		})
	}
}

// reader is a local file's kind of source.
type reader struct{ *strings.Reader }

func (reader) Close() error { return nil }
