package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/pcap"
)

func mac(n int) (m MAC) {
	m[0] = 2
	binary.BigEndian.PutUint32(m[2:], uint32(n))
	return m
}

func words(all []pcap.Datagram) (w []string) {
	for _, d := range all {
		w = append(w, string(d.Data[:min(len(d.Data), 8)]))
	}
	return w
}

func TestARingRemembersEachMachine(t *testing.T) {
	var r Ring
	data := []byte("first")
	r.Add(mac(1), pcap.Datagram{Data: data})
	copy(data, "other")
	r.Add(mac(2), pcap.Datagram{Data: []byte("another")})
	before, f := r.Follow(mac(1))
	r.Add(mac(1), pcap.Datagram{Data: []byte("second")})
	r.Add(mac(2), pcap.Datagram{Data: []byte("not his")})
	if diff := cmp.Diff([]string{"first"}, words(before)); diff != "" {
		t.Errorf("so far: -want +got\n%s", diff)
	}
	if got := string((<-f.C).Data); got != "second" || len(f.C) != 0 {
		t.Errorf("followed: got %q, and %d more", got, len(f.C))
	}
	for range maxBehind + 5 {
		r.Add(mac(1), pcap.Datagram{})
	}
	if lost := r.Leave(f); lost != 5 {
		t.Errorf("lost: got %d, want 5", lost)
	}
	if got := r.Of(mac(1)); len(got) != maxBehind+7 && string(got[0].Data) != "first" {
		t.Errorf("got %d", len(got))
	}
	var none *Ring
	none.Add(mac(1), pcap.Datagram{})
	if none.Of(mac(1)) != nil || len(r.Of(mac(3))) != 0 {
		t.Error("packets of nowhere")
	}
}

func TestARingIsBounded(t *testing.T) {
	var r Ring
	for i := range 3000 { // one machine that repeats for ever
		r.Add(mac(0), pcap.Datagram{Data: fmt.Appendf(nil, "%08d%300d", i, 0)})
	}
	got := r.Of(mac(0))
	if used := len(got) * (overhead + 308); used > MaxMachine || used < MaxMachine*9/10 || words(got)[len(got)-1] != "00002999" {
		t.Errorf("one machine has %d bytes of %d, the last is %q", used, MaxMachine, words(got)[len(got)-1])
	}
	for i := range 100_000 { // and a flood of invented ones
		r.Add(mac(i+1), pcap.Datagram{Data: make([]byte, 300)})
	}
	bytes := 0
	for _, c := range r.chunks {
		bytes += cap(c.data) + cap(c.packets)*int(unsafe.Sizeof(packet{}))
	}
	if bytes > MaxBytes || bytes < MaxBytes*8/10 || len(r.chunks) != maxChunks {
		t.Errorf("%d bytes of %d in %d chunks", bytes, MaxBytes, len(r.chunks))
	}
	if len(r.Of(mac(0))) != 0 || len(r.Of(mac(100_000))) != 1 {
		t.Error("it is not the oldest that was forgotten")
	}
	var all []*Follower
	for range MaxFollowers {
		_, f := r.Follow(mac(1))
		all = append(all, f)
	}
	if _, f := r.Follow(mac(1)); f != nil {
		t.Error("one more follows than may")
	}
	for _, f := range all {
		r.Leave(f)
	}
	r.Add(mac(200_000), pcap.Datagram{Data: make([]byte, pcap.MaxData)})
	r.Add(mac(200_000), pcap.Datagram{Data: make([]byte, pcap.MaxData+1)})
	if len(r.Of(mac(200_000))) != 1 {
		t.Error("the newest packet is kept, up to the size that there is")
	}
}

func TestATapNotesBothWays(t *testing.T) {
	ap := netip.MustParseAddrPort
	wire := &netio.Wire{}
	server, err := wire.Listen(ap("192.0.2.1:67"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := wire.Listen(ap("0.0.0.0:68"))
	if err != nil {
		t.Fatal(err)
	}
	packet := func(op byte) []byte {
		b := make([]byte, 240)
		m := mac(1)
		b[0], b[2] = op, 6
		copy(b[28:], m[:])
		binary.BigEndian.PutUint32(b[236:], 0x63825363)
		return b
	}
	tap := &Tap{Conn: server, Ring: &Ring{}, Interfaces: netio.NewInterfaces(), Whose: DHCP}
	broadcast := ap("255.255.255.255:67")
	if _, err := client.WriteBatch([]netio.Datagram{{Data: packet(1), Peer: broadcast}, {Data: []byte("noise"), Peer: broadcast}}); err != nil {
		t.Fatal(err)
	}
	if n, err := tap.ReadBatch(netio.NewBatch(8, 500)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := tap.WriteBatch([]netio.Datagram{
		{Data: packet(2), Peer: ap("255.255.255.255:68"), Local: netip.MustParseAddr("192.0.2.1")}, {Data: packet(2), Peer: ap("192.0.2.9:68")},
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range tap.Ring.Of(mac(1)) {
		if time.Since(d.Time) > time.Minute || len(d.Data) != 240 {
			t.Errorf("%+v", d)
		}
		got = append(got, fmt.Sprintf("%v → %v, %x → %x", d.From, d.To, d.FromMAC, d.ToMAC))
	}
	want := []string{
		"0.0.0.0:68 → 255.255.255.255:67, 020000000001 → 000000000000",
		"192.0.2.1:67 → 255.255.255.255:68, 000000000000 → 000000000000",
		"0.0.0.0:67 → 192.0.2.9:68, 000000000000 → 020000000001",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhoseARequestOfTFTPIs(t *testing.T) {
	whose := TFTP(func(dir string) (MAC, bool) { return mac(1), dir == "TOKEN" })
	for data, want := range map[string]bool{
		"\x00\x01TOKEN/ipxe.efi\x00octet\x00":  true,
		"\x00\x01/TOKEN/ipxe.efi\x00octet\x00": true,
		"\x00\x01ipxe.efi\x00octet\x00":        false, // a fixed name
		"\x00\x01OTHER/ipxe.efi\x00octet\x00":  false,
		"\x00\x04\x00\x01":                     false,
		"\x00\x01TOKEN":                        false,
		"":                                     false,
	} {
		if _, ok := whose([]byte(data), netip.Addr{}); ok != want {
			t.Errorf("%q: got %v", data, ok)
		}
	}
}

func FuzzWhose(f *testing.F) {
	f.Add([]byte("\x00\x01TOKEN/ipxe.efi\x00octet\x00"))
	f.Add(make([]byte, 240))
	whose := TFTP(func(dir string) (MAC, bool) { return MAC{}, dir != "" })
	f.Fuzz(func(_ *testing.T, data []byte) {
		whose(data, netip.Addr{})
		DHCP(data, netip.Addr{})
	})
}

// What the Tap costs a server for each packet.
func BenchmarkAdd(b *testing.B) {
	var r Ring
	d := pcap.Datagram{Data: make([]byte, 400)}
	b.ReportAllocs()
	for i := range b.N {
		r.Add(mac(i%5000), d)
	}
}
