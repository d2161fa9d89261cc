package dhcp6

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

const (
	// Port is where servers and relays listen, ClientPort where clients do
	// (RFC 8415 §7.2).
	Port       = 547
	ClientPort = 546

	// decideTimeout bounds one question to the Booter. A client repeats its SOLICIT
	// after a second (RFC 8415 §7.6, SOL_TIMEOUT).
	decideTimeout = 1800 * time.Millisecond
	// maxAsking bounds the requests that wait for somebody else's answer.
	maxAsking = 1024

	readBatch  = 64
	packetSize = 1500
	// joinEvery is how often interfaces are looked for that are new.
	joinEvery = 2 * time.Second
)

// AllServers is All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1).
var AllServers = netip.MustParseAddr("ff02::1:2")

// Settings are what may change while a Server runs.
type Settings struct {
	Only       []string      // names of the interfaces to answer on; empty: all
	Advertise  netip.Addr    // the address that machines are told; the zero Addr: that of the interface
	TFTP       netip.Addr    // where machines find the loader; the zero Addr: the same address
	Web        bootfiles.Web // where machines find scripts
	Plain      bootfiles.Web // where firmware finds its loader, for which https may be too much; the zero Web: there, too
	Pool       leases.Pool   // of no Size: boot information only, beside another DHCPv6 server
	Reserver   Reserver      // in place of Pool, of which the Lifetime counts all the same; the zero Reserver: none
	Preferred  time.Duration // of the addresses' lifetime; 0: all but 3 % of it
	Preference *uint8        // nil: none is told
	DNS        []netip.Addr
	// URL decides the boot file in place of the rules, for whoever asks for one (option
	// 59), by the client's identifier and its architecture type, or 0: see Identifier. It
	// may block. Nil: the rules decide.
	URL func(id []byte, arch uint16) (string, error)
}

// A Server answers one port.
type Server struct {
	Conn       netio.Conn
	Join       func(index int) error // makes Conn hear AllServers on the interface of that index (netio.JoinGroup)
	DUID       []byte                // the server's identifier, which stays over restarts (RFC 8415 §11)
	Boots      *boots.Memory
	Settings   func() Settings // called once for each request
	Tokens     boot.TokenKey
	Interfaces *netio.Interfaces
	Leases     *leases.Leases
	Events     *events.Log
	Drops      *drops.Counts // nil: nothing is counted
	Log        *zap.Logger

	clientPort uint16 // 0: ClientPort
}

// String names the server in errors and status.
func (s *Server) String() string { return "dhcp6 " + s.Conn.LocalAddr().String() }

// Run answers until ctx is done, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	var askers errgroup.Group
	askers.SetLimit(maxAsking)
	var joining sync.WaitGroup
	defer func() { // ctx is done by then, or the socket is of no use
		askers.Wait()
		joining.Wait()
	}()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	joining.Go(func() { s.join(ctx) })
	var out []reply
	return netio.Serve(ctx, s.Conn, readBatch, packetSize, func(in []netio.Datagram) {
		out = out[:0]
		for _, d := range in {
			a := reply{decision: boots.Undecided()}
			err := drops.Contain(func() (err error) {
				a, err = s.handle(ctx, d)
				return err
			})
			switch {
			case err != nil:
				s.logUnanswered(d, a, err)
			case a.later == nil:
				out = append(out, a)
			default:
				d.Data = nil // it belongs to the next batch
				asked := askers.TryGo(func() error {
					err := drops.Contain(func() (err error) {
						a, err = a.later(ctx)
						return err
					})
					switch {
					case ctx.Err() != nil: // the server stops
					case err != nil:
						s.logUnanswered(d, a, err)
					default:
						s.send([]reply{a})
					}
					return nil
				})
				if !asked {
					s.logUnanswered(d, a, errOperator{errBusy})
				}
			}
		}
		s.send(out)
	})
}

// join makes the socket hear the multicasts of every interface that is to be
// served, and of those that come later.
func (s *Server) join(ctx context.Context) {
	joined := map[int]bool{}
	failed := map[int]bool{}
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	for {
		only := s.Settings().Only
		present := map[int]bool{}
		for _, i := range s.Interfaces.All() {
			present[i.Index] = true
			if !i.Up || joined[i.Index] || len(only) > 0 && !slices.Contains(only, i.Name) {
				continue
			}
			err := s.Join(i.Index)
			joined[i.Index] = err == nil
			if err != nil && !failed[i.Index] {
				failed[i.Index] = true
				level := zap.DebugLevel // of a tunnel, for example, on which nobody boots
				if len(only) > 0 {
					level = zap.WarnLevel // the operator has named it
				}
				s.Log.Log(level, "requests by an interface cannot be heard", zap.String("iface", i.Name), zap.Error(err))
			}
		}
		for index := range joined {
			if !present[index] { // its index may come again
				delete(joined, index)
				delete(failed, index)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// send stores the leases of the answers, writes their datagrams, and says what
// became of them.
func (s *Server) send(out []reply) {
	if len(out) == 0 {
		return
	}
	if err := s.Leases.Flush(); err != nil {
		// The machines boot all the same: what is forgotten is asked for again, and
		// the hash gives the same address.
		s.Log.Warn("leases not stored; they are kept in memory", zap.Error(err))
	}
	datagrams := make([]netio.Datagram, len(out))
	for i, a := range out {
		datagrams[i] = a.datagram
	}
	for len(out) > 0 {
		n, err := s.Conn.WriteBatch(datagrams)
		for _, a := range out[:n] {
			s.record(a)
		}
		out, datagrams = out[n:], datagrams[n:]
		if err != nil && len(out) > 0 {
			s.Drops.Add(drops.Failed)
			s.Log.Warn("answer not sent", append(out[0].fields(), zap.Error(err))...)
			out, datagrams = out[1:], datagrams[1:]
		}
	}
}

// A reply is one answer and what there is to say of it.
type reply struct {
	// later makes the answer where somebody else has to be asked for it. It may
	// block, so it is called beside the loop that reads.
	later func(context.Context) (reply, error)

	datagram netio.Datagram
	of       string // the type of the request: "SOLICIT"
	kind     string // the type of the answer: "ADVERTISE", "REPLY"
	client   Client
	decision boots.Decision
	url      string
	iface    string
}

func (a reply) fields() []zap.Field {
	m := a.client.Machine
	f := []zap.Field{zap.Stringer("mac", m.MAC), zap.Stringer("stage", a.client.Stage), zap.String("of", a.of), zap.String("iface", a.iface)}
	if a.client.Stage != strategy.Other {
		f = append(f, zap.String("arch", m.Arch.Name()), zap.Stringer("firmware", m.Firmware),
			zap.String("rule", a.decision.Rule), zap.Uint64("gen", a.decision.Gen()))
	}
	if a.url != "" {
		f = append(f, zap.String("url", a.url))
	}
	return f
}

// Reasons for no answer.
var (
	errInterface = errors.New("came in by an interface that the configuration leaves out")
	errOther     = errors.New("not a network boot: no architecture in option 61, and there is no pool of addresses")
	errIgnored   = errors.New("ignored: the configuration says so, or no rule matches")
	errLocal     = errors.New("boots its own disk, and there is no pool of addresses")
	errBusy      = fmt.Errorf("%d requests wait for an answer already, so this one is not asked about: see why the API that the rule asks is slow", maxAsking)
)

// errOperator marks what the operator should act on.
type errOperator struct{ error }

func (e errOperator) Unwrap() error { return e.error }

// handle decides one request, without waiting for anybody: see reply.later. With an
// error there is no answer; what is known of the client by then is in the reply all
// the same.
func (s *Server) handle(ctx context.Context, d netio.Datagram) (reply, error) {
	a := reply{decision: boots.Undecided()}
	set := s.Settings() // once: one request, one set
	iface, ok := s.Interfaces.ByIndex(d.Interface)
	a.iface = iface.Name
	if len(set.Only) > 0 && (!ok || !slices.Contains(set.Only, iface.Name)) {
		return a, errInterface
	}
	r, err := open(d.Data)
	if err != nil {
		return a, err
	}
	a.of = r.MessageType.String()
	if a.client, err = classify(r, d.Peer.Addr()); err != nil && (set.URL == nil || !errors.Is(err, errUnknownType)) {
		return a, err
	}
	way := way{request: r, from: d, iface: iface, set: set}
	switch r.MessageType {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeInformationRequest:
	default:
		// It is about addresses alone.
		if !set.leases() {
			return a, errNoBoot
		}
		return s.respond(way, a)
	}
	if set.URL != nil {
		return s.askURL(way, a)
	}
	if a.client.Stage == strategy.Other {
		if !set.leases() {
			return a, errOther
		}
		return s.respond(way, a)
	}

	m, now := &a.client.Machine, time.Now()
	arrived(m.Facts, s.Conn.LocalAddr(), iface)
	if len(m.MAC) == 6 {
		m.Facts = s.Boots.Heard(boots.Request{
			MAC: [6]byte(m.MAC), Transaction: [4]byte{0: r.TransactionID[0], 1: r.TransactionID[1], 2: r.TransactionID[2], 3: 6},
			Program: a.client.program(), Discover: r.MessageType == dhcpv6.MessageTypeSolicit, Facts: m.Facts,
		}, now)
		s.Events.SetFacts([6]byte(m.MAC), events.Facts{Arch: m.Arch.Name(), Firmware: m.Firmware.String(), UUID: m.Facts.UUID})
		if r.MessageType == dhcpv6.MessageTypeSolicit {
			s.Events.Add([6]byte(m.MAC), events.Event{Time: now, Kind: a.client.asks(), Via: "dhcp6", Detail: a.client.Stage.String()})
		}
	}
	if a.decision, err = s.Boots.DecideNow(ctx, *m, now); err != nil {
		return a, errOperator{err}
	}
	if a.decision.Ask == nil {
		return s.boot(way, a)
	}
	a.later = func(ctx context.Context) (reply, error) {
		a.later = nil
		wait := decideTimeout
		if w := a.decision.Wait; w > 0 {
			wait = min(w, wait)
		}
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if a.decision, err = s.Boots.Await(ctx, a.decision, a.client.Machine, time.Now()); err != nil {
			return a, errOperator{err}
		}
		return s.boot(way, a)
	}
	return a, nil
}

// A way is a request with what its answer hangs on: all of one moment.
type way struct {
	request
	from  netio.Datagram
	iface netio.Interface
	set   Settings
}

// boot makes the answer that the verdict asks for.
func (s *Server) boot(w way, a reply) (reply, error) {
	m, v := a.client.Machine, a.decision.Verdict
	offer := strategy.For(m.Firmware, a.client.Stage, v)
	switch {
	case v.Action == boot.Ignore:
		return a, errIgnored
	case v.Action == boot.Local && a.client.Stage != strategy.IPXE:
		if !w.set.leases() {
			return a, errLocal
		}
		return s.respond(w, a)
	case offer.Program == strategy.AnyIPXE && len(a.decision.Snapshot.Loader(m, v.Loader)) == 0:
		return a, errOperator{fmt.Errorf("no loader for %s: `pixiecore check` says where it was looked for and what mends it", m.Firmware)}
	}
	addr, err := s.address(w)
	if err != nil {
		return a, errOperator{err}
	}
	a.url = s.url(w.set, a.client, offer, addr)
	return s.respond(w, a)
}

// url is the address of what a machine loads next. One whose MAC nothing tells is
// sent to the fixed names, whose script makes it tell.
func (s *Server) url(set Settings, c Client, o strategy.Offer, addr netip.Addr) string {
	web := func(w bootfiles.Web) string {
		if !w.Addr.Is6() || w.Addr.Is4In6() {
			w.Addr = addr
		}
		return w.Base(addr)
	}
	loader, script := bootfiles.FixedLoader(c.Machine.Firmware), "/"+bootfiles.BootScript
	if len(c.Machine.MAC) == 6 {
		token := s.Tokens.Seal(boot.Token{MAC: [6]byte(c.Machine.MAC), Type: c.Type, Time: time.Now()})
		loader, script = bootfiles.ProgramPath(token, c.Machine, o.Program), bootfiles.ScriptURL("", token)
	}
	switch o.Kind {
	case strategy.Script:
		return web(set.Web) + script
	case strategy.ByHTTP:
		if set.Plain != (bootfiles.Web{}) {
			return web(set.Plain) + "/" + loader
		}
		return web(set.Web) + "/" + loader
	default:
		// EDK2's PXE says PXE-E53 to any other scheme.
		if set.TFTP.Is6() && !set.TFTP.Is4In6() {
			addr = set.TFTP
		}
		return "tftp://[" + addr.WithZone("").String() + "]/" + loader
	}
}

// address is the one at which this machine reaches this server.
func (s *Server) address(w way) (netip.Addr, error) {
	if a := w.set.Advertise; a.Is6() && !a.Is4In6() {
		return a, nil
	}
	if n := len(w.relays); n > 0 {
		link, _ := netip.AddrFromSlice(w.relays[n-1].LinkAddr)
		if !link.IsGlobalUnicast() {
			link = w.from.Peer.Addr()
		}
		if a, ok := s.Interfaces.Route(link); ok && a.IsGlobalUnicast() {
			return a, nil
		}
		return netip.Addr{}, fmt.Errorf("no route to the relay %s from a global address: set advertise in the listener", link)
	}
	// Firmware has no way to write the zone of a link-local address into a URL.
	for _, p := range w.iface.Prefixes {
		if a := p.Addr(); a.Is6() && !a.Is4In6() && a.IsGlobalUnicast() {
			return a, nil
		}
	}
	if w.iface.Has(netip.IPv6Loopback()) {
		return netip.IPv6Loopback(), nil
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no global or unique local IPv6 address to boot from: give it one, or set advertise in the listener", w.iface.Name)
}

// class is the vendor class of an answer to firmware. Without it EDK2's HTTP Boot
// says "Remote boot cancelled", and its PXE takes no advertisement for a proxy's. Who
// is leased an address is not told it for PXE: EDK2 would not take the boot file from
// the answer, but ask for it once more on port 4011.
func class(s strategy.Stage, leased bool) string {
	switch s {
	case strategy.HTTPBoot:
		return "HTTPClient"
	case strategy.ROM:
		if !leased {
			return "PXEClient"
		}
	}
	return ""
}

// respond makes the datagram.
func (s *Server) respond(w way, a reply) (reply, error) {
	offer := Offer{
		DUID: s.DUID, URL: a.url, Class: class(a.client.Stage, w.set.leases()), Preference: w.set.Preference, DNS: w.set.DNS,
		Valid: w.set.Pool.Lifetime, Preferred: w.set.Preferred,
	}
	m, err := respond(w.request, a.client, offer, s.lessor(w.set, a.client.DUID))
	if err != nil {
		return a, err
	}
	a.kind = m.MessageType.String()
	a.datagram = netio.Datagram{Data: w.close(m), Peer: s.destination(w), Interface: w.from.Interface}
	if local := w.from.Local; local.IsValid() && !local.IsMulticast() {
		a.datagram.Local = local
	}
	return a, nil
}

// leases reports whether there are addresses.
func (s Settings) leases() bool { return s.Pool.Size > 0 || s.Reserver.Reserve != nil }

// lessor is who has the addresses of the client of a DUID; nil: nobody.
func (s *Server) lessor(set Settings, duid string) lessor {
	switch {
	case set.Reserver.Reserve != nil:
		return reserved{set.Reserver, duid}
	case set.Pool.Size > 0:
		return pooled{set.Pool, s.Leases, duid, time.Now()}
	}
	return nil
}

// destination is where the answer goes: see the package's decisions.
func (s *Server) destination(w way) netip.AddrPort {
	port := uint16(ClientPort)
	if s.clientPort != 0 {
		port = s.clientPort
	}
	if len(w.relays) > 0 {
		port = Port
		if w.relays[0].GetOneOption(dhcpv6.OptionRelayPort) != nil {
			port = w.from.Peer.Port()
		}
	}
	return netip.AddrPortFrom(w.from.Peer.Addr(), port)
}

// record says that an answer has gone out.
func (s *Server) record(a reply) {
	s.Log.Info("answer sent", append(a.fields(), zap.String("message", a.kind))...)
	if a.url == "" || len(a.client.Machine.MAC) != 6 {
		return
	}
	s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Kind: events.Offered, Rule: a.decision.Rule, Boot: a.decision.Boot, Gen: a.decision.Gen(), Via: "dhcp6", Detail: a.client.offered()})
}

// reasonOf is what a request that got no answer is counted by.
func reasonOf(a reply, err error) drops.Reason {
	if errors.Is(err, errIgnored) && a.decision.Held {
		return drops.Held
	}
	for _, of := range [...]struct {
		error
		drops.Reason
	}{
		{errMalformed, drops.Malformed}, {errHops, drops.Malformed}, {errNoClient, drops.Malformed},
		{errType, drops.OtherMessage}, {errServer, drops.OtherMessage}, {errNotOurs, drops.OtherMessage}, {errConfirm, drops.OtherMessage}, {errNoBoot, drops.OtherMessage},
		{errOther, drops.NoNetBoot}, {errNotAsked, drops.NoNetBoot}, {errUnknownType, drops.UnknownArch}, {errInterface, drops.Interface},
		{errIgnored, drops.Ignored}, {errLocal, drops.Ignored}, {errBusy, drops.Busy},
	} {
		if errors.Is(err, of.error) {
			return of.Reason
		}
	}
	return drops.Failed
}

// logUnanswered counts a request that got no answer, and says why, at the level that
// fits.
func (s *Server) logUnanswered(d netio.Datagram, a reply, err error) {
	s.Drops.Add(reasonOf(a, err))
	fields := append(a.fields(), zap.Stringer("peer", d.Peer), zap.Error(err))
	var operator errOperator
	var broken *drops.Broken
	known := len(a.client.Machine.MAC) == 6
	switch {
	case errors.As(err, &operator), errors.As(err, &broken):
		s.Log.Warn("request not answered", fields...)
		if known {
			s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Kind: events.Failed, Rule: a.decision.Rule, Gen: a.decision.Gen(), Detail: err.Error()})
		}
	case errors.Is(err, errIgnored) && known:
		s.Events.Add([6]byte(a.client.Machine.MAC), events.Event{Kind: events.Ignored, Rule: a.decision.Rule, Gen: a.decision.Gen(), Detail: a.decision.Reason})
		fallthrough
	default:
		s.Log.Debug("request not answered", fields...)
	}
}
