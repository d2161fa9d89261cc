package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func (d *decoder) listener(b *hclsyntax.Block) {
	body, s := d.names(&listenerSchema, b.Body), d.in(b.TypeRange)
	name, at, ok := d.label(b, "what it serves")
	if !ok {
		return
	}
	if !slices.Contains(kinds, name) {
		d.unsure["listener"] = true
		d.errorf(at, sumUnknownKind, "A listener cannot serve %q.%s", name, didYouMean(name, kinds))
		return
	}
	kind := Kind(name)
	l := Listener{Kind: kind, Address: kind.defaultAddress(), Pos: pos(b.DefRange())}

	addressAt, sound := b.DefRange(), true
	if a := body.Attributes["address"]; a != nil {
		addressAt = a.Expr.Range()
		l.Address, sound = s.address(a, kind)
	}
	// Port 0 is any free port, so two of those do not meet.
	if sound && l.Address.Port() != 0 {
		d.unique(kind.Transport(), l.Address.String(), addressAt, sumAddressTwice,
			fmt.Sprintf("Only one listener can have %s address %s. Give each its own address or port.", strings.ToUpper(kind.Transport()), l.Address))
	}
	if a := body.Attributes["interfaces"]; a != nil && d.takes(a, kind, DHCP, PXE, TFTP, DHCP6) {
		l.Interfaces = s.interfaces(a)
	}
	if a := body.Attributes["advertise"]; a != nil && d.takes(a, kind, DHCP, PXE, TFTP, HTTP, DHCP6) {
		l.Advertise = s.advertise(a, kind)
	}
	if a := body.Attributes["share"]; a != nil && d.takes(a, kind, DHCP) {
		l.Share, _ = s.flag(a)
	}
	if a := body.Attributes["relays"]; a != nil && d.takes(a, kind, DHCP) {
		l.Relays = s.relays(a)
	}
	if a := body.Attributes["broadcast"]; a != nil && d.takes(a, kind, DHCP) {
		broadcast, ok := s.flag(a)
		l.Relayed = ok && !broadcast
	}
	if a := body.Attributes["single_port"]; a != nil && d.takes(a, kind, TFTP) {
		l.SinglePort, _ = s.flag(a)
	}
	s.addresses(b, body, kind, &l)
	cert, key := body.Attributes["cert"], body.Attributes["key"]
	if cert != nil && d.takes(cert, kind, HTTP, Status) {
		l.Cert = s.pem(cert, "certificate", plainHTTP)
	}
	if key != nil && d.takes(key, kind, HTTP, Status) {
		l.Key = s.pem(key, "certificate's key", plainHTTP)
	}
	s.pair(b, cert, key)
	if a := body.Attributes["token"]; a != nil && d.takes(a, kind, Status) {
		d.secrets = append(d.secrets, a.SrcRange)
		d.tokens[a.Expr.Range()] = true
		l.Token = s.token(a)
	}
	if a := body.Attributes["client_ca"]; a != nil && d.takes(a, kind, Status) {
		l.ClientCA = s.pem(a, "certificate of the authority", "leave client_ca out")
		if cert == nil {
			s.errorf(a.NameRange, sumHalfPair, "Clients show a certificate over https only. Write cert = \"…\" and key = \"…\" with the listener's own beside client_ca.")
		}
	}
	if sound && kind == Status && !l.Address.Addr().IsLoopback() && body.Attributes["token"] == nil && body.Attributes["client_ca"] == nil {
		s.errorf(addressAt, sumOpenStatus, "Whoever reaches %s would read what every machine boots. Write token = env(\"…\") for a secret that readers must show, or client_ca = \"…\" for their certificates; or listen on %q, and reach it by `ssh -L`.", l.Address, netip.AddrPortFrom(kind.defaultAddress().Addr(), l.Address.Port()))
	}
	if sound {
		d.meets(l, addressAt)
	}
	d.cfg.Listeners = append(d.cfg.Listeners, l)
	d.listeners = append(d.listeners, b.DefRange())
}

// meets refuses a listener whose socket could not be opened beside another's, because
// one of the two addresses is every address of this host.
func (d *decoder) meets(l Listener, at hcl.Range) {
	bound := func(l Listener) netip.Addr {
		if l.Kind == DHCP { // which hears broadcasts only there
			return netip.IPv4Unspecified()
		}
		return l.Address.Addr()
	}
	covers := func(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) || a == b }
	for i, other := range d.cfg.Listeners {
		if other.Kind.Transport() != l.Kind.Transport() || other.Address.Port() != l.Address.Port() || l.Address.Port() == 0 ||
			other.Address == l.Address || other.Share || l.Share || !covers(bound(l), bound(other)) && !covers(bound(other), bound(l)) {
			continue
		}
		detail := fmt.Sprintf("%s address %s cannot be served beside %s, since one of them is every address of this host. Leave one listener out, or give it another port.", strings.ToUpper(l.Kind.Transport()), l.Address, other.Address)
		if l.Kind == DHCP && other.Kind == DHCP {
			detail = fmt.Sprintf("Only one listener \"dhcp\" can have port %d of this host, whatever the address, since requests are broadcast. One with interfaces = [\"eth0\", \"eth1\"] serves several networks.", l.Address.Port())
		}
		d.errorf(at, sumAddressTwice, "%s The first one stands at %s.", detail, pos(d.listeners[i])).other = d.listeners[i]
		return
	}
}

// takes refuses a setting that would be inert for this kind of listener.
func (d *decoder) takes(a *hclsyntax.Attribute, kind Kind, takers ...Kind) bool {
	if slices.Contains(takers, kind) {
		return true
	}
	words := make([]string, len(takers))
	for i, t := range takers {
		words[i] = string(t)
	}
	d.errorf(a.NameRange, sumNotHere, "%s has no effect on listener %q. It belongs to %s; leave it out here.", a.Name, kind, strings.Join(words, ", "))
	return false
}

func (s *scope) address(a *hclsyntax.Attribute, kind Kind) (netip.AddrPort, bool) {
	example := kind.defaultAddress().String()
	t, ok := s.text(a, fmt.Sprintf("an IP address and a port in quotes, like %q", example))
	if !ok {
		return netip.AddrPort{}, false
	}
	ap, err := netip.ParseAddrPort(t.s)
	if err != nil {
		s.errorf(t.at, sumAddress, "%q is not an IP address with a port. %s", t.s, mendAddress(t.s, kind))
		return netip.AddrPort{}, false
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if (kind == DHCP || kind == PXE) && !ap.Addr().Is4() {
		s.errorf(t.at, sumIPv4Only, "DHCP is a protocol of IPv4. Write an IPv4 address for listener %q, like %q.", kind, example)
		return netip.AddrPort{}, false
	}
	if kind == DHCP6 && ap.Addr() != netip.IPv6Unspecified() {
		s.errorf(t.at, sumAddress, "Machines ask by multicast, which a socket of one address does not hear. Write %q, and choose by interfaces and advertise.", netip.AddrPortFrom(netip.IPv6Unspecified(), ap.Port()))
		return netip.AddrPort{}, false
	}
	return ap, true
}

// mendAddress says what to write instead of s.
func mendAddress(s string, kind Kind) string {
	def := kind.defaultAddress()
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return fmt.Sprintf("Add the port: %q.", netip.AddrPortFrom(addr, def.Port()))
	}
	if port, ok := strings.CutPrefix(s, ":"); ok {
		if kind == DHCP || kind == PXE {
			return fmt.Sprintf("Write %q for all addresses of this host.", "0.0.0.0:"+port)
		}
		return fmt.Sprintf("Write %q for all addresses of this host.", "[::]:"+port)
	}
	if i := strings.LastIndexByte(s, ':'); i > 0 && strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
		return fmt.Sprintf("An IPv6 address stands in brackets: %q.", "["+s[:i]+"]"+s[i:])
	}
	return fmt.Sprintf("Write it like %q; a host name will not do, since it may change.", def)
}

// maxInterface is the length of an interface's name in bytes: Linux's IFNAMSIZ,
// less its final NUL.
const maxInterface = 15

func (s *scope) interfaces(a *hclsyntax.Attribute) []string {
	all, ok := s.texts(a, `the names of interfaces in quotes, like ["eth0"]`)
	if ok && len(all) == 0 {
		s.errorf(a.Expr.Range(), sumEmpty, "interfaces is an empty list, so that nothing would be served. Name an interface, or leave the line out to serve all.")
	}
	var names []string
	for _, t := range all {
		switch {
		case t.s == "" || len(t.s) > maxInterface || strings.ContainsAny(t.s, " \t\n/"):
			s.errorf(t.at, sumInterface, "%q cannot be the name of an interface, which has 1 to %d characters and no blank or slash. Write it as `ip link` shows it.", t.s, maxInterface)
		case slices.Contains(names, t.s):
			s.errorf(t.at, sumTwice, "Interface %q stands in the list twice. Name it once.", t.s)
		default:
			names = append(names, t.s)
		}
	}
	return names
}

func (s *scope) advertise(a *hclsyntax.Attribute, kind Kind) netip.Addr {
	example := "192.0.2.1"
	if kind == DHCP6 {
		example = "2001:db8::1"
	}
	t, ok := s.text(a, fmt.Sprintf("one IP address in quotes, like %q", example))
	if !ok {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(t.s)
	addr = addr.Unmap()
	why := ""
	switch {
	case err != nil:
		why = "is not one IP address without a port"
	case addr.IsUnspecified():
		why = "means any address, to which no machine can come back"
	case addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		why = "is not the address of one host"
	case addr.Zone() != "":
		why = "has a zone, which means nothing to another host"
	case (kind == DHCP || kind == PXE) && !addr.Is4():
		why = "is not IPv4, as the addresses in DHCP are"
	case kind == DHCP6 && !addr.Is6():
		why = "is not IPv6, as the addresses in DHCPv6 are"
	default:
		return addr
	}
	s.errorf(t.at, sumAdvertise, "%q %s. Write the address under which machines reach this host, like %q.", t.s, why, example)
	return netip.Addr{}
}

// pair refuses one of cert and key without the other.
func (s *scope) pair(b *hclsyntax.Block, cert, key *hclsyntax.Attribute) {
	switch {
	case cert != nil && key == nil:
		s.errorf(b.DefRange(), sumHalfPair, "A certificate without its key proves nothing. Write key = \"…\" with the path of the key beside it.")
	case key != nil && cert == nil:
		s.errorf(b.DefRange(), sumHalfPair, "A key without its certificate is of no use. Write cert = \"…\" with the path of the certificate beside it.")
	}
}

// plainHTTP is what a listener without cert and key is.
const plainHTTP = "leave cert and key out for plain http"

// pem is the path of a file that is read when the daemon starts and at a reload, not
// here: whoever checks a file need not be able to read a key. without says what else
// can be done.
func (s *scope) pem(a *hclsyntax.Attribute, what, without string) string {
	path, at, ok := s.localPath(a, fmt.Sprintf(`the path of a PEM file in quotes, like "/etc/pixiecore/%s.pem"`, a.Name),
		fmt.Sprintf("Write the path of the %s, or %s.", what, without),
		fmt.Sprintf("A %s is not fetched from elsewhere. Copy the file to this host, and write its path.", what))
	if ok {
		s.named = append(s.named, namedFile{path: path, at: at, without: "pixiecore will not start until it is there."})
	}
	return path
}

// minToken is how many characters a token has at least: of random letters and
// digits, that many cannot be guessed over a network.
const minToken = 16

// tokenText is what can stand in an Authorization header without being encoded: RFC
// 6750 §2.1, b64token.
var tokenText = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// token is the secret that readers of a listener show. Nothing of it is repeated.
func (s *scope) token(a *hclsyntax.Attribute) string {
	const want = `a text that nobody can guess, like the output of "openssl rand -hex 16"; env("NAME") keeps it out of the file`
	t, ok := s.text(a, want)
	switch {
	case !ok:
	case t.s == "":
		s.errorf(t.at, sumEmpty, "token is empty, so that anybody could read the status. Write %s.", want)
	case len(t.s) < minToken:
		s.errorf(t.at, sumToken, "The token has %d characters, which can be guessed; %d are the least. Write %s.", len(t.s), minToken, want)
	case len(t.s) > maxToken:
		s.errorf(t.at, sumToken, "The token has %d characters, and %d are the most. Write %s.", len(t.s), maxToken, want)
	case !tokenText.MatchString(t.s):
		s.errorf(t.at, sumToken, "The token has characters that cannot stand in a header: it takes letters, digits and -._~+/, and = at the end. A new line at the end of a file is one; trimspace() takes it away.")
	default:
		return t.s
	}
	return ""
}

// maxToken bounds a token, in bytes.
const maxToken = 512

// relays are the addresses that may stand in giaddr. None of them is the same as
// broadcast = false turned around, and more likely a mistake.
func (s *scope) relays(a *hclsyntax.Attribute) (relays []netip.Prefix) {
	const want = `addresses or networks of relays in quotes, like ["10.1.0.1", "10.2.0.0/16"]`
	all, ok := s.texts(a, want)
	if ok && len(all) == 0 {
		s.errorf(a.Expr.Range(), sumEmpty, "relays is an empty list, so that no relay would be answered. Write %s, or leave the line out to answer all.", want)
	}
	for _, t := range all {
		p, ok := s.network(t, want)
		switch {
		case !ok:
		case !p.Addr().Is4():
			s.errorf(t.at, sumIPv4Only, "DHCP is a protocol of IPv4, and so are the addresses of its relays. Write %s.", want)
		case p.Addr().IsUnspecified() && p.IsSingleIP(): // RFC 2131 §2: giaddr 0 is no relay
			s.errorf(t.at, sumRelay, "%q is no relay: a request with this address has not been relayed. Write %s.", t.s, want)
		case slices.Contains(relays, p):
			s.errorf(t.at, sumTwice, "Relay %q stands in the list twice. Name it once.", t.s)
		default:
			relays = append(relays, p)
		}
	}
	return relays
}

// checkListeners looks at what the listeners are without each other.
func (d *decoder) checkListeners() {
	if d.unsure["listener"] || d.has(HTTP) {
		return
	}
	if len(d.cfg.Listeners) == 0 {
		d.Report.file(d.name, sumNoListener, `The file has no listener, so nothing would be served; half a file looks the same. Write listener "dhcp" {}, "pxe", "tftp" and "http".`)
		return
	}
	for i, l := range d.cfg.Listeners {
		if l.Kind != Status {
			d.errorf(d.listeners[i], sumNoHTTP, "Machines fetch their script over HTTP, whatever brings them here. Write listener \"http\" {} beside listener %q.", l.Kind)
			return
		}
	}
}

func (d *decoder) warnListeners() {
	if i := slices.IndexFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == HTTP }); i >= 0 && d.cfg.Listeners[i].Cert != "" {
		plain := slices.ContainsFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == HTTP && l.Cert == "" })
		way := "Firmware that loads over HTTP must trust it, too: write a listener \"http\" without cert after this one, and it is told of that for its loader."
		if plain {
			way = "Firmware finds its loader at the listener without cert."
		}
		d.warn(d.listeners[i], sumHTTPS, "Machines are told of the first http listener, and this one has a certificate: the iPXE that they load must trust who issued it, for the address that they are told, or it stops with \"Permission denied\". "+way)
	}
	for i, l := range d.cfg.Listeners {
		if l.Token != "" && l.Cert == "" && !l.Address.Addr().IsLoopback() {
			d.warn(d.listeners[i], sumClearToken, "The token goes over the network in the clear with every request, and whoever reads one can read the status from then on. Write cert = \"…\" and key = \"…\", and the listener speaks https.")
		}
	}
	d.warnOverIPv6()
	d.warnAddresses()
	i := slices.IndexFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == DHCP })
	if i < 0 {
		return
	}
	at := d.listeners[i]
	if !d.has(TFTP) {
		d.warn(at, sumNoTFTP, `PXE firmware fetches its loader over TFTP, so that only machines that run iPXE already will boot. Write listener "tftp" {}.`)
	}
	if !d.has(PXE) {
		d.warn(at, sumNoPXE, `Much UEFI firmware asks on port 4011 once more and gives up without an answer. Write listener "pxe" {}.`)
	}
}

func (d *decoder) has(kind Kind) bool {
	return slices.ContainsFunc(d.cfg.Listeners, func(l Listener) bool { return l.Kind == kind })
}
