package dhcp6

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// An Offer is what there is to tell a client beside its addresses.
type Offer struct {
	DUID       []byte        // the server's
	URL        string        // of the boot file (option 59, RFC 5970 §3.1); empty: none is told
	Class      string        // the vendor class that the firmware wants to see (option 16); empty: none
	Valid      time.Duration // of an address
	Preferred  time.Duration // of that; 0: all but 3 % of it
	Preference *uint8        // option 7; nil: none is told, which counts as 0
	DNS        []netip.Addr
}

// errNoPool is told to a client that takes a proxy's advertisement for an offer of
// addresses.
var errNoPool = errors.New("this server has no addresses")

// Reasons for no answer.
var (
	errType     = errors.New("message of another type than a server answers")
	errServer   = errors.New("for another server")
	errNoClient = errors.New("without a client identifier")
	errNotOurs  = errors.New("asks about addresses that are not of this server's pool")
	errNoBoot   = errors.New("asks for an address, and this server has none: it tells machines what to boot only")
	errConfirm  = errors.New("asks whether its address is of this link, which only a pool of this server's own can tell")
)

// respond makes the answer to a request. Everything that is not in the request or
// the offer is with the lessor; nil: there are no addresses. An address that must be
// the client's on its own link is one of the pool: the pool is the link.
func respond(r request, c Client, o Offer, from lessor) (*dhcpv6.Message, error) {
	if err := admit(r, c, o.DUID); err != nil {
		return nil, err
	}
	a := answer{request: r, from: from, valid: o.Valid, preferred: o.Preferred}
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
		return a.confirm()
	case dhcpv6.MessageTypeRelease:
		a.giveBack(lessor.release)
		return a.reply, nil
	case dhcpv6.MessageTypeDecline:
		a.giveBack(lessor.decline)
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

// An answer is one that is being made.
type answer struct {
	request
	from      lessor // nil: there is none
	valid     time.Duration
	preferred time.Duration
	reply     *dhcpv6.Message
}

func (a *answer) solicit(o Offer) (*dhcpv6.Message, error) {
	a.reply.MessageType = dhcpv6.MessageTypeAdvertise
	give := lessor.find
	if a.GetOneOption(dhcpv6.OptionRapidCommit) != nil && a.from != nil {
		// RFC 8415 §18.3.1: the exchange of two messages.
		a.reply.MessageType = dhcpv6.MessageTypeReply
		a.reply.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		give = lessor.take
	}
	var short []error
	a.associations(func(ia *dhcpv6.OptIANA) {
		addr, err := give(a.from, ia.IaId, wish(ia))
		if err != nil {
			short = append(short, err)
		}
		a.assign(ia, addr, err)
	})
	if n := len(short); n > 0 && n == len(a.reply.Options.IANA()) && a.reply.MessageType == dhcpv6.MessageTypeAdvertise {
		a.status(&a.reply.Options.Options, iana.StatusNoAddrsAvail, short[0].Error())
	}
	a.tell(o)
	return a.reply, nil
}

// confirm says whether the addresses of a client are of its link (RFC 8415 §18.3.3).
func (a *answer) confirm() (*dhcpv6.Message, error) {
	if _, ok := a.from.(pooled); !ok {
		return nil, errConfirm
	}
	asked, strange := 0, 0
	for _, ia := range a.Options.IANA() {
		for _, addr := range ia.Options.Addresses() {
			asked++
			if ip, ok := netip.AddrFromSlice(addr.IPv6Addr); !ok || !a.from.ours(ia.IaId, ip) {
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

// known reports whether any of the addresses that are asked about is for this server
// to speak of. If not, another server may have leased them, and it is not for us to say no.
func (a *answer) known() bool {
	return a.from != nil && slices.ContainsFunc(a.Options.IANA(), func(ia *dhcpv6.OptIANA) bool {
		return slices.ContainsFunc(ia.Options.Addresses(), func(addr *dhcpv6.OptIAAddress) bool {
			ip, ok := netip.AddrFromSlice(addr.IPv6Addr)
			return ok && a.from.ours(ia.IaId, ip)
		})
	})
}

// associations answers each IA_NA of the request, where there is a lessor to answer
// from. Of other kinds (IA_TA, IA_PD) there is never anything, which is said by
// leaving them out.
func (a *answer) associations(each func(*dhcpv6.OptIANA)) {
	all := a.Options.IANA()
	for _, ia := range all[:min(len(all), maxIAs)] {
		switch {
		case a.from != nil:
			each(ia)
		case a.MessageType != dhcpv6.MessageTypeSolicit: // without any IA_NA the advertisement is a proxy's
			a.assign(ia, netip.Addr{}, errNoPool)
		}
	}
}

func (a *answer) take(ia *dhcpv6.OptIANA) {
	addr, err := a.from.take(ia.IaId, wish(ia))
	a.assign(ia, addr, err)
}

// renew makes the lease of each address longer; one that is another's by now, or of
// another link, is taken away by lifetimes of 0 (RFC 8415 §18.3.4).
func (a *answer) renew(ia *dhcpv6.OptIANA) {
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	kept := false
	for _, asked := range ia.Options.Addresses() {
		ip, ok := netip.AddrFromSlice(asked.IPv6Addr)
		if !ok {
			continue
		}
		if !kept && a.from.extend(ia.IaId, ip) {
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
func (a *answer) giveBack(end func(lessor, [4]byte, netip.Addr) bool) {
	a.associations(func(ia *dhcpv6.OptIANA) {
		for _, asked := range ia.Options.Addresses() {
			if ip, ok := netip.AddrFromSlice(asked.IPv6Addr); !ok || !end(a.from, ia.IaId, ip) {
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
func (a *answer) assign(ia *dhcpv6.OptIANA, addr netip.Addr, err error) {
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	if err == nil {
		a.add(out, addr)
	} else {
		a.status(&out.Options.Options, iana.StatusNoAddrsAvail, err.Error())
	}
	a.reply.AddOption(out)
}

// add gives an address with the times of the original: it is preferred for all but
// 3 % of its life, and renewed and rebound at 1/2 and 4/5 of that.
func (a *answer) add(out *dhcpv6.OptIANA, addr netip.Addr) {
	valid := cmp.Or(a.valid, DefaultLifetime)
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
