package tftp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

func singlePort(s *Server) { s.SinglePort = func() bool { return true } }

// Every packet comes from the port that was asked, which is all that a firewall
// lets through, and every file arrives.
func TestSinglePort(t *testing.T) {
	files := tree{"empty": {}, "512": pattern(512), "loader": pattern(1_000_003)}
	for name, listen := range map[string]netip.AddrPort{
		"IPv4": loopback4, "IPv6": loopback6, "IPv4 on a socket of both": netip.MustParseAddrPort("[::]:0"),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, listen, files, limits{}, singlePort)
			for file, want := range files {
				for _, options := range [][]string{nil, {"tsize", "0"}, {"blksize", "1468", "windowsize", "64"}} {
					c := newClient(t, r.addr)
					if got := c.fetch(file, options...); !bytes.Equal(got, want) {
						t.Errorf("%s with %v: %d bytes of %d, or other ones", file, options, len(got), len(want))
					}
					if c.tid != r.addr {
						t.Errorf("%s with %v: came from %v, asked %v", file, options, c.tid, r.addr)
					}
					if tr := r.ended(t); tr.Err != nil || tr.Bytes != int64(len(want)) {
						t.Errorf("%s with %v: %+v", file, options, tr)
					}
				}
			}
		})
	}
}

// Clients that fetch at the same time, some from one address, do not get each
// other's blocks.
func TestSinglePortTellsClientsApart(t *testing.T) {
	files := tree{"a": pattern(100_000), "b": slices.Repeat([]byte("b"), 100_000)}
	r := start(t, loopback4, files, limits{}, singlePort)
	var all sync.WaitGroup
	for i := range 8 {
		name := []string{"a", "b"}[i%2]
		c := newClient(t, r.addr)
		all.Go(func() {
			if got := c.fetch(name, "windowsize", "4"); !bytes.Equal(got, files[name]) {
				t.Errorf("%s: %d bytes, or other ones", name, len(got))
			}
		})
	}
	all.Wait()
}

func TestSinglePortProbe(t *testing.T) {
	r := start(t, loopback4, tree{"loader": pattern(5000)}, limits{}, singlePort)
	c := newClient(t, r.addr)
	c.request(rrq("loader", "octet", "tsize", "0"))
	parseOACK(t, c.receive())
	c.abort(0)
	if tr := r.ended(t); !tr.Probe || tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	// What comes after the end is no part of a transfer, and is not answered.
	c.ack(1)
	c.abort(0)
	c.quiet(r)
}

// Another request from a port gives up the transfer before it.
func TestSinglePortSupersedes(t *testing.T) {
	r := start(t, loopback4, tree{"a": pattern(5000), "b": pattern(700)}, limits{}, singlePort)
	c := newClient(t, r.addr)
	c.request(rrq("a", "octet"))
	c.wantData(1)
	c.request(rrq("b", "octet"))
	if tr := r.ended(t); !errors.Is(tr.Err, errSuperseded) {
		t.Errorf("%+v", tr)
	}
	c.wantData(1)
	c.ack(1)
	c.wantData(2)
	c.ack(2)
	if tr := r.ended(t); tr.Err != nil || tr.Path != "b" {
		t.Errorf("%+v", tr)
	}
}

// A stop lets a transfer on the server's port end, begins none, and gives the
// socket up behind it.
func TestSinglePortStop(t *testing.T) {
	freed := make(chan struct{})
	r := start(t, loopback4, tree{"a": pattern(1200)}, limits{drain: patience}, singlePort, func(s *Server) {
		s.Free = func() { close(freed) }
	})
	c := newClient(t, r.addr)
	c.request(rrq("a", "octet"))
	c.wantData(1)
	r.stop()
	late := newClient(t, r.addr)
	for i := range uint16(3) {
		c.ack(i + 1)
		if i < 2 {
			c.wantData(i + 2)
		}
		if i == 0 { // the server has stopped, or will have read this as one that it may answer
			select {
			case <-freed:
				t.Error("the socket was given up under a transfer")
			default:
			}
		}
	}
	if tr := r.ended(t); tr.Err != nil || tr.Bytes != 1200 {
		t.Errorf("%+v", tr)
	}
	<-freed
	if err := <-r.err; err != nil {
		t.Error(err)
	}
	late.request(rrq("a", "octet"))
	if p, ok := late.receiveWithin(time.Millisecond); ok {
		t.Errorf("answered after the stop: %q", p)
	}
}

// Ask waits before it looks, so what had come before it is found when time is up.
func TestAsk(t *testing.T) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback4))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := newOwnPort(Request{Remote: c.LocalAddr().(*net.UDPAddr).AddrPort()}, loopback4.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	to := p.(*ownPort).LocalAddr().(*net.UDPAddr).AddrPort()
	say := func(text string) {
		if _, err := c.WriteToUDPAddrPort([]byte(text), to); err != nil {
			t.Error(err)
		}
	}
	var answers sync.WaitGroup
	defer answers.Wait()
	for _, tt := range []struct {
		early  string // comes before the question
		ask    string
		within time.Duration
		answer string // comes behind the question
		want   string // empty: the deadline
	}{
		{"", "a", patience, "1", "1"},
		{"", "b", -patience, "", ""}, // woken: it is sent nevertheless
		{"2", "c", time.Millisecond, "", "2"},
		{"6", "e", -patience, "", "6"},
		{"3", "d", patience, "4", "3"},
		{"", "", patience, "", "4"},
		{"5", "", patience, "", "5"},
		{"", "", time.Millisecond, "", ""},
	} {
		if tt.early != "" {
			say(tt.early)
		}
		if err := p.SetReadDeadline(time.Now().Add(tt.within)); err != nil {
			t.Fatal(err)
		}
		if tt.ask != "" {
			answers.Go(func() {
				buf := make([]byte, maxAnswer)
				if n, err := c.Read(buf); err != nil || string(buf[:n]) != tt.ask {
					t.Errorf("the client read %q, %v, want %q", buf[:n], err, tt.ask)
				}
				if tt.answer != "" {
					say(tt.answer)
				}
			})
		}
		in := make([]byte, maxAnswer)
		n, err := p.Ask([]byte(tt.ask), in)
		answers.Wait()
		if got := string(in[:n]); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("Ask(%q) = %q, %v, want %q", tt.ask, got, err, tt.want)
		} else if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Ask(%q): %v, want os.ErrDeadlineExceeded", tt.ask, err)
		}
	}
}

func TestMailbox(t *testing.T) {
	m := newMailbox()
	for i := range byte(maxMail + 3) {
		m.put([]byte{0, opACK, 0, i})
	}
	if err := m.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	p := make([]byte, maxAnswer)
	for range maxMail {
		n, err := m.Read(p)
		if n != 4 || err != nil {
			t.Fatalf("Read = %d, %v", n, err)
		}
		got = append(got, p[3])
	}
	if want := []byte{3, 4, 5, 6, 7, 8, 9, 10}; !bytes.Equal(got, want) {
		t.Errorf("got %v, want the last %v", got, want)
	}
	ended := make(chan error)
	go func() {
		_, err := m.Read(p)
		ended <- err
	}()
	_ = m.SetReadDeadline(time.Unix(1, 0))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want os.ErrDeadlineExceeded", err)
	}
	for in, want := range map[string]bool{"\x00\x04\x00\x01": true, "\x00\x05\x00\x00x\x00": true, "\x00\x04\x00": false, "\x00\x01a\x00octet\x00": false, "": false} {
		if got := m.takes([]byte(in)); got != want {
			t.Errorf("takes(%q) = %v", in, got)
		}
	}
}
