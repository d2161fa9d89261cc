package dhcp4

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/strategy"
)

// The fast path. The requests of a hundred machines of one model differ in who sends
// them and in nothing else, and so do the answers. So what does not tell machines
// apart is worked out once:
//
//	datagram ─▶ form (what is left without who sent it) ─▶ Client      in place of FromBytes and Classify
//	               └─▶ template, by offer and address ─▶ datagram      in place of Offer or Ack, and ToBytes
//
// Everything between is the same code for both (Server.boot, Server.reply), and says
// the same to everybody. The first request of a form, and the first answer of a kind to
// it, go the slow way and are learnt from; what survey refuses goes it always:
// requests of relays that say more than their address, Raspberry Pis, and whatever is
// not well formed. Leases do, too. TestTheFastPathSaysTheSame and FuzzFast hold the
// two together, byte by byte.

const (
	// maxForms and maxTemplates bound what is learnt. A network has as many forms as
	// it has kinds of firmware and of iPXE, and relays. Who sends more makes the loop
	// learn anew, and costs others no more than the slow path does.
	maxForms     = 256
	maxTemplates = 16 // of one form
)

// forms are what one loop that reads has learnt, under settings that do not change. The
// zero value is ready. It is for one goroutine.
type forms struct {
	set      *Settings
	listener string // its address, as Facts have it
	all      map[string]*form
	key      []byte // of the request that is looked at
	out      []byte // the answers of a batch
}

// A form is what requests have in common that differ in nothing but whom they are from.
type form struct {
	kind      dhcpv4.MessageType
	relay     netip.Addr
	client    Client // without MAC and UUID; its Facts are what the request says, without the UUID
	templates []template
}

// A template is an answer to a request of a form, and where in it stands what differs.
type template struct {
	offering strategy.Offer
	addr     netip.Addr // that it is sent from and tells

	packet []byte
	token  int // offsets in bytes; 0: it has none
	uuid   int
	id     int
	before string // of the file's name, before the token
	after  string
}

// spots are where in a request stands who sent it, in bytes; 0: nowhere.
type spots struct {
	uuid   int // the value of option 97, of uuidLen bytes
	id     int // the value of option 61…
	idSize int // …and its length
}

// Offsets in a packet of BOOTP (RFC 2131 §2).
const (
	atXID    = 4
	atFlags  = 10
	atCiaddr = 12
	atGiaddr = 24
	atChaddr = 28
	atFile   = 108
)

// survey reads a request that has passed the gate: where it says who sent it, and, into
// key, what is left without that. What Classify and the answers do not look at (secs,
// sname, a host name, an address that is asked for) is left out, too. It is not ok where
// that would not tell all that they look at.
func survey(b, key []byte) (at spots, _ []byte, ok bool) {
	if bootfiles.FromRaspberryPi([6]byte(b[atChaddr:])) {
		return at, key, false // its address is more than a name
	}
	key = append(key[:0], b[:3]...)
	key = append(key, b[atFlags:atFlags+2]...)
	key = append(key, b[atGiaddr:atGiaddr+4]...)
	var once [4]bool
	first := func(n int) bool { // RFC 3396: of what comes twice, the parts are one value
		was := once[n]
		once[n] = true
		return !was
	}
	for i := bootpFixed; i < len(b); {
		code := b[i]
		if code == dhcpv4.OptionEnd.Code() {
			return at, key, true
		}
		if code == dhcpv4.OptionPad.Code() {
			i++
			continue
		}
		if i+2 > len(b) || i+2+int(b[i+1]) > len(b) {
			break
		}
		n := int(b[i+1])
		value := b[i+2 : i+2+n]
		switch code {
		case dhcpv4.OptionRelayAgentInformation.Code():
			return at, key, false // of facts that tell each port of a switch from the next
		case dhcpv4.OptionHostName.Code(), dhcpv4.OptionRequestedIPAddress.Code():
			// Neither is looked at.
		case dhcpv4.OptionClientIdentifier.Code():
			if !first(0) {
				return at, key, false
			}
			key = append(key, code, b[i+1])
			at.id, at.idSize = i+2, n
		case optionUUID.Code():
			if !first(1) || bytes.HasPrefix(value[min(1, n):], []byte("RPi")) {
				return at, key, false
			}
			key = append(key, code, b[i+1])
			if n == uuidLen {
				at.uuid = i + 2
			} else {
				key = append(key, value...)
			}
		default:
			key = append(key, b[i:i+2+n]...)
		}
		i += 2 + n
	}
	return at, key, false
}

// begin is for the next batch: the answers of the last have been sent.
func (f *forms) begin() { f.out = f.out[:0] }

// room is memory of n bytes until the next batch.
func (f *forms) room(n int) []byte {
	if cap(f.out)-len(f.out) < n {
		f.out = make([]byte, 0, readBatch*max(n, minReply)) // the answers in the old one keep it
	}
	f.out = f.out[:len(f.out)+n]
	return f.out[len(f.out)-n : len(f.out) : len(f.out)]
}

// recognise reads of the request what tells its form, and reports whether that is known.
func (f *forms) recognise(s *Server, r *request) bool {
	if f.set != r.set {
		*f = forms{set: r.set, listener: s.listener(r.set).String(), all: map[string]*form{}, key: f.key, out: f.out}
	}
	b := r.from.Data
	at, key, ok := survey(b, f.key)
	f.key = key
	if !ok {
		return false
	}
	r.forms, r.spots = f, at
	if r.form = f.all[string(key)]; r.form == nil {
		return false
	}
	r.xid, r.kind = [4]byte(b[atXID:]), r.form.kind
	r.relay, r.address = r.form.relay, netip.AddrFrom4([4]byte(b[atCiaddr:]))
	return true
}

// parse reads all of a request of a known form.
func (r *request) parse() error {
	if r.DHCPv4 != nil {
		return nil
	}
	p, err := dhcpv4.FromBytes(r.from.Data)
	if err != nil {
		return err
	}
	r.understood(p)
	return nil
}

// clientOf is what Classify would say of the request, but for Facts: see factsOf.
func (f *form) clientOf(r *request) Client {
	c := f.client
	c.Machine.Facts = nil
	c.Machine.MAC = net.HardwareAddr(bytes.Clone(r.from.Data[atChaddr : atChaddr+6]))
	if at := r.spots.uuid; at != 0 {
		c.UUID = r.from.Data[at : at+uuidLen]
	}
	return c
}

// factsOf are the Facts of the request: before, what the machine told last, if that is
// the same.
func (s *Server) factsOf(r *request, before *boot.Facts) *boot.Facts {
	facts := *r.form.client.Machine.Facts
	var uuid [16]byte
	if at := r.spots.uuid; at != 0 {
		if id := [16]byte(r.from.Data[at+1:]); hasUUID(id) {
			facts.Known |= boot.FactUUID
			uuid = uuidOf(id)
		}
	}
	arrived(&facts, s.Role, r.forms.listener, r.iface, r.from.Peer.Addr())
	if before != nil && sameFacts(before, &facts, uuid) {
		return before
	}
	if facts.Known&boot.FactUUID != 0 {
		facts.UUID = boot.FormatUUID(uuid)
	}
	fresh := facts
	return &fresh
}

// sameFacts reports whether a is b with its UUID.
func sameFacts(a, b *boot.Facts, uuid [16]byte) bool {
	if !a.Alike(b) {
		return false
	}
	var text [36]byte
	return a.Known&boot.FactUUID == 0 || a.UUID == string(boot.AppendUUID(text[:0], uuid))
}

// remember learns from an answer that was made of everything.
func (f *forms) remember(r *request, a *answer, addr netip.Addr, token string) {
	t := template{offering: a.offering, addr: addr, packet: a.datagram.Data}
	if !t.find(r, a.file, token) {
		return
	}
	of := r.form
	if of == nil {
		c, err := Classify(r.DHCPv4)
		if err != nil {
			return
		}
		c.UUID, c.Machine.MAC = nil, nil
		c.Machine.Facts.Known &^= boot.FactUUID
		c.Machine.Facts.UUID = ""
		of = &form{kind: r.kind, relay: r.relay, client: c}
		if len(f.all) >= maxForms {
			clear(f.all)
		}
		f.all[string(f.key)] = of
	}
	if len(of.templates) >= maxTemplates {
		of.templates = nil
	}
	of.templates = append(of.templates, t)
}

// find finds the places in the packet. It reports false if it is not made as answers are
// that can be patched.
func (t *template) find(r *request, file, token string) bool {
	for i := bootpFixed; t.packet[i] != dhcpv4.OptionEnd.Code(); {
		n := int(t.packet[i+1])
		switch code := t.packet[i]; {
		case code == optionUUID.Code() && t.uuid == 0 && n == uuidLen:
			t.uuid = i + 2
		case code == dhcpv4.OptionClientIdentifier.Code() && t.id == 0 && n == r.spots.idSize:
			t.id = i + 2
		case code == optionUUID.Code() || code == dhcpv4.OptionClientIdentifier.Code():
			return false
		case code == dhcpv4.OptionBootfileName.Code() && t.token == 0 && string(t.packet[i+2:i+2+n]) == file:
			t.token = i + 2
		}
		i += 2 + n
	}
	if (t.uuid != 0) != (r.spots.uuid != 0) || (t.id != 0) != (r.spots.idSize != 0) {
		return false
	}
	if file == "" {
		t.token = 0
		return true
	}
	if t.token == 0 && len(file) <= fileField && bytes.HasPrefix(t.packet[atFile:], []byte(file)) {
		t.token = atFile
	}
	var ok bool
	if t.before, t.after, ok = strings.Cut(file, token); !ok || t.token == 0 {
		return false
	}
	t.token += len(t.before)
	return true
}

// patch makes the datagram of the answer of a template, if there is one for it.
func (s *Server) patch(r *request, a *answer, addr netip.Addr) bool {
	i := slices.IndexFunc(r.form.templates, func(t template) bool { return t.offering == a.offering && t.addr == addr })
	if i < 0 {
		return false
	}
	t, from := &r.form.templates[i], r.from.Data
	b := r.forms.room(len(t.packet))
	copy(b, t.packet)
	copy(b[atXID:atXID+4], from[atXID:])
	copy(b[atCiaddr:atCiaddr+4], from[atCiaddr:])
	copy(b[atChaddr:atChaddr+6], from[atChaddr:])
	if t.uuid != 0 {
		copy(b[t.uuid:t.uuid+uuidLen], from[r.spots.uuid:])
	}
	if t.id != 0 {
		copy(b[t.id:t.id+r.spots.idSize], from[r.spots.id:])
	}
	if t.token != 0 {
		s.Tokens.AppendSeal(b[:t.token], r.token(a))
	}
	a.datagram = s.way(r, addr, false)
	a.datagram.Data, a.template = b, t
	return true
}

// named is the name of the file that the answer of a template tells.
func (t *template) named(packet []byte) string {
	if t.token == 0 {
		return ""
	}
	return t.before + string(packet[t.token:t.token+boot.TokenLen]) + t.after
}
