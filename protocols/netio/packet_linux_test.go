package netio

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

// ipPacket makes the packet that d is on the wire, with so many bytes of IP options.
func ipPacket(d Datagram, port uint16, options int) []byte {
	src, dst := d.Local.As4(), d.Peer.Addr().As4()
	h := make([]byte, minIPHeader+options)
	h[0] = 4<<4 | byte(len(h)/4)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+udpHeader+len(d.Data)))
	h[8], h[9] = 64, protocolUDP
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	return append(appendUDPHeader(h, port, &d), d.Data...)
}

var discover = Datagram{
	Data:  []byte("DISCOVER"),
	Local: netip.MustParseAddr("192.0.2.7"),
	Peer:  netip.MustParseAddrPort("255.255.255.255:67"),
}

func TestParsePacket(t *testing.T) {
	good := func(change func(b []byte)) []byte {
		b := ipPacket(discover, 68, 0)
		change(b)
		return b
	}
	put := binary.BigEndian.PutUint16
	for _, tt := range []struct {
		name   string
		packet []byte
		want   string // "" is refused
	}{
		{"whole", good(func([]byte) {}), "DISCOVER"},
		{"with IP options", ipPacket(discover, 68, 40), "DISCOVER"},
		{"padded behind its end", append(good(func([]byte) {}), 0, 0, 0), "DISCOVER"},
		{"padded within IP, behind UDP's end", good(func(b []byte) { put(b[24:], udpHeader+3) }), "DIS"},
		{"don't fragment", good(func(b []byte) { b[6] = 0x40 }), "DISCOVER"},
		{"checksum left to the card", good(func(b []byte) { put(b[26:], 1) }), "DISCOVER"},
		{"nothing", nil, ""},
		{"half a header", good(func([]byte) {})[:minIPHeader-1], ""},
		{"IPv6", good(func(b []byte) { b[0] = 6<<4 | 5 }), ""},
		{"IP header shorter than the least", good(func(b []byte) { b[0] = 4<<4 | 4 }), ""},
		{"IP header longer than the packet", good(func(b []byte) { b[0] = 4<<4 | 15 }), ""},
		{"total length beyond the end", good(func(b []byte) { put(b[2:], 100) }), ""},
		{"total length within the headers", good(func(b []byte) { put(b[2:], minIPHeader+udpHeader-1) }), ""},
		{"cut short", good(func([]byte) {})[:minIPHeader+udpHeader+3], ""},
		{"first fragment", good(func(b []byte) { b[6] = 0x20 }), ""},
		{"later fragment", good(func(b []byte) { b[7] = 1 }), ""},
		{"TCP", good(func(b []byte) { b[9] = 6 }), ""},
		{"UDP length beyond IP's", good(func(b []byte) { put(b[24:], udpHeader+9) }), ""},
		{"UDP length within the header", good(func(b []byte) { put(b[24:], udpHeader-1) }), ""},
		{"another port", good(func(b []byte) { put(b[22:], 68) }), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePacket(tt.packet, 67)
			if (err == nil) != (tt.want != "") || string(got.Data) != tt.want {
				t.Fatalf("parsePacket = %q, %v; want %q", got.Data, err, tt.want)
			}
			if err != nil {
				return
			}
			if want := netip.MustParseAddrPort("192.0.2.7:68"); got.Peer != want || got.Local != discover.Peer.Addr() {
				t.Errorf("from %v to %v, want %v to %v", got.Peer, got.Local, want, discover.Peer.Addr())
			}
		})
	}
}

// RFC 768: the checksum of pseudo header, header and data, the sum itself included,
// is all ones.
func TestChecksum(t *testing.T) {
	for _, data := range []string{"", "x", "DISCOVER", string(bytes.Repeat([]byte{0xff}, maxUDPLength))} {
		d := discover
		d.Data = []byte(data)
		p := ipPacket(d, 68, 0)
		sum := onesSum(uint32(protocolUDP+udpHeader+len(data)), p[12:]) // addresses, UDP
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		if sum != 0xffff {
			t.Errorf("%d bytes: sum %#x, want 0xffff", len(data), sum)
		}
	}
	d := discover
	d.Data = []byte{0x9d, 0x5f}
	for i := range 0x10000 { // whatever the data, never "no checksum"
		binary.BigEndian.PutUint16(d.Data, uint16(i))
		if p := appendUDPHeader(nil, 68, &d); p[6] == 0 && p[7] == 0 {
			t.Fatalf("checksum of data %x is zero", d.Data)
		}
	}
	d.Local = netip.Addr{}
	if p := appendUDPHeader(nil, 68, &d); p[6] != 0 || p[7] != 0 {
		t.Errorf("checksum %x without a source address, want none", p[6:])
	}
}

// The filter must pass whatever parsePacket takes.
func TestFilterPassesThePort(t *testing.T) {
	vm, err := bpf.NewVM(portFilter(67))
	if err != nil {
		t.Fatal(err)
	}
	for options := 0; options <= 40; options += 4 {
		for port, want := range map[uint16]bool{67: true, 68: false, 4011: false} {
			d := discover
			d.Peer = netip.AddrPortFrom(d.Peer.Addr(), port)
			p := ipPacket(d, 68, options)
			if n, err := vm.Run(p); err != nil || (n >= len(p)) != want {
				t.Errorf("port %d, %d bytes of options: keeps %d of %d, %v; want all: %v", port, options, n, len(p), err, want)
			}
		}
	}
}

func TestEchoesAreTakenOnce(t *testing.T) {
	var e echoes
	e.seed = maphash.MakeSeed()
	sent := Datagram{Data: []byte("OFFER"), Peer: netip.MustParseAddrPort("192.0.2.1:67")}
	back := Datagram{Data: []byte("OFFER"), Peer: netip.MustParseAddrPort("192.0.2.2:67")}
	e.add(67, &sent)
	if !e.take(67, &back) {
		t.Error("the echo was not recognised")
	}
	if e.take(67, &back) {
		t.Error("a second datagram of that content was taken for an echo")
	}

	client := sent
	client.Peer = netip.MustParseAddrPort("192.0.2.1:68") // does not come back
	e.add(67, &client)
	if e.take(67, &back) {
		t.Error("a datagram to a client was remembered")
	}

	e.add(67, &sent)
	for i := range maxEchoes { // to relays elsewhere
		other := sent
		other.Data = []byte{byte(i)}
		e.add(67, &other)
	}
	if e.take(67, &back) {
		t.Errorf("more than %d were remembered", maxEchoes)
	}
}

// FuzzParsePacket: no packet makes the parser read beyond it, and what it takes
// agrees with itself.
func FuzzParsePacket(f *testing.F) {
	f.Add(ipPacket(discover, 68, 0), uint16(67))
	f.Add(ipPacket(discover, 68, 40), uint16(67))
	f.Add(ipPacket(discover, 68, 0)[:minIPHeader+udpHeader], uint16(67))
	f.Add([]byte{0x4f}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		d, err := parsePacket(b, port)
		if err != nil {
			return
		}
		if len(d.Data) > len(b)-minIPHeader-udpHeader || cap(d.Data) != len(d.Data) {
			t.Fatalf("%d bytes (capacity %d) out of a packet of %d", len(d.Data), cap(d.Data), len(b))
		}
		// What goes out again in the other direction is read as the same.
		reply := Datagram{Data: d.Data, Local: d.Local, Peer: d.Peer}
		back, err := parsePacket(ipPacket(reply, port, 0), d.Peer.Port())
		if err != nil || !bytes.Equal(back.Data, d.Data) || back.Local != d.Peer.Addr() || back.Peer != netip.AddrPortFrom(d.Local, port) {
			t.Fatalf("reply to %v from %v is read as %v (%v)", reply.Peer, reply.Local, back, err)
		}
	})
}

// FuzzParsePacketInfo: control messages are the kernel's, but no reason to trust.
func FuzzParsePacketInfo(f *testing.F) {
	v4 := Datagram{Local: netip.MustParseAddr("192.0.2.1"), Interface: 7}
	v6 := Datagram{Local: netip.MustParseAddr("2001:db8::1"), Interface: 7}
	for _, d := range []*Datagram{&v4, &v6} {
		var c control
		oob := c.bytes()[:c.set(d)]
		f.Add(oob)
		f.Add(oob[:20])
		if _, index := parsePacketInfo(oob); index != d.Interface {
			f.Errorf("got interface %d, want %d", index, d.Interface)
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, oob []byte) { parsePacketInfo(oob) })
}
