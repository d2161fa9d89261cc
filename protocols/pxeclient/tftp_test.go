package pxeclient

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeTFTP is a scripted TFTP server on a loopback socket: enough of one to
// hold the client to the standard, with faults on demand.
type fakeTFTP struct {
	addr  netip.AddrPort
	files map[string][]byte

	maxBlock, maxWindow int              // what it grants; 0: all that is asked for
	plain               bool             // knows no options
	oack                string           // says this instead of what was asked, if not empty
	drop                func(n int) bool // loses the n-th DATA, counted from 1 over all transfers
	stranger            bool             // a packet of another port comes between

	mu       sync.Mutex
	requests []string // "path option=value …"
	aborts   []string // the errors that clients sent: "code message"
	acks     []uint16
	sent     int
}

func (s *fakeTFTP) start(t *testing.T) *fakeTFTP {
	t.Helper()
	conn := listen(t)
	s.addr = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if n > 2 && b[1] == opRRQ {
				fields := strings.Split(strings.TrimSuffix(string(b[2:n]), "\x00"), "\x00")
				wg.Go(func() { s.serve(ctx, fields, from) })
			}
		}
	})
	t.Cleanup(func() { cancel(); conn.Close(); wg.Wait() })
	return s
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (s *fakeTFTP) note(list *[]string, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

func (s *fakeTFTP) serve(ctx context.Context, fields []string, client netip.AddrPort) {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(client))
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	request := fields[0]
	for i := 2; i+1 < len(fields); i += 2 {
		request += " " + fields[i] + "=" + fields[i+1]
	}
	s.note(&s.requests, "%s", request)
	data, ok := s.files[fields[0]]
	if !ok {
		conn.Write(errorPacket(1, "no such file"))
		return
	}
	block, window, oack := 512, 1, ""
	for i := 2; i+1 < len(fields) && !s.plain; i += 2 {
		n, _ := strconv.Atoi(fields[i+1])
		switch fields[i] {
		case "tsize":
			n = len(data)
		case "blksize":
			if s.maxBlock > 0 {
				n = min(n, s.maxBlock)
			}
			block = n
		case "windowsize":
			if s.maxWindow > 0 {
				n = min(n, s.maxWindow)
			}
			window = n
		}
		oack += fields[i] + "\x00" + strconv.Itoa(n) + "\x00"
	}
	if s.oack != "" {
		oack = s.oack
	}
	acked := -1
	if oack == "" {
		acked = 0
	} else {
		conn.Write(append([]byte{0, opOACK}, oack...))
	}
	blocks := len(data)/block + 1
	b := make([]byte, 2048)
	for {
		if acked >= 0 {
			for n := acked + 1; n <= min(acked+window, blocks); n++ {
				s.mu.Lock()
				s.sent++
				lost := s.drop != nil && s.drop(s.sent)
				s.mu.Unlock()
				if lost {
					continue
				}
				if s.stranger && n == 2 {
					other, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, net.UDPAddrFromAddrPort(client))
					if err == nil {
						other.Write([]byte{0, opDATA, 0, 2, 'n', 'o'})
						other.Close()
					}
				}
				conn.Write(append([]byte{0, opDATA, byte(n >> 8), byte(n)}, data[(n-1)*block:min(n*block, len(data))]...))
			}
		}
		n, err := conn.Read(b)
		switch {
		case err != nil:
			return
		case n >= 4 && b[1] == opERROR:
			s.note(&s.aborts, "%d %s", b[3], bytes.TrimRight(b[4:n], "\x00"))
			return
		case n >= 4 && b[1] == opACK:
			ack := binary.BigEndian.Uint16(b[2:])
			s.mu.Lock()
			s.acks = append(s.acks, ack)
			s.mu.Unlock()
			if acked = max(acked, 0); true {
				acked += int(int16(ack - uint16(acked))) // numbers wrap
			}
			if acked >= blocks {
				return
			}
		}
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestFetch(t *testing.T) {
	big := pattern(8*65536 + 24) // with blocks of 8 bytes, numbers wrap
	files := map[string][]byte{"small": []byte("hello"), "empty": {}, "exact": pattern(1024), "big": big, "some": pattern(50_000)}
	tests := []struct {
		name, file string
		o          FetchOptions
		server     *fakeTFTP
		request    string
	}{
		{"as RFC 1350", "small", FetchOptions{}, &fakeTFTP{}, "small"},
		{"an empty file", "empty", FetchOptions{}, &fakeTFTP{}, "empty"},
		{"a last block of no bytes", "exact", FetchOptions{}, &fakeTFTP{}, "exact"},
		{"as iPXE", "some", FetchOptions{BlockSize: 1432, Size: true}, &fakeTFTP{}, "some tsize=0 blksize=1432"},
		{"as EDK2", "some", FetchOptions{BlockSize: 1468, WindowSize: 4}, &fakeTFTP{}, "some blksize=1468 windowsize=4"},
		{"a server without options", "some", FetchOptions{BlockSize: 1468, WindowSize: 4, Size: true}, &fakeTFTP{plain: true},
			"some tsize=0 blksize=1468 windowsize=4"},
		{"a server that grants less", "some", FetchOptions{BlockSize: 1468, WindowSize: 16}, &fakeTFTP{maxBlock: 600, maxWindow: 3},
			"some blksize=1468 windowsize=16"},
		{"wrapping block numbers", "big", FetchOptions{BlockSize: 8, WindowSize: 64}, &fakeTFTP{}, "big blksize=8 windowsize=64"},
		{"losses", "some", FetchOptions{BlockSize: 512, WindowSize: 8, Timeout: 50 * time.Millisecond},
			&fakeTFTP{drop: func(n int) bool { return n%7 == 3 }}, "some blksize=512 windowsize=8"},
		{"losses in lock-step", "exact", FetchOptions{Timeout: 50 * time.Millisecond},
			&fakeTFTP{drop: func(n int) bool { return n == 2 }}, "exact"},
		{"a stranger", "some", FetchOptions{BlockSize: 512}, &fakeTFTP{stranger: true}, "some blksize=512"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.server
			s.files = files
			s.start(t)
			got, err := Fetch(t.Context(), s.addr, tt.file, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, files[tt.file]) {
				t.Errorf("got %d bytes, want %d, or others", len(got), len(files[tt.file]))
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if diff := cmp.Diff([]string{tt.request}, s.requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWindowIsAckedOnce(t *testing.T) {
	s := (&fakeTFTP{files: map[string][]byte{"f": pattern(10*512 + 1)}}).start(t)
	if _, err := Fetch(t.Context(), s.addr, "f", FetchOptions{WindowSize: 4}); err != nil {
		t.Fatal(err)
	}
	// The last ACK may still be on its way to the server.
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := s.acks[:3], []uint16{0, 4, 8}; !cmp.Equal(got, want) {
		t.Errorf("got ACKs %v, want %v and 11", got, want)
	}
}

func TestProbeAbortsWithError8(t *testing.T) {
	s := (&fakeTFTP{files: map[string][]byte{"f": pattern(5000)}}).start(t)
	size, err := Probe(t.Context(), s.addr, "f", FetchOptions{})
	if err != nil || size != 5000 {
		t.Fatalf("got %d, %v", size, err)
	}
	// A second request is served after the abort was read or not: only the
	// order of the requests is certain.
	if _, err := Fetch(t.Context(), s.addr, "f", FetchOptions{BlockSize: 1468}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff([]string{"f tsize=0", "f blksize=1468"}, s.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	for _, a := range s.aborts {
		if !strings.HasPrefix(a, "8 ") {
			t.Errorf("got error %q, want code 8", a)
		}
	}
}

func TestFetchFails(t *testing.T) {
	data := map[string][]byte{"f": pattern(5000)}
	t.Run("no such file", func(t *testing.T) {
		s := (&fakeTFTP{files: data}).start(t)
		var e *TFTPError
		if _, err := Fetch(t.Context(), s.addr, "g", FetchOptions{}); !errors.As(err, &e) || e.Code != 1 || e.Message != "no such file" {
			t.Errorf("got %v", err)
		}
	})
	for name, oack := range map[string]string{
		"more than was asked for": "blksize\x001469\x00", "an option that was not": "timeout\x005\x00",
		"no number": "blksize\x00x\x00", "half an option": "blksize\x00", "a negative size": "tsize\x00-1\x00",
	} {
		t.Run("an OACK with "+name, func(t *testing.T) {
			s := (&fakeTFTP{files: data, oack: oack}).start(t)
			if _, err := Fetch(t.Context(), s.addr, "f", FetchOptions{BlockSize: 1468, Size: true}); err == nil || !strings.Contains(err.Error(), "OACK") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a size that is not true", func(t *testing.T) {
		s := (&fakeTFTP{files: data, oack: "tsize\x004999\x00"}).start(t)
		if _, err := Fetch(t.Context(), s.addr, "f", FetchOptions{Size: true}); err == nil || !strings.Contains(err.Error(), "5000 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no size to tell", func(t *testing.T) {
		s := (&fakeTFTP{files: data, plain: true}).start(t)
		if _, err := Probe(t.Context(), s.addr, "f", FetchOptions{}); err == nil {
			t.Error("a server without options told a size")
		}
	})
	t.Run("a silent server", func(t *testing.T) {
		conn := listen(t)
		defer conn.Close()
		_, err := Fetch(t.Context(), conn.LocalAddr().(*net.UDPAddr).AddrPort(), "f", FetchOptions{Timeout: time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a cancelled context", func(t *testing.T) {
		conn := listen(t)
		defer conn.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _, _ = conn.ReadFromUDPAddrPort(make([]byte, 512))
			cancel() // once the request is there
		}()
		if _, err := Fetch(ctx, conn.LocalAddr().(*net.UDPAddr).AddrPort(), "f", FetchOptions{Timeout: time.Hour}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzOACK: an OACK never makes the client use what it did not ask for.
func FuzzOACK(f *testing.F) {
	f.Add([]byte("tsize\x0012345\x00blksize\x001432\x00"))
	f.Add([]byte("windowsize\x0065536\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &transfer{o: FetchOptions{BlockSize: 1468, WindowSize: 4, Size: true}, block: defaultBlock, window: 1, size: -1}
		if x.settle(b) == nil && (x.block < 8 || x.block > 1468 || x.window < 1 || x.window > 4 || x.size < -1) {
			t.Fatalf("%q settles for block %d, window %d, size %d", b, x.block, x.window, x.size)
		}
	})
}
