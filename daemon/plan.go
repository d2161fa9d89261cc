package daemon

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pixiecore/pixiecore/config"
)

// A change is what a reload does to one listener.
type change int

const (
	keep  change = iota // the same socket and the same settings
	alter               // the same socket, other settings
	open                // a new socket
	shut                // a socket that is not needed any more
)

// A step is one change. old and new count in the listeners of the running
// configuration and of the next; -1 is none.
type step struct {
	do       change
	old, new int
}

// An identity is what two listeners have in common when one can take over the
// other's socket.
type identity struct {
	kind  config.Kind
	at    netip.AddrPort // what the socket is bound to
	share bool
	from  *socket // of a unit, which has this one listener as long as there is one of its kind; nil: another
}

func identify(l placed) identity {
	if l.from != nil && !l.from.own {
		return identity{l.Kind, l.from.at, l.Share, l.from}
	}
	at := l.Address
	if l.Kind == config.DHCP {
		// A socket that is bound to one address hears no broadcast. It is bound
		// to all, and the address is a setting.
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	}
	return identity{l.Kind, at, l.Share, nil}
}

// sameSettings reports whether two listeners of one identity do the same. Where
// they are written does not matter.
func sameSettings(a, b config.Listener) bool {
	return a.Address == b.Address && a.Advertise == b.Advertise && slices.Equal(a.Interfaces, b.Interfaces) &&
		slices.Equal(a.Relays, b.Relays) && a.Relayed == b.Relayed &&
		a.SinglePort == b.SinglePort && sameServerV4(a.DHCP4, b.DHCP4) && sameServerV6(a.DHCP6, b.DHCP6) && a.Cert == b.Cert && a.Key == b.Key
}

func sameServerV4(a, b config.ServerV4) bool {
	return a.Server == b.Server && a.Pool == b.Pool && a.Mask == b.Mask && slices.Equal(a.Routers, b.Routers) && slices.Equal(a.DNS, b.DNS) && a.Domain == b.Domain
}

func sameServerV6(a, b config.ServerV6) bool {
	told := a.Preference == b.Preference || a.Preference != nil && b.Preference != nil && *a.Preference == *b.Preference
	return a.Pool == b.Pool && told && slices.Equal(a.DNS, b.DNS)
}

// excludes reports whether a system that has the one socket cannot open the other.
func (i identity) excludes(j identity) bool {
	covers := func(a, b netip.Addr) bool { // [::] takes both families
		return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
	}
	switch {
	case i.kind.Transport() != j.kind.Transport(), i.at.Port() != j.at.Port(), i.at.Port() == 0:
		return false
	case i.share, j.share: // a snooper is bound to nothing
		return false
	}
	return covers(i.at.Addr(), j.at.Addr()) || covers(j.at.Addr(), i.at.Addr())
}

// plan says how the running listeners become the next ones: a step for each of
// the next, in their order, then those that are shut. The error is one for the
// operator: a new socket cannot be opened beside one that is open.
func plan(running, next []placed) ([]step, error) {
	var steps []step
	taken := make([]bool, len(running))
	for n, l := range next {
		o := -1
		for i, r := range running { // several may have port 0: each takes over another
			if !taken[i] && identify(r) == identify(l) {
				o = i
				break
			}
		}
		if o < 0 {
			steps = append(steps, step{open, -1, n})
			continue
		}
		taken[o] = true
		do := keep
		if !sameSettings(running[o].Listener, l.Listener) {
			do = alter
		}
		steps = append(steps, step{do, o, n})
	}
	for _, s := range steps {
		if s.do != open || next[s.new].from != nil { // that one is open already
			continue
		}
		for o, r := range running {
			if l := next[s.new]; identify(r).excludes(identify(l)) {
				return nil, collision(l.Listener, r.Listener, taken[o])
			}
		}
	}
	for o := range running {
		if !taken[o] {
			steps = append(steps, step{shut, o, -1})
		}
	}
	return steps, nil
}

// collision says why l cannot be opened beside the running r, which stays or not.
func collision(l, r config.Listener, stays bool) error {
	where := ""
	if l.Pos != "" {
		where = l.Pos + ": "
	}
	if stays {
		return fmt.Errorf("%slistener %q %s: listener %q has port %d of this address (%s); give one of them another port", where, l.Kind, l.Address, r.Kind, r.Address.Port(), r.Address)
	}
	return fmt.Errorf("%slistener %q %s cannot be opened while listener %q %s is open, and if that were closed first and this then failed, there would be neither; restart pixiecore to apply the change", where, l.Kind, l.Address, r.Kind, r.Address)
}
