package dhcp6

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pixiecore/pixiecore/protocols/leases"
)

// An Offer is what there is to tell a client beside its addresses.
type Offer struct {
	DUID       []byte // the server's
	URL        string // of the boot file (option 59, RFC 5970 §3.1); empty: none is told
	Class      string // the vendor class that the firmware wants to see (option 16); empty: none
	Preferred  time.Duration
	Preference *uint8 // option 7; nil: none is told, which counts as 0
	DNS        []netip.Addr
}

// Reasons for no answer.
var (
	errType     = errors.New("message of another type than a server answers")
	errServer   = errors.New("for another server")
	errNoClient = errors.New("without a client identifier")
	errNotOurs  = errors.New("asks about addresses that are not of this server's pool")
	errNoBoot   = errors.New("asks for an address, and this server has none: it tells machines what to boot only")
)

// respond makes the answer to a request. Everything that is not in the request, the
// offer or the pool is in the leases. An address that must be the client's on its
// own link is one of the pool: the pool is the link.
func respond(r request, c Client, o Offer, p leases.Pool, l *leases.Leases, now time.Time) (*dhcpv6.Message, error) {
	if err := admit(r, c, o.DUID); err != nil {
		return nil, err
	}
	a := answer{request: r, owner: c.DUID, pool: p, preferred: o.Preferred, leases: l, now: now}
	a.reply = &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: r.TransactionID}
	server, err := dhcpv6.DUIDFromBytes(o.DUID)
	if err != nil {
		return nil, fmt.Errorf("the server's identifier: %w", err)
	}
	a.reply.AddOption(dhcpv6.OptServerID(server))
	if id := r.GetOneOption(dhcpv6.OptionClientID); id != nil {
		a.reply.AddOption(id)
	}

	switch r.MessageType {
	case dhcpv6.MessageTypeSolicit:
		return a.solicit(o)
	case dhcpv6.MessageTypeRequest:
		a.associations(a.take)
	case dhcpv6.MessageTypeRenew:
		a.associations(a.renew)
	case dhcpv6.MessageTypeRebind:
		if !a.known() {
			return nil, errNotOurs
		}
		a.associations(a.renew)
	case dhcpv6.MessageTypeConfirm:
		if p.Size == 0 {
			return nil, errNoBoot
		}
		return a.confirm()
	case dhcpv6.MessageTypeRelease:
		a.giveBack(l.Release)
		return a.reply, nil
	case dhcpv6.MessageTypeDecline:
		a.giveBack(l.Decline)
		return a.reply, nil
	}
	a.tell(o)
	return a.reply, nil
}

// admit refuses what RFC 8415 §16 wants discarded.
func admit(r request, c Client, duid []byte) error {
	server := r.GetOneOption(dhcpv6.OptionServerID)
	ours := server != nil && string(server.ToBytes()) == string(duid)
	switch r.MessageType {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRebind:
		if server != nil {
			return errServer
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		if !ours {
			return errServer
		}
	case dhcpv6.MessageTypeInformationRequest:
		if server != nil && !ours {
			return errServer
		}
		if r.GetOneOption(dhcpv6.OptionIANA) != nil {
			return fmt.Errorf("%w: an INFORMATION-REQUEST with addresses", errMalformed)
		}
		return nil // needs no client identifier (§16.12)
	default:
		return errType
	}
	if c.DUID == "" {
		return errNoClient
	}
	return nil
}

// DefaultLifetime is how long an address is valid, as in the original.
const DefaultLifetime = 1850 * time.Second

// leaser is who leases an address: an identity association of a client (RFC 8415
// §4.2).
func leaser(duid string, iaid [4]byte) leases.Owner { return leases.Owner(string(iaid[:]) + duid) }

// An answer is one that is being made.
type answer struct {
	request
	owner     string // the client's DUID
	pool      leases.Pool
	preferred time.Duration
	leases    *leases.Leases
	now       time.Time
	reply     *dhcpv6.Message
}

func (a *answer) solicit(o Offer) (*dhcpv6.Message, error) {
	a.reply.MessageType = dhcpv6.MessageTypeAdvertise
	give := a.leases.Find
	if a.GetOneOption(dhcpv6.OptionRapidCommit) != nil && a.pool.Size > 0 {
		// RFC 8415 §18.3.1: the exchange of two messages.
		a.reply.MessageType = dhcpv6.MessageTypeReply
		a.reply.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		give = a.leases.Take
	}
	short := 0
	a.associations(func(ia *dhcpv6.OptIANA, owner leases.Owner) {
		addr, ok := give(a.pool, owner, wish(ia), a.now)
		if !ok {
			short++
		}
		a.assign(ia, addr, ok)
	})
	if short > 0 && short == len(a.reply.Options.IANA()) && a.reply.MessageType == dhcpv6.MessageTypeAdvertise {
		a.status(&a.reply.Options.Options, iana.StatusNoAddrsAvail, "the pool is used up")
	}
	a.tell(o)
	return a.reply, nil
}

// confirm says whether the addresses of a client are of its link (RFC 8415 §18.3.3).
func (a *answer) confirm() (*dhcpv6.Message, error) {
	asked, strange := 0, 0
	for _, ia := range a.Options.IANA() {
		for _, addr := range ia.Options.Addresses() {
			asked++
			if ip, ok := netip.AddrFromSlice(addr.IPv6Addr); !ok || !a.pool.Contains(ip) {
				strange++
			}
		}
	}
	switch {
	case asked == 0:
		return nil, errNotOurs
	case strange > 0:
		a.status(&a.reply.Options.Options, iana.StatusNotOnLink, "an address is not of this link")
	default:
		a.status(&a.reply.Options.Options, iana.StatusSuccess, "")
	}
	return a.reply, nil
}

// known reports whether any of the addresses that are asked about is of the pool.
// If not, another server may have leased them, and it is not for us to say no.
func (a *answer) known() bool {
	return slices.ContainsFunc(a.Options.IANA(), func(ia *dhcpv6.OptIANA) bool {
		return slices.ContainsFunc(ia.Options.Addresses(), func(addr *dhcpv6.OptIAAddress) bool {
			ip, ok := netip.AddrFromSlice(addr.IPv6Addr)
			return ok && a.pool.Contains(ip)
		})
	})
}

// associations answers each IA_NA of the request, where there is a pool to answer
// from. Of other kinds (IA_TA, IA_PD) there is never anything, which is said by
// leaving them out.
func (a *answer) associations(each func(*dhcpv6.OptIANA, leases.Owner)) {
	if a.pool.Size == 0 && a.MessageType == dhcpv6.MessageTypeSolicit {
		return // without any IA_NA the advertisement is a proxy's
	}
	all := a.Options.IANA()
	for _, ia := range all[:min(len(all), maxIAs)] {
		each(ia, leaser(a.owner, ia.IaId))
	}
}

func (a *answer) take(ia *dhcpv6.OptIANA, owner leases.Owner) {
	addr, ok := a.leases.Take(a.pool, owner, wish(ia), a.now)
	a.assign(ia, addr, ok)
}

// renew makes the lease of each address longer; one that is another's by now, or of
// another link, is taken away by lifetimes of 0 (RFC 8415 §18.3.4).
func (a *answer) renew(ia *dhcpv6.OptIANA, owner leases.Owner) {
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	kept := false
	for _, asked := range ia.Options.Addresses() {
		ip, ok := netip.AddrFromSlice(asked.IPv6Addr)
		if !ok {
			continue
		}
		if !kept && a.leases.Extend(a.pool, owner, ip, a.now) {
			kept = true
			a.add(out, ip)
			continue
		}
		out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: asked.IPv6Addr})
	}
	if len(out.Options.Addresses()) == 0 {
		a.status(&out.Options.Options, iana.StatusNoBinding, "no address is leased to this interface")
	}
	a.reply.AddOption(out)
}

// giveBack ends the leases that a RELEASE or DECLINE names (RFC 8415 §18.3.7 and
// §18.3.8).
func (a *answer) giveBack(end func(leases.Owner, netip.Addr, time.Time) bool) {
	a.associations(func(ia *dhcpv6.OptIANA, owner leases.Owner) {
		for _, asked := range ia.Options.Addresses() {
			if ip, ok := netip.AddrFromSlice(asked.IPv6Addr); !ok || !end(owner, ip, a.now) {
				out := &dhcpv6.OptIANA{IaId: ia.IaId}
				a.status(&out.Options.Options, iana.StatusNoBinding, "this address is not leased to this interface")
				a.reply.AddOption(out)
				break
			}
		}
	})
	a.status(&a.reply.Options.Options, iana.StatusSuccess, "")
}

// assign answers an association with an address, or says that there is none.
func (a *answer) assign(ia *dhcpv6.OptIANA, addr netip.Addr, ok bool) {
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	if ok {
		a.add(out, addr)
	} else {
		a.status(&out.Options.Options, iana.StatusNoAddrsAvail, "the pool is used up")
	}
	a.reply.AddOption(out)
}

// add gives an address with the times of the original: it is preferred for all but
// 3 % of its life, and renewed and rebound at 1/2 and 4/5 of that.
func (a *answer) add(out *dhcpv6.OptIANA, addr netip.Addr) {
	valid := a.pool.Lifetime
	preferred := valid - valid*3/100
	if a.preferred > 0 {
		preferred = min(a.preferred, valid)
	}
	out.T1, out.T2 = preferred/2, preferred*4/5
	out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice(), PreferredLifetime: preferred, ValidLifetime: valid})
}

func (a *answer) status(to *dhcpv6.Options, code iana.StatusCode, text string) {
	to.Add(&dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text})
}

// tell adds what is not of an address.
func (a *answer) tell(o Offer) {
	if o.Preference != nil && a.reply.MessageType == dhcpv6.MessageTypeAdvertise {
		a.reply.AddOption(dhcpv6.OptPreference(*o.Preference))
	}
	if len(o.DNS) > 0 && a.asks(dhcpv6.OptionDNSRecursiveNameServer) {
		all := make([]net.IP, len(o.DNS))
		for i, ip := range o.DNS {
			all[i] = ip.AsSlice()
		}
		a.reply.AddOption(dhcpv6.OptDNS(all...))
	}
	if o.URL == "" {
		return
	}
	a.reply.AddOption(dhcpv6.OptBootFileURL(o.URL))
	if o.Class != "" {
		a.reply.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: pxeEnterprise, Data: [][]byte{[]byte(o.Class)}})
	}
}

// asks reports whether the client wants an option (option 6). One that lists none
// takes any.
func (a *answer) asks(code dhcpv6.OptionCode) bool {
	list := a.Options.RequestedOptions()
	return len(list) == 0 || list.Contains(code)
}

// wish is the address that a client would like.
func wish(ia *dhcpv6.OptIANA) netip.Addr {
	if addr := ia.Options.OneAddress(); addr != nil {
		if ip, ok := netip.AddrFromSlice(addr.IPv6Addr); ok {
			return ip
		}
	}
	return netip.Addr{}
}
