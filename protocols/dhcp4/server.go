package dhcp4

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// A Role is which of the two ports a Server answers.
type Role uint8

const (
	// ProxyDHCP answers DISCOVERs on port 67.
	ProxyDHCP Role = iota
	// BootServer answers REQUESTs and INFORMs on port 4011.
	BootServer
)

// String names the role in logs and status.
func (r Role) String() string {
	if r == BootServer {
		return "pxe"
	}
	return "dhcp"
}

const (
	// decideTimeout bounds one question to the Booter: iPXE waits about two
	// seconds for a proxy's offer after the ordinary one.
	decideTimeout = 1800 * time.Millisecond
	// maxAsking bounds the requests that wait for somebody else's answer.
	maxAsking = 1024

	readBatch  = 64
	packetSize = 1500 // an Ethernet frame's worth; a larger request is not of a ROM
	// minReply is what every client takes (RFC 2131 §2: 576 octets of IP
	// datagram), less the headers of IP and UDP.
	minReply   = 576 - headers
	headers    = 28
	bootpFixed = 240 // the fields of BOOTP and the cookie
)

// Settings are what may change while a Server runs. They are never modified.
type Settings struct {
	Only      []string       // names of the interfaces to answer on; empty: all
	Address   netip.Addr     // answer as this address, on the interface that has it; the zero Addr: as each interface's own
	Advertise netip.Addr     // the address that machines are told; the zero Addr: that of the interface
	TFTP      netip.Addr     // where machines find the loader; the zero Addr: the same address
	Relays    []netip.Prefix // whose relayed requests a ProxyDHCP server answers; empty: those of all relays
	Relayed   bool           // a ProxyDHCP server answers relayed requests only, none of its own links
	Web       bootfiles.Web  // where machines find scripts
	Plain     bootfiles.Web  // where firmware finds its loader, for which https may be too much; the zero Web: there, too
	Addresses *Addresses     // that port 67 leases; nil: none, so that it is a ProxyDHCP server
}

// A Server answers one port.
type Server struct {
	Role       Role
	Conn       netio.Conn
	Boots      *boots.Memory    // decides, for the boot that the machine is in
	Settings   func() *Settings // called once for each request; other settings are at another address
	Tokens     boot.TokenKey
	Interfaces *netio.Interfaces
	Chains     *Chains
	Events     *events.Log
	Drops      *drops.Counts // nil: nothing is counted
	Log        *zap.Logger
	Clock      func() time.Time // nil: time.Now

	probes probes
}

// String names the server in errors and status.
func (s *Server) String() string { return fmt.Sprintf("%s %s", s.Role, s.Conn.LocalAddr()) }

// Run answers until ctx is done, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	out := make([]netio.Datagram, 0, readBatch)
	sent := make([]answer, 0, readBatch)
	var known forms
	var askers errgroup.Group
	askers.SetLimit(maxAsking)
	defer askers.Wait() // ctx is done by then, or the socket is of no use
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return netio.Serve(ctx, s.Conn, readBatch, packetSize, func(in []netio.Datagram) {
		out, sent = out[:0], sent[:0]
		known.begin()
		for i := range in {
			d := &in[i]
			sent = append(sent, answer{})
			a := &sent[len(sent)-1]
			switch err := drops.Contain(func() error { return s.answer(ctx, &known, d, a) }); {
			case err != nil:
				s.logUnanswered(d.Peer, a, err)
			case a.lease != nil && a.datagram.Data == nil: // it wants no answer
			case a.later == nil:
				out = append(out, a.datagram)
				continue
			default:
				s.goLater(ctx, &askers, d.Peer, *a)
			}
			sent = sent[:len(sent)-1]
		}
		s.send(out, sent)
	})
}

// goLater makes an answer beside the loop that reads.
func (s *Server) goLater(ctx context.Context, askers *errgroup.Group, peer netip.AddrPort, a answer) {
	asked := askers.TryGo(func() error {
		err := drops.Contain(func() (err error) {
			a, err = a.later(ctx)
			return err
		})
		switch {
		case ctx.Err() != nil: // the server stops
		case err != nil:
			s.logUnanswered(peer, &a, err)
		default:
			s.send([]netio.Datagram{a.datagram}, []answer{a})
		}
		return nil
	})
	if !asked {
		if a.forget != nil {
			a.forget()
		}
		s.logUnanswered(peer, &a, errOperator{errBusy})
	}
}

// send stores what was leased, writes the datagrams of the answers, and says what became of them.
func (s *Server) send(out []netio.Datagram, sent []answer) {
	s.store()
	for len(out) > 0 {
		n, err := s.Conn.WriteBatch(out)
		now := s.now()
		for i := range sent[:n] {
			s.record(&sent[i], now)
		}
		out, sent = out[n:], sent[n:]
		if err != nil && len(out) > 0 {
			s.Drops.Add(drops.Failed)
			s.Log.Warn("answer not sent", append(sent[0].fields(), zap.Error(err))...)
			out, sent = out[1:], sent[1:]
		}
	}
}

// An answer is one reply and what there is to say of it.
type answer struct {
	// later makes the answer where somebody else has to be asked for it. It may
	// block, so it is called beside the loop that reads; until then there is no
	// datagram.
	later func(context.Context) (answer, error)
	// forget is for who does not call later; nil: there is nothing to forget.
	forget func()

	hw       [6]byte // of a client that asks for an address
	lease    *lease  // its address; nil: none is told
	datagram netio.Datagram
	client   Client
	offering strategy.Offer
	decision boots.Decision
	file     string // empty where template tells it
	iface    string
	template *template // that it was made of; nil: of none
}

func (a *answer) fields() []zap.Field {
	var ip []zap.Field
	if a.lease != nil && a.lease.addr.IsValid() {
		ip = []zap.Field{zap.Stringer("ip", a.lease.addr)}
	}
	if a.client.Machine.MAC == nil { // it does not boot
		if a.hw != [6]byte{} {
			ip = append(ip, zap.Stringer("mac", net.HardwareAddr(a.hw[:])))
		}
		return append(ip, zap.String("iface", a.iface))
	}
	f := append(ip,
		zap.Stringer("mac", a.client.Machine.MAC),
		zap.String("arch", a.client.Machine.Arch.Name()),
		zap.Stringer("firmware", a.client.Machine.Firmware),
		zap.Stringer("stage", a.client.Stage),
		zap.String("rule", a.decision.Rule),
		zap.Uint64("gen", a.decision.Gen()),
		zap.String("iface", a.iface),
	)
	if a.template != nil {
		a.file = a.template.named(a.datagram.Data)
	}
	if a.file != "" {
		f = append(f, zap.String("file", a.file))
	}
	return f
}

// Reasons for no answer, beside those of Classify.
var (
	errGate      = errors.New("not a DHCP request")
	errType      = errors.New("message of another type than this port answers")
	errInterface = errors.New("came in by an interface that the configuration leaves out")
	errRelay     = errors.New("came by a relay that the configuration does not name")
	errUnrelayed = errors.New("came without a relay, and the configuration has broadcast = false")
	errIgnored   = errors.New("ignored: the configuration says so, or no rule matches")
	errOwnDisk   = fmt.Errorf("without an answer it goes on to its own disk (%w)", errIgnored)
	errTooLarge  = errors.New("answer is larger than the client takes")
	// U-Boot without CONFIG_SERVERIP_FROM_PROXYDHCP, which few have, asks for the
	// address of whichever OFFER comes first: 0.0.0.0, if that is a proxy's.
	errFirstOffer = errors.New("U-Boot would take an answer without an address for its address: let its DHCP server name this host (next-server, siaddr), where it then asks for pxelinux.cfg/01-MAC, or lease addresses here (mode = \"server\")")
	errBusy       = fmt.Errorf("%d requests wait for an answer already, so this one is not asked about: see why the API that the rule asks is slow", maxAsking)
)

// errOperator marks what the operator should act on.
type errOperator struct{ error }

func (e errOperator) Unwrap() error { return e.error }

// A faulty error is of a kind that diagnoses go by.
type faulty struct {
	error
	fault events.Fault
}

func (e faulty) Unwrap() error { return e.error }

// gate refuses what is no DHCP request from Ethernet hardware, before anything
// is allocated for it.
func gate(b []byte) bool {
	return len(b) >= bootpFixed && b[0] == 1 && b[2] == 6 && binary.BigEndian.Uint32(b[236:]) == 0x63825363
}

// A request is one that has been understood, with what its answer hangs on: all
// of one moment.
type request struct {
	*dhcpv4.DHCPv4 // nil where form is known, until somebody needs it: parse

	xid     [4]byte
	kind    dhcpv4.MessageType
	relay   netip.Addr // giaddr; 0.0.0.0 on the machine's own link
	address netip.Addr // ciaddr; 0.0.0.0 without one

	from  *netio.Datagram
	iface netio.Interface
	set   *Settings
	now   time.Time

	server netip.Addr // this server, as a client knows it that is leased an address

	// See fast.go.
	forms *forms // nil: the answer is not to be learnt from
	form  *form  // that the request has, if it is known
	known bool   // the form is, and stands for what Classify says
	spots spots
}

// understood is the request of a packet.
func (r *request) understood(p *dhcpv4.DHCPv4) {
	r.DHCPv4, r.xid, r.kind = p, p.TransactionID, p.MessageType()
	r.relay = netip.AddrFrom4([4]byte(p.GatewayIPAddr.To4()))
	r.address = netip.AddrFrom4([4]byte(p.ClientIPAddr.To4()))
}

// relayed reports whether it came by a relay. RFC 2131 §4.1: that writes its address
// into giaddr.
func (r *request) relayed() bool { return !r.relay.IsUnspecified() }

// token is what names the machine in the answer.
func (r *request) token(a *answer) boot.Token {
	return boot.Token{MAC: [6]byte(a.client.Machine.MAC), Type: a.client.Type, Time: r.now}
}

// handle decides one request, without waiting for anybody: see answer.later. With
// an error there is no answer; what is known of the client by then is in the
// answer all the same.
func (s *Server) handle(ctx context.Context, d netio.Datagram) (a answer, err error) {
	err = s.answer(ctx, nil, &d, &a)
	return a, err
}

// answer is handle for a loop that reads, which has its own forms; nil: none, so that
// everything is read of each request.
func (s *Server) answer(ctx context.Context, known *forms, d *netio.Datagram, a *answer) error {
	a.decision = boots.Undecided()
	if !gate(d.Data) {
		return errGate
	}
	r := request{from: d, set: s.Settings(), now: s.now()} // once: one request, one set
	var ok bool
	r.iface, ok = s.Interfaces.ByIndex(d.Interface)
	a.iface = r.iface.Name
	if len(r.set.Only) > 0 && (!ok || !slices.Contains(r.set.Only, r.iface.Name)) || r.set.Address.IsValid() && !r.iface.Has(r.set.Address) {
		return errInterface
	}
	if known != nil && r.set.Addresses == nil {
		if r.known = known.recognise(s, &r); r.known {
			a.client = r.form.clientOf(&r)
			return s.boot(ctx, &r, a)
		}
	}
	return s.read(ctx, &r, a)
}

// read is answer for a request of which nothing is known yet.
func (s *Server) read(ctx context.Context, r *request, a *answer) error {
	req, err := dhcpv4.FromBytes(r.from.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", errGate, err)
	}
	r.understood(req)
	switch {
	case s.Role == ProxyDHCP && (r.kind == dhcpv4.MessageTypeDiscover || r.set.Addresses != nil):
	case s.Role == BootServer && (r.kind == dhcpv4.MessageTypeRequest || r.kind == dhcpv4.MessageTypeInform):
	case s.Role == ProxyDHCP && r.kind == dhcpv4.MessageTypeRequest:
		s.overhear(req)
		return errType
	default:
		return errType
	}
	if s.Role == ProxyDHCP {
		if err := r.set.admit(r); err != nil {
			return err
		}
	}
	if s.Role == ProxyDHCP && r.set.Addresses != nil {
		*a, err = s.lease(ctx, *r, *a)
		return err
	}
	if a.client, err = Classify(req); err != nil {
		return err
	}
	return s.boot(ctx, r, a)
}

// overhear notes which DHCP server a machine that boots takes its address from: a
// client says so to all of them (RFC 2131 §3.1, step 3), and it is the only thing that
// a ProxyDHCP server ever sees of another.
func (s *Server) overhear(req *dhcpv4.DHCPv4) {
	if server, ok := optionAddr(req, dhcpv4.OptionServerIdentifier); ok && len(req.ClientHWAddr) == 6 {
		s.Events.Chose([6]byte(req.ClientHWAddr), server, s.now())
	}
}

// boot answers a machine that boots, without waiting for anybody.
func (s *Server) boot(ctx context.Context, r *request, a *answer) (err error) {
	m := &a.client.Machine
	mac := boots.MAC(m.MAC)
	m.Facts = s.hear(r, a, mac)
	s.Events.SetFacts(mac, events.Facts{Arch: m.Arch.Name(), Firmware: m.Firmware.String(), UUID: m.Facts.UUID, Serial: m.Facts.Serial})
	if r.kind == dhcpv4.MessageTypeDiscover {
		s.Events.Add(mac, events.Event{Time: r.now, Kind: a.client.asks(), Via: s.Role.String(), Detail: a.client.Stage.String()})
	}
	if r.kind != dhcpv4.MessageTypeDiscover || a.client.program() != boots.Firmware {
		if pin := s.Boots.WentOn(mac); pin != "" {
			s.Log.Info(TookAnother, zap.Stringer("mac", m.MAC), zap.Stringer("firmware", m.Firmware), zap.String("pin", pin))
		}
	}
	if a.decision, err = s.Boots.DecideNow(ctx, *m, r.now); err != nil {
		return errOperator{err}
	}
	if a.decision.Ask != nil {
		return s.ask(*r, a)
	}
	return s.reply(r, a)
}

// hear notes the request in the boot that it belongs to, and returns the facts of that.
func (s *Server) hear(r *request, a *answer, mac boots.MAC) *boot.Facts {
	q := boots.Request{
		MAC: mac, Transaction: r.xid, Program: a.client.program(), Discover: r.kind == dhcpv4.MessageTypeDiscover, Type: a.client.Type,
	}
	if !r.known {
		q.Facts = a.client.Machine.Facts
		arrived(q.Facts, s.Role, s.listener(r.set).String(), r.iface, r.from.Peer.Addr())
		return s.Boots.Heard(q, r.now)
	}
	facts, ok := s.Boots.HeardAgain(q, r.now)
	if !ok {
		q.Facts = s.factsOf(r, facts)
		facts = s.Boots.Heard(q, r.now)
	}
	return facts
}

// ask leaves the answer for later, when the datagram belongs to the next batch.
func (s *Server) ask(r request, a *answer) error {
	if err := r.parse(); err != nil {
		return err
	}
	from := *r.from
	from.Data = nil
	r.from, r.forms, r.form, r.known = &from, nil, nil, false
	waiting := *a
	waiting.client.UUID = bytes.Clone(a.client.UUID)
	a.later = func(ctx context.Context) (answer, error) {
		a := waiting
		wait := decideTimeout
		if w := a.decision.Wait; w > 0 {
			wait = min(w, wait)
		}
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		r.now = s.now()
		var err error
		if a.decision, err = s.Boots.Await(ctx, a.decision, a.client.Machine, r.now); err != nil {
			return a, errOperator{faulty{err, events.FaultAPI}}
		}
		r.now = s.now()
		err = s.reply(&r, &a)
		return a, err
	}
	return nil
}

// TookAnother is in the log when firmware has taken an offer only in another style than
// the usual one; its field pin is the line of a rule that makes it that at once.
const TookAnother = "machine took another style of offer"

// reply makes the answer that the verdict asks for.
func (s *Server) reply(r *request, a *answer) error {
	m := &a.client.Machine
	a.offering = strategy.For(m.Firmware, a.client.Stage, a.decision.Verdict).Styled(m.Firmware, a.client.Stage, a.decision.Verdict, s.Boots.Repeats([6]byte(m.MAC)))
	switch {
	case a.offering.Kind == strategy.Script:
		s.Chains.Worked([6]byte(m.MAC))
	case a.offering.Kind == strategy.Nothing:
		if a.decision.Action == boot.Local {
			return errOwnDisk
		}
		return errIgnored
	case a.offering.Kind == strategy.Extlinux, a.offering.Kind == strategy.ExtlinuxByHTTP:
		if a.client.Plain && a.lease == nil {
			return errFirstOffer
		}
	case a.offering.Program == strategy.AnyIPXE:
		if len(a.decision.Snapshot.Loader(*m, a.decision.Loader)) == 0 {
			return errOperator{faulty{fmt.Errorf("no loader for %s: `pixiecore check` says where it was looked for and what mends it", m.Firmware), events.FaultNoLoader}}
		}
		if a.client.Stage == strategy.IPXEWithoutHTTP && !s.mayChain(r, a) {
			a.offering = strategy.Offer{Kind: strategy.Screen}
		}
	}

	addr := r.server
	if a.lease == nil {
		var err error
		if addr, err = s.address(r); err != nil {
			return errOperator{err}
		}
	}
	if s.Role != BootServer && a.client.Stage == strategy.ROM {
		s.Boots.Offered([6]byte(m.MAC), a.offering.Style)
	}
	if r.known {
		if s.patch(r, a, addr) {
			return nil
		}
		if err := r.parse(); err != nil {
			return err
		}
	}
	return s.write(r, a, addr)
}

// write makes the datagram of the answer, which the address is told in, from nothing.
func (s *Server) write(r *request, a *answer, addr netip.Addr) error {
	m, set := &a.client.Machine, r.set
	token := s.Tokens.Seal(r.token(a))
	switch base := set.Web.Base(addr); a.offering.Kind {
	case strategy.Script:
		a.file = bootfiles.ScriptURL(base, token)
	case strategy.ByHTTP:
		if set.Plain != (bootfiles.Web{}) {
			base = set.Plain.Base(addr)
		}
		a.file = base + "/" + bootfiles.ProgramPath(token, *m, a.offering.Program)
	case strategy.Screen:
		a.file = "tftp://" + set.tftp(addr).String() + "/" + bootfiles.ScreenPath(token)
	case strategy.ExtlinuxByHTTP:
		a.file = base + "/" + bootfiles.BoardPath(token)
	case strategy.Extlinux:
		a.file = bootfiles.BoardPath(token)
	case strategy.ByTFTP:
		a.file = bootfiles.ProgramPath(token, *m, a.offering.Program)
		if a.client.Stage != strategy.ROM {
			// iPXE takes a bare name for one on the ordinary DHCP server.
			a.file = "tftp://" + set.tftp(addr).String() + "/" + a.file
		}
	}

	if a.offering.Style == boot.StyleBootServers && s.Role != BootServer {
		a.file = "" // that of the menu's item is told on port 4011
	}
	e := Endpoint{Addr: addr, TFTP: set.TFTP, File: a.file}
	var resp *dhcpv4.DHCPv4
	switch {
	case s.Role == BootServer:
		resp = Ack(r.DHCPv4, a.client, a.offering, e)
	case a.lease != nil:
		resp = reply(a.lease.message, r.DHCPv4, a.client, a.offering, e)
		a.lease.tell(resp, set.Addresses)
	default:
		resp = Offer(r.DHCPv4, a.client, a.offering, e)
	}
	if err := s.seal(r, a, resp, addr); err != nil {
		return err
	}
	if r.forms != nil {
		r.forms.remember(r, a, addr, token)
	}
	return nil
}

// mayChain reports whether a machine whose iPXE cannot load by HTTP is given our loader.
func (s *Server) mayChain(r *request, a *answer) bool {
	if a.lease != nil && a.lease.message != dhcpv4.MessageTypeOffer || s.Role == BootServer {
		return true // it goes on with what its DISCOVER was allowed
	}
	return s.Chains.Allow([6]byte(a.client.Machine.MAC), r.xid, r.now)
}

// seal makes the datagram of an answer, which is sent from addr.
func (s *Server) seal(r *request, a *answer, resp *dhcpv4.DHCPv4, addr netip.Addr) error {
	nak := resp.MessageType() == dhcpv4.MessageTypeNak
	a.datagram = s.way(r, addr, nak)
	a.datagram.Data = resp.ToBytes()
	if limit := replyLimit(r.DHCPv4); len(a.datagram.Data) > limit {
		// What is echoed makes it so: option 82, or a client identifier.
		return errOperator{fmt.Errorf("%w: %d bytes of %d", errTooLarge, len(a.datagram.Data), limit)}
	}
	return nil
}

// way is the way that an answer takes which is sent from addr.
func (s *Server) way(r *request, addr netip.Addr, nak bool) netio.Datagram {
	d := netio.Datagram{Local: addr, Interface: r.from.Interface}
	if s.Role == BootServer {
		// PXE 2.1 §2.2.4: unicast, to the port that the client asked from.
		d.Peer = r.from.Peer
	} else {
		client := r.address
		if nak {
			client = netip.IPv4Unspecified() // RFC 2131 §4.1: by broadcast, also to a client that has an address
		}
		d.Peer, d.Interface = destination(r.relay, client, r.from.Interface)
	}
	if r.set.Advertise.IsValid() {
		d.Local = netip.Addr{} // it need not be an address of this host
	}
	return d
}

// admit refuses a request that came another way than the operator wants to
// serve. A relay is known by giaddr, where the answer goes and nowhere else.
func (s *Settings) admit(r *request) error {
	switch {
	case !r.relayed() && s.Relayed:
		if !r.address.IsUnspecified() && s.Addresses != nil {
			return nil // a renewal, which does not come by the relay
		}
		return errUnrelayed
	case r.relayed() && len(s.Relays) > 0 && !slices.ContainsFunc(s.Relays, func(p netip.Prefix) bool { return p.Contains(r.relay) }):
		return fmt.Errorf("%w: %s", errRelay, r.relay)
	}
	return nil
}

// replyLimit is the largest reply that the client takes (RFC 2132 §9.10).
func replyLimit(req *dhcpv4.DHCPv4) int {
	if v := req.Options.Get(dhcpv4.OptionMaximumDHCPMessageSize); len(v) == 2 {
		return min(max(int(binary.BigEndian.Uint16(v))-headers, minReply), packetSize-headers)
	}
	return minReply
}

// address is the one at which this machine reaches this server.
func (s *Server) address(r *request) (netip.Addr, error) {
	if r.set.Advertise.IsValid() {
		return r.set.Advertise, nil
	}
	if r.set.Address.IsValid() {
		return r.set.Address, nil
	}
	if r.relayed() {
		// The machine is not on the relay's link to us; what the relay reaches,
		// so does the machine.
		if a, ok := s.Interfaces.Route(r.relay); ok {
			return a, nil
		}
		return netip.Addr{}, fmt.Errorf("no route to the relay %s", r.relay)
	}
	if r.iface.Has(r.from.Local) {
		return r.from.Local, nil // a unicast: the address that was asked
	}
	if a, ok := r.iface.AddrFor(r.from.Peer.Addr()); ok {
		return a, nil
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no IPv4 address to answer from: give it one, or set advertise in the listener", r.iface.Name)
}

// listener is the address that the operator gave this listener.
func (s *Server) listener(set *Settings) netip.AddrPort {
	a := s.Conn.LocalAddr()
	if set.Address.IsValid() {
		return netip.AddrPortFrom(set.Address, a.Port())
	}
	return a
}

func (s *Settings) tftp(addr netip.Addr) netip.Addr {
	if s.TFTP.IsValid() {
		return s.TFTP
	}
	return addr
}

// record says that an answer has gone out.
func (s *Server) record(a *answer, now time.Time) {
	if l := a.lease; l != nil && (a.client.Machine.MAC == nil || l.message != dhcpv4.MessageTypeOffer) {
		s.Log.Info("address "+l.what(), a.fields()...)
		return
	}
	kind, phrase, via := events.Offered, "offer sent", s.Role.String()
	if s.Role == BootServer {
		kind, phrase = events.BootServer, "boot server answer sent"
	}
	if a.offering.Kind == strategy.LocalMenu {
		kind = events.Local
	}
	if line := s.Log.Check(zap.InfoLevel, phrase); line != nil { // else its fields cost more than the rest of this
		line.Write(append(a.fields(), zap.Stringer("offering", a.offering))...)
	}
	s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Time: now, Kind: kind, Rule: a.decision.Rule, Boot: a.decision.Boot, Gen: a.decision.Gen(), Via: via, Detail: a.offering.String()})
	if a.offering.Kind == strategy.Screen {
		s.Log.Warn("machine is shown why it does not boot", append(a.fields(), zap.String("cause", bootfiles.NoHTTP))...)
		s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Time: now, Kind: events.Failed, Fault: events.FaultNoHTTP, Rule: a.decision.Rule, Boot: a.decision.Boot, Gen: a.decision.Gen(), Via: via, Detail: bootfiles.NoHTTP})
		return
	}
	if n := a.decision.Notice; n != "" {
		s.Log.Warn("machine boots all the same", append(a.fields(), zap.String("notice", n))...)
		s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Time: now, Kind: events.Noticed, Rule: a.decision.Rule, Gen: a.decision.Gen(), Detail: n})
	}
}

// reasonOf is what a request that got no answer is counted by.
func reasonOf(a *answer, err error) drops.Reason {
	if errors.Is(err, errIgnored) && a.decision.Held {
		return drops.Held
	}
	for _, of := range [...]struct {
		error
		drops.Reason
	}{
		{errGate, drops.Malformed}, {errNotRequest, drops.Malformed}, {errType, drops.OtherMessage}, {errNotPXE, drops.NoNetBoot},
		{errUnknownType, drops.UnknownArch}, {errInterface, drops.Interface}, {errRelay, drops.Relay}, {errUnrelayed, drops.NotRelayed},
		{errIgnored, drops.Ignored}, {errBusy, drops.Busy}, {errFirstOffer, drops.OtherMessage},
		{errStranger, drops.OtherMessage}, {errElsewhere, drops.OtherMessage}, {errOtherServer, drops.OtherMessage},
		{errNotLeased, drops.OtherMessage}, {errProbing, drops.Busy}, {errNoAddress, drops.Malformed},
	} {
		if errors.Is(err, of.error) {
			return of.Reason
		}
	}
	return drops.Failed
}

// logUnanswered counts a request that got no answer, and says why, at the level
// that fits.
func (s *Server) logUnanswered(peer netip.AddrPort, a *answer, err error) {
	s.Drops.Add(reasonOf(a, err))
	var operator errOperator
	var broken *drops.Broken
	if errors.As(err, &operator) || errors.As(err, &broken) {
		s.Log.Warn("request not answered", append(a.fields(), zap.Error(err))...)
		if a.client.Machine.MAC == nil {
			return
		}
		var why faulty
		errors.As(err, &why)
		s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Time: s.now(), Kind: events.Failed, Rule: a.decision.Rule, Gen: a.decision.Gen(), Via: s.Role.String(), Fault: why.fault, Detail: err.Error()})
		return
	}
	if a.client.Machine.MAC == nil {
		s.Log.Debug("request not answered", append(a.fields(), zap.Stringer("peer", peer), zap.Error(err))...)
		return
	}
	if errors.Is(err, errFirstOffer) {
		s.Log.Info("request not answered", append(a.fields(), zap.Error(err))...)
		return
	}
	s.Log.Debug("request not answered", append(a.fields(), zap.Error(err), zap.String("reason", a.decision.Reason))...)
	if errors.Is(err, errIgnored) {
		s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Time: s.now(), Kind: events.Ignored, Rule: a.decision.Rule, Gen: a.decision.Gen(), Detail: a.decision.Reason})
	}
}
