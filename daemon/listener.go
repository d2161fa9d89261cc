package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/page"
	"github.com/pixiecore/pixiecore/daemon/ports"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/capture"
	"github.com/pixiecore/pixiecore/protocols/dhcp4"
	"github.com/pixiecore/pixiecore/protocols/dhcp6"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/httpboot"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/tftp"
)

// A listener is a socket and the server on it. It outlives the generations that
// have a listener of its identity.
type listener struct {
	kind     config.Kind
	server   Service
	port     uint16 // of the socket, also where the configuration says 0
	settings atomic.Pointer[settings]
	drops    drops.Counts
	beat     heart

	socket syscall.Conn  // of the daemon's own, which can be kept over a restart; nil: a unit's
	snoops bool          // it is a raw one
	stored string        // its name in the store; empty: it is not in there
	close  func()        // gives up the socket; may be called again
	closed chan struct{} // closed by close
	cancel context.CancelFunc
}

// settings are what a reload can change of a listener. They are set before it
// serves and never modified.
type settings struct {
	config.Listener
	web   bootfiles.Web // what machines are told of the HTTP server
	plain bootfiles.Web // and firmware of that for loaders, if it is another; else the zero Web
	tftp  netip.Addr    // and of the TFTP server; the zero Addr: the address at which they reached us
	tls   *tls.Config   // of https; nil: plain http

	dhcp dhcp4.Settings // what a DHCP server does with a request, by all of these
}

// open binds a listener. It is not served yet, and has no settings.
func (d *Daemon) open(c placed) (*listener, error) {
	l := &listener{kind: c.Kind, snoops: c.Share, closed: make(chan struct{})}
	closes := func(sock interface{ Close() error }) {
		l.close = sync.OnceFunc(func() { sock.Close(); close(l.closed) })
		if c.from == nil || c.from.own {
			l.socket, _ = sock.(syscall.Conn)
		}
		if c.from != nil && c.from.own {
			l.stored = c.from.name
		}
	}
	at := identify(c).at
	switch c.Kind {
	case config.HTTP, config.Status:
		listen := func() (net.Listener, error) { return listenTCP(at) }
		if c.from != nil {
			listen = c.from.listen
		}
		sock, err := listen()
		if err != nil {
			return nil, err
		}
		closes(sock)
		l.port = sock.Addr().(*net.TCPAddr).AddrPort().Port()
		watched := closeFunc{sock, l.close} // the server closes it, first of all when it stops
		secure := func() *tls.Config { return l.settings.Load().tls }
		if c.Kind == config.Status {
			l.server = &page.Server{Listener: beatingListener{maybeTLS{page.Listener(watched), secure}, &l.beat}, Daemon: operator{d}, Metrics: d.metrics.Handler(), Access: l.access, Assets: d.assets(c.Listener), Log: d.log.Named("status")}
			break
		}
		tree := bootfiles.Tree{Boots: d.boots, Tokens: d.tokens}
		var local *http.ServeMux
		if c.LocalToo {
			local = (&page.Server{Daemon: operator{d}, Metrics: d.metrics.Handler(), Stop: d.stopping, Assets: d.assets(c.Listener), Log: d.log.Named("status")}).Handler()
		}
		l.server = &httpboot.Server{
			Listener: beatingListener{maybeTLS{httpboot.Listener(watched), secure}, &l.beat}, Elsewhere: l.elsewhere, Local: local,
			Tree: tree, Events: d.events, Drops: &l.drops, Log: d.log.Named("http"),
		}
	case config.TFTP:
		conn, err := d.datagrams(c, at)
		if err != nil {
			return nil, err
		}
		closes(conn)
		l.port = conn.LocalAddr().Port()
		files := tftpFiles{tree: bootfiles.Tree{Boots: d.boots, Tokens: d.tokens}, listener: l, interfaces: d.interfaces, events: d.events, log: d.log.Named("tftp")}
		l.server = &tftp.Server{
			Conn: &beatingConn{d.tap(conn, capture.TFTP(d.owner)), &l.beat}, Files: files, Interfaces: d.interfaces, SinglePort: func() bool { return l.settings.Load().SinglePort },
			Free: l.close, Drops: &l.drops, Done: d.transferred, Log: d.log.Named("tftp"),
		}
	case config.DHCP, config.PXE:
		conn, err := d.datagrams(c, at)
		if err != nil {
			return nil, err
		}
		closes(conn)
		l.port = conn.LocalAddr().Port()
		role := dhcp4.ProxyDHCP
		if c.Kind == config.PXE {
			role = dhcp4.BootServer
		}
		l.server = &dhcp4.Server{
			Role: role, Conn: &beatingConn{d.tap(conn, capture.DHCP), &l.beat}, Boots: d.boots, Settings: l.dhcp, Tokens: d.tokens, Interfaces: d.interfaces,
			Chains: d.chains, Events: d.events, Drops: &l.drops, Log: d.log.Named(role.String()),
		}
	case config.DHCP6:
		state, err := d.forDHCP6()
		if err != nil {
			return nil, err
		}
		conn, err := d.datagrams(c, at)
		if err != nil {
			return nil, err
		}
		closes(conn)
		l.port = conn.LocalAddr().Port()
		duid := state.duid
		if len(c.DHCP6.DUID) > 0 {
			duid = c.DHCP6.DUID
		}
		l.server = &dhcp6.Server{
			Conn: &beatingConn{d.tap(conn, dhcp6.Whose), &l.beat}, Join: func(index int) error { return netio.JoinGroup(conn, dhcp6.AllServers, index) }, DUID: duid, Leases: state.leases, Boots: d.boots, Settings: l.dhcp6, Tokens: d.tokens, Interfaces: d.interfaces,
			Events: d.events, Drops: &l.drops, Log: d.log.Named("dhcp6"),
		}
	default:
		return nil, fmt.Errorf("no server for listeners of kind %q", c.Kind)
	}
	return l, nil
}

// datagrams is the socket of a listener for UDP.
func (d *Daemon) datagrams(c placed, at netip.AddrPort) (netio.Conn, error) {
	switch {
	case d.opts.wire != nil && c.Kind != config.TFTP: // whose transfers have sockets of their own
		return d.opts.wire.Listen(at)
	case c.from != nil:
		return c.from.open()
	case c.Share:
		return netio.Snoop(at.Port())
	}
	return netio.ListenUDP(at)
}

// available refuses the address of a ProxyDHCP listener, which its socket is
// not bound to, when the host does not have it.
func (d *Daemon) available(c config.Listener) error {
	a := c.Address.Addr()
	owned := func(i netio.Interface) bool { return i.Has(a) }
	if c.Kind == config.DHCP && !a.IsUnspecified() && !slices.ContainsFunc(d.interfaces.All(), owned) {
		return syscall.EADDRNOTAVAIL
	}
	return nil
}

// run serves until ctx is done or stop is called, and gives up the socket.
func (l *listener) run(ctx context.Context) error {
	defer l.close()
	err := l.server.Run(ctx)
	if err == nil || ctx.Err() != nil { // stop may have closed the socket before it was served
		return nil
	}
	return fmt.Errorf("%s: %w", l.server, err)
}

// stop ends a listener. When it returns, the port is free, for which it waits for
// TFTP transfers on that port. The others that run have the time that their server
// gives them; whoever called run waits for them.
func (l *listener) stop() {
	if l.cancel == nil { // never served
		l.close()
		return
	}
	l.cancel()
	<-l.closed
}

// dhcp is what a DHCP server does with a request by the current settings.
func (l *listener) dhcp() *dhcp4.Settings { return &l.settings.Load().dhcp }

// access is who may read the status, by the current settings.
func (l *listener) access() page.Access {
	s := l.settings.Load()
	return page.Access{Token: s.Token, Certificate: s.ClientCA != ""}
}

// assets are the files of the status page that somebody works on; nil: there are
// none.
func (d *Daemon) assets(l config.Listener) fs.FS {
	if l.Assets == "" {
		return nil
	}
	dir := os.DirFS(l.Assets)
	used := slices.DeleteFunc(page.Files(), func(name string) bool {
		_, err := fs.Stat(dir, name)
		return err != nil
	})
	if len(used) == 0 {
		d.log.Warn("status page as it is built in: the directory for its files has none of them", zap.String("file", l.Assets), zap.Strings("names", page.Files()))
	} else {
		d.log.Info("status page made of files", zap.String("file", l.Assets), zap.Strings("names", used))
	}
	return dir
}

// elsewhere implements httpboot.Server.Elsewhere: a machine that came to a plain
// server, for a loader, goes on where the configuration says https.
func (l *listener) elsewhere() (bootfiles.Web, bool) {
	web := l.settings.Load().web
	return web, web.TLS
}

// tell gives the listeners the settings of a configuration, whose listeners they
// are, in its order. Machines are told of the first HTTP and of the first TFTP
// server; if that HTTP server has a certificate, firmware is told of the first
// without, if there is one.
func tell(listeners []*listener, conf []placed, certs []*tls.Config, addresses []*dhcp4.Addresses) {
	var web, plain bootfiles.Web
	var tftp netip.Addr
	for i, c := range slices.Backward(conf) {
		switch c.Kind {
		case config.HTTP:
			web = bootfiles.Web{Addr: told(c.Listener), Port: listeners[i].port, TLS: certs[i] != nil}
			if !web.TLS {
				plain = web
			}
		case config.TFTP:
			tftp = told(c.Listener)
		}
	}
	if plain == web {
		plain = bootfiles.Web{}
	}
	for i, c := range conf {
		s := &settings{Listener: c.Listener, web: web, plain: plain, tftp: tftp, tls: certs[i]}
		s.dhcp = dhcp4.Settings{Only: s.Interfaces, Advertise: s.Advertise, TFTP: s.tftp, Web: s.web, Plain: s.plain, Relays: s.Relays, Relayed: s.Relayed, Addresses: addresses[i]}
		if a := s.Address.Addr(); s.Kind == config.DHCP && !a.IsUnspecified() {
			s.dhcp.Address = a
		}
		listeners[i].settings.Store(s)
	}
}

// told is the address that machines are told for l: the one that the operator
// advertises, or the only one that it listens on. The zero Addr: the address
// at which each machine reaches us.
func told(l config.Listener) netip.Addr {
	if l.Advertise.IsValid() {
		return l.Advertise
	}
	if a := l.Address.Addr(); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

func listenTCP(a netip.AddrPort) (net.Listener, error) {
	network := "tcp" // [::] takes both families
	if a.Addr().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, a.String())
}

// closeFunc is a net.Listener that is closed by a function.
type closeFunc struct {
	net.Listener
	close func()
}

func (c closeFunc) Close() error {
	c.close()
	return nil
}

// taken reports whether it is the errors of bindError, and each is that another
// program has the port.
func taken(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(all.Unwrap(), func(err error) bool { return !taken(err) })
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// errPrivilege is the way out where a listener may not have its port, said once for all
// of them.
var errPrivilege = errors.New("ports below 1024 need root or CAP_NET_BIND_SERVICE, and `share = true` needs CAP_NET_RAW: the service has both (`systemctl start pixiecore`), and so has sudo")

// bindError says which listener it was and the way out.
func bindError(l config.Listener, err error) error {
	way := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		way = "; another program has the port"
		if who, ok := ports.Find(l.Kind.Transport(), l.Address.Port()); ok {
			way = fmt.Sprintf("; %s has the port", who)
		}
		if l.Kind == config.DHCP {
			way += ": `share = true` in the listener listens beside a DHCP server (and one listener with `interfaces` serves several networks)"
		} else {
			way += ": stop it, or name another address in the listener"
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		way = "; no interface of this host has that address"
	}
	at := ""
	if l.Pos != "" {
		at = l.Pos + ": "
	}
	return fmt.Errorf("%slistener %q %s: %w%s", at, l.Kind, l.Address, err, way)
}

// tftpFiles serves the virtual directory by TFTP.
type tftpFiles struct {
	tree       bootfiles.Tree
	listener   *listener
	interfaces *netio.Interfaces
	events     *events.Log
	log        *zap.Logger
}

// Open implements tftp.Files.
func (f tftpFiles) Open(ctx context.Context, r tftp.Request) (tftp.File, error) {
	set := f.listener.settings.Load()
	if iface, ok := f.interfaces.ByIndex(r.Interface); len(set.Interfaces) > 0 && (!ok || !slices.Contains(set.Interfaces, iface.Name)) {
		f.listener.drops.Add(drops.Interface)
		return tftp.File{}, fmt.Errorf("%w: the configuration leaves this interface out", tftp.ErrDenied)
	}
	path := r.Path
	if path == bootfiles.FirstOfPi {
		if mac := netio.Neighbour(r.Remote.Addr()); mac != nil {
			path = bootfiles.BoardDirectory(mac) + "/" + path
		}
	}
	file, err := f.tree.Open(ctx, path, r.Remote.Addr(), set.web.Base(r.Local))
	if err != nil {
		f.listener.drops.Add(bootfiles.Dropped(err))
	}
	if errors.Is(err, bootfiles.ErrRefused) {
		return tftp.File{}, fmt.Errorf("%w: %w", tftp.ErrDenied, err)
	}
	if err != nil {
		return tftp.File{}, err
	}
	if file.Problem != "" {
		f.listener.drops.Add(drops.Failed)
		f.log.Warn("machine not booted", zap.Stringer("mac", file.Machine.MAC), zap.String("rule", file.Rule), zap.Uint64("gen", file.Gen), zap.String("problem", file.Problem))
		if len(file.Machine.MAC) == len(events.MAC{}) {
			f.events.Add([6]byte(file.Machine.MAC), events.Event{Kind: events.Failed, Rule: file.Rule, Gen: file.Gen, Via: "tftp", Fault: events.FaultScript, Detail: file.Problem})
		}
	}
	if len(file.Machine.MAC) == len(events.MAC{}) {
		if pin := f.tree.Boots.WentOn([6]byte(file.Machine.MAC)); pin != "" {
			f.log.Info(dhcp4.TookAnother, zap.Stringer("mac", file.Machine.MAC), zap.String("rule", file.Rule), zap.String("pin", pin))
		}
	}
	t := tftp.File{Name: file.Name, Size: int64(len(file.Data)), Content: bytes.NewReader(file.Data)}
	if file.Body != nil {
		if file.Size < 0 {
			file.Body.Close()
			f.listener.drops.Add(drops.Failed)
			return tftp.File{}, fmt.Errorf("%s: its server does not say how long it is, and TFTP has to: write a cache block", file.Name)
		}
		t.Size, t.Close = file.Size, file.Body.Close
		var ok bool
		if t.Content, ok = file.Body.(io.ReaderAt); !ok {
			t.Content = tftp.Stream(file.Body)
		}
	}
	if len(file.Machine.MAC) == len(events.MAC{}) && file.Problem == "" {
		s := &sending{log: f.events, file: file, size: t.Size}
		t.Acked, t.Close = s.acked, s.close
		t.Fields = []zap.Field{zap.Stringer("mac", file.Machine.MAC), zap.String("rule", file.Rule), zap.Uint64("gen", file.Gen)}
	}
	return t, nil
}

// A sending is a file on its way by TFTP, as a step of the boot that it is for. It
// begins when the client has said that it wants the file, and not its size alone.
type sending struct {
	log  *events.Log
	file bootfiles.File
	size int64
	step *events.Transfer // of the goroutine that sends
	at   atomic.Int64
}

func (s *sending) acked(bytes int64) {
	s.at.Store(bytes)
	if s.step != nil {
		return
	}
	e := events.Event{Kind: s.file.Kind.Event(), Rule: s.file.Rule, Gen: s.file.Gen, Via: "tftp", File: s.file.Name, Size: s.size, Final: s.file.Final()}
	s.step = s.log.Start([6]byte(s.file.Machine.MAC), e, s.at.Load)
}

func (s *sending) close() error {
	s.step.End(s.at.Load(), "")
	if s.file.Body != nil {
		return s.file.Body.Close()
	}
	return nil
}

// transferred notes a TFTP transfer that failed under its machine.
func (d *Daemon) transferred(t tftp.Transfer) {
	if t.Err == nil {
		return
	}
	mac, kind, ok := bootfiles.Tree{Boots: d.boots, Tokens: d.tokens}.Whose(t.Path)
	if !ok || errors.Is(t.Err, tftp.ErrNotFound) && kind == bootfiles.KindFirmware {
		return // a Raspberry Pi asks for much that need not be there
	}
	fixed := d.boots.Fixed(mac)
	what := events.Failed
	if errors.Is(t.Err, bootfiles.ErrRefused) {
		what = events.Ignored
	}
	detail := t.Err.Error()
	if digest := (*boot.DigestError)(nil); errors.As(t.Err, &digest) {
		detail = digest.Brief()
	}
	d.events.Add([6]byte(mac), events.Event{
		Kind: what, Rule: fixed.Rule, Gen: fixed.Gen(), Via: "tftp", File: t.File, Bytes: t.Bytes, BlockSize: t.BlockSize,
		Fault: faultOf(t), Detail: "TFTP " + path.Base(t.Path) + ": " + detail,
	})
}

// faultOf is what kind of failure it was.
func faultOf(t tftp.Transfer) events.Fault {
	switch {
	case errors.Is(t.Err, tftp.ErrNotFound):
		return events.FaultMissing
	case errors.Is(t.Err, tftp.ErrDenied):
		return events.FaultDenied
	case errors.Is(t.Err, boot.ErrUnverified):
		return events.FaultDigest
	case t.File == "":
		return events.FaultOther
	case !t.Answered:
		return events.FaultNoAnswer
	case t.Bytes == 0:
		return events.FaultFirstBlock
	}
	return events.FaultCut
}
