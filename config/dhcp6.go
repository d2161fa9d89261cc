package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxPoolV6 is how many addresses a pool can have, as in protocols/dhcp6.
	maxPoolV6 = 1 << 16
	// The times of the original, and the least that is not renewed all the time.
	poolLifetime    = 1850 * time.Second
	minPoolLifetime = time.Minute
)

// dhcp6 reads what only a DHCPv6 server has.
func (s *scope) dhcp6(body *hclsyntax.Body, kind Kind) (v ServerV6) {
	if a := body.Attributes["preference"]; a != nil && s.takes(a, kind, DHCP6) {
		if n, ok := s.count(a, "a preference, of which clients take the highest"); ok && n > math.MaxUint8 {
			s.errorf(a.Expr.Range(), sumNumber, "preference cannot be %d. Write a number from 0 to %d, with which clients take this server at once.", n, math.MaxUint8)
		} else if ok {
			preference := uint8(n)
			v.Preference = &preference
		}
	}
	if a := body.Attributes["dns"]; a != nil && s.takes(a, kind, DHCP6) {
		all, _ := s.texts(a, `IPv6 addresses in quotes, like ["2001:db8::53"]`)
		for _, t := range all {
			addr, err := netip.ParseAddr(t.s)
			switch {
			case err != nil || !addr.Is6() || addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast():
				s.errorf(t.at, sumAddress, "%q is not the IPv6 address of a name server. Write one like \"2001:db8::53\".", t.s)
			case slices.Contains(v.DNS, addr):
				s.errorf(t.at, sumTwice, "Name server %q stands in the list twice. Name it once.", t.s)
			default:
				v.DNS = append(v.DNS, addr)
			}
		}
	}
	for i, b := range body.Blocks { // a pool
		switch {
		case kind != DHCP6:
			s.errorf(b.TypeRange, sumNotHere, "pool has no effect on listener %q. It belongs to dhcp6; leave it out here.", kind)
		case i > 0:
			s.errorf(b.TypeRange, sumSecondBlock, "A listener has one pool. Make it larger, or leave one of the two out.")
		default:
			v.Pool = s.poolV6(b)
		}
	}
	return v
}

func (s *scope) poolV6(b *hclsyntax.Block) PoolV6 {
	if len(b.Labels) > 0 {
		s.errorf(b.LabelRanges[0], sumLabel, "A pool block has no label: write pool { … }.")
	}
	body := s.names(&poolSchema, b.Body)
	p := PoolV6{Lifetime: poolLifetime}
	if a := body.Attributes["start"]; a != nil {
		if t, ok := s.text(a, `an IPv6 address in quotes, like "2001:db8::100"`); ok {
			addr, err := netip.ParseAddr(t.s)
			if err != nil || !addr.Is6() || addr.Is4In6() || addr.Zone() != "" || !addr.IsGlobalUnicast() {
				s.errorf(t.at, sumAddress, "%q is not a global or unique local IPv6 address. Write the first address of the pool, like \"2001:db8::100\".", t.s)
			} else {
				p.Start = addr
			}
		}
	}
	if a := body.Attributes["size"]; a != nil {
		if n, ok := s.count(a, "how many addresses the pool has"); ok && (n < 1 || n > maxPoolV6) {
			s.errorf(a.Expr.Range(), sumNumber, "size cannot be %d. A pool has 1 to %d addresses.", n, maxPoolV6)
		} else if ok {
			p.Size = n
		}
	}
	if a := body.Attributes["lifetime"]; a != nil {
		if life, ok := s.duration(a, "1850s"); ok && life < minPoolLifetime {
			s.errorf(a.Expr.Range(), sumDuration, "lifetime cannot be %s: the address would be renewed all the time. Write at least %q.", brief(life), brief(minPoolLifetime))
		} else if ok {
			p.Lifetime = life
		}
	}
	if body.Attributes["start"] == nil || body.Attributes["size"] == nil {
		s.errorf(b.DefRange(), sumMissing, "A pool needs its first address and how many there are: write start = \"2001:db8::100\" and size = 50, with addresses of the machines' own network.")
	}
	return p
}

// warnOverIPv6 warns of machines that are sent over IPv6 to where nobody listens.
func (d *decoder) warnOverIPv6() {
	i := slices.IndexFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == DHCP6 })
	if i < 0 {
		return
	}
	for _, kind := range []Kind{HTTP, TFTP} {
		if !slices.ContainsFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == kind && l.Address.Addr().Is6() }) {
			what := "scripts, and their loader by UEFI HTTP Boot,"
			if kind == TFTP {
				what = "their loader by PXE"
			}
			d.warn(d.listeners[i], sumNoIPv6, fmt.Sprintf("Machines that boot over IPv6 fetch %s over IPv6, and no listener %q takes it. Write listener %q { address = %q }.", what, kind, kind, kind.defaultAddress()))
		}
	}
}
