package httpboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Time limits and bounds of a connection.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	// drainTimeout bounds how long a clean stop waits for transfers.
	drainTimeout = 10 * time.Second
	// decideTimeout bounds one question to the Booter: more than the five seconds
	// that an API has, so that it is the API's error that is told.
	decideTimeout = 6 * time.Second
	// troubleFor is how long ago a boot may have begun for its diagnosis to be shown
	// at the next one.
	troubleFor = time.Hour
)

// A Server serves one listener.
type Server struct {
	Listener net.Listener // wrap it by Listener
	// Elsewhere says where machines that ask here are sent for what comes next: to
	// a server with a certificate, from one without. Nil, or false: here.
	Elsewhere func() (bootfiles.Web, bool)
	// Local answers what it matches to programs of this host. Nil: nothing is.
	Local  *http.ServeMux
	Tree   bootfiles.Tree
	Events *events.Log
	Drops  *drops.Counts // nil: nothing is counted
	Log    *zap.Logger
}

// String names the server in errors and status.
func (s *Server) String() string { return "http " + s.Listener.Addr().String() }

// Run serves until ctx is done, lets transfers finish within ten seconds, and
// then returns nil.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          warnings(s.Log),
		ConnState:         s.connState,
	}
	cut, err := netio.ServeHTTP(ctx, srv, s.Listener, drainTimeout)
	if cut {
		s.Log.Warn("transfers cut by the stop", zap.Duration("after", drainTimeout))
	}
	return err
}

// connState is what http.Server.ConnState calls, for the Listener.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	own := connOf(c)
	if own == nil {
		return
	}
	own.now(state)
	if state == http.StateClosed && own.evicted.Load() {
		s.Drops.Add(drops.Busy)
	}
}

// warnings is for what net/http has to say: a panic, or sockets running out.
func warnings(to *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(to, zap.WarnLevel)
	if err != nil {
		return zap.NewStdLog(to) // for a level that zap does not know; it knows this one
	}
	return std
}

// ServeHTTP dispatches on the path as it came.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Local != nil && !strings.HasPrefix(r.URL.Path, "/_/") && netio.FromThisHost(r) {
		if _, pattern := s.Local.Handler(r); pattern != "" {
			s.Local.ServeHTTP(w, r) // for it is what reads the values in a path
			return
		}
	}
	if r.URL.Path == bootfiles.FilePath && (r.Method == http.MethodPost || r.Method == http.MethodPut) {
		s.write(w, r)
		return
	}
	if link, ok := strings.CutPrefix(r.URL.Path, boot.LinkPath); ok {
		s.link(w, r, link)
		return
	}
	if !s.unburden(w, r) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.notAllowed(w)
		return
	}
	switch r.URL.Path {
	case bootfiles.ScriptPath:
		s.script(w, r)
	case bootfiles.FilePath:
		s.file(w, r)
	case "/_/booting":
		s.booting(w, r)
	default:
		s.tree(w, r)
	}
}

// Bounds of what a machine may say in the body of a request that needs none. Nothing of
// it is kept.
const (
	maxWord     = 1 << 20 // bytes
	wordTimeout = 2 * time.Second
)

// unburden takes a body that nobody has a use for off the connection, so that the next
// request can follow (RFC 9110 §9.3.1: that of a GET means nothing). Else net/http would,
// which waits for it for ever. It is false when it has answered, and the connection ends.
func (s *Server) unburden(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	err := s.hear(w, r)
	if err == nil {
		return true
	}
	w.Header().Set("Connection", "close")
	if errors.As(err, new(*http.MaxBytesError)) {
		s.drop(w, drops.Malformed, fmt.Sprintf("more than %d bytes", maxWord), http.StatusRequestEntityTooLarge)
	} else {
		s.drop(w, drops.Malformed, "the rest of the request did not come", http.StatusRequestTimeout)
	}
	return false
}

// hear reads the body of a request to its end, within maxWord and wordTimeout.
func (s *Server) hear(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	limit := func(t time.Time) {
		if err := control.SetReadDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
			s.Log.Debug("body without a time limit", zap.Error(err))
		}
	}
	limit(time.Now().Add(wordTimeout))
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxWord))
	if err == nil {
		limit(time.Time{}) // what comes next, or that the machine goes, may take its time
	}
	return err
}

// notAllowed refuses a method.
func (s *Server) notAllowed(w http.ResponseWriter) {
	w.Header().Set("Allow", "GET, HEAD")
	s.drop(w, drops.Malformed, "only GET and HEAD", http.StatusMethodNotAllowed)
}

// drop answers by a status, for a request that is not served, and counts it.
func (s *Server) drop(w http.ResponseWriter, why drops.Reason, text string, status int) {
	s.Drops.Add(why)
	http.Error(w, text, status)
}

// refusedBy is what a machine that is sent away is counted by.
func refusedBy(d boots.Decision) drops.Reason {
	if d.Held {
		return drops.Held
	}
	return drops.Ignored
}

// base is the server's address as the machine sees it: what it asked for, unless it
// is sent elsewhere.
func (s *Server) base(r *http.Request) string {
	if s.Elsewhere != nil && r.TLS == nil {
		if web, ok := s.Elsewhere(); ok {
			if local := localAddr(r); local != nil {
				return web.Base(local.AddrPort().Addr().Unmap())
			}
		}
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	host := r.Host
	if host == "" { // HTTP/1.0
		host = "localhost"
		if local := localAddr(r); local != nil {
			host = local.String()
		}
	}
	return scheme + host
}

// localAddr is the address that r came to; nil: it is not known.
func localAddr(r *http.Request) *net.TCPAddr {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return local
}

// errRequest is an answer by HTTP status.
type errRequest struct {
	status int
	text   string
}

func (e errRequest) Error() string { return e.text }

// machine reads who is asking from the query: a token, or what the caller
// says, with the facts that iPXE reports. Machine.Probed is false for the first
// request of a boot, which brings no facts yet.
func (s *Server) machine(q *query, r *http.Request) (m boot.Machine, id bootfiles.Machine, err error) {
	if t := q.token; t != "" {
		token, err := s.Tree.Tokens.Open(t)
		if err != nil {
			return m, id, errRequest{http.StatusBadRequest, "unknown token"}
		}
		id.Token, m = t, s.Tree.Machine(token)
		m.Peer = s.Tree.PeerOf(m, netio.Asker(r))
	} else {
		if id.MAC, err = net.ParseMAC(q.mac); err != nil || len(id.MAC) != 6 {
			return m, id, errRequest{http.StatusBadRequest, "missing or invalid mac"}
		}
		if m.MAC = id.MAC; q.facts == "1" {
			m.Facts = s.Tree.Boots.Script(id.MAC, time.Now())
		} else {
			m.Facts = s.Tree.Boots.Of(id.MAC)
		}
		id.Arch = q.arch
		typ, ok := archType(id.Arch, q.platform, q.buildarch)
		if !ok {
			return m, id, errRequest{http.StatusBadRequest, "missing or invalid arch"}
		}
		p, _ := typ.Platform()
		m.Arch, m.Firmware = p.Arch, p.Firmware
	}
	if m.Probed = q.facts == "1"; m.Probed {
		m.Facts = reported(q, m.Facts)
		if m.Firmware == boot.FirmwareX86PC && q.cpu == "x64" {
			m.Arch = boot.ArchX64
		}
	}
	return m, id, nil
}

// reported adds what iPXE says in the query to what is known from DHCP: nil where
// another DHCP server sent the machine here, and all that is known of its boot is that
// iPXE does it. What iPXE has no word for is a fact that the machine does not have.
func reported(q *query, dhcp *boot.Facts) *boot.Facts {
	f := boot.Facts{Known: boot.FactIPXE, IPXE: true}
	if dhcp != nil {
		f = *dhcp
	}
	for _, said := range [...]struct {
		fact boot.Fact
		to   *string
		text string
	}{
		{boot.FactSerial, &f.Serial, q.serial}, {boot.FactManufacturer, &f.Manufacturer, q.manufacturer}, {boot.FactProduct, &f.Product, q.product},
		{boot.FactAsset, &f.Asset, q.asset}, {boot.FactHostname, &f.Hostname, q.hostname},
	} {
		if said.text == "" {
			continue
		}
		if text := boots.Text(said.text); text != "" {
			f.Known |= said.fact
			*said.to = text
		}
	}
	// An address only, so that nothing else can stand where a file of the
	// configuration has ${machine.ip}: a zone (RFC 4007 §11) is any text.
	if ip, err := netip.ParseAddr(q.ip); err == nil && !ip.IsUnspecified() {
		f.Known |= boot.FactIP
		f.IP = ip.Unmap().WithZone("")
	}
	// The UUID of the DHCP request stands, so that a boot has one.
	if q.uuid != "" && !f.Knows(boot.FactUUID) {
		if uuid, err := boot.ParseUUID(q.uuid); err == nil && !boot.NoUUID(uuid) {
			f.Known |= boot.FactUUID
			f.UUID = uuid
		}
	}
	return &f
}

// archType is what an unannounced machine says of its platform: by the original's
// number (IA32 under a BIOS, or X64 under a UEFI), else by iPXE's settings platform
// and buildarch.
func archType(number, platform, buildarch string) (boot.ArchType, bool) {
	switch number {
	case "0":
		return 0x00, true
	case "1":
		return 0x07, true
	case "":
	default:
		return 0, false
	}
	switch platform {
	case "pcbios":
		return 0x00, buildarch == "i386" || buildarch == "x86_64"
	case "efi":
		switch buildarch {
		case "i386":
			return 0x06, true
		case "x86_64":
			return 0x07, true
		case "arm32":
			return 0x0a, true
		case "arm64":
			return 0x0b, true
		case "riscv64":
			return 0x1b, true
		case "loong64":
			return 0x27, true
		}
	}
	return 0, false
}

// script serves /_/ipxe.
//
// A rack that powers up asks for all of its scripts at once, so nothing is done here
// that the machine or the operator gains nothing by: no timer where nobody is waited
// for, no fields of a line that is not logged.
func (s *Server) script(w http.ResponseWriter, r *http.Request) {
	q := parseQuery(r.URL.RawQuery)
	m, id, err := s.machine(&q, r)
	var bad errRequest
	if errors.As(err, &bad) {
		s.Log.Debug("script not served", zap.String("peer", r.RemoteAddr), zap.Error(err))
		s.drop(w, drops.Malformed, bad.text, bad.status)
		return
	}
	mac, base := [6]byte(m.MAC), s.base(r)
	if !m.Probed {
		text(w, bootfiles.Stub(base, id))
		if line := s.Log.Check(zap.InfoLevel, "iPXE is asked for its facts"); line != nil {
			line.Write(zap.Stringer("mac", m.MAC), zap.String("peer", r.RemoteAddr))
		}
		s.Events.Add(mac, events.Event{Kind: events.Reporting, Via: "http"})
		return
	}
	s.Events.SetFacts(mac, events.Facts{
		Arch: m.Arch.Name(), Firmware: m.Firmware.String(), UUID: q.uuid, Serial: q.serial,
		Manufacturer: q.manufacturer, Product: q.product, Asset: q.asset,
		Hostname: q.hostname, IP: q.ip,
	})

	now := time.Now()
	d, err := s.Tree.Boots.DecideNow(r.Context(), m, now)
	fault := events.FaultScript
	if err == nil && d.Ask != nil {
		ctx, cancel := context.WithTimeout(r.Context(), decideTimeout)
		d, err = s.Tree.Boots.Await(ctx, d, m, now)
		cancel()
		if err != nil {
			fault = events.FaultAPI
		}
	}
	body := ""
	step := events.Event{Time: now, Kind: events.Script, Rule: d.Rule, Boot: d.Boot, Gen: d.Snapshot.Gen, Via: "http", Detail: d.Reason}
	switch {
	case err != nil:
	case d.Action == boot.Boot:
		notice := d.Notice
		if m.Firmware == boot.FirmwareX86PC && q.cpu == "unknown" {
			notice = strings.TrimPrefix(notice+"; this iPXE cannot ask the CPU, so the machine counts as ia32", "; ")
		}
		if why := s.Events.Trouble(mac, troubleFor, now); why != "" {
			notice = strings.TrimPrefix(notice+"; the boot before this one did not go on: "+why, "; ")
		}
		var spec *boot.Spec
		if err = bootfiles.Startable(m, d.Verdict); err != nil {
			break
		}
		if r.Method == http.MethodHead { // a probe, which gets nothing
			spec, err = d.SpecFor(m, base)
		} else {
			spec, err = s.Tree.Boots.SpecFor(r.Context(), d, m, base, now)
		}
		if err == nil {
			step.Final = spec.IpxeScript != "" // what that does is not known here
			body, err = bootfiles.Boot(base, spec, bootfiles.Machine{MAC: m.MAC, Token: id.Token}, notice)
		}
	case d.Action == boot.Local:
		body, step.Kind = bootfiles.LocalDisk(m.Firmware), events.Local
	case d.Action == boot.Park:
		body, step.Kind = bootfiles.Screen(base, id, d.Reason), events.Ignored
	default:
		s.Drops.Add(refusedBy(d))
		body, step.Kind = bootfiles.Leave(d.Refusal(m)), events.Ignored
	}
	if err != nil {
		reason := drops.Failed
		if errors.Is(err, boot.ErrUnverified) {
			reason, fault = drops.Unverified, events.FaultDigest
		}
		s.Drops.Add(reason)
		s.Log.Warn("script not made", append(about(m, d), zap.Error(err))...)
		s.Events.Add(mac, events.Event{Kind: events.Failed, Rule: d.Rule, Boot: d.Boot, Gen: d.Snapshot.Gen, Via: "http", Fault: fault, Detail: err.Error()})
		text(w, bootfiles.Screen(base, id, "no script for this machine: "+err.Error()))
		return
	}
	text(w, body)
	if d.Notice != "" {
		s.Log.Warn("machine boots all the same", append(about(m, d), zap.String("notice", d.Notice))...)
		s.Events.Add(mac, events.Event{Kind: events.Noticed, Rule: d.Rule, Gen: d.Snapshot.Gen, Detail: d.Notice})
	}
	if line := s.Log.Check(zap.InfoLevel, "script sent"); line != nil {
		line.Write(append(about(m, d), zap.String("peer", r.RemoteAddr), zap.Stringer("action", d.Action), zap.String("boot", d.Boot))...)
	}
	s.Events.Add(mac, step)
}

// about is what the log says of a machine and of what was decided for it.
func about(m boot.Machine, d boots.Decision) []zap.Field {
	return []zap.Field{
		zap.Stringer("mac", m.MAC), zap.String("arch", m.Arch.Name()), zap.Stringer("firmware", m.Firmware),
		zap.String("rule", d.Rule), zap.Uint64("gen", d.Snapshot.Gen),
	}
}

// shortText is what net/http counts by itself (http.ResponseWriter), in bytes.
const shortText = 2 << 10

// What each script says of itself. It is never modified.
var plainText, noStore = []string{"text/plain"}, []string{"no-store"}

// text answers with an iPXE script.
func text(w http.ResponseWriter, script string) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = plainText, noStore
	if len(script) > shortText {
		h.Set("Content-Length", strconv.Itoa(len(script)))
	}
	io.WriteString(w, script)
}

// file serves /_/file: the bytes behind a sealed ID.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	q := parseQuery(r.URL.RawQuery)
	id := q.name
	if id == "" {
		s.drop(w, drops.Malformed, "missing name", http.StatusBadRequest)
		return
	}
	if _, made, _ := boot.Made(s.Tree.Boots.Source.Current().Booter, boot.ID(id)); made {
		s.link(w, r, id+"/")
		return
	}
	d, refused := s.admit(r, &q, id)
	if refused != "" {
		s.Log.Info("file refused", zap.String("peer", r.RemoteAddr), zap.String("type", q.typ), zap.String("reason", refused))
		s.fileEvent(&q, d, events.Event{Kind: events.Ignored, Detail: refused})
		s.drop(w, refusedBy(d), refused, http.StatusForbidden)
		return
	}
	f, size, err := boot.OpenFile(r.Context(), d.Snapshot.Booter, boot.ID(id))
	if err != nil {
		if r.Context().Err() != nil {
			return // the machine has gone
		}
		reason, status, msg := drops.Failed, http.StatusBadGateway, "couldn't get file"
		detail, fault := msg+": "+err.Error(), events.FaultOther
		var digest *boot.DigestError
		switch {
		case errors.Is(err, boot.ErrNotFound):
			reason, status, msg = drops.NotFound, http.StatusNotFound, "no such file"
			detail, fault = msg+": "+err.Error(), events.FaultMissing
			s.Log.Debug("file not served", zap.String("peer", r.RemoteAddr), zap.Error(err))
		case errors.Is(err, boot.ErrUnverified):
			// 403: iPXE then says "Permission denied", and not that the server has a fault.
			reason, fault = drops.Unverified, events.FaultDigest
			status, msg, detail = http.StatusForbidden, err.Error(), err.Error()
			if errors.As(err, &digest) {
				msg, detail = digest.Error(), digest.Brief()
			}
			fallthrough
		default:
			if errors.Is(err, fs.ErrNotExist) {
				fault = events.FaultMissing
			}
			s.Log.Warn("file not served", zap.String("peer", r.RemoteAddr), zap.String("type", q.typ), zap.Error(err))
		}
		s.fileEvent(&q, d, events.Event{Kind: events.Failed, Fault: fault, Detail: detail})
		s.drop(w, reason, msg, status)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	start := time.Now()
	kind := events.File
	switch q.typ {
	case "kernel":
		kind = events.Kernel
	case "initrd":
		kind = events.Initrd
	}
	step := &step{Server: s, mac: s.whose(&q), Event: events.Event{Kind: kind, Rule: d.Rule, Boot: d.Boot, Gen: d.Gen(), Via: "http"}}
	sent, whole, err := s.send(w, r, f, size, q.typ, step)
	if err != nil {
		step.end(sent, "")
		s.fileEvent(&q, d, events.Event{Kind: events.Failed, Fault: events.FaultCut, Detail: "file cut short: " + err.Error()})
		breakOff(w)
	}
	if !whole {
		step.end(sent, "")
		return
	}
	s.Log.Info("file sent", zap.String("peer", r.RemoteAddr), zap.String("mac", boots.Text(q.mac)), zap.Stringer("type", kind), zap.Int64("bytes", sent),
		zap.Duration("took", time.Since(start)), zap.String("rule", d.Rule), zap.Uint64("gen", d.Gen()))
	step.end(sent, s.note(f, q.mac, kind.String()))
}

// breakOff ends the answer so that the machine sees a broken transfer, and not a
// short file.
func breakOff(w http.ResponseWriter) {
	http.NewResponseController(w).Flush() // else it sees nothing, as from a server that is down; an error changes nothing
	panic(http.ErrAbortHandler)
}

// note is what the operator should know of a file that was sent all the same, to
// stand behind the event.
func (s *Server) note(f io.Reader, mac, name string) string {
	n, ok := f.(boot.Noted)
	if !ok || n.Note() == "" {
		return ""
	}
	s.Log.Warn("file sent all the same", zap.String("mac", boots.Text(mac)), zap.String("type", name), zap.String("note", n.Note()))
	return n.Note()
}

// send answers with the bytes of f, which name calls in the log, and reports
// whether that was the whole file: not a probe, nor a part, nor to a machine that
// went away. The error is that of f, and has been logged. It begins the step, and
// the caller ends it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, f io.Reader, size int64, name string, as *step) (sent int64, whole bool, err error) {
	if file, ok := f.(io.ReadSeeker); ok {
		var modified time.Time
		if f, ok := f.(fs.File); ok {
			if info, err := f.Stat(); err == nil {
				modified, size = info.ModTime(), info.Size()
			}
		}
		http.ServeContent(w, r, "", modified, as.beginFile(r, file, size))
		// The writer is not wrapped, so the file itself says how far it was read,
		// and what it failed with.
		if sent, err = file.Seek(0, io.SeekCurrent); err != nil {
			s.Log.Warn("file cut short", zap.String("peer", r.RemoteAddr), zap.Int64("sent", sent), zap.Error(err))
			return sent, false, err
		}
	} else {
		if size >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		} else {
			s.Log.Warn("file of unknown size: iPXE will be very slow", zap.String("type", name))
		}
		if r.Method == http.MethodHead {
			return 0, false, nil
		}
		switch sent, err = io.Copy(w, as.begin(r, f, max(0, size))); {
		case err != nil && r.Context().Err() == nil:
			s.Log.Warn("file cut short", zap.String("peer", r.RemoteAddr), zap.Int64("sent", sent), zap.Error(err))
			return sent, false, err
		case err != nil:
			return sent, false, nil
		case size < 0:
			size = sent
		}
	}
	// That the machine has gone says nothing: it closes as soon as it has the last byte.
	return sent, r.Method != http.MethodHead && sent == size, nil
}

// admit asks whether the machine that a file's address names may have the file,
// and says why not, in a sentence for its screen.
//
// Only a token says whose a file is, and no token is made for who comes with
// nothing but a MAC address. An address without one, such as that machine's, a
// command line's, or one that a program has which uses the library, is a
// capability: who holds it gets the file, unless everything is on hold.
func (s *Server) admit(r *http.Request, q *query, id string) (d boots.Decision, refused string) {
	token, err := s.Tree.Tokens.Open(q.token)
	if err != nil {
		if d, refused := s.admitAnyone(); refused != "" {
			return d, refused
		}
		// What somebody has taken back from a machine, nobody who calls himself that gets.
		if m, ok := s.Tree.Boots.Reported(s.whose(q)); ok {
			if d, err := s.Tree.Boots.DecideNow(r.Context(), m, time.Now()); err == nil && d.Stopped {
				return d, d.Refusal(m)
			}
		}
		return s.admitAnyone()
	}
	m, ok := s.Tree.Boots.Reported(token.MAC[:])
	if !ok { // the server was restarted since
		m = s.Tree.Machine(token)
	}
	return s.admitMachine(r, m, id)
}

// admitAnyone asks whether the holder of an address may have its file.
func (s *Server) admitAnyone() (d boots.Decision, refused string) {
	d = boots.Undecided()
	d.Snapshot = s.Tree.Boots.Source.Current()
	refused = s.Tree.Boots.OnHold()
	d.Held = refused != ""
	return d, refused
}

// admitMachine asks whether the machine may have the file of that ID.
func (s *Server) admitMachine(r *http.Request, m boot.Machine, id string) (d boots.Decision, refused string) {
	mac := boots.MAC(m.MAC)
	// Who would have to be waited for is not asked: the machine has its script. Nor
	// is an error of the table its fault.
	d, err := s.Tree.Boots.DecideNow(r.Context(), m, time.Now())
	if err != nil || !d.Refuses() {
		if r.Method == http.MethodGet {
			s.Tree.Boots.Fetches(mac, id)
		}
		return d, ""
	}
	if resumes(r) && s.Tree.Boots.Fetched(mac, id) {
		return d, ""
	}
	return d, d.Refusal(m)
}

// resumes reports whether the request goes on with a file behind its beginning, as
// programs do after a broken connection (RFC 9110 §14.2), and those that read a
// file in pieces.
func resumes(r *http.Request) bool {
	first, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	return ok && first != "" && first[0] >= '1' && first[0] <= '9'
}

// whose is the machine that a file's address names: by its token, or by what
// anybody may write there, which is enough for a note of what happened.
func (s *Server) whose(q *query) net.HardwareAddr {
	if token, err := s.Tree.Tokens.Open(q.token); err == nil {
		return token.MAC[:]
	}
	if mac, err := net.ParseMAC(q.mac); err == nil && len(mac) == 6 {
		return mac
	}
	return nil
}

// fileEvent notes what became of a file.
func (s *Server) fileEvent(q *query, d boots.Decision, e events.Event) {
	if mac := s.whose(q); mac != nil {
		e.Rule, e.Boot, e.Gen, e.Via = d.Rule, d.Boot, d.Gen(), "http"
		s.Events.Add([6]byte(mac), e)
	}
}

// booting serves /_/booting: the last thing that iPXE fetches.
func (s *Server) booting(w http.ResponseWriter, r *http.Request) {
	text(w, "# Booting\n")
	q := parseQuery(r.URL.RawQuery)
	if mac := s.whose(&q); mac != nil {
		d := s.Tree.Boots.Fixed(mac)
		s.Log.Info("machine boots", zap.Stringer("mac", mac), zap.String("rule", d.Rule), zap.Uint64("gen", d.Gen()))
		s.Events.Add([6]byte(mac), events.Event{Kind: events.Booting, Rule: d.Rule, Boot: d.Boot, Gen: d.Gen(), Via: "http"})
		if r.Method == http.MethodGet {
			s.done(mac, boot.DoneByBooting, time.Time{})
		}
	}
}

// done notes that a machine has done what it boots once.
func (s *Server) done(mac net.HardwareAddr, by boot.DoneBy, issued time.Time) error {
	changed, err := s.Tree.Boots.Done(mac, by, issued, time.Now())
	log := s.Log.With(zap.Stringer("mac", mac), zap.String("by", string(by)))
	switch {
	case errors.Is(err, boot.ErrExpired):
		log.Info("machine is not done", zap.Error(err))
	case err != nil:
		log.Error("that a machine is done could not be kept: it counts as one that is not", zap.Error(err))
	case changed:
		log.Info("machine is done, and spent")
	}
	return err
}

// tree serves the virtual directory.
func (s *Server) tree(w http.ResponseWriter, r *http.Request) {
	f, err := s.Tree.Open(r.Context(), r.URL.Path, netio.Asker(r), s.base(r))
	switch {
	case errors.Is(err, boot.ErrNotFound):
		s.Log.Debug("file not served", zap.String("peer", r.RemoteAddr), zap.Error(err))
		s.drop(w, bootfiles.Dropped(err), "no such file", http.StatusNotFound)
		return
	case errors.Is(err, bootfiles.ErrRefused):
		s.Log.Info("file refused", zap.String("peer", r.RemoteAddr), zap.Error(err))
		s.drop(w, bootfiles.Dropped(err), err.Error(), http.StatusForbidden)
		return
	case err != nil:
		s.Log.Warn("file not served", zap.String("peer", r.RemoteAddr), zap.Error(err))
		s.drop(w, bootfiles.Dropped(err), "couldn't get file", http.StatusBadGateway)
		return
	}
	if f.Body != nil {
		s.body(w, r, f)
		return
	}
	if f.Problem != "" {
		s.Drops.Add(drops.Failed)
		s.Log.Warn("machine not booted", zap.Stringer("mac", f.Machine.MAC), zap.String("rule", f.Rule), zap.Uint64("gen", f.Gen), zap.String("problem", f.Problem))
		if len(f.Machine.MAC) == 6 {
			s.Events.Add([6]byte(f.Machine.MAC), events.Event{Kind: events.Failed, Rule: f.Rule, Gen: f.Gen, Via: "http", Fault: events.FaultScript, Detail: f.Problem})
		}
	}
	if f.Kind != bootfiles.KindLoader {
		text(w, string(f.Data))
		if len(f.Machine.MAC) == 6 && f.Problem == "" {
			s.Log.Info("file sent", zap.String("peer", r.RemoteAddr), zap.Stringer("mac", f.Machine.MAC), zap.Stringer("type", f.Kind.Event()), zap.String("file", f.Name), zap.Int("bytes", len(f.Data)), zap.String("rule", f.Rule), zap.Uint64("gen", f.Gen))
			s.Events.Add([6]byte(f.Machine.MAC), events.Event{Kind: f.Kind.Event(), Rule: f.Rule, Gen: f.Gen, Via: "http", File: f.Name})
		}
		return
	}
	mediaType(w.Header(), f.Name)
	step := &step{Server: s, mac: f.Machine.MAC, Event: events.Event{Kind: events.Loader, Rule: f.Rule, Gen: f.Gen, Via: "http", File: f.Name}}
	sent, whole, _ := s.send(w, r, bytes.NewReader(f.Data), int64(len(f.Data)), f.Name, step)
	step.end(sent, "")
	if whole && len(f.Machine.MAC) == 6 {
		s.Log.Info("loader sent", zap.Stringer("mac", f.Machine.MAC), zap.String("file", f.Name), zap.String("rule", f.Rule), zap.Uint64("gen", f.Gen))
	}
}

// mediaType says what a file of the tree is. UEFI tells a program from a disk image by
// that, or by the suffix where it says nothing (UEFI 2.10 §24.7.3.2).
func mediaType(h http.Header, name string) {
	h.Set("Content-Type", "application/octet-stream")
	switch path.Ext(name) {
	case ".efi":
		h.Set("Content-Type", "application/efi")
	case ".iso":
		h.Set("Content-Type", "application/vnd.efi-iso")
	case ".img":
		h.Set("Content-Type", "application/vnd.efi-img")
	}
}

// body answers with a file that is not in memory: a board's, or of a machine that boots
// by another loader than iPXE.
func (s *Server) body(w http.ResponseWriter, r *http.Request, f bootfiles.File) {
	defer f.Body.Close()
	mediaType(w.Header(), f.Name)
	step := &step{Server: s, mac: f.Machine.MAC, Event: events.Event{Kind: f.Kind.Event(), Rule: f.Rule, Gen: f.Gen, Via: "http", File: f.Name, Final: f.Final()}}
	sent, whole, err := s.send(w, r, f.Body, f.Size, f.Name, step)
	step.end(sent, "")
	switch {
	case err != nil:
		s.Events.Add([6]byte(f.Machine.MAC), events.Event{Kind: events.Failed, Rule: f.Rule, Gen: f.Gen, Via: "http", Fault: events.FaultCut, Detail: f.Name + " cut short: " + err.Error()})
		breakOff(w)
	case whole:
		s.Log.Info("file sent", zap.String("peer", r.RemoteAddr), zap.Stringer("mac", f.Machine.MAC), zap.Stringer("type", f.Kind.Event()), zap.String("file", f.Name), zap.Int64("bytes", sent), zap.String("rule", f.Rule), zap.Uint64("gen", f.Gen))
	}
}
