package booters

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Truth is the value of a condition. It has a third one, because a machine
// that is only beginning to boot has not said everything about itself.
type Truth int8

// The truth values, in the order that makes AND their minimum.
const (
	False   Truth = iota
	Unknown       // it hangs on what is not known yet: see boot.Facts and boot.Machine.ArchCertain
	True
)

// String is "false", "unknown" or "true".
func (t Truth) String() string {
	switch t {
	case False:
		return "false"
	case Unknown:
		return "unknown"
	default:
		return "true"
	}
}

// A Match is the condition of a rule: the fields are ANDed, the values of one
// field ORed. An empty field means any, so the zero Match is every machine.
type Match struct {
	MACs      []MACPattern
	Archs     []boot.Architecture
	Firmwares []boot.Firmware

	// What the inventory says.
	Machines []string          // names
	Labels   map[string]string // all of them

	// Further is what few rules ask beside that; nil: nothing. There may be a rule for
	// each of 100,000 machines, which then have no room for it: 112 bytes, and not 552.
	Further *Further
}

// Further are more fields of a Match.
type Further struct {
	// What a DHCP request tells (boot.DHCPFacts).
	Transports    []string // boot.TransportPXE, boot.TransportHTTP
	IPXE          *bool
	UUIDs         []Glob // of ParseUUIDGlob
	Interfaces    []Glob
	Listeners     []Glob
	Subnets       []netip.Prefix // those that the machine's subnet lies in
	Relays        []netip.Prefix // an address is a prefix of all its bits
	VendorClasses []Glob
	UserClasses   []Glob
	CircuitIDs    []Glob
	RemoteIDs     []Glob

	// What only iPXE tells (boot.IPXEFacts).
	Serials       []Glob
	Manufacturers []Glob
	Products      []Glob
	Assets        []Glob
	Hostnames     []Glob

	// None of Not may hold. In a Match of Any, one field, or one Match of its
	// own Not and Any, is enough.
	Not []Match
	Any []Match

	// When is any further condition. The Entry is nil for a stranger. It must
	// be pure and quick, and return Unknown where it hangs on a fact that the
	// Machine does not know. WhenNeeds are the facts that it looks at, and
	// WhenText tells it from another one: functions cannot be compared.
	When      func(boot.Machine, *Entry) Truth
	WhenNeeds boot.Fact
	WhenText  string
}

// noFurther asks nothing. It is never modified.
var noFurther Further

// further is Further, where there is none too.
func (m *Match) further() *Further {
	if m.Further == nil {
		return &noFurther
	}
	return m.Further
}

// Needs are the facts that the condition looks at. Who is in the inventory may
// be a matter of the UUID.
func (m *Match) Needs() boot.Fact {
	x := m.further()
	needs := x.WhenNeeds
	set := func(f boot.Fact, used bool) {
		if used {
			needs |= f
		}
	}
	set(boot.FactTransport, len(x.Transports) > 0)
	set(boot.FactIPXE, x.IPXE != nil)
	set(boot.FactSubnets, len(x.Subnets) > 0)
	set(boot.FactRelay, len(x.Relays) > 0)
	set(boot.FactUUID, len(m.Machines) > 0 || len(m.Labels) > 0)
	for _, c := range textConditions {
		set(c.fact, len(c.globs(x)) > 0)
	}
	for i := range x.Not {
		needs |= x.Not[i].Needs()
	}
	for i := range x.Any {
		needs |= x.Any[i].Needs()
	}
	return needs
}

// NeedsIPXE reports whether the condition can hang on what only iPXE knows. An
// architecture does not count: a BIOS machine may leave it open, others do not.
func (m *Match) NeedsIPXE() bool { return m.Needs()&boot.IPXEFacts != 0 }

// HasDHCPCondition reports whether something in the condition keeps strangers
// out before they load iPXE: a positive condition on what the MAC, the platform,
// the inventory or the DHCP request says.
func (m *Match) HasDHCPCondition() bool {
	return slices.Contains(m.early(), true)
}

// early says of each condition in m whether it keeps strangers out before iPXE
// runs. What is negated does not.
func (m *Match) early() (early []bool) {
	set := func(used, dhcp bool) {
		if used {
			early = append(early, dhcp)
		}
	}
	x := m.further()
	for _, used := range [...]bool{
		len(m.MACs) > 0, len(m.Archs) > 0, len(m.Firmwares) > 0, len(m.Machines) > 0, len(m.Labels) > 0,
		len(x.Transports) > 0, x.IPXE != nil, len(x.Subnets) > 0, len(x.Relays) > 0,
	} {
		set(used, true)
	}
	for _, c := range textConditions {
		set(len(c.globs(x)) > 0, c.fact&boot.IPXEFacts == 0)
	}
	set(len(x.Not) > 0, false)
	for i := range x.Any {
		alternatives := x.Any[i].early()
		set(true, len(alternatives) > 0 && !slices.Contains(alternatives, false))
	}
	set(x.When != nil, x.WhenNeeds&boot.IPXEFacts == 0)
	return early
}

// asksInventory reports whether the condition looks at the machine's Entry.
func (m *Match) asksInventory() bool {
	asks := func(n Match) bool { return n.asksInventory() }
	x := m.further()
	return len(m.Machines) > 0 || len(m.Labels) > 0 || x.When != nil || slices.ContainsFunc(x.Not, asks) || slices.ContainsFunc(x.Any, asks)
}

// check refuses what no machine can be: architectures and firmwares that boot
// has no name for, which the index could not tell apart, transports that there
// are not, and machines that the inventory does not have.
func (m *Match) check(inv *Inventory) error {
	for _, a := range m.Archs {
		if a < 0 || int(a) >= numArchs-1 {
			return fmt.Errorf("there is no architecture %d", int(a))
		}
	}
	for _, f := range m.Firmwares {
		if f < 0 || int(f) >= numFirmwares-1 {
			return fmt.Errorf("there is no firmware %d", int(f))
		}
	}
	x := m.further()
	for _, t := range x.Transports {
		if t != boot.TransportPXE && t != boot.TransportHTTP {
			return fmt.Errorf("there is no transport %q: write %q or %q", t, boot.TransportPXE, boot.TransportHTTP)
		}
	}
	for _, name := range m.Machines {
		if inv.Named(name) == nil {
			return fmt.Errorf("there is no machine %q", name)
		}
	}
	for _, nested := range [...][]Match{x.Not, x.Any} {
		for i := range nested {
			if err := nested[i].check(inv); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	macDigits = 12 // hexadecimal digits of a MAC
	macBits   = 4 * macDigits
	exactMask = 1<<macBits - 1
)

// A MACPattern is a glob over MAC addresses, compiled to a value under a mask
// of whole hexadecimal digits, so that matching is one AND and "can this rule
// ever be reached?" has an exact answer. Patterns may be compared with ==. The
// zero MACPattern is the glob "*".
type MACPattern struct{ value, mask uint64 }

// ParseMACPattern reads a MAC address or a glob over them, in upper or lower
// case:
//
//	52:54:00:aa:00:01   52-54-00-aa-00-01   5254.00aa.0001   525400aa0001
//	52:54:00:*          the rest, whatever it is (52:54:0* and 525400* too)
//	52:*:00:*           an octet in the middle (two octets between dots)
//	52:54:0?:*          one digit
//
// What has fewer than six octets needs a "*" at its end. The error says what is
// wrong and what to write instead.
func ParseMACPattern(s string) (MACPattern, error) {
	p, err := parseMACPattern(strings.ToLower(s))
	if err != nil {
		return MACPattern{}, fmt.Errorf("MAC pattern %q: %w", s, err)
	}
	return p, nil
}

func parseMACPattern(s string) (p MACPattern, err error) {
	if s == "" {
		return p, errors.New(`it is empty; write "*" for every MAC`)
	}
	sep, width := "", macDigits
	if i := strings.IndexAny(s, ":-."); i >= 0 {
		sep, width = s[i:i+1], 2
		if sep == "." {
			width = 4
		}
	}
	groups := []string{s}
	if sep != "" {
		groups = strings.Split(s, sep)
	}

	n := 0 // digits so far
	put := func(value, mask uint64) {
		if n < macDigits {
			shift := macBits - 4*(n+1)
			p.value |= value << shift
			p.mask |= mask << shift
		}
		n++
	}
	rest := false
	for i, group := range groups {
		if i == len(groups)-1 {
			group, rest = strings.CutSuffix(group, "*")
		} else if group == "*" {
			group = strings.Repeat("?", width)
		}
		switch {
		case strings.Contains(group, "*"):
			return p, errors.New(`"*" stands for a whole octet, or at the end for the rest; write "?" for one digit`)
		case rest && len(group) <= width, !rest && len(group) == width:
		case sep == "":
			if !rest && len(group) < width {
				return p, tooShort(s, "")
			}
			return p, errors.New("it has more than the twelve digits of a MAC")
		default:
			return p, fmt.Errorf("%q is not %d digits; between %q there are always %[2]d", group, width, sep)
		}
		for _, c := range []byte(group) {
			switch {
			case c == '?':
				put(0, 0)
			case '0' <= c && c <= '9':
				put(uint64(c-'0'), 0xf)
			case 'a' <= c && c <= 'f':
				put(uint64(c-'a'+10), 0xf)
			default:
				return p, fmt.Errorf(`%q holds something other than hexadecimal digits, "?" and "*"`, group)
			}
		}
	}
	switch {
	case n > macDigits:
		return p, errors.New("it has more than the six octets of a MAC")
	case n == macDigits && rest:
		return p, errors.New(`nothing is left for the "*" at its end: leave it out`)
	case n < macDigits && !rest:
		return p, tooShort(s, sep)
	}
	return p, nil
}

func tooShort(s, sep string) error {
	return fmt.Errorf(`it has fewer than the six octets of a MAC; write %q for all that begin like this`, s+sep+"*")
}

// String writes the pattern with colons and in lower case, as short as it can:
// "52:54:00:*". ParseMACPattern reads it back as the same pattern.
func (p MACPattern) String() string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for shift := macBits - 8; shift >= 0; shift -= 8 {
		if p.mask&(1<<(shift+8)-1) == 0 { // nothing is fixed from here on
			b.WriteByte('*')
			return b.String()
		}
		if p.mask>>shift&0xff == 0 {
			b.WriteByte('*')
		} else {
			for _, at := range [...]int{shift + 4, shift} {
				if p.mask>>at&0xf == 0 {
					b.WriteByte('?')
				} else {
					b.WriteByte(digits[p.value>>at&0xf])
				}
			}
		}
		if shift > 0 {
			b.WriteByte(':')
		}
	}
	return b.String()
}

// Match reports whether the pattern holds for mac. The MAC 00:00:00:00:00:00,
// which is what broken firmware sends for "none", matches no glob, only itself
// written out; a MAC that is not six octets long matches nothing.
func (p MACPattern) Match(mac net.HardwareAddr) bool {
	v, ok := macValue(mac)
	return ok && v&p.mask == p.value && (v != 0 || p.exact())
}

// Covers reports whether p matches every MAC that q matches.
func (p MACPattern) Covers(q MACPattern) bool {
	if q.exact() && q.value == 0 {
		return p == q
	}
	return p.mask&^q.mask == 0 && q.value&p.mask == p.value
}

func (p MACPattern) exact() bool { return p.mask == exactMask }

// macValue is mac as a number, its first octet the most significant.
func macValue(mac net.HardwareAddr) (v uint64, ok bool) {
	if len(mac) != 6 {
		return 0, false
	}
	for _, b := range mac {
		v = v<<8 | uint64(b)
	}
	return v, true
}
