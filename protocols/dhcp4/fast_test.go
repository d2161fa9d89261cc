package dhcp4

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/bootfiles"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// twins are two servers that hear the same at the same time: one reads everything of
// each request, and the other takes the fast path where it can.
type twins struct {
	slow, fast       *Server
	slowLog, fastLog *observer.ObservedLogs
	known            forms
	now              time.Time
	patched          int // answers of templates
}

func newTwins(t testing.TB, role Role, source boot.Source, x Settings, interfaces *netio.Interfaces) *twins {
	t.Helper()
	w := &twins{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	tokens, err := boot.NewTokenKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	make := func() (*Server, *observer.ObservedLogs) {
		s := &Server{Role: role, Boots: &boots.Memory{}, Tokens: tokens, Interfaces: interfaces, Conn: boundTo("0.0.0.0:67"), Chains: &Chains{}, Events: events.New()}
		core, logs := observer.New(zap.DebugLevel)
		s.Log, s.Boots.Source, s.Boots.Events, s.Drops = zap.New(core), source, s.Events, &drops.Counts{}
		s.Clock, s.Settings = func() time.Time { return w.now }, set(x)
		return s, logs
	}
	w.slow, w.slowLog = make()
	w.fast, w.fastLog = make()
	return w
}

// made is all that a Server makes of one request.
type made struct {
	Err, File, Iface, Offering string
	Datagram                   netio.Datagram
	Client                     Client
	Rule                       string
	Gen                        uint64
	Held                       bool
}

func of(a *answer, err error) made {
	m := made{File: a.file, Iface: a.iface, Offering: a.offering.String(), Datagram: a.datagram, Client: a.client, Rule: a.decision.Rule, Gen: a.decision.Gen(), Held: a.decision.Held}
	if a.template != nil {
		m.File = a.template.named(a.datagram.Data)
	}
	if err != nil {
		m.Err = err.Error()
	}
	return m
}

// hear makes both hear a packet, and compares all that comes of it.
func (w *twins) hear(t testing.TB, d netio.Datagram) made {
	t.Helper()
	finish := func(s *Server, a *answer, err error) made {
		if err == nil && a.later != nil {
			*a, err = a.later(t.Context())
		}
		m := of(a, err)
		if err != nil {
			s.logUnanswered(d.Peer, a, err)
		} else {
			s.record(a, w.now)
		}
		return m
	}
	a, err := w.slow.handle(t.Context(), d)
	want := finish(w.slow, &a, err)

	w.known.begin()
	buffer := bytes.Clone(d.Data) // which the next datagram overwrites
	d.Data = buffer
	var b answer
	err = w.fast.answer(t.Context(), &w.known, &d, &b)
	if b.template != nil {
		w.patched++
	}
	if b.later != nil {
		clear(buffer)
	}
	got := finish(w.fast, &b, err)

	same := cmp.Options{cmpopts.IgnoreUnexported(netio.Datagram{}), cmp.Comparer(bytes.Equal), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("the answer: -slow +fast\n%s", diff)
	}
	if diff := cmp.Diff(maps.Collect(w.slow.Drops.All()), maps.Collect(w.fast.Drops.All())); diff != "" {
		t.Errorf("the drops: -slow +fast\n%s", diff)
	}
	lines := func(l *observer.ObservedLogs) (all []string) {
		for _, e := range l.TakeAll() {
			all = append(all, fmt.Sprint(e.Level, e.Message, e.ContextMap()))
		}
		return all
	}
	if diff := cmp.Diff(lines(w.slowLog), lines(w.fastLog)); diff != "" {
		t.Errorf("the log: -slow +fast\n%s", diff)
	}
	return got
}

// compareEvents compares what has come of everything that both have heard.
func (w *twins) compareEvents(t testing.TB) {
	t.Helper()
	if a, b := happened(w.slow), happened(w.fast); !reflect.DeepEqual(a, b) { // cmp would take a minute for them all
		t.Errorf("the events: -slow +fast\n%s", cmp.Diff(a, b))
	}
}

// happened are the events of a server. Those of package boots have the time of the host.
func happened(s *Server) []events.Machine {
	all := s.Events.Machines()
	for _, m := range all {
		for _, b := range m.Boots {
			for i := range b.Steps {
				if e := &b.Steps[i]; e.Kind == events.Noticed {
					e.Time, e.Last = time.Time{}, time.Time{}
				}
			}
		}
	}
	return all
}

// as is the packet of another machine of the same model.
func as(packet []byte, n byte) []byte {
	b := bytes.Clone(packet)
	if len(b) < bootpFixed {
		return b
	}
	b[atXID] ^= n
	b[atChaddr+5] ^= n
	if at, _, ok := survey(b, nil); ok && at.uuid != 0 {
		b[at.uuid+5] ^= n
	}
	return b
}

// verdicts are what rules may say of a machine.
func verdicts() map[string]boot.Verdict {
	all := map[string]boot.Verdict{
		"boot": {Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}, Rule: "lab", Boot: "live"}, "local": {Action: boot.Local, Rule: "disk"}, "probe": {Action: boot.Probe, Rule: "p"},
		"ignore": {Rule: "printers", Reason: "so"}, "noticed": {Action: boot.Boot, Rule: "lab", Notice: "mind this"},
	}
	for _, l := range []boot.Loader{boot.LoaderShim, boot.LoaderGRUB, boot.LoaderNative} {
		all["boot by "+l.String()] = boot.Verdict{Action: boot.Boot, Rule: "lab", Loader: l}
	}
	for _, s := range []boot.Style{boot.StyleBINL, boot.StyleBypass, boot.StyleBypassPrompt, boot.StyleBootServers} {
		all["offer = "+s.String()] = boot.Verdict{Action: boot.Boot, Rule: "lab", Offer: s}
	}
	return all
}

// requests are the packets of every kind of firmware, and odd ones.
func requests(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for _, p := range overIPv4() {
		all[p.Name] = p.Discover(mac, xid, uuid).ToBytes()
	}
	packets, _ := packets(t)
	maps.Copy(all, packets)
	for name, change := range map[string][]func(*dhcpv4.DHCPv4){
		"without a UUID":             {option(97, nil)},
		"with a UUID of zeros":       {option(97, make([]byte, 17))},
		"with a UUID of ones":        {option(97, append([]byte{0}, bytes.Repeat([]byte{0xff}, 16)...))},
		"with a UUID that is cut":    {option(97, []byte{0, 1, 2})},
		"with an identifier":         {option(61, []byte{1, 9, 9})},
		"with an empty one":          {option(61, []byte{})},
		"with a long one":            {option(61, bytes.Repeat([]byte{7}, 255))},
		"that takes more":            {option(57, []byte{5, 192}), option(61, bytes.Repeat([]byte{7}, 255))},
		"with a host name":           {option(12, []byte("db1"))},
		"that asks for an address":   {option(50, []byte{192, 0, 2, 9})},
		"with overload":              {option(52, []byte{3})},
		"of a relay":                 {giaddr("127.0.0.9")},
		"of a relay that says where": {giaddr("127.0.0.9"), option(82, []byte("\x01\x02ab"))},
		"with an address":            {func(d *dhcpv4.DHCPv4) { d.ClientIPAddr = net.IP{127, 0, 0, 9} }},
		"that wants a broadcast":     {(*dhcpv4.DHCPv4).SetBroadcast},
		"of another hardware":        {func(d *dhcpv4.DHCPv4) { d.HWType = 6 }},
		"after a while":              {func(d *dhcpv4.DHCPv4) { d.NumSeconds = 9 }},
	} {
		for _, from := range []string{"efi-x64", "bios"} {
			all[from+" "+name] = discover(t, from, change...).ToBytes()
		}
	}
	twice := discover(t, "bios").ToBytes()
	all["a UUID twice"] = append(twice[:len(twice)-1:len(twice)-1], 97, 1, 5, 255)
	all["two halves of a class"] = append(twice[:len(twice)-1:len(twice)-1], 60, 1, 'x', 255)
	all["padding"] = append(append(twice[:bootpFixed:bootpFixed], 0, 0), twice[bootpFixed:]...)
	all["no end"] = twice[:len(twice)-1]
	all["noise"] = []byte("hello")
	return all
}

func TestTheFastPathSaysTheSame(t *testing.T) {
	lo, interfaces := loopback(t), netio.NewInterfaces()
	settings := map[string]Settings{
		"as usual": {}, "advertised": {Advertise: us, TFTP: netip.MustParseAddr("192.0.2.9")},
		"elsewhere": {Web: bootfiles.Web{Addr: us, Port: 443, TLS: true}, Plain: bootfiles.Web{Addr: us, Port: 80}}, "far": {Relayed: true},
	}
	all := requests(t)
	patched := map[string]bool{}
	for where, x := range settings {
		for what, v := range verdicts() {
			if where != "as usual" && what != "boot" {
				continue
			}
			for _, role := range []Role{ProxyDHCP, BootServer} {
				w := newTwins(t, role, everyLoader{booter{"*": v}}, x, interfaces)
				for _, name := range slices.Sorted(maps.Keys(all)) {
					if what != "boot" && strings.Contains(name, " ") {
						continue // what is odd about it is the same with every verdict
					}
					before := w.patched
					for n := range byte(4) { // of three machines, one of which asks again
						packet := as(all[name], n%3)
						if i := bytes.Index(packet, []byte{53, 1}); role == BootServer && i > 0 {
							packet[i+2] = byte(dhcpv4.MessageTypeRequest)
						}
						if w.now = w.now.Add(time.Second); n == 3 && len(packet) > bootpFixed {
							packet[8]++ // secs
						}
						w.hear(t, netio.Datagram{Data: packet, Interface: lo, Peer: netip.MustParseAddrPort("127.0.0.8:68"), Local: netip.MustParseAddr("255.255.255.255")})
						if t.Failed() {
							t.Fatalf("%s, %s, %s, %s, the %d. time", role, where, what, name, n+1)
						}
					}
					if w.compareEvents(t); t.Failed() {
						t.Fatalf("%s, %s, %s, %s", role, where, what, name)
					}
					patched[name] = patched[name] || w.patched > before
				}
			}
		}
	}
	for _, name := range []string{"bios", "efi-x64", "efi-arm64", "http-x64", "ipxe-x64", "ipxe-no-http", "bios with an identifier", "efi-x64 of a relay", "padding"} {
		if !patched[name] {
			t.Errorf("%s never takes the fast path", name)
		}
	}
	for _, name := range []string{"rpi4", "efi-x64 of a relay that says where", "a UUID twice", "no end", "ordinary"} {
		if patched[name] {
			t.Errorf("%s takes the fast path", name)
		}
	}
}

// The settings hold for what was learnt under them alone, and nothing that is sent makes it grow.
func TestFormsAreBounded(t *testing.T) {
	lo := loopback(t)
	w := newTwins(t, ProxyDHCP, everyLoader{booter{"*": verdicts()["boot"]}}, Settings{}, netio.NewInterfaces())
	d := netio.Datagram{Interface: lo, Peer: netip.MustParseAddrPort("127.0.0.8:68")}
	for range 2 {
		d.Data = discover(t, "bios").ToBytes()
		w.hear(t, d)
	}
	if w.patched == 0 {
		t.Error("never on the fast path")
	}
	w.slow.Settings, w.fast.Settings = set(Settings{Advertise: us}), set(Settings{Advertise: us})
	w.hear(t, d)
	for n := range uint16(2 * maxForms) {
		d.Data = discover(t, "bios", option(55, binary.BigEndian.AppendUint16(nil, n))).ToBytes()
		a := answer{}
		if err := w.fast.answer(t.Context(), &w.known, &d, &a); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.known.all) > maxForms {
		t.Errorf("got %d forms, want at most %d", len(w.known.all), maxForms)
	}
	var f forms
	f.set, f.all = &Settings{}, map[string]*form{}
	r := request{form: &form{}, forms: &f, spots: spots{}}
	for n := range byte(2 * maxTemplates) {
		f.remember(&r, &answer{datagram: netio.Datagram{Data: append(make([]byte, bootpFixed), 255)}}, netip.AddrFrom4([4]byte{192, 0, 2, n}), "")
	}
	if n := len(r.form.templates); n == 0 || n > maxTemplates {
		t.Errorf("got %d templates, want at most %d", n, maxTemplates)
	}
}

// altered is the packet with bits of it turned: three bytes of change are where, and which.
func altered(packet, change []byte) []byte {
	b := bytes.Clone(packet)
	for ; len(change) >= 3 && len(b) > 0; change = change[3:] {
		b[int(binary.BigEndian.Uint16(change))%len(b)] ^= change[2]
	}
	return b
}

// Whatever clients send, the fast path answers as the slow one does, byte by byte: a
// machine, another that sends almost the same, so that a form which leaves out what
// matters is found, and another of the same model as either, whatever the rules say and
// wherever it asks from.
func FuzzFast(f *testing.F) {
	all := verdicts()
	names := slices.Sorted(maps.Keys(all))
	for _, packet := range requests(f) {
		f.Add(packet, []byte{}, false, byte(slices.Index(names, "boot")), byte(1))
		f.Add(packet, []byte{}, true, byte(slices.Index(names, "boot")), byte(0))
	}
	for i, at := range []uint16{0, 3, atFlags, atCiaddr + 3, 16, 20, atGiaddr, atChaddr, 44, atFile, bootpFixed + 1, bootpFixed + 4} { // a byte of each field
		f.Add(discover(f, "efi-x64").ToBytes(), append(binary.BigEndian.AppendUint16(nil, at), 0x80), i%2 == 0, byte(i), byte(i))
	}
	lo, interfaces := loopback(f), netio.NewInterfaces()
	peers := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:68"), netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("192.0.2.9:4011")}
	f.Fuzz(func(t *testing.T, packet, change []byte, bootServer bool, rules, n byte) {
		role := ProxyDHCP
		if bootServer {
			role = BootServer
		}
		other := altered(packet, change[:min(len(change), 3*16)])
		w := newTwins(t, role, everyLoader{booter{"*": all[names[int(rules)%len(names)]]}}, Settings{}, interfaces)
		for i, b := range [][]byte{packet, as(packet, n), other, as(other, n), other, packet} {
			w.now = w.now.Add(time.Second)
			w.hear(t, netio.Datagram{Data: b, Interface: lo, Peer: peers[(int(n)+i/2)%len(peers)], Local: netip.MustParseAddr("127.0.0.1")})
		}
		w.compareEvents(t)
	})
}

// many decides for ten thousand machines.
type many struct {
	decider
	snap boot.Snapshot
	by   map[[6]byte]*boot.Verdict
}

var _ boot.Decider = (*many)(nil)

func newMany() *many {
	m := &many{by: map[[6]byte]*boot.Verdict{}}
	for n := range 10_000 {
		m.by[[6]byte(machineOf(n))] = &boot.Verdict{Action: boot.Boot, Spec: &boot.Spec{Kernel: "k"}, Rule: fmt.Sprint("r", n), Boot: "live"}
	}
	m.snap = *booter{}.Current()
	m.snap.Booter = m
	return m
}

func machineOf(n int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)}
}

func (m *many) Current() *boot.Snapshot { return &m.snap }

func (m *many) Decide(_ context.Context, of boot.Machine) (*boot.Verdict, error) {
	return m.by[[6]byte(of.MAC)], nil
}

// answering is a server that answers the requests of a profile's machines, of which each
// has asked before, and the one whose turn it is.
func answering(t testing.TB, role Role, name string) (next func(anew bool)) {
	w := newTwins(t, role, newMany(), Settings{}, netio.NewInterfaces())
	s := w.fast
	s.Log = zap.NewNop()
	const asking = 128
	packets := make([]netio.Datagram, asking)
	for n := range packets {
		p := profile(t, name).Discover(machineOf(n), [4]byte{1, 2, byte(n >> 8), byte(n)}, [16]byte{1, 0, byte(n >> 8), byte(n)})
		if role == BootServer {
			p.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest))
		}
		packets[n] = netio.Datagram{Data: p.ToBytes(), Interface: loopback(t), Peer: netip.MustParseAddrPort("127.0.0.8:68"), Local: netip.MustParseAddr("127.0.0.1")}
	}
	var known forms
	var a answer
	n := 0
	next = func(anew bool) {
		d := &packets[n%asking]
		if n++; anew {
			binary.BigEndian.PutUint32(d.Data[atXID:], uint32(n))
		}
		known.begin()
		a = answer{}
		if err := s.answer(t.Context(), &known, d, &a); err != nil {
			t.Fatal(err)
		}
		s.record(&a, w.now)
	}
	for n := range 16 * asking {
		next(n < 12*asking) // in every style of an offer
	}
	if a.template == nil {
		t.Fatal("the fast path is not taken")
	}
	return next
}

// What an answer may allocate: the machine's address, and, of a boot that begins, what
// is remembered of it.
func TestAnAnswerAllocatesNextToNothing(t *testing.T) {
	var forgotten float64 // by the pool of the tokens
	if raced {
		forgotten = 2
	}
	for _, tc := range []struct {
		role Role
		anew bool
		most float64
	}{{ProxyDHCP, false, 1}, {ProxyDHCP, true, 3}, {BootServer, false, 1}} {
		next := answering(t, tc.role, "efi-x64")
		if got := testing.AllocsPerRun(2000, func() { next(tc.anew) }); got > tc.most+forgotten {
			t.Errorf("%s, anew: %t: %g allocations, want at most %g", tc.role, tc.anew, got, tc.most)
		}
	}
}

func BenchmarkOffer(b *testing.B) {
	for what, anew := range map[string]bool{"again": false, "anew": true} {
		b.Run(what, func(b *testing.B) {
			next := answering(b, ProxyDHCP, "efi-x64")
			b.ReportAllocs()
			for b.Loop() {
				next(anew)
			}
		})
	}
}

func BenchmarkBootServer(b *testing.B) {
	next := answering(b, BootServer, "efi-x64")
	b.ReportAllocs()
	for b.Loop() {
		next(false)
	}
}
