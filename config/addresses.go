package config

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxPool is how many addresses a pool can have, as in protocols/leases.
	maxPool = 1 << 16
	// The times of the original over IPv6, and what is usual over IPv4; and the least
	// that is not renewed all the time.
	lifetimeV6  = 1850 * time.Second
	lifetimeV4  = time.Hour
	minLifetime = time.Minute
	// maxTold bounds routers and name servers, so that an answer stays small enough for
	// every client.
	maxTold = 8
	// maxLifetime is what clients understand as any time at all (RFC 2131 §3.3 has
	// seconds in 32 bits, of which all are infinity).
	maxLifetime = 365 * 24 * time.Hour
	// maxDomain is the length of a domain in bytes (RFC 1035 §2.3.4).
	maxDomain = 253
)

// The words for the mode of a listener "dhcp".
const (
	modeProxy  = "proxy"
	modeServer = "server"
)

// addresses reads what only servers have that lease addresses.
func (s *scope) addresses(b *hclsyntax.Block, body *hclsyntax.Body, kind Kind, l *Listener) {
	if kind != DHCP {
		l.DHCP6 = s.dhcp6(body, kind)
		for _, name := range []string{"mode", "router", "mask", "domain"} {
			if a := body.Attributes[name]; a != nil {
				s.takes(a, kind, DHCP)
			}
		}
		return
	}
	if a := body.Attributes["preference"]; a != nil {
		s.takes(a, kind, DHCP6)
	}
	v := &l.DHCP4
	mode, _ := s.word(body.Attributes["mode"], listenerSchema.attribute("mode").Words)
	v.Server = mode == modeServer
	if a := body.Attributes["mask"]; a != nil {
		if t, ok := s.text(a, `a network mask in quotes, like "255.255.255.0"`); ok {
			if v.Mask, ok = maskBits(t.s); !ok {
				s.errorf(t.at, sumAddress, "%q is not the mask of a network. Write it like \"255.255.255.0\", from 255.0.0.0 to 255.255.255.252.", t.s)
			}
		}
	}
	v.Routers = s.hosts(body.Attributes["router"], DHCP, "a router", "Router", "192.0.2.1")
	v.DNS = s.hosts(body.Attributes["dns"], DHCP, "a name server", "Name server", "192.0.2.53")
	if a := body.Attributes["domain"]; a != nil {
		if t, ok := s.text(a, `a domain in quotes, like "example.org"`); ok && !domainName.MatchString(t.s) || len(t.s) > maxDomain {
			s.errorf(t.at, sumBadName, "%q is not a domain. Write one like \"example.org\".", t.s)
		} else {
			v.Domain = t.s
		}
	}
	for i, p := range body.Blocks {
		if i > 0 {
			s.errorf(p.TypeRange, sumSecondBlock, "A listener has one pool. Make it larger, or leave one of the two out.")
			continue
		}
		v.Pool = s.pool(p, DHCP)
	}
	if v.Server {
		if l.Share {
			s.errorf(body.Attributes["mode"].Expr.Range(), sumSharedServer, "With share = true the other DHCP server on this host holds the port, and answers the clients that renew their addresses here. Leave out share, and give that server's addresses to a pool; or leave out mode, and let it lease them.")
		}
		if v.Pool.Size > 0 && l.Relayed && v.Mask == 0 {
			s.errorf(b.DefRange(), sumMissing, "Clients behind relays are told the mask of their network, which no interface of this host has. Write mask = \"255.255.255.0\" into the listener.")
		}
		return
	}
	const way = "has no effect on a ProxyDHCP server, which leases no addresses. Write mode = \"server\" into the listener, or leave it out."
	for _, name := range []string{"router", "mask", "dns", "domain"} {
		if a := body.Attributes[name]; a != nil {
			s.errorf(a.NameRange, sumNotHere, "%s %s", name, way)
		}
	}
	for _, p := range body.Blocks {
		s.errorf(p.TypeRange, sumNotHere, "pool %s", way)
	}
}

// domainName is what can follow a host's name.
var domainName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// maskBits is the length of the prefix of a mask, as 255.255.255.0.
func maskBits(mask string) (int, bool) {
	addr, err := netip.ParseAddr(mask)
	if err != nil || !addr.Is4() {
		return 0, false
	}
	ones, bits := net.IPMask(addr.AsSlice()).Size()
	return ones, bits == 32 && ones >= 8 && ones <= 30
}

// hosts are addresses that clients are told of.
func (s *scope) hosts(a *hclsyntax.Attribute, kind Kind, of, noun, example string) (told []netip.Addr) {
	if a == nil {
		return nil
	}
	family := map[Kind]string{DHCP: "IPv4", DHCP6: "IPv6"}[kind]
	all, _ := s.texts(a, fmt.Sprintf("%s addresses in quotes, like [%q]", family, example))
	for _, t := range all {
		addr, err := netip.ParseAddr(t.s)
		switch {
		case err != nil || addr.Is4() != (kind == DHCP) || addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast():
			s.errorf(t.at, sumAddress, "%q is not the %s address of %s. Write one like %q.", t.s, family, of, example)
		case slices.Contains(told, addr):
			s.errorf(t.at, sumTwice, "%s %q stands in the list twice. Name it once.", noun, t.s)
		case len(told) == maxTold:
			s.errorf(t.at, sumNumber, "These are too many for the answers to small clients. Name %d at most.", maxTold)
			return told
		default:
			told = append(told, addr)
		}
	}
	return told
}

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
	if a := body.Attributes["dns"]; a != nil && s.takes(a, kind, DHCP, DHCP6) {
		v.DNS = s.hosts(a, DHCP6, "a name server", "Name server", "2001:db8::53")
	}
	for i, b := range body.Blocks { // a pool
		switch {
		case kind != DHCP6:
			s.errorf(b.TypeRange, sumNotHere, "pool has no effect on listener %q. It belongs to dhcp, dhcp6; leave it out here.", kind)
		case i > 0:
			s.errorf(b.TypeRange, sumSecondBlock, "A listener has one pool. Make it larger, or leave one of the two out.")
		default:
			v.Pool = s.pool(b, DHCP6)
		}
	}
	return v
}

func (s *scope) pool(b *hclsyntax.Block, kind Kind) Pool {
	if len(b.Labels) > 0 {
		s.errorf(b.LabelRanges[0], sumLabel, "A pool block has no label: write pool { … }.")
	}
	body := s.names(&poolSchema, b.Body)
	p := Pool{Lifetime: lifetimeV6}
	what, example := "a global or unique local IPv6 address", "2001:db8::100"
	if kind == DHCP {
		p.Lifetime, what, example = lifetimeV4, "the IPv4 address of one host", "192.0.2.100"
	}
	addr := func(a *hclsyntax.Attribute, which string) (netip.Addr, bool) {
		t, ok := s.text(a, fmt.Sprintf("an address in quotes, like %q", example))
		if !ok {
			return netip.Addr{}, false
		}
		addr, err := netip.ParseAddr(t.s)
		if err != nil || addr.Is4() != (kind == DHCP) || addr.Is4In6() || addr.Zone() != "" || !addr.IsGlobalUnicast() {
			s.errorf(t.at, sumAddress, "%q is not %s. Write the %s address of the pool, like %q.", t.s, what, which, example)
			return netip.Addr{}, false
		}
		return addr, true
	}
	if a := body.Attributes["start"]; a != nil {
		p.Start, _ = addr(a, "first")
	}
	if a := body.Attributes["size"]; a != nil {
		if n, ok := s.count(a, "how many addresses the pool has"); ok && (n < 1 || n > maxPool) {
			s.errorf(a.Expr.Range(), sumNumber, "size cannot be %d. A pool has 1 to %d addresses.", n, maxPool)
		} else if ok {
			p.Size = n
		}
	}
	if a := body.Attributes["end"]; a != nil && body.Attributes["size"] != nil {
		s.errorf(a.NameRange, sumTwoEnds, "size says already how many addresses the pool has. Write one of the two.")
	} else if a != nil {
		if end, ok := addr(a, "last"); ok && p.Start.IsValid() {
			for at := p.Start; p.Size <= maxPool && at.Compare(end) <= 0; at = at.Next() {
				p.Size++
			}
			if p.Size < 1 || p.Size > maxPool {
				s.errorf(a.Expr.Range(), sumNumber, "From %s to %s there is not a pool of 1 to %d addresses. Write as end the last address, after start.", p.Start, end, maxPool)
				p.Size = 0
			}
		}
	}
	if a := body.Attributes["lifetime"]; a != nil {
		if life, ok := s.duration(a, brief(p.Lifetime)); ok && life < minLifetime {
			s.errorf(a.Expr.Range(), sumDuration, "lifetime cannot be %s: the address would be renewed all the time. Write at least %q.", brief(life), brief(minLifetime))
		} else if ok && life > maxLifetime {
			s.errorf(a.Expr.Range(), sumDuration, "lifetime cannot be %s: an address would never come back. Write at most %q.", brief(life), brief(maxLifetime))
		} else if ok {
			p.Lifetime = life
		}
	}
	if body.Attributes["start"] == nil || body.Attributes["size"] == nil && body.Attributes["end"] == nil {
		s.errorf(b.DefRange(), sumMissing, "A pool needs its first address and how many there are: write start = %q and size = 50, with addresses of the machines' own network.", example)
	} else if p.Start.Is4() && p.Size > 0 {
		last := p.Start.As4()
		if n := uint64(binary.BigEndian.Uint32(last[:])) + uint64(p.Size) - 1; n >= 224<<24 {
			s.errorf(b.DefRange(), sumNumber, "%d addresses from %s do not end before those that are no hosts'. Write fewer.", p.Size, p.Start)
		}
	}
	return p
}

// checkReservations refuses addresses of machines that nobody leases.
func (d *decoder) checkReservations() {
	if d.unsure["listener"] || slices.ContainsFunc(d.cfg.Listeners, func(l Listener) bool { return l.DHCP4.Server }) {
		return
	}
	if d.reservedAt != nil {
		d.errorf(*d.reservedAt, sumNotHere, "ip reserves an address, and no listener leases any. Write mode = \"server\" into listener \"dhcp\": without a pool it answers machines with an ip and nobody else.")
	}
}

// warnAddresses warns of servers that answer nobody.
func (d *decoder) warnAddresses() {
	for i, l := range d.cfg.Listeners {
		if l.DHCP4.Server && l.DHCP4.Pool.Size == 0 && d.reservedAt == nil {
			d.warn(d.listeners[i], sumNobody, "A DHCP server without a pool answers machines with a reservation, and there is none. Write a pool, or ip = \"192.0.2.10\" into a machine block.")
		}
	}
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
