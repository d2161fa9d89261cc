package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/ports"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/systemd"
)

// A socket is one that this process was started with.
type socket struct {
	name  string // FileDescriptorName= of the unit, or that in the store
	kind  config.Kind
	at    netip.AddrPort // what it is bound to
	snoop bool           // a raw one, of a listener with share = true
	own   bool           // the daemon's, from the store; else of a .socket unit, and never closed
	file  *os.File

	// One of these, a copy of the socket: of its own listener, or for what comes
	// while there is none.
	stream net.Listener
	conn   netio.Conn

	discarding context.CancelFunc // ends that; nil: a listener has the socket
	discarded  chan struct{}      // closed when it has ended
}

// Names of sockets: those of units are unitPrefix and a kind. Those in the store
// also have the inode, since what is stored is removed by name; a raw socket, whose
// address says no port, has that too: "own-http-553079", "own-dhcp-67-553080".
const (
	unitPrefix = "pixiecore-"
	ownPrefix  = "own-"
)

// inherit looks at the sockets that the process was started with. Those that are of
// no use are told in sentences. A unit's is left alone; one from the store, which
// another version may have put there, has no kind, so that adopt gives it up.
func inherit(files []*os.File) (sockets []*socket, odd []string) {
	for _, f := range files {
		s, err := recognise(f)
		switch own := strings.HasPrefix(f.Name(), ownPrefix); {
		case err != nil && own:
			odd = append(odd, fmt.Sprintf("socket %q is not served, and not kept any more: %v", f.Name(), err))
			s = &socket{name: f.Name(), own: true, file: f}
		case err != nil:
			odd = append(odd, fmt.Sprintf("socket %q is not served: %v", f.Name(), err))
			continue
		}
		sockets = append(sockets, s)
	}
	// A unit's comes before one of our own with the same address.
	slices.SortStableFunc(sockets, func(a, b *socket) int {
		if a.own != b.own && b.own {
			return -1
		} else if a.own != b.own {
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	return sockets, odd
}

func recognise(f *os.File) (*socket, error) {
	s := &socket{name: f.Name(), file: f}
	kind, port := strings.TrimSuffix(strings.TrimPrefix(s.name, unitPrefix), ".socket"), ""
	if rest, ok := strings.CutPrefix(s.name, ownPrefix); ok {
		s.own = true
		kind, rest, _ = strings.Cut(rest, "-")
		if before, _, ok := strings.Cut(rest, "-"); ok {
			port = before
		}
	}
	s.kind = config.Kind(kind)
	known := slices.Contains(config.Kinds(), s.kind)
	if s.own && !known {
		return nil, errors.New("this version has no such listener")
	}
	if !known || !s.own && !strings.HasPrefix(s.name, unitPrefix) {
		return nil, fmt.Errorf("its name is none of %s; write FileDescriptorName= into its unit", unitNames())
	}
	var err error
	switch n, perr := strconv.ParseUint(port, 10, 16); {
	case port != "" && perr == nil:
		s.snoop = true
		if s.conn, err = netio.SnoopFile(f, uint16(n)); err == nil {
			s.at = s.conn.LocalAddr()
		}
	case s.kind.Transport() == "tcp":
		if s.stream, err = net.FileListener(f); err == nil {
			a, ok := s.stream.Addr().(*net.TCPAddr)
			if !ok {
				s.stream.Close()
				return nil, fmt.Errorf("it is of %s and not of TCP", s.stream.Addr().Network())
			}
			s.at = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
		}
	default:
		if s.conn, err = netio.FileConn(f); err == nil {
			s.at = s.conn.LocalAddr()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("a listener %q cannot use it: %w", s.kind, err)
	}
	if (s.kind == config.DHCP || s.kind == config.PXE) && !s.at.Addr().Is4() {
		s.close()
		return nil, fmt.Errorf("a listener %q needs one of IPv4, and this is at %s; write ListenDatagram=0.0.0.0:%d", s.kind, s.at, s.at.Port())
	}
	return s, nil
}

// unitNames are the names that sockets of units can have.
func unitNames() string {
	var all []string
	for _, k := range config.Kinds() {
		all = append(all, unitPrefix+string(k))
	}
	return strings.Join(all, ", ")
}

// close gives up this process's copies.
func (s *socket) close() {
	if s.stream != nil {
		s.stream.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.file.Close()
}

// listen is a net.Listener on the socket, whose Close closes a copy.
func (s *socket) listen() (net.Listener, error) {
	if s.own {
		s.file.Close()
		return s.stream, nil
	}
	return net.FileListener(s.file)
}

// open is listen for datagrams.
func (s *socket) open() (netio.Conn, error) {
	if s.own {
		s.file.Close()
		return s.conn, nil
	}
	return netio.FileConn(s.file)
}

// discard drops what comes to a socket that no listener has, so that clients are
// not kept waiting, and that nothing stale is answered when a listener comes back.
// It ends when the context does, and the socket stays open.
func (s *socket) discard(ctx context.Context) error {
	if s.conn != nil {
		return netio.Serve(ctx, s.conn, discardBatch, discardSize, func([]netio.Datagram) {})
	}
	l, ok := s.stream.(*net.TCPListener)
	if !ok {
		return nil
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		c, err := l.Accept()
		switch {
		case err == nil:
			c.Close()
		case ctx.Err() != nil:
		default: // sockets run out, or a client has gone: that passes
			select {
			case <-ctx.Done():
			case <-time.After(discardPause):
			}
		}
	}
	return nil
}

const (
	discardBatch = 32
	discardSize  = 1 // byte of a datagram that nobody looks at
	discardPause = time.Second
)

// A placed is a listener of the configuration, with the socket that it gets.
type placed struct {
	config.Listener         // Address is that of a unit's socket, which wins
	from            *socket // nil: it is bound
}

// place gives each listener the socket that fits: one with its address, or else,
// of a unit's sockets, one of its kind, with the same port if there is one.
func place(listeners []config.Listener, sockets []*socket) []placed {
	all := make([]placed, len(listeners))
	taken := make(map[*socket]bool)
	for i, l := range listeners {
		all[i].Listener = l
	}
	for _, fits := range []func(s *socket, l config.Listener) bool{
		func(s *socket, l config.Listener) bool {
			at := identify(placed{Listener: l}).at
			return s.snoop == l.Share && (s.at == at || s.own && at.Port() == 0 && s.at.Addr() == at.Addr())
		},
		// One that is bound is not for share, which takes nothing from another server.
		func(s *socket, l config.Listener) bool {
			return !s.own && !l.Share && s.at.Port() == l.Address.Port()
		},
		func(s *socket, l config.Listener) bool { return !s.own && !l.Share },
	} {
		for i, l := range listeners {
			if all[i].from != nil {
				continue
			}
			j := slices.IndexFunc(sockets, func(s *socket) bool { return s.kind == l.Kind && !taken[s] && fits(s, l) })
			if j < 0 {
				continue
			}
			s := sockets[j]
			taken[s] = true
			all[i].from = s
			switch {
			case s.own:
			case l.Kind == config.DHCP && s.at.Addr().IsUnspecified():
				all[i].Address = netip.AddrPortFrom(l.Address.Addr(), s.at.Port()) // what it answers as is a setting
			default:
				all[i].Address = s.at
			}
		}
	}
	return all
}

// misfits says in sentences where units and the configuration do not agree.
func misfits(listeners []config.Listener, all []placed, sockets []*socket) (said []string) {
	used := make(map[*socket]bool)
	for i, p := range all {
		if p.from == nil || p.from.own {
			continue
		}
		used[p.from] = true
		if at := identify(placed{Listener: listeners[i]}).at; at != p.from.at {
			said = append(said, fmt.Sprintf("%slistener %q is served at %s, by socket %q of a unit, and not at %s; make the two addresses the same",
				prefix(listeners[i].Pos), p.Kind, p.from.at, p.from.name, listeners[i].Address))
		}
	}
	shares := slices.ContainsFunc(listeners, func(l config.Listener) bool { return l.Share })
	for _, s := range sockets {
		switch {
		case s.own || used[s]:
		case s.kind == config.DHCP && shares:
			said = append(said, fmt.Sprintf("socket %q at %s takes requests away from the DHCP server beside which `share = true` listens; disable its unit", s.name, s.at))
		default:
			said = append(said, fmt.Sprintf("no listener %q is for socket %q at %s, so what comes there is dropped; write one, or disable its unit", s.kind, s.name, s.at))
		}
	}
	return said
}

// rivals says in sentences who else has the port of a unit's socket for DHCP. systemd
// lets a socket be opened beside one that allows it (SO_REUSEADDR): both get the
// broadcasts and multicasts, and only the one that was bound last gets a unicast.
func rivals(sockets []*socket) (said []string) {
	for _, s := range sockets {
		if s.own || s.kind != config.DHCP && s.kind != config.DHCP6 {
			continue
		}
		c, ok := s.conn.(syscall.Conn)
		if !ok {
			continue
		}
		own, err := inode(c)
		if err != nil {
			continue
		}
		who, ok := ports.FindOther("udp", s.at.Port(), own)
		if !ok {
			continue
		}
		way := "disable the socket's unit"
		if s.kind == config.DHCP {
			way += ", and write `share = true` in the listener"
		}
		said = append(said, fmt.Sprintf("%s has port %d, too: renewals meant for it come to socket %q, and leases die hours later; %s", who, s.at.Port(), s.name, way))
	}
	return said
}

// prefix puts a place before a sentence, where it is known.
func prefix(pos string) string {
	if pos == "" {
		return ""
	}
	return pos + ": "
}

// adopt gives up, of the daemon's own sockets from the store, those that no listener
// of the first configuration takes, before anything else is bound, since their
// addresses may be needed.
func (d *Daemon) adopt(listeners []config.Listener) {
	var needed []*socket
	for _, p := range place(listeners, d.sockets) {
		needed = append(needed, p.from)
	}
	d.sockets = slices.DeleteFunc(d.sockets, func(s *socket) bool {
		if !s.own || slices.Contains(needed, s) {
			return false
		}
		s.close()
		d.unstore(s.name)
		return true
	})
}

// store has the service manager keep a listener's own socket, so that what comes
// while the daemon restarts waits in it.
func (d *Daemon) store(l *listener) {
	if l.stored != "" || l.socket == nil || !d.supervised() {
		return
	}
	inode, err := inode(l.socket)
	if err != nil {
		d.log.Debug("socket not kept for a restart", zap.Stringer("listener", l.server), zap.Error(err))
		return
	}
	name := ownPrefix + string(l.kind)
	if l.snoops {
		name += "-" + strconv.Itoa(int(l.port))
	}
	name += "-" + strconv.FormatUint(inode, 10)
	if err := systemd.Store(name, l.socket); err != nil {
		d.log.Debug("socket not kept for a restart", zap.Stringer("listener", l.server), zap.Error(err))
		return
	}
	l.stored = name
}

// unstore ends that. Then the port is free.
func (d *Daemon) unstore(name string) {
	if err := systemd.Unstore(name); err != nil {
		d.log.Warn("a socket that is not needed may still have its port", zap.String("socket", name), zap.Error(err))
	}
}

// inode is what the kernel knows a socket by.
func inode(c syscall.Conn) (uint64, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	var sterr error
	err = raw.Control(func(fd uintptr) { sterr = unix.Fstat(int(fd), &st) })
	return st.Ino, errors.Join(err, sterr)
}

// idle has what comes to the sockets of units that no listener has dropped, and no
// more what comes to those of opened, which are about to be served. The caller holds
// d.reloading.
func (d *Daemon) idle(current []placed) {
	if d.serve == nil {
		return // Run does it
	}
	for _, s := range d.sockets {
		switch needed := slices.ContainsFunc(current, func(p placed) bool { return p.from == s }); {
		case needed && s.discarding != nil:
			s.discarding()
			<-s.discarded
			s.discarding = nil
		case !needed && s.discarding == nil:
			d.park(s)
		}
	}
}
