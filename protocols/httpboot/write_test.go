package httpboot

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// writer is a Booter that takes what is written.
type writer struct {
	booter
	got *string
}

func (w writer) Current() *boot.Snapshot {
	snap := w.booter.Current()
	snap.Booter = w
	return snap
}

func (w writer) WriteBootFile(id boot.ID, body io.Reader) error {
	switch id {
	case "log":
		b, err := io.ReadAll(body)
		*w.got = string(b)
		if err != nil {
			return fmt.Errorf("post: %w", err)
		}
		return nil
	case "kernel":
		return errors.ErrUnsupported
	case "down":
		return io.ErrUnexpectedEOF
	}
	return boot.ErrNotFound
}

func TestWhatAMachineWritesGoesToTheBooter(t *testing.T) {
	verdict := &boot.Verdict{Action: boot.Boot}
	got := ""
	b := writer{booter{verdict: func(boot.Machine) (*boot.Verdict, error) { return verdict, nil }}, &got}
	for _, tc := range []struct {
		name, method, id, body string
		verdict                boot.Action
		status                 int
		event                  string
	}{
		{"a POST", "POST", "log", "done", boot.Boot, 204, "written: 4 B"},
		{"a PUT", "PUT", "log", "", boot.Boot, 204, "written: "},
		{"too much", "PUT", "log", strings.Repeat("x", maxWrite+1), boot.Boot, 413, ""},
		{"a file that is read only", "POST", "kernel", "", boot.Boot, 405, ""},
		{"a forged ID", "POST", "forged", "", boot.Boot, 404, ""},
		{"no ID", "POST", "", "", boot.Boot, 400, ""},
		{"nobody who takes it", "POST", "down", "", boot.Boot, 502, "failed: file not written: unexpected EOF"},
		{"a machine that is ignored by now", "POST", "log", "done", boot.Ignore, 403, "ignored: no rule of the server boots"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict.Action, got = tc.verdict, ""
			s := newServer(t, b.booter)
			s.Tree.Boots.Source = b
			srv := httptest.NewServer(s)
			defer srv.Close()
			r, err := http.NewRequest(tc.method, srv.URL+"/_/file?name="+tc.id+"&token="+s.token(7), strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.status || tc.status == 204 && got != tc.body {
				t.Errorf("got %d, %d bytes written; want %d", resp.StatusCode, len(got), tc.status)
			}
			said := ""
			for _, m := range s.Events.Machines() {
				for _, e := range m.Events() {
					said = fmt.Sprintf("%s: %s", e.Kind, e.What(e.Time))
				}
			}
			if !strings.HasPrefix(said, tc.event) || tc.event == "" && said != "" {
				t.Errorf("event %q, want %q", said, tc.event)
			}
		})
	}
}
