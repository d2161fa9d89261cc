package netio

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

const (
	protocolUDP  = 17 // RFC 790
	minIPHeader  = 20 // RFC 791 §3.1
	maxIPHeader  = 60 // likewise: IHL is 4 bits, of words
	udpHeader    = 8  // RFC 768
	maxUDPLength = 0xffff - minIPHeader - udpHeader
)

// errNotOurs is any packet that the snooper does not want.
var errNotOurs = errors.New("not a whole UDP datagram for the port")

// parsePacket takes a packet of IPv4 as a raw socket delivers it, and returns the
// datagram inside if it is whole and for port. Data is a part of b.
//
// The checksum of UDP is not verified: a datagram from a virtual machine or a
// container on this host has none yet, since the card would have made it.
func parsePacket(b []byte, port uint16) (Datagram, error) {
	if len(b) < minIPHeader || b[0]>>4 != 4 {
		return Datagram{}, errNotOurs
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < minIPHeader || total < header+udpHeader || total > len(b) {
		return Datagram{}, errNotOurs
	}
	const moreFragments, offset = 0x2000, 0x1fff
	if b[9] != protocolUDP || binary.BigEndian.Uint16(b[6:])&(moreFragments|offset) != 0 {
		return Datagram{}, errNotOurs
	}
	udp := b[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != port || length < udpHeader || length > len(udp) {
		return Datagram{}, errNotOurs
	}
	return Datagram{
		Data:  udp[udpHeader:length:length],
		Peer:  netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(udp)),
		Local: netip.AddrFrom4([4]byte(b[16:20])),
	}, nil
}

// appendUDPHeader appends the header of a datagram from d.Local, port, to d.Peer
// (RFC 768). The checksum covers the source address: it is zero, "no checksum",
// when the kernel is to choose that.
func appendUDPHeader(b []byte, port uint16, d *Datagram) []byte {
	length := uint16(udpHeader + len(d.Data))
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, d.Peer.Port())
	b = binary.BigEndian.AppendUint16(b, length)
	if !d.Local.IsValid() {
		return append(b, 0, 0)
	}
	src, dst := d.Local.As4(), d.Peer.Addr().As4()
	sum := onesSum(0, src[:])
	sum = onesSum(sum, dst[:])
	sum += protocolUDP + 2*uint32(length) + uint32(port) + uint32(d.Peer.Port())
	sum = onesSum(sum, d.Data)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	check := ^uint16(sum)
	if check == 0 {
		check = 0xffff // the same number in ones' complement; zero is taken
	}
	return binary.BigEndian.AppendUint16(b, check)
}

// onesSum adds the 16-bit words of b to sum, an odd last byte padded with zero. 64
// KiB cannot overflow it.
func onesSum(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}
