package dhcp4

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// A wire is a Conn between a server and a test.
type wire struct {
	netio.Conn
	in      chan netio.Datagram
	out     chan netio.Datagram
	stopped chan struct{} // by a deadline in the past
}

func newWire() *wire {
	return &wire{boundTo("0.0.0.0:67"), make(chan netio.Datagram), make(chan netio.Datagram), make(chan struct{})}
}

func (w *wire) ReadBatch(b []netio.Datagram) (int, error) {
	select {
	case b[0] = <-w.in:
		return 1, nil
	case <-w.stopped:
		return 0, os.ErrDeadlineExceeded
	}
}

func (w *wire) WriteBatch(b []netio.Datagram) (int, error) {
	for _, d := range b {
		w.out <- d
	}
	return len(b), nil
}

func (w *wire) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		close(w.stopped)
	}
	return nil
}

// run starts a server on a wire. What it logs at warn comes by the channel, and
// stop ends it.
func run(t *testing.T, b booter, change ...func(*Server)) (w *wire, warnings chan string, stop func()) {
	t.Helper()
	s := server(t, ProxyDHCP, b)
	w, warnings = newWire(), make(chan string, maxAsking)
	s.Conn = w
	s.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), writer(warnings), zap.WarnLevel))
	for _, c := range change {
		c(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	return w, warnings, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// writer is a WriteSyncer.
type writer chan string

func (w writer) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func (writer) Sync() error { return nil }

// send gives the server a machine's DISCOVER.
func (w *wire) send(t *testing.T, mac net.HardwareAddr) {
	t.Helper()
	req := discover(t, "efi-x64", func(r *dhcpv4.DHCPv4) { r.ClientHWAddr = mac })
	w.in <- netio.Datagram{Data: req.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("0.0.0.0:68")}
}

// answered is the machine whose answer comes next.
func (w *wire) answered(t *testing.T) string {
	t.Helper()
	d := <-w.out
	resp, err := dhcpv4.FromBytes(d.Data)
	if err != nil {
		t.Fatal(err)
	}
	return resp.ClientHWAddr.String()
}

var slow, quick = net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}

func TestOthersAreAnsweredWhileSomebodyIsAsked(t *testing.T) {
	asked, answer := make(chan time.Duration), make(chan *boot.Verdict)
	w, _, stop := run(t, booter{
		slow.String(): {Action: boot.Boot, Wait: time.Second, Ask: func(ctx context.Context, m boot.Machine) (*boot.Verdict, error) {
			deadline, _ := ctx.Deadline()
			asked <- time.Until(deadline)
			return <-answer, nil
		}},
		quick.String(): {Action: boot.Boot},
	})
	defer stop()
	w.send(t, slow)
	if wait := <-asked; wait > time.Second {
		t.Errorf("may wait for %v, want the verdict's second", wait)
	}
	for range readBatch + 1 { // whose packets overwrite the first one
		w.send(t, quick)
		if got := w.answered(t); got != quick.String() {
			t.Fatalf("answered %s, want %s", got, quick)
		}
	}
	answer <- &boot.Verdict{Action: boot.Boot}
	if got := w.answered(t); got != slow.String() {
		t.Errorf("answered %s in the end, want %s", got, slow)
	}
}

func TestWhoCannotBeAskedIsSaid(t *testing.T) {
	w, warnings, stop := run(t, booter{"*": {Action: boot.Boot, Rule: "lab", Ask: func(context.Context, boot.Machine) (*boot.Verdict, error) {
		return &boot.Verdict{}, errors.New("the API is down: start it")
	}}})
	defer stop()
	w.send(t, slow)
	if got := <-warnings; !strings.Contains(got, "the API is down: start it") || !strings.Contains(got, `"rule":"lab"`) {
		t.Errorf("got %s", got)
	}
}

// A fault of ours at one machine's request, in the loop that reads or beside it, costs the others nothing.
func TestOthersAreAnsweredBesideARequestThatBreaks(t *testing.T) {
	breaks := true
	w, warnings, stop := run(t, booter{
		slow.String():  {Action: boot.Boot, Rule: "lab", Ask: func(context.Context, boot.Machine) (*boot.Verdict, error) { panic("beside the loop") }},
		quick.String(): {Action: boot.Boot},
	}, func(s *Server) {
		settings := s.Settings
		s.Settings = func() *Settings {
			if breaks {
				breaks = false
				panic("in the loop")
			}
			return settings()
		}
	})
	defer stop()
	for _, want := range []string{"in the loop", "beside the loop"} {
		w.send(t, slow)
		if got := <-warnings; !strings.Contains(got, "a fault of pixiecore") || !strings.Contains(got, want) {
			t.Errorf("got %s, want a fault %s", got, want)
		}
	}
	w.send(t, quick)
	if got := w.answered(t); got != quick.String() {
		t.Errorf("answered %s, want %s", got, quick)
	}
}

// An API that is slower than DHCP may wait is asked once, and its answer is for
// the machine's retransmission.
func TestALateAnswerIsForTheRetransmission(t *testing.T) {
	release, requests := make(chan struct{}), 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		<-release
		io.WriteString(w, `{"kernel": "/linux"}`)
	}))
	defer srv.Close()
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	src := booters.NewSources()
	defer src.Close()
	api, err := booters.NewAPI(seal, src, booters.APIOptions{URL: srv.URL, Wait: 20 * time.Millisecond, Limit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	v, err := api.Decide(t.Context(), boot.Machine{})
	if err != nil {
		t.Fatal(err)
	}
	w, warnings, stop := run(t, booter{"*": *v})
	defer stop()
	w.send(t, slow)
	if got := <-warnings; !strings.Contains(got, "no answer within") || !strings.Contains(got, "will serve the machine's next request") {
		t.Errorf("got %s", got)
	}
	close(release)
	for answered := false; !answered; {
		w.send(t, slow)
		select {
		case d := <-w.out:
			answered = true
			if resp, err := dhcpv4.FromBytes(d.Data); err != nil || resp.ClientHWAddr.String() != slow.String() {
				t.Errorf("got %v, %v", resp, err)
			}
		case <-warnings: // this host is slow
		}
	}
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	asked, answered := make(chan struct{}), make(chan struct{})
	w, warnings, stop := run(t, booter{"*": {Action: boot.Boot, Ask: func(context.Context, boot.Machine) (*boot.Verdict, error) {
		asked <- struct{}{}
		<-answered
		return &boot.Verdict{}, nil
	}}})
	for range maxAsking {
		w.send(t, slow)
		<-asked
	}
	w.send(t, slow)
	if got := <-warnings; !strings.Contains(got, "1024 requests wait for an answer already") {
		t.Errorf("got %s", got)
	}
	close(answered)
	stop()
}

func TestAQuestionEndsWithTheServer(t *testing.T) {
	asked := make(chan struct{})
	w, _, stop := run(t, booter{"*": {Action: boot.Boot, Ask: func(ctx context.Context, _ boot.Machine) (*boot.Verdict, error) {
		close(asked)
		<-ctx.Done()
		return &boot.Verdict{}, ctx.Err()
	}}})
	w.send(t, slow)
	<-asked
	stop()
}
