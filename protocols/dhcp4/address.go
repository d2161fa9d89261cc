package dhcp4

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/leases"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

const (
	// DefaultLifetime is how long an address is leased.
	DefaultLifetime = time.Hour
	// maxProbes is how many addresses are looked at for one DISCOVER, until one is
	// nobody's.
	maxProbes = 3
	// foundFor is how long an address is left alone that answered a probe.
	foundFor = time.Hour
	// maxClientID is the length of a client identifier in bytes: that of one option
	// (RFC 2132 §9.14).
	maxClientID = 255
)

// A Reservation is the address of one machine.
type Reservation struct {
	Name string // the machine's
	Addr netip.Addr
}

// Addresses are what a DHCP server leases, and tells with it. They are never modified
// once a Server has them, but for the Leases.
type Addresses struct {
	Leases *leases.Leases
	// Pool is for whoever asks. It leaves out what is reserved, and the routers and
	// name servers. Without Size, machines with a reservation are answered and nobody
	// else.
	Pool     leases.Pool
	Reserved func(mac [6]byte) (Reservation, bool)
	Lifetime time.Duration // of the address of a reservation
	// Mask is the length in bits of the prefixes of networks on which this host has no
	// address, those behind relays; 0: they are not served.
	Mask    int
	Routers []netip.Addr // those of the client's own network are told
	DNS     []netip.Addr
	Domain  string
	// InUse reports whether somebody else than the client with that MAC answers at the
	// address. It may block. Nil: nobody is asked.
	InUse func(ctx context.Context, a netip.Addr, mac net.HardwareAddr) bool
}

// Reasons for no address.
var (
	errStranger    = errors.New("no address is reserved for it, and there is no pool")
	errElsewhere   = errors.New("asks from a network that no address here belongs to")
	errOtherServer = errors.New("for another DHCP server")
	errNotLeased   = errors.New("about an address that is not of this server")
	errNoAddress   = errors.New("names no address")
	errProbing     = errors.New("its earlier request is answered as soon as the address is known to be free")
)

// A grant is which addresses a client may have.
type grant struct {
	owner    leases.Owner
	pool     leases.Pool
	subnet   netip.Prefix // that the client is on
	reserved string       // the name of the machine; empty: from the pool
}

// grant says which addresses the client may have.
func (a *Addresses) grant(r request) (grant, error) {
	hw := [6]byte(r.ClientHWAddr)
	found := errStranger
	if a.Reserved != nil {
		if m, ok := a.Reserved(hw); ok {
			if subnet, ok := a.subnet(r, m.Addr); ok {
				// By the machine, and not by its client identifier: firmware, iPXE and
				// the operating system each send another one.
				return grant{leases.Owner("machine " + m.Name), leases.Pool{Start: m.Addr, Size: 1, Lifetime: a.Lifetime}, subnet, m.Name}, nil
			}
			found = fmt.Errorf("%w: %s is reserved for %s", errElsewhere, m.Addr, m.Name)
		}
	}
	if a.Pool.Size == 0 {
		return grant{}, found
	}
	subnet, ok := a.subnet(r, a.Pool.Start)
	if !ok {
		return grant{}, errElsewhere
	}
	// RFC 2131 §4.2: the client identifier, if there is one. Many are the hardware
	// address (type 1), which firmware leaves to chaddr: that is the same client.
	owner := leases.Owner("hw " + string(hw[:]))
	id := r.Options.Get(dhcpv4.OptionClientIdentifier)
	if len(id) >= 2 && len(id) <= maxClientID && string(id) != "\x01"+string(hw[:]) {
		owner = leases.Owner("id " + string(id))
	}
	return grant{owner: owner, pool: a.Pool, subnet: subnet}, nil
}

// subnet is the client's network, if addr belongs to it.
func (a *Addresses) subnet(r request, addr netip.Addr) (subnet netip.Prefix, ok bool) {
	near := func(link netip.Addr) (p netip.Prefix, ok bool) {
		for _, own := range r.iface.Prefixes {
			if own.Addr().Is4() && own.Contains(link) && (!ok || own.Bits() > p.Bits()) {
				p, ok = own.Masked(), true
			}
		}
		return p, ok
	}
	far := func(link netip.Addr) (netip.Prefix, bool) {
		p := netip.PrefixFrom(link, a.Mask).Masked()
		if a.Mask == 0 { // a relay on a network of ours
			p, _ = near(link)
		}
		return p, p.Contains(addr)
	}
	if relay, relayed := relayOf(r.DHCPv4); relayed {
		// RFC 3527 §3: a relay that is reached at another address than its clients'.
		for code, value := range suboptions(r.Options.Get(dhcpv4.OptionRelayAgentInformation)) {
			if link, ok := netip.AddrFromSlice(value); code == agentLinkSelection && ok && link.Is4() {
				return far(link)
			}
		}
		return far(relay)
	}
	subnet, ok = near(addr)
	if client, has := clientAddr(r.DHCPv4); !ok && has {
		// A renewal comes by unicast, through routers and not by the relay.
		return far(client)
	}
	return subnet, ok
}

// clientAddr is the address that the client has (ciaddr).
func clientAddr(req *dhcpv4.DHCPv4) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(req.ClientIPAddr.To4())
	return a, ok && !a.IsUnspecified()
}

// optionAddr is an option that is one address.
func optionAddr(req *dhcpv4.DHCPv4, code dhcpv4.OptionCode) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(req.Options.Get(code))
	return a, ok && a.Is4()
}

// A lease is what a client is told of its address.
type lease struct {
	grant
	message dhcpv4.MessageType // of the answer; DHCPNONE: there is none
	addr    netip.Addr         // without one, the client has its own (INFORM)
	first   bool               // it may be in use without our knowing
	why     string             // of a NAK
}

// what says for the log what became of an address.
func (l lease) what() string {
	switch {
	case l.message == dhcpv4.MessageTypeOffer:
		return "offered"
	case l.message == dhcpv4.MessageTypeNak:
		return "refused: " + l.why
	case l.message == dhcpv4.MessageTypeNone:
		return "given back"
	case !l.addr.IsValid():
		return "not leased: the client has its own, and was told the rest"
	}
	return "leased"
}

// decide says what becomes of a request for an address. server is this server as the
// client knows it.
func (a *Addresses) decide(req *dhcpv4.DHCPv4, g grant, server netip.Addr, now time.Time) (lease, error) {
	l := lease{grant: g}
	id, addressed := optionAddr(req, dhcpv4.OptionServerIdentifier)
	asked, asks := optionAddr(req, dhcpv4.OptionRequestedIPAddress)
	client, has := clientAddr(req)
	if addressed && id != server {
		return l, errOtherServer
	}
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		var ok bool
		if l.addr, l.first, ok = a.Leases.Offer(g.pool, g.owner, asked, now); !ok {
			return l, errOperator{g.usedUp()}
		}
		l.message = dhcpv4.MessageTypeOffer
		return l, nil
	case dhcpv4.MessageTypeRequest:
		switch {
		case addressed && asks: // SELECTING
			l.addr = asked
		case !addressed && !has && asks: // INIT-REBOOT
			l.addr = asked
		case has: // RENEWING, REBINDING
			l.addr = client
		default:
			return l, errNoAddress
		}
		return a.request(l, addressed, now)
	case dhcpv4.MessageTypeInform:
		if !has {
			return l, errNoAddress
		}
		l.message = dhcpv4.MessageTypeAck
		return l, nil
	case dhcpv4.MessageTypeDecline:
		if !asks {
			return l, errNoAddress
		}
		if l.addr = asked; !a.Leases.Decline(g.owner, asked, now) {
			return l, errNotLeased
		}
		return l, nil
	case dhcpv4.MessageTypeRelease:
		if l.addr = client; !has || !a.Leases.Release(g.owner, client, now) {
			return l, errNotLeased
		}
		return l, nil
	}
	return l, errType
}

// request decides a REQUEST for l.addr (RFC 2131 §4.3.2). What this server does not
// know may be another's lease: only with a pool, which is a network's only one, is it
// refused.
func (a *Addresses) request(l lease, selecting bool, now time.Time) (lease, error) {
	if l.subnet.Contains(l.addr) && a.Leases.Extend(l.pool, l.owner, l.addr, now) {
		l.message = dhcpv4.MessageTypeAck
		return l, nil
	}
	l.message = dhcpv4.MessageTypeNak
	switch {
	case selecting:
		l.why = "this address was not offered, or is another's by now"
	case a.Leases.Release(l.owner, l.addr, now):
		l.why = "this address is not leased to this client any more"
	case a.Pool.Size > 0 && !l.subnet.Contains(l.addr):
		l.why = "this address is not of this network"
	case a.Pool.Contains(l.addr):
		l.why = "this address is another's"
	default:
		l.message = dhcpv4.MessageTypeNone
		return l, errNotLeased
	}
	return l, nil
}

// usedUp says why there is no address.
func (g grant) usedUp() error {
	if g.reserved != "" {
		return fmt.Errorf("the address %s, which is reserved for %s, is another client's, or was found in use by somebody else: take it away from him, or reserve another", g.pool.Start, g.reserved)
	}
	return fmt.Errorf("the pool from %s is used up: make it larger, or its lifetime shorter", g.pool.Start)
}

// An outsider is an address of a subnet that no client can have.
func outsider(r request, subnet netip.Prefix, a netip.Addr) bool {
	if r.iface.Has(a) {
		return true
	}
	if subnet.Bits() > 30 { // RFC 3021
		return false
	}
	last := subnet.Addr().As4()
	binary.BigEndian.PutUint32(last[:], binary.BigEndian.Uint32(last[:])|1<<(32-subnet.Bits())-1)
	return a == subnet.Addr() || a == netip.AddrFrom4(last)
}

// tell writes the address and what belongs to it into an answer (RFC 2131 §4.3.1).
func (l lease) tell(resp *dhcpv4.DHCPv4, a *Addresses) {
	addrs := func(code dhcpv4.OptionCode, all []netip.Addr) {
		var raw []byte
		for _, a := range all {
			raw = append(raw, a.AsSlice()...)
		}
		if len(raw) > 0 {
			resp.UpdateOption(dhcpv4.OptGeneric(code, raw))
		}
	}
	if l.addr.IsValid() {
		resp.YourIPAddr = l.addr.AsSlice()
		life := l.pool.Lifetime
		resp.UpdateOption(dhcpv4.OptIPAddressLeaseTime(life))
		resp.UpdateOption(dhcpv4.OptRenewTimeValue(life / 2))         // §4.4.5: T1
		resp.UpdateOption(dhcpv4.OptRebindingTimeValue(life * 7 / 8)) // and T2
	}
	resp.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(l.subnet.Bits(), 32)))
	var routers []netip.Addr
	for _, r := range a.Routers {
		if l.subnet.Contains(r) { // RFC 2132 §3.5
			routers = append(routers, r)
		}
	}
	addrs(dhcpv4.OptionRouter, routers)
	addrs(dhcpv4.OptionDomainNameServer, a.DNS)
	if a.Domain != "" {
		resp.UpdateOption(dhcpv4.OptDomainName(a.Domain))
	}
}

// nak refuses what a client asks for (RFC 2131 table 3).
func nak(req *dhcpv4.DHCPv4, server netip.Addr, why string) *dhcpv4.DHCPv4 {
	resp := respond(dhcpv4.MessageTypeNak, req, server)
	resp.ClientIPAddr = net.IPv4zero
	resp.UpdateOption(dhcpv4.OptMessage(why))
	if _, relayed := relayOf(req); relayed {
		resp.SetBroadcast() // §4.3.2: the client may have no address that is good there
	}
	return resp
}

// probes are the clients for which an address is being probed.
type probes struct {
	mu  sync.Mutex
	all map[leases.Owner]bool
}

func (p *probes) begin(o leases.Owner) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[o] {
		return false
	}
	if p.all == nil {
		p.all = map[leases.Owner]bool{}
	}
	p.all[o] = true
	return true
}

func (p *probes) running(o leases.Owner) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[o]
}

func (p *probes) end(o leases.Owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, o)
}

// lease answers a request on the port of a DHCP server.
func (s *Server) lease(ctx context.Context, r request, a answer) (answer, error) {
	from := *r.from
	from.Data = nil // it belongs to the next batch by the time of answer.later
	r.from = &from
	set := r.set.Addresses
	if r.OpCode != dhcpv4.OpcodeBootRequest || len(r.ClientHWAddr) != 6 {
		return a, errNotRequest
	}
	a.hw = [6]byte(r.ClientHWAddr)
	g, err := set.grant(r)
	if err != nil {
		return a, err
	}
	if r.server, err = s.address(&r); err != nil {
		return a, errOperator{err}
	}
	// Of several addresses of the interface, the one of the client's network, to which
	// it comes to renew.
	if own := (netio.Interface{Prefixes: r.iface.Prefixes}); !r.set.Advertise.IsValid() && !r.set.Address.IsValid() && !own.Has(r.from.Local) {
		if near, ok := own.AddrFor(g.pool.Start); ok && g.subnet.Contains(near) {
			r.server = near
		}
	}
	if s.probes.running(g.owner) {
		return a, errProbing
	}
	l, err := set.decide(r.DHCPv4, g, r.server, time.Now())
	if err != nil {
		return a, err
	}
	if !l.first || !s.probes.begin(g.owner) {
		return s.leased(ctx, r, a, l)
	}
	a.forget = func() {
		set.Leases.Forget(g.owner, l.addr)
		s.probes.end(g.owner)
	}
	a.later = func(ctx context.Context) (answer, error) {
		a.later, a.forget = nil, nil
		l, err := s.probe(ctx, r, l)
		s.probes.end(g.owner)
		if err != nil {
			return a, err
		}
		a, err := s.leased(ctx, r, a, l)
		if err == nil && a.later != nil { // an API has to be asked
			return a.later(ctx)
		}
		return a, err
	}
	return a, nil
}

// probe looks whether the address that is to be offered is somebody's, and for
// another one if it is (RFC 2131 §4.3.1).
func (s *Server) probe(ctx context.Context, r request, l lease) (lease, error) {
	set := r.set.Addresses
	for range maxProbes {
		used := outsider(r, l.subnet, l.addr)
		if !used && set.InUse != nil && set.InUse(ctx, l.addr, r.ClientHWAddr) {
			used = true
			s.Log.Warn("address is in use by somebody whom it is not leased to, and is left alone for an hour",
				zap.Stringer("ip", l.addr), zap.Stringer("mac", r.ClientHWAddr), zap.String("iface", r.iface.Name))
		}
		if ctx.Err() != nil {
			set.Leases.Forget(l.owner, l.addr)
			return l, ctx.Err()
		}
		if !used {
			return l, nil
		}
		set.Leases.Bar(l.addr, time.Now().Add(foundFor))
		var err error
		if l, err = set.decide(r.DHCPv4, l.grant, r.server, time.Now()); err != nil {
			return l, err
		}
	}
	set.Leases.Forget(l.owner, l.addr)
	return l, errOperator{fmt.Errorf("%d addresses of the pool from %s are in use by somebody whom they are not leased to: is there another DHCP server with the same addresses?", maxProbes, l.pool.Start)}
}

// leased makes the answer of a lease, with boot information for a machine that boots.
func (s *Server) leased(ctx context.Context, r request, a answer, l lease) (answer, error) {
	a.lease = &l
	switch {
	case l.message == dhcpv4.MessageTypeNone: // RELEASE, DECLINE
		if r.MessageType() == dhcpv4.MessageTypeDecline {
			s.Log.Warn("client says that its address is in use by somebody else, and it is left alone for a day", a.fields()...)
			return a, nil
		}
		s.record(&a, s.now())
		return a, nil
	case l.message == dhcpv4.MessageTypeNak:
		resp := nak(r.DHCPv4, r.server, l.why)
		err := s.seal(&r, &a, resp, r.server)
		return a, err
	case !l.addr.IsValid():
		return s.plain(r, a)
	}
	c, err := Classify(r.DHCPv4)
	if err != nil {
		return s.plain(r, a) // it does not boot, or nobody knows how
	}
	a.client = c
	err = s.boot(ctx, &r, &a)
	if errors.Is(err, errIgnored) {
		s.Events.Add(a.hw, events.Event{Time: r.now, Kind: events.Ignored, Rule: a.decision.Rule, Gen: a.decision.Gen(), Detail: a.decision.Reason})
		a.client = Client{}
		return s.plain(r, a)
	}
	return a, err
}

// plain answers with an address alone.
func (s *Server) plain(r request, a answer) (answer, error) {
	resp := respond(a.lease.message, r.DHCPv4, r.server)
	a.lease.tell(resp, r.set.Addresses)
	err := s.seal(&r, &a, resp, r.server)
	return a, err
}

// store makes durable what has been leased, before anybody is told.
func (s *Server) store() {
	set := s.Settings().Addresses
	if set == nil {
		return
	}
	if err := set.Leases.Flush(); err != nil {
		// Clients have their addresses all the same: what is forgotten is asked for
		// again, and the hash says the same.
		s.Log.Warn("leases not stored; they are kept in memory", zap.Error(err))
	}
}
