package daemon

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/config"
)

func TestPlace(t *testing.T) {
	listener := func(kind config.Kind, at string) config.Listener {
		return config.Listener{Kind: kind, Address: netip.MustParseAddrPort(at)}
	}
	share := func(l config.Listener) config.Listener {
		l.Share = true
		return l
	}
	unit := func(kind config.Kind, at string) *socket {
		return &socket{name: "pixiecore-" + string(kind), kind: kind, at: netip.MustParseAddrPort(at)}
	}
	own := func(kind config.Kind, at string) *socket {
		s := unit(kind, at)
		s.name, s.own = "own-"+string(kind), true
		return s
	}
	raw := func(s *socket) *socket {
		s.snoop = true
		return s
	}
	for name, tc := range map[string]struct {
		listeners []config.Listener
		sockets   []*socket
		from      []int    // the socket of each listener; -1: none
		at        []string // of each listener; nil: as the file says
		said      []string // parts of what is said
	}{
		"none": {[]config.Listener{listener("http", "[::]:80")}, nil, []int{-1}, nil, nil},
		"all, in another order": {
			[]config.Listener{listener("http", "[::]:80"), listener("tftp", "[::]:69"), listener("http", "[::]:8080")},
			[]*socket{unit("http", "[::]:8080"), unit("http", "[::]:80"), unit("tftp", "[::]:69")}, []int{1, 2, 0}, nil, nil,
		},
		"the unit's address wins, and that is said": {
			[]config.Listener{listener("http", "[::]:8080")}, []*socket{unit("http", "[::]:80")}, []int{0}, []string{"[::]:80"},
			[]string{`listener "http" is served at [::]:80, by socket "pixiecore-http" of a unit, and not at [::]:8080`},
		},
		"the same port rather than the first": {
			[]config.Listener{listener("http", "192.0.2.1:443"), listener("http", "192.0.2.1:80")}, []*socket{unit("http", "[::]:80")}, []int{-1, 0}, []string{"192.0.2.1:443", "[::]:80"},
			[]string{"and not at 192.0.2.1:80"},
		},
		"a socket without a listener": {
			[]config.Listener{listener("http", "[::]:80")}, []*socket{unit("tftp", "[::]:69")}, []int{-1}, nil,
			[]string{`no listener "tftp" is for socket "pixiecore-tftp" at [::]:69`},
		},
		"what a ProxyDHCP listener answers as is a setting": {
			[]config.Listener{listener("dhcp", "192.0.2.1:67")}, []*socket{unit("dhcp", "0.0.0.0:67")}, []int{0}, nil, nil,
		},
		"a bound socket is not for share": {
			[]config.Listener{share(listener("dhcp", "0.0.0.0:67"))}, []*socket{unit("dhcp", "0.0.0.0:67")}, []int{-1}, nil,
			[]string{"takes requests away from the DHCP server"},
		},
		"a raw one is": {
			[]config.Listener{share(listener("dhcp", "192.0.2.1:67"))}, []*socket{raw(own("dhcp", "0.0.0.0:67"))}, []int{0}, nil, nil,
		},
		"a raw one is for nothing else": {
			[]config.Listener{listener("dhcp", "0.0.0.0:67")}, []*socket{raw(own("dhcp", "0.0.0.0:67"))}, []int{-1}, nil, nil,
		},
		"our own, only with its address": {
			[]config.Listener{listener("http", "[::]:80"), listener("status", "127.0.0.1:8067")},
			[]*socket{own("http", "[::]:8080"), own("status", "127.0.0.1:8067")}, []int{-1, 1}, nil, nil,
		},
		"our own of any port": {
			[]config.Listener{listener("http", "127.0.0.1:0")}, []*socket{own("http", "127.0.0.1:41234")}, []int{0}, nil, nil,
		},
	} {
		got := place(tc.listeners, tc.sockets)
		var from []int
		var at []string
		for _, p := range got {
			from = append(from, slices.Index(tc.sockets, p.from))
			at = append(at, p.Address.String())
		}
		want := tc.at
		for _, l := range tc.listeners {
			if tc.at == nil {
				want = append(want, l.Address.String())
			}
		}
		if diff := cmp.Diff(tc.from, from) + cmp.Diff(want, at); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		said := misfits(tc.listeners, got, tc.sockets)
		if len(said) != len(tc.said) {
			t.Errorf("%s: said %q, want %q", name, said, tc.said)
			continue
		}
		for i := range said {
			if !strings.Contains(said[i], tc.said[i]) {
				t.Errorf("%s: said %q, want %q", name, said[i], tc.said[i])
			}
		}
	}
}

// What is passed and cannot be served is said, with the way out.
func TestSocketsThatDoNotFit(t *testing.T) {
	for name, want := range map[string]string{
		"LISTEN_FD_3":       "FileDescriptorName=",
		"pixiecore-dhcp7":   "its name is none of pixiecore-dhcp, pixiecore-pxe",
		"http":              "its name is none of",
		"pixiecore-http":    `a listener "http" cannot use it`,
		"pixiecore-tftp":    `a listener "tftp" cannot use it`,
		"own-dhcp7-1":       "this version has no such listener",
		"own-dhcp-67-12345": `a listener "dhcp" cannot use it`,
	} {
		r, w, err := os.Pipe()
		must(t, err)
		w.Close()
		fd, err := syscall.Dup(int(r.Fd()))
		must(t, err)
		r.Close()
		f := os.NewFile(uintptr(fd), name)
		sockets, odd := inherit([]*os.File{f})
		f.Close()
		// One of the store is the daemon's to give up.
		sockets = slices.DeleteFunc(sockets, func(s *socket) bool { return s.own && s.kind == "" })
		if len(sockets) != 0 || len(odd) != 1 || !strings.Contains(odd[0], want) || !strings.Contains(odd[0], name) {
			t.Errorf("%s: %d sockets, said %q; want %q", name, len(sockets), odd, want)
		}
	}
}

// systemd opens a socket beside another server's that allows it.
func TestAnotherServerOnTheSocketOfAUnit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says who has a port")
	}
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
	}}
	first, err := shared.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	must(t, err)
	defer first.Close()
	f, err := first.(*net.UDPConn).File()
	must(t, err)
	fd, err := syscall.Dup(int(f.Fd()))
	must(t, err)
	f.Close()
	sockets, odd := inherit([]*os.File{os.NewFile(uintptr(fd), "pixiecore-dhcp")})
	if len(sockets) != 1 {
		t.Fatal(odd)
	}
	defer sockets[0].close()
	if said := rivals(sockets); len(said) != 0 {
		t.Errorf("alone: %q", said)
	}
	second, err := shared.ListenPacket(t.Context(), "udp4", first.LocalAddr().String())
	must(t, err)
	defer second.Close()
	if said := rivals(sockets); len(said) != 1 || !strings.Contains(said[0], "share = true") {
		t.Errorf("beside another: %q", said)
	}
}

// An idle loop feeds the watchdog; one that hangs in what it does starves it.
func TestAHangingLoopIsNoticed(t *testing.T) {
	idle, hangs := &listener{server: named("http [::]:80")}, &listener{server: named("tftp [::]:69")}
	d := &Daemon{log: zap.NewNop(), listeners: []*listener{idle, hangs}}
	now := time.Now()
	idle.beat.worksAt(now.Add(-time.Hour))
	idle.beat.waits()
	hangs.beat.worksAt(now.Add(-5 * time.Second))
	if l := d.hanging(now, 10*time.Second); l != nil {
		t.Errorf("%s hangs", l.server)
	}
	if l := d.hanging(now.Add(6*time.Second), 10*time.Second); l != hangs {
		t.Errorf("got %v, want the one that hangs", l)
	}
}

// A named is a Service for tests of what is said about it.
type named string

func (n named) String() string            { return string(n) }
func (n named) Run(context.Context) error { return nil }
