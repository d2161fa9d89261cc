package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

func TestReads(t *testing.T) {
	files := tree{
		"empty": {}, "one": {1}, "511": pattern(511), "512": pattern(512), "513": pattern(513), "loader": pattern(1_000_003),
	}
	for name, listen := range map[string]netip.AddrPort{
		"IPv4": loopback4, "IPv6": loopback6, "IPv4 on a socket of both": netip.MustParseAddrPort("[::]:0"),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, listen, files, limits{})
			for file, want := range files {
				for _, options := range [][]string{
					nil,
					{"tsize", "0"},
					{"blksize", "1468", "windowsize", "4"},
					{"blksize", "1468", "windowsize", "64"},
					{"blksize", "65464", "windowsize", "9"},
					{"windowsize", "3", "tsize", "0", "timeout", "5", "unknown", "x"},
				} {
					if got := newClient(t, r.addr).fetch(file, options...); !bytes.Equal(got, want) {
						t.Errorf("%s with %v: %d bytes of %d, or other ones", file, options, len(got), len(want))
					}
					if tr := r.ended(t); tr.Err != nil || tr.Probe || tr.Bytes != int64(len(want)) || tr.File != "tree/"+file {
						t.Errorf("%s with %v: %+v", file, options, tr)
					}
				}
			}
		})
	}
}

func TestBlockNumbersWrap(t *testing.T) {
	want := pattern(8*65536 + 8*3 + 1)
	fetch := func(t *testing.T, window string, change ...func(*Server)) {
		r := start(t, loopback4, tree{"large": want}, limits{}, change...)
		if got := newClient(t, r.addr).fetch("large", "blksize", "8", "windowsize", window); !bytes.Equal(got, want) {
			t.Errorf("windowsize %s: %d bytes of %d, or other ones", window, len(got), len(want))
		}
	}
	fetch(t, "1")
	each(t, func(t *testing.T, sender func(*Server)) { fetch(t, "64", sender) })
}

func TestNetASCIIRead(t *testing.T) {
	r := start(t, loopback4, tree{"motd": []byte("a\nb\r"), "large": make([]byte, maxNetASCII+1)}, limits{})
	c := newClient(t, r.addr)
	c.request(netasciiRead)
	if diff := cmp.Diff(map[string]string{"tsize": "6"}, parseOACK(t, c.receive())); diff != "" {
		t.Error(diff)
	}
	c.ack(0)
	if got := string(c.wantData(1)); got != "a\r\nb\r\x00" {
		t.Errorf("got %q", got)
	}
	c.ack(1)
	if tr := r.ended(t); tr.Err != nil || tr.Bytes != 6 {
		t.Errorf("%+v", tr)
	}
	c.request(rrq("large", "netascii"))
	c.wantError(codeUndefined)
}

func TestRefusals(t *testing.T) {
	secret := errors.New("dial tcp 192.0.2.9:443: password hunter2")
	files := openFunc(func(_ context.Context, r Request) (File, error) {
		switch r.Path {
		case "absent":
			return File{}, fmt.Errorf("no such thing\n: %w", ErrNotFound)
		case "denied":
			return File{}, fmt.Errorf("boots its own disk: %w", ErrDenied)
		case "endless":
			return File{Size: -1, Content: strings.NewReader("")}, nil
		default:
			return File{}, secret
		}
	})
	r := start(t, loopback4, files, limits{})
	for _, tt := range []struct {
		in   []byte
		code uint16
		text string
		err  error // what Done is told; nil: it is not called
	}{
		{rrq("absent", "octet"), codeNotFound, "no such thing?: no such boot file", ErrNotFound},
		{rrq("denied", "octet"), codeDenied, "boots its own disk: access denied", ErrDenied},
		{rrq("broken", "octet"), codeUndefined, "the server cannot read this file now; its log says why", secret},
		{rrq("endless", "octet"), codeUndefined, "the server cannot read this file now; its log says why", nil},
		{request(opWRQ, "a", "octet"), codeDenied, "this server only reads", nil},
		{rrq("a", "mail"), codeIllegal, "mode is neither octet nor netascii", nil},
		{rrq("a"), codeIllegal, "malformed request", nil},
	} {
		c := newClient(t, r.addr)
		c.request(tt.in)
		if got := c.wantError(tt.code); got != tt.text {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.text)
		}
		if tt.err != nil {
			if tr := r.ended(t); !errors.Is(tr.Err, tt.err) {
				t.Errorf("%q: Done got %v, want %v", tt.in, tr.Err, tt.err)
			}
		}
	}
}

// TestPathsAreOnlyNames is about paths that would leave a directory, if there were
// one: each comes to Files as it is, or not at all.
func TestPathsAreOnlyNames(t *testing.T) {
	asked := make(chan string, 1)
	r := start(t, loopback4, openFunc(func(_ context.Context, r Request) (File, error) {
		asked <- r.Path
		return File{}, ErrNotFound
	}), limits{})
	c := newClient(t, r.addr)
	for in, want := range map[string]string{
		"/etc/passwd":      "etc/passwd",
		"../../etc/passwd": "../../etc/passwd",
		`..\..\windows`:    `..\..\windows`,
		"//server/share":   "server/share",
		"C:/x":             "C:/x",
		"%2e%2e/x":         "%2e%2e/x",
		"a/../../b/":       "a/../../b/",
		"x\xff\xff":        "x",
		"//":               "",
	} {
		c.request(rrq(in, "octet"))
		c.wantError(codeNotFound)
		if want != "" {
			if got := <-asked; got != want {
				t.Errorf("%q: Files was asked for %q, want %q", in, got, want)
			}
		}
	}
}

func TestStrayPacketsAreNotAnswered(t *testing.T) {
	r := start(t, loopback4, tree{}, limits{})
	c := newClient(t, r.addr)
	for _, p := range []string{"\x00\x04\x00\x00", "\x00\x05\x00\x00no\x00", "\x00\x03\x00\x01x", "", "\x00", strings.Repeat("x", maxRequest+1)} {
		c.request([]byte(p))
	}
	c.quiet(r)
}

func TestBlocksFitTheInterface(t *testing.T) {
	ifaces := netio.NewInterfaces().All()
	for _, tt := range []struct {
		listen   netip.AddrPort
		overhead int
	}{{loopback4, overhead4}, {loopback6, overhead6}} {
		r := start(t, tt.listen, tree{"a": pattern(9)}, limits{})
		c := newClient(t, r.addr)
		c.request(rrq("a", "octet", "blksize", "65464"))
		mtu := 0
		for _, i := range ifaces {
			for _, p := range i.Prefixes {
				if p.Addr() == tt.listen.Addr() {
					mtu = i.MTU
				}
			}
		}
		want := fmt.Sprint(min(mtu-tt.overhead, maxBlock))
		if got := parseOACK(t, c.receive())["blksize"]; got != want {
			t.Errorf("%v: got blksize %s, want %s for MTU %d", tt.listen, got, want, mtu)
		}
		c.abort(8)
	}
}

func TestProbes(t *testing.T) {
	file := pattern(3000)
	for _, tt := range []struct {
		name    string
		request []byte
		then    func(c *client)
		probe   bool
	}{
		{"EDK2: ERROR 8 after the OACK", edk2Probe, func(c *client) { c.abort(8) }, true},
		{"any ERROR after the OACK", edk2Read, func(c *client) { c.abort(0) }, true},
		{"silence after the size alone", rrq("t/ipxe.efi", "octet", "tsize", "0"), func(*client) {}, true},
		{"another request from the same port", edk2Probe, func(c *client) {
			c.request(rrq("absent", "octet"))
			c.wantError(codeNotFound)
		}, true},
		{"silence after more than the size", edk2Probe, func(*client) {}, false},
		{"ERROR after a block", edk2Read, func(c *client) {
			c.ack(0)
			c.wantData(1)
			c.wantData(2)
			c.wantData(3)
			c.ack(2)
			c.abort(3)
		}, false},
		{"ERROR after DATA without an OACK", rrq("t/ipxe.efi", "octet"), func(c *client) { c.abort(0) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			interval := time.Hour // whatever comes ends the transfer, but never time
			if strings.HasPrefix(tt.name, "silence") {
				interval = time.Millisecond
			}
			r := start(t, loopback4, tree{"t/ipxe.efi": file}, limits{interval: interval})
			c := newClient(t, r.addr)
			c.request(tt.request)
			c.receive()
			tt.then(c)
			for {
				tr := r.ended(t)
				if tr.Path != "t/ipxe.efi" {
					continue
				}
				if tr.Probe != tt.probe || tr.Probe == (tr.Err != nil) {
					t.Errorf("probe %t, %v; want probe %t", tr.Probe, tr.Err, tt.probe)
				}
				return
			}
		})
	}
}

// TestDuplicateACKsSendNothing is the Sorcerer's Apprentice (RFC 1123 §4.2.3.1).
func TestDuplicateACKsSendNothing(t *testing.T) {
	each(t, func(t *testing.T, sender func(*Server)) {
		r := start(t, loopback4, tree{"a": pattern(5000)}, limits{}, sender)
		c := newClient(t, r.addr)
		c.request(rrq("a", "octet", "windowsize", "2"))
		c.receive()
		for range 3 {
			c.ack(0)
		}
		c.wantData(1)
		c.wantData(2)
		for _, stale := range []uint16{0, 0, 5, 65535} {
			c.ack(stale)
		}
		c.ack(2)
		c.wantData(3) // and not 1: the ACKs before came first
		c.wantData(4)
		c.ack(2)
		c.ack(1)
		c.ack(4)
		c.wantData(5)
		c.wantData(6)
		c.quiet(r)
	})
}

func TestGapInAWindow(t *testing.T) {
	each(t, func(t *testing.T, sender func(*Server)) {
		r := start(t, loopback4, tree{"a": pattern(5000)}, limits{}, sender)
		c := newClient(t, r.addr)
		c.request(rrq("a", "octet", "windowsize", "4"))
		c.receive()
		c.ack(0)
		for b := range uint16(4) {
			c.wantData(b + 1)
		}
		c.ack(2) // block 3 is lost
		for b := range uint16(4) {
			c.wantData(b + 3)
		}
		c.quiet(r)
	})
}

// TestLoss loses DATA, and with it ACKs, at random.
func TestLoss(t *testing.T) {
	want := pattern(100_000)
	for _, window := range []string{"1", "4", "16", "64"} {
		each(t, func(t *testing.T, sender func(*Server)) {
			r := start(t, loopback4, tree{"a": want}, limits{interval: 50 * time.Millisecond}, sender)
			c := newClient(t, r.addr)
			rnd := rand.New(rand.NewPCG(1, 2))
			lost := 0
			c.lose = func(uint16) bool {
				// Never the last of a file's retries: 1 in 20, 2 in a row at most.
				if rnd.IntN(20) != 0 {
					lost = 0
					return false
				}
				lost++
				return lost <= 2
			}
			if got := c.fetch("a", "blksize", "1468", "windowsize", window); !bytes.Equal(got, want) {
				t.Errorf("windowsize %s: %d bytes of %d, or other ones", window, len(got), len(want))
			}
			// The last ACK was sent, so the server has it.
			if tr := r.ended(t); tr.Err != nil {
				t.Error(tr.Err)
			}
		})
	}
}

func TestFirstAnswerIsRepeatedByTheRequest(t *testing.T) {
	for name, in := range map[string][]byte{"OACK": rrq("a", "octet", "tsize", "0"), "DATA": rrq("a", "octet")} {
		r := start(t, loopback4, tree{"a": pattern(2000)}, limits{})
		c := newClient(t, r.addr)
		c.request(in)
		first := bytes.Clone(c.receive())
		tid := c.tid
		c.request(in)
		if again := c.receive(); !bytes.Equal(first, again) || c.tid != tid {
			t.Errorf("%s: got %.20q from %v, then %.20q from %v: not one transfer", name, first, tid, again, c.tid)
		}
		// Once the client has answered, a request that comes late changes nothing.
		block := uint16(1)
		if first[1] == opOACK {
			block = 0
		}
		c.ack(block)
		c.wantData(block + 1)
		c.request(in)
		r.settle(t)
		c.tid = tid
		for c.ack(block + 1); block+1 < 4; c.ack(block + 1) {
			block++
			c.wantData(block + 1)
		}
		if tr := r.ended(t); tr.Err != nil || tr.Bytes != 2000 {
			t.Errorf("%s: %+v", name, tr)
		}
		select {
		case tr := <-r.done:
			t.Errorf("%s: a second transfer: %+v", name, tr)
		default:
		}
	}
}

// TestAmplification is about forged requests: bytes out for bytes in, with headers.
func TestAmplification(t *testing.T) {
	token := strings.Repeat("k", 32) + "/ipxe.efi" // as this server names its files
	for _, tt := range []struct {
		name  string
		in    []byte
		most  int     // packets
		limit float64 // factor
	}{
		{"size, a short name", rrq("a", "octet", "tsize", "0"), 4, maxFactor},
		{"everything", rrq("a", "octet", "tsize", "0", "blksize", "1468", "windowsize", "64"), 4, maxFactor},
		{"no options", rrq(token, "octet"), 1, 7},
		// RFC 1350 wants 512 bytes here, so this is as low as it can be.
		{"no options, a short name", rrq("a", "octet"), 1, 15},
		{"refused", rrq("b", "octet"), 1, maxFactor},
		{"a write", request(opWRQ, "b", "octet"), 1, maxFactor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, loopback4, tree{"a": pattern(1 << 20), token: pattern(1 << 20)}, limits{interval: time.Millisecond})
			c := newClient(t, r.addr)
			c.request(tt.in)
			if tt.in[1] == opRRQ {
				r.ended(t)
			}
			packets, out := 0, 0
			for p := c.receive(); p != nil; p, _ = c.receiveWithin(10 * time.Millisecond) {
				packets++
				out += 28 + len(p)
			}
			factor := float64(out) / float64(28+len(tt.in))
			t.Logf("%d packets, factor %.1f", packets, factor)
			if packets > tt.most || factor > tt.limit {
				t.Errorf("%d packets, factor %.1f; want %d and %.0f at most", packets, factor, tt.most, tt.limit)
			}
		})
	}
}

func TestGivesUp(t *testing.T) {
	r := start(t, loopback4, tree{"a": pattern(5000)}, limits{interval: 2 * time.Millisecond})
	for {
		c := newClient(t, r.addr)
		c.request(rrq("a", "octet"))
		c.wantData(1)
		c.ack(1)
		tr := r.ended(t)
		if !errors.Is(tr.Err, errSilent) {
			t.Fatalf("got %v, want %v", tr.Err, errSilent)
		}
		if tr.Bytes == 0 {
			continue // this machine was slower than the server's patience: once more
		}
		for range 1 + maxRetries {
			c.wantData(2)
		}
		c.quiet(r)
		return
	}
}

func TestClientThatHasGone(t *testing.T) {
	r := start(t, loopback4, tree{"a": pattern(5000)}, limits{interval: 50 * time.Millisecond})
	c := newClient(t, r.addr)
	c.request(rrq("a", "octet", "blksize", "8"))
	c.receive()
	c.ack(0)
	c.wantData(1)
	c.conn.Close() // what is sent again comes to a closed port
	if tr := r.ended(t); !errors.Is(tr.Err, errGone) {
		t.Errorf("got %v, want %v", tr.Err, errGone)
	}
}

func TestBounds(t *testing.T) {
	file := tree{"a": pattern(5000)}
	for name, l := range map[string]limits{
		"per address": {transfers: 100, perAddr: 3},
		"in all":      {transfers: 3, perAddr: 100},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, loopback4, file, l)
			var in []*client
			for range 3 {
				c := newClient(t, r.addr)
				c.request(rrq("a", "octet"))
				c.wantData(1)
				in = append(in, c)
			}
			out := newClient(t, r.addr)
			out.request(rrq("a", "octet"))
			out.quiet(r)
			in[0].abort(0)
			r.ended(t)
			out.request(rrq("a", "octet"))
			out.wantData(1)
		})
	}
}

func TestManyClients(t *testing.T) {
	want := pattern(200_001)
	r := start(t, loopback4, tree{"a": want}, limits{transfers: 1000, perAddr: 1000, interval: 200 * time.Millisecond})
	var clients sync.WaitGroup
	const count = 100
	for i := range count {
		c := newClient(t, r.addr)
		clients.Go(func() {
			got := c.fetch("a", "blksize", "1468", "windowsize", fmt.Sprint(1+i%8))
			if !bytes.Equal(got, want) {
				t.Errorf("client %d: %d bytes of %d, or other ones", i, len(got), len(want))
			}
		})
	}
	clients.Wait()
	for range count {
		if tr := r.ended(t); tr.Err != nil {
			t.Error(tr.Err)
		}
	}
}

// failingReader is a source that breaks at an offset.
type failingReader struct {
	io.ReaderAt
	at  int64
	err error
}

func (r failingReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > r.at {
		return 0, r.err
	}
	return r.ReaderAt.ReadAt(p, off)
}

func TestSourceThatBreaks(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		name       string
		read, want error
	}{{"by an error", broken, broken}, {"by its end", io.EOF, io.ErrUnexpectedEOF}} {
		t.Run(tt.name, func(t *testing.T) {
			closed := 0
			r := start(t, loopback4, openFunc(func(context.Context, Request) (File, error) {
				return File{
					Size: 5000, Content: failingReader{bytes.NewReader(pattern(5000)), 1000, tt.read},
					Close: func() error { closed++; return nil },
				}, nil
			}), limits{})
			c := newClient(t, r.addr)
			c.request(rrq("a", "octet"))
			c.wantData(1)
			c.ack(1)
			c.wantError(codeUndefined)
			if tr := r.ended(t); !errors.Is(tr.Err, tt.want) || tr.Bytes != 512 {
				t.Errorf("%d bytes, %v; want 512, %v", tr.Bytes, tr.Err, tt.want)
			}
			if closed != 1 {
				t.Errorf("closed %d times", closed)
			}
		})
	}
}

func TestARequestThatBreaks(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	r := start(t, loopback4, openFunc(func(_ context.Context, r Request) (File, error) {
		if r.Path == "broken" {
			panic("a fault of ours")
		}
		return tree{"whole": []byte("0123456789")}.Open(t.Context(), r)
	}), limits{}, func(s *Server) { s.Log = zap.New(core) })
	c := newClient(t, r.addr)
	c.request(rrq("broken", "octet"))
	if said := c.wantError(codeUndefined); strings.Contains(said, "fault") {
		t.Errorf("the client is told %q, want only that the log says why", said)
	}
	if got := newClient(t, r.addr).fetch("whole"); string(got) != "0123456789" {
		t.Errorf("the next one read %q", got)
	}
	var broken *drops.Broken
	if tr := r.ended(t); !errors.As(tr.Err, &broken) || tr.Path != "broken" {
		t.Errorf("ended with %+v, want the fault", tr)
	}
	if r.ended(t); logged.Len() != 1 || !strings.Contains(fmt.Sprint(logged.All()[0].ContextMap()), "a fault of ours") {
		t.Errorf("logged %v, want the fault, once", logged.All())
	}
}

func TestFilesIsToldWhoAsks(t *testing.T) {
	got := make(chan Request, 1)
	r := start(t, netip.MustParseAddrPort("[::]:0"), openFunc(func(_ context.Context, r Request) (File, error) {
		got <- r
		return File{}, ErrDenied
	}), limits{})
	c := newClient(t, r.addr)
	c.request(rrq("/x", "octet"))
	c.wantError(codeDenied)
	req := <-got
	iface, ok := netio.NewInterfaces().ByIndex(req.Interface)
	if want := (Request{Path: "x", Remote: c.conn.LocalAddr().(*net.UDPAddr).AddrPort(), Local: r.addr.Addr(), Interface: req.Interface}); req != want || !ok {
		t.Errorf("got %+v by %+v, want %+v", req, iface, want)
	}
}

func TestStopLetsTransfersEnd(t *testing.T) {
	want := pattern(5000)
	r := start(t, loopback4, tree{"a": want}, limits{drain: time.Hour})
	c := newClient(t, r.addr)
	c.request(rrq("a", "octet"))
	got := bytes.Clone(c.wantData(1))
	r.stop()
	for b := uint16(1); len(got) < len(want); b++ {
		c.ack(b)
		got = append(got, c.wantData(b+1)...)
	}
	c.ack(10)
	if tr := r.ended(t); tr.Err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or other ones; %v", len(got), len(want), tr.Err)
	}
	if err := <-r.err; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStopCutsWhatDoesNotEnd(t *testing.T) {
	opening := make(chan struct{})
	r := start(t, loopback4, openFunc(func(ctx context.Context, r Request) (File, error) {
		if r.Path == "slow" {
			close(opening)
			<-ctx.Done()
			return File{}, ctx.Err()
		}
		return tree{"a": pattern(5000)}.Open(ctx, r)
	}), limits{})
	running, waiting := newClient(t, r.addr), newClient(t, r.addr)
	running.request(rrq("a", "octet"))
	running.wantData(1)
	waiting.request(rrq("slow", "octet"))
	<-opening
	r.stop()
	for _, c := range []*client{running, waiting} {
		if got := c.wantError(codeUndefined); got != errStopping.Error() {
			t.Errorf("got %q, want %q", got, errStopping)
		}
		if tr := r.ended(t); !errors.Is(tr.Err, errStopping) {
			t.Errorf("%s: %v, want %v", tr.Path, tr.Err, errStopping)
		}
	}
	if err := <-r.err; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A client that has moved on while the file was opened hears nothing of it: it
// would take that for the answer to its next request.
func TestSupersededWhileOpening(t *testing.T) {
	opening := make(chan struct{})
	r := start(t, loopback4, openFunc(func(ctx context.Context, r Request) (File, error) {
		if r.Path == "slow" {
			close(opening)
			<-ctx.Done()
		}
		return tree{"a": pattern(100), "slow": {}}.Open(ctx, r)
	}), limits{})
	c := newClient(t, r.addr)
	c.request(rrq("slow", "octet"))
	<-opening
	c.request(rrq("a", "octet"))
	if got := len(c.wantData(1)); got != 100 {
		t.Errorf("%d bytes, want 100", got)
	}
	if tr := r.ended(t); tr.Path != "slow" || !errors.Is(tr.Err, errSuperseded) {
		t.Errorf("%+v", tr)
	}
	c.ack(1)
	if tr := r.ended(t); tr.Path != "a" || tr.Err != nil {
		t.Errorf("%+v", tr)
	}
}

func TestSource(t *testing.T) {
	iface := netio.Interface{Index: 2, Prefixes: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("198.51.100.0/31"), netip.MustParsePrefix("2001:db8::1/64"),
	}}
	for _, tt := range []struct{ local, remote, want string }{
		{"192.0.2.1", "192.0.2.9", "192.0.2.1"},
		{"203.0.113.5", "192.0.2.9", "203.0.113.5"}, // another of ours, or one behind a NAT
		{"255.255.255.255", "192.0.2.9", "192.0.2.1"},
		{"192.0.2.255", "192.0.2.9", "192.0.2.1"},
		{"198.51.100.1", "198.51.100.0", "198.51.100.1"}, // RFC 3021: no broadcast address
		{"224.0.0.1", "192.0.2.9", "192.0.2.1"},
		{"0.0.0.0", "192.0.2.9", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::9", "2001:db8::1"},
		{"ff02::1", "2001:db8::9", "2001:db8::1"},
	} {
		req := Request{Local: netip.MustParseAddr(tt.local), Remote: netip.AddrPortFrom(netip.MustParseAddr(tt.remote), 2070)}
		if got := source(req, iface); got.String() != tt.want {
			t.Errorf("%s asks %s: got %v, want %s", tt.remote, tt.local, got, tt.want)
		}
	}
}

func TestLinkLocal(t *testing.T) {
	for _, tt := range []struct{ in, want string }{{"fe80::1", "fe80::1%7"}, {"fe80::1%eth0", "fe80::1%eth0"}, {"2001:db8::1", "2001:db8::1"}} {
		if got := zoned(netip.MustParseAddr(tt.in), 7); got.String() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.in, got, tt.want)
		}
	}
}
