package httpboot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// lastEvent is the newest event of the machine that the tests are about.
func lastEvent(t *testing.T, s *Server) events.Event {
	t.Helper()
	all := s.Events.Machines()
	if len(all) != 1 || len(all[0].Events()) == 0 {
		t.Fatalf("machines: %+v, want one with an event", all)
	}
	last, _ := all[0].Last()
	return last
}

func TestAFileWithAnotherDigestIsRefusedWithBoth(t *testing.T) {
	wrong := &boot.DigestError{File: `"/srv/linux"`, Want: boot.Digest{1}, Got: boot.Digest{2}}
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"kernel": func() (io.ReadCloser, int64, error) { return nil, 0, wrong },
	}})
	w := get(t, s, "GET", "/_/file?name=kernel&type=kernel&mac="+mac.String())
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), wrong.Error()) {
		t.Errorf("got %d %q, want 403 and both digests", w.Code, w.Body)
	}
	e := lastEvent(t, s)
	if want := `SHA-256 is 020000000000…, must be 010000000000…: "/srv/linux"`; e.Kind != events.Failed || e.Detail != want {
		t.Errorf("event %s %q, want failed %q", e.Kind, e.Detail, want)
	}
}

// changing is a file that fails after its first bytes.
type changing struct {
	*bytes.Reader
	err error
}

func (changing) Close() error { return nil }
func (c *changing) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.err = errors.New("it was changed")
	return c.Reader.Read(b[:3])
}
func (c *changing) Seek(off int64, whence int) (int64, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.Reader.Seek(off, whence)
}

func TestAFileThatFailsInTheMiddleIsABrokenTransfer(t *testing.T) {
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"kernel": func() (io.ReadCloser, int64, error) {
			return &changing{Reader: bytes.NewReader([]byte("kernel"))}, 6, nil
		},
	}})
	s.Log = zap.NewNop()
	srv := httptest.NewServer(s)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/_/file?name=kernel&type=kernel&mac=" + mac.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("got %q and no error, want a broken transfer", b)
	}
	if e := lastEvent(t, s); e.Kind != events.Failed || e.Detail != "file cut short: it was changed" {
		t.Errorf("event %s %q", e.Kind, e.Detail)
	}
}

// noted is a file that is served although something is wrong.
type noted struct{ io.ReadCloser }

func (noted) Note() string { return "the mirror is down" }

func TestWhatIsWrongWithAFileThatIsServedIsSaid(t *testing.T) {
	s := newServer(t, booter{files: map[boot.ID]func() (io.ReadCloser, int64, error){
		"kernel": func() (io.ReadCloser, int64, error) {
			return noted{io.NopCloser(strings.NewReader("kernel"))}, 6, nil
		},
	}})
	w := get(t, s, "GET", "/_/file?name=kernel&type=kernel&mac="+mac.String())
	if e := lastEvent(t, s); w.Code != 200 || e.Kind != events.Kernel || e.What(e.End) != "6 B, the mirror is down" {
		t.Errorf("got %d and the event %s %q", w.Code, e.Kind, e.Detail)
	}
}

// A checker refuses every Spec ahead.
type checker struct {
	booter
	err error
}

func (c checker) CheckSpec(context.Context, *boot.Spec) error { return c.err }
func (c checker) Current() *boot.Snapshot                     { return &boot.Snapshot{Gen: 5, Booter: c} }

func TestAFileThatWillBeRefusedIsSaidOnTheScreen(t *testing.T) {
	wrong := &boot.DigestError{File: `"/srv/linux"`, Want: boot.Digest{1}, Got: boot.Digest{2}}
	b := booter{verdict: byArch}
	s := newServer(t, b)
	s.Tree.Boots.Source = checker{b, wrong}
	w := get(t, s, "GET", "/_/ipxe?token="+s.token(7)+"&facts=1")
	if !strings.Contains(w.Body.String(), wrong.Want.String()) || strings.Contains(w.Body.String(), "boot kernel") {
		t.Errorf("the script is %s", w.Body)
	}
	if e := lastEvent(t, s); e.Kind != events.Failed {
		t.Errorf("the event is %s %q", e.Kind, e.Detail)
	}
}
