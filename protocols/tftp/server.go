package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Bounds of what clients can make the server hold.
const (
	maxTransfers        = 1024 // at a time: a goroutine, a socket, maxWindowBytes each
	maxTransfersPerAddr = 16
	openTimeout         = 10 * time.Second // for Files.Open
	drainTimeout        = 10 * time.Second // for transfers that run when Run is told to stop

	requestBatch       = 32               // requests read at a time
	dropLogInterval    = 10 * time.Second // between log lines about dropped requests
	unheardLogInterval = time.Second      // between those about clients that never answered
)

// What Files returns, wrapped or not, for a file that is not there (TFTP error 1)
// and for one that this client must not have (error 2). The client's screen shows
// the error's text, cut at 100 bytes.
var (
	ErrNotFound = boot.ErrNotFound
	ErrDenied   = errors.New("access denied")
)

var (
	errStopping   = errors.New("the server is stopping")
	errSlow       = fmt.Errorf("the file was not open within %v", openTimeout)
	errSuperseded = errors.New("the client has sent another request from the same port")
)

// Files is the tree of files that there are. Open may take up to 10 s before ctx
// ends; once it has returned, ctx goes on until the transfer ends. An error that wraps neither ErrNotFound nor ErrDenied is logged, and kept
// from the client. Open is called concurrently.
type Files interface {
	Open(ctx context.Context, r Request) (File, error)
}

// A Request is a client's wish for a file.
type Request struct {
	// Path has no slash in front and neither 0xFF nor control bytes behind.
	// Otherwise it is what the client sent, up to 512 bytes: ".." and
	// backslashes too, which mean nothing here.
	Path      string
	Remote    netip.AddrPort
	Local     netip.Addr // what the client asked, which can be a broadcast address
	Interface int        // the index of the one that the request came by; 0 if unknown
}

// A File is an open file. Its Content must be Size bytes long. Where it waits for a
// slow source, that must end with the context of Open: Run, when it stops, waits
// for ReadAt to return.
type File struct {
	Name    string      // for logs
	Fields  []zap.Field // likewise: whose it is
	Size    int64
	Content io.ReaderAt
	// Acked is called whenever the client has acknowledged more, with how many bytes
	// that are: 0 for the options. It must be quick. Nil: nobody asks.
	Acked func(bytes int64)
	Close func() error // called once if not nil
}

// A Transfer tells how a request ended.
type Transfer struct {
	Request
	File      string // File.Name; empty if none was opened
	Bytes     int64  // acknowledged by the client
	Duration  time.Duration
	BlockSize int // bytes; 0 if no file was opened
	Window    int // blocks
	// Answered is whether the client has acknowledged anything, be it the options.
	Answered bool
	fields   []zap.Field
	// Probe is a client that wanted to know the size, or that the file is there,
	// and ended the transfer before the first block. Err is nil then.
	Probe bool
	Err   error // nil if the client has acknowledged the whole file
}

// A Server answers read requests. Conn, Files, Interfaces and Log must be set. Conn
// is the caller's: Run does not close it.
type Server struct {
	Conn       netio.Conn
	Files      Files
	Interfaces *netio.Interfaces
	// SinglePort says of each new request whether its transfer goes over Conn's
	// port, too. Nil: none does.
	SinglePort func() bool
	// Free is called once, when Run does not need Conn any more: as a stop begins,
	// or when the last transfer on its port has ended.
	Free  func()
	Drops *drops.Counts // counts what is no request, and what is one too many; nil: nothing is counted
	// Done is called after each request that got as far as Files, concurrently.
	Done func(Transfer)
	Log  *zap.Logger

	limits *limits // nil but in tests
}

// limits are the bounds that tests reach sooner, and the ports of transfers.
type limits struct {
	transfers, perAddr int
	interval, drain    time.Duration
	dial               func(Request, netip.Addr) (port, error)
}

// String names the server in logs: "tftp 192.0.2.1:69".
func (s *Server) String() string { return "tftp " + s.Conn.LocalAddr().String() }

// Run serves until ctx is done. Then it reads no more requests, lets running
// transfers end within 10 s, cuts the others and returns nil. An error is of a
// socket that does not work any more.
func (s *Server) Run(ctx context.Context) error {
	r := &service{
		Server: s,
		bounds: limits{maxTransfers, maxTransfersPerAddr, defaultInterval, drainTimeout, newOwnPort},
		active: make(map[netip.AddrPort]*transfer),
		held:   make(map[netip.Addr]int),
	}
	if s.limits != nil {
		r.bounds = *s.limits
	}
	transfers, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	err := netio.Serve(ctx, s.Conn, requestBatch, maxRequest, func(batch []netio.Datagram) {
		for i := range batch {
			d := &batch[i]
			broken := drops.Contain(func() error {
				r.request(transfers, d)
				return nil
			})
			if broken != nil {
				r.Drops.Add(drops.Failed)
				r.Log.Warn("request not answered", zap.Stringer("client", d.Peer), zap.Error(broken))
			}
		}
	})

	var freeing sync.WaitGroup
	freeing.Go(func() {
		if err == nil {
			r.readOn(context.WithoutCancel(ctx))
		}
		if s.Free != nil {
			s.Free()
		}
	})
	defer freeing.Wait()
	idle := make(chan struct{})
	go func() {
		r.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(r.bounds.drain):
		cut(errStopping)
		r.wakeAll()
		<-idle
	}
	return err
}

// readOn reads for the transfers on Conn's port until the last has ended. A request
// that comes meanwhile is dropped, and its client asks again.
func (r *service) readOn(ctx context.Context) {
	if r.sharing.Load() == 0 {
		return // else a request might be read that another process is to answer
	}
	ctx, enough := context.WithCancel(ctx)
	var ending sync.WaitGroup
	ending.Go(func() {
		r.shared.Wait()
		enough()
	})
	defer ending.Wait()
	err := netio.Serve(ctx, r.Conn, requestBatch, maxRequest, func(batch []netio.Datagram) {
		for i := range batch {
			r.deliver(&batch[i])
		}
	})
	if err != nil {
		r.Log.Warn("transfers on one port cut", zap.Error(err))
	}
}

// A service is one Run.
type service struct {
	*Server
	bounds  limits
	buffers pool
	uncut   sync.Map // of every session
	running sync.WaitGroup
	shared  sync.WaitGroup // the running transfers on Conn's port
	sharing atomic.Int64   // how many they are

	mu     sync.Mutex
	active map[netip.AddrPort]*transfer // the latest of each client port
	held   map[netip.Addr]int           // transfers of each address
	count  int                          // of them all

	dropped seldom // requests that are one too many
	unheard seldom // transfers whose client never answered
}

// A transfer is a request that was let in.
type transfer struct {
	Request
	rrq    RRQ
	raw    string // the datagram
	cancel context.CancelCauseFunc

	repeated atomic.Bool // the same request came again
	waking   sync.Mutex
	conn     port     // nil until the file is open
	box      *mailbox // what came to Conn's port from the client; nil: the transfer has a port of its own
}

// wake makes the transfer look around.
func (t *transfer) wake() {
	t.waking.Lock()
	defer t.waking.Unlock()
	if t.conn != nil {
		_ = t.conn.SetReadDeadline(time.Unix(1, 0)) // fails if it has ended meanwhile
	}
}

// request answers one datagram, or starts what answers it.
func (r *service) request(ctx context.Context, d *netio.Datagram) {
	if a := d.Peer.Addr(); d.Peer.Port() == 0 || a.IsUnspecified() || a.IsMulticast() {
		return // nobody to answer
	}
	if r.deliver(d) {
		return
	}
	rrq, err := ParseRequest(d.Data)
	req := Request{Path: rrq.Path, Remote: d.Peer, Local: d.Local, Interface: d.Interface}
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		r.Drops.Add(drops.Malformed)
		r.refuse(req, refused)
		return
	case err != nil:
		r.Drops.Add(drops.Malformed)
		r.Log.Debug("datagram ignored", zap.Stringer("client", d.Peer), zap.Error(err))
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := &transfer{Request: req, rrq: rrq, raw: string(d.Data), cancel: cancel}
	if r.SinglePort != nil && r.SinglePort() {
		t.box = newMailbox()
	}
	if !r.admit(t) {
		cancel(nil)
		return
	}
	if t.box != nil {
		r.shared.Add(1)
		r.sharing.Add(1)
	}
	r.running.Go(func() {
		if t.box != nil {
			defer r.shared.Done()
			defer r.sharing.Add(-1)
		}
		start := time.Now()
		var result Transfer
		broken := drops.Contain(func() error {
			result = r.serve(ctx, t)
			return nil
		})
		if broken != nil {
			r.Drops.Add(drops.Failed)
			result = r.reject(ctx, Transfer{Request: t.Request}, broken)
		}
		result.Duration = time.Since(start)
		cancel(nil)
		r.forget(t)
		r.log(result)
		if r.Done != nil {
			r.Done(result)
		}
	})
}

// deliver hands a packet to the transfer on Conn's port that it is for, if there is
// one.
func (r *service) deliver(d *netio.Datagram) bool {
	r.mu.Lock()
	t := r.active[d.Peer]
	r.mu.Unlock()
	if t == nil || t.box == nil || !t.box.takes(d.Data) {
		return false
	}
	t.box.put(d.Data)
	return true
}

// admit takes t up unless it is a transfer that runs, or one too many.
func (r *service) admit(t *transfer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.active[t.Remote]
	if old != nil && old.raw == t.raw {
		old.repeated.Store(true)
		old.wake()
		return false
	}
	if r.count >= r.bounds.transfers || r.held[t.Remote.Addr()] >= r.bounds.perAddr {
		r.drop(t)
		return false
	}
	if old != nil {
		old.cancel(errSuperseded)
		old.wake()
	}
	r.active[t.Remote] = t
	r.held[t.Remote.Addr()]++
	r.count++
	return true
}

// drop counts a request that is one too many, and logs now and then. It is not
// answered: the client asks again, and by then there may be room.
func (r *service) drop(t *transfer) {
	r.Drops.Add(drops.Busy)
	if before, ok := r.dropped.now(time.Now(), dropLogInterval); ok {
		r.Log.Warn("requests dropped: too many transfers", zap.Int("dropped", before+1), zap.Int("transfers", r.count),
			zap.Int("of_this_client", r.held[t.Remote.Addr()]), zap.Stringer("client", t.Remote))
	}
}

func (r *service) forget(t *transfer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[t.Remote] == t {
		delete(r.active, t.Remote)
	}
	r.count--
	if r.held[t.Remote.Addr()]--; r.held[t.Remote.Addr()] == 0 {
		delete(r.held, t.Remote.Addr())
	}
}

func (r *service) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.active {
		t.wake()
	}
}

// serve opens the file and sends it.
func (r *service) serve(ctx context.Context, t *transfer) Transfer {
	result := Transfer{Request: t.Request}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	file, err := r.open(ctx, cancel, t)
	if err != nil {
		return r.reject(ctx, result, err)
	}
	if file.Close != nil {
		defer func() {
			if err := file.Close(); err != nil {
				r.Log.Debug("file closed with an error", zap.String("file", file.Name), zap.Error(err))
			}
		}()
	}
	result.File, result.fields = file.Name, file.Fields
	content, size := file.Content, file.Size
	if t.rrq.NetASCII {
		n, err := newNetASCII(content, size)
		if err != nil {
			return r.reject(ctx, result, err)
		}
		content, size = n, n.length()
	}

	iface, known := r.Interfaces.ByIndex(t.Interface)
	mtu := defaultMTU
	if known && iface.MTU > 0 {
		mtu = iface.MTU
	}
	terms := negotiate(t.rrq.Options, size, largestBlock(mtu, t.Remote.Addr().Is6()))
	result.BlockSize, result.Window = terms.blockSize, terms.windowSize

	var conn port
	if local := source(t.Request, iface); t.box != nil {
		conn = newSharedPort(r.Conn, t.box, t.Request, local)
	} else if conn, err = r.bounds.dial(t.Request, local); err != nil {
		return r.reject(ctx, result, err)
	}
	defer conn.Close()
	s := &session{
		transfer: t, terms: terms, window: newWindow(terms, size), content: content, size: size, pool: &r.buffers, uncut: &r.uncut,
		base: r.bounds.interval, told: file.Acked,
	}
	if terms.timeout != 0 {
		s.base = min(terms.timeout, maxInterval)
	}
	s.current = s.base
	t.waking.Lock()
	t.conn = conn
	t.waking.Unlock()
	t.repeated.Store(false) // while the file was opened: the first answer is for those, too

	err = s.run(ctx)
	if s.out != nil {
		r.buffers.put(s.out)
	}
	result.Bytes, result.Answered = s.bytes(), s.answered
	if s.oack != nil && !s.answered && isProbe(terms, err) {
		result.Probe = true
		return result
	}
	if refused := parting(err); refused != nil {
		_, _ = conn.Write(refused.packet()) // a courtesy: nothing depends on it
	}
	result.Err = err
	return result
}

// reject ends a transfer for which there is no socket yet.
func (r *service) reject(ctx context.Context, result Transfer, err error) Transfer {
	if ctx.Err() != nil {
		err = context.Cause(ctx) // rather than what Files made of it
	}
	if refused := parting(err); refused != nil {
		r.refuse(result.Request, refused)
	}
	result.Err = err
	return result
}

// isProbe reports whether a client that ended the transfer by err, having got no
// more than an OACK, has got what it wanted.
func isProbe(t terms, err error) bool {
	var said *clientError
	switch {
	case errors.As(err, &said):
		return true
	case errors.Is(err, errSuperseded):
		return t.sizeAsked
	case errors.Is(err, errSilent), errors.Is(err, errGone):
		return t.sizeOnly // with other options it wanted the file, and did not hear us
	default:
		return false
	}
}

// open calls Files within bounds. ctx and its cancel are of the whole transfer,
// since a file may be read as it comes in.
func (r *service) open(ctx context.Context, cancel context.CancelCauseFunc, t *transfer) (File, error) {
	limit := time.AfterFunc(openTimeout, func() { cancel(errSlow) })
	defer limit.Stop()
	file, err := r.Files.Open(ctx, t.Request)
	if err == nil && file.Size < 0 {
		err = errors.New("the size is not known")
		if file.Close != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return file, err
}

// refusalOf is what the client is told about err.
func refusalOf(err error) *refusal {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, ErrNotFound):
		return &refusal{codeNotFound, err.Error()}
	case errors.Is(err, ErrDenied):
		return &refusal{codeDenied, err.Error()}
	default: // the cause may hold what is not the client's to know
		return &refusal{codeUndefined, "the server cannot read this file now; its log says why"}
	}
}

// parting is what to tell the client when a transfer ends by err; nil if it is the
// client that ended it, or would take the answer for that to its next request.
func parting(err error) *refusal {
	var said *clientError
	switch {
	case err == nil, errors.As(err, &said), errors.Is(err, errSilent), errors.Is(err, errGone), errors.Is(err, errSuperseded):
		return nil
	case errors.Is(err, errStopping):
		return &refusal{codeUndefined, errStopping.Error()}
	default:
		return refusalOf(err)
	}
}

// refuse sends an ERROR from the server's port.
func (r *service) refuse(req Request, refused *refusal) {
	iface, _ := r.Interfaces.ByIndex(req.Interface)
	d := netio.Datagram{Data: refused.packet(), Peer: req.Remote, Local: source(req, iface)}
	_, err := r.Conn.WriteBatch([]netio.Datagram{d})
	r.Log.Debug("request refused", zap.Stringer("client", req.Remote), zap.String("file", ascii(req.Path)),
		zap.String("reason", refused.text), zap.Error(err))
}

// source is the address to answer req from, which came by iface: the one that was
// asked, or if that was a broadcast, what a client there would ask. The zero Addr
// leaves it to the routes.
func source(req Request, iface netio.Interface) netip.Addr {
	a := req.Local
	if a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !isBroadcast(a, iface) {
		return a
	}
	own, _ := iface.AddrFor(req.Remote.Addr())
	return own
}

// isBroadcast reports whether a is the limited broadcast or that of a network of
// iface (RFC 919 §7). A network of 31 or 32 bits has none (RFC 3021).
func isBroadcast(a netip.Addr, iface netio.Interface) bool {
	if !a.Is4() {
		return false
	}
	if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	for _, p := range iface.Prefixes {
		if p.Bits() < 31 && p.Contains(a) && !p.Contains(a.Next()) {
			return true
		}
	}
	return false
}

// dial makes the transfer's own socket, which hears nobody but the client.
func dial(req Request, local netip.Addr) (*net.UDPConn, error) {
	remote := req.Remote
	network := "udp4"
	var bind *net.UDPAddr
	if remote.Addr().Is6() {
		network = "udp6"
		remote = netip.AddrPortFrom(zoned(remote.Addr(), req.Interface), remote.Port())
		local = zoned(local, req.Interface)
	}
	if local.IsValid() {
		bind = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return net.DialUDP(network, bind, net.UDPAddrFromAddrPort(remote))
}

// zoned says which link a link-local address is of, if it does not say so itself.
func zoned(a netip.Addr, index int) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Zone() == "" && index != 0 {
		return a.WithZone(strconv.Itoa(index)) // package net takes the number, too
	}
	return a
}

func (r *service) log(t Transfer) {
	iface, _ := r.Interfaces.ByIndex(t.Interface)
	fields := []zap.Field{
		zap.Stringer("client", t.Remote), zap.String("file", ascii(t.Path)), zap.String("iface", iface.Name),
		zap.Int64("bytes", t.Bytes), zap.Duration("took", t.Duration), zap.Int("blksize", t.BlockSize), zap.Int("windowsize", t.Window),
	}
	fields = append(fields, t.fields...)
	var refused *refusal
	switch {
	case t.Probe:
		r.Log.Debug("file probed", fields...)
	case t.Err == nil:
		r.Log.Info("file sent", fields...)
	case errors.Is(t.Err, ErrNotFound), errors.Is(t.Err, ErrDenied), errors.As(t.Err, &refused):
		r.Log.Info("file refused", append(fields[:3], zap.Error(t.Err))...)
	case errors.Is(t.Err, errStopping), errors.Is(t.Err, errSuperseded):
		r.Log.Info("file not sent", append(fields, zap.Error(t.Err))...)
	case !t.Answered && (errors.Is(t.Err, errSilent) || errors.Is(t.Err, errGone)):
		// Whoever forges addresses makes hundreds of these each second. A client
		// that has answered once is there, and has a line of its own, below.
		r.Drops.Add(drops.Unheard)
		if before, ok := r.unheard.now(time.Now(), unheardLogInterval); ok {
			r.Log.Warn("file not sent", append(fields, zap.Error(t.Err), zap.Int("left_out", before))...)
		}
	default:
		r.Log.Warn("file not sent", append(fields, zap.Error(t.Err))...)
	}
}

// A seldom holds log lines of one kind back. The zero value is ready.
type seldom struct {
	mu   sync.Mutex
	last time.Time
	held int
}

// now reports whether a line may be written at t, which is so once in each interval, and
// how many were held back since the last one.
func (s *seldom) now(t time.Time, interval time.Duration) (held int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Sub(s.last) < interval {
		s.held++
		return 0, false
	}
	held = s.held
	s.last, s.held = t, 0
	return held, true
}
