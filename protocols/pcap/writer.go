package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// A Datagram is one UDP datagram on its way.
type Datagram struct {
	Time      time.Time
	Interface string // its name; empty: not known
	From, To  netip.AddrPort
	// FromMAC and ToMAC are the stations that it went between, which are not those
	// of From and To behind a router; zero: not known.
	FromMAC, ToMAC [6]byte
	Data           []byte
}

// MaxData is how many bytes a Datagram can have: what IPv4 has room for.
const MaxData = 0xffff - ipv4Header - udpHeader

// Sizes of headers in bytes, without options.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	udpHeader      = 8
)

// Ethernet types (RFC 9542 appendix B).
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
)

const (
	protocolUDP = 17
	hopLimit    = 64
)

// Blocks of pcapng, and the options in them that are of use here (§4).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockSimple    = 3
	blockPacket    = 6

	optEnd           = 0
	optSectionApp    = 4
	optInterfaceName = 2
	optResolution    = 9

	byteOrder   = 0x1a2b3c4d
	nanoseconds = 9 // of optResolution: negative powers of ten
)

// Link types (draft-ietf-opsawg-pcaplinktype).
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// A Writer writes a capture.
type Writer struct {
	w          io.Writer
	interfaces map[string]uint32
	buf        []byte
}

// maxInterfaces bounds those of one capture.
const maxInterfaces = 4096

// NewWriter begins a capture. application names the program in it.
func NewWriter(w io.Writer, application string) (*Writer, error) {
	b := binary.LittleEndian.AppendUint32(nil, byteOrder)
	b = binary.LittleEndian.AppendUint16(b, 1) // version 1.0
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 1<<64-1) // the length is not known
	b = option(b, optSectionApp, []byte(application))
	b = option(b, optEnd, nil)
	wr := &Writer{w: w, interfaces: map[string]uint32{}}
	return wr, wr.block(blockSection, b)
}

// Write appends a datagram. It is in one call of the underlying Write, or in two
// where it is the first of its interface.
func (w *Writer) Write(d Datagram) error {
	frame, err := d.frame()
	if err != nil {
		return err
	}
	id, ok := w.interfaces[d.Interface]
	if !ok {
		if len(w.interfaces) >= maxInterfaces {
			return fmt.Errorf("more than %d interfaces", maxInterfaces)
		}
		id = uint32(len(w.interfaces))
		b := binary.LittleEndian.AppendUint16(nil, linkEthernet)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, 0) // packets are not cut
		if d.Interface != "" {
			b = option(b, optInterfaceName, []byte(d.Interface))
		}
		b = option(b, optResolution, []byte{nanoseconds})
		if err := w.block(blockInterface, option(b, optEnd, nil)); err != nil {
			return err
		}
		w.interfaces[d.Interface] = id
	}
	at := uint64(d.Time.UnixNano())
	b := binary.LittleEndian.AppendUint32(w.buf[:0], id)
	b = binary.LittleEndian.AppendUint32(b, uint32(at>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	w.buf = pad(append(b, frame...))
	return w.block(blockPacket, w.buf)
}

// block writes a block of a type. body is a multiple of 4 bytes.
func (w *Writer) block(t uint32, body []byte) error {
	length := uint32(len(body) + 12)
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, length), t)
	b = binary.LittleEndian.AppendUint32(b, length)
	b = append(b, body...)
	_, err := w.w.Write(binary.LittleEndian.AppendUint32(b, length))
	return err
}

func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad fills up to a multiple of 4 bytes; what is before the value has one.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// frame is the Ethernet frame of a datagram.
func (d Datagram) frame() ([]byte, error) {
	from, to := d.From.Addr().Unmap().WithZone(""), d.To.Addr().Unmap().WithZone("")
	if !from.IsValid() || !to.IsValid() || from.Is4() != to.Is4() {
		return nil, fmt.Errorf("datagram from %v to %v: not two addresses of one family", d.From, d.To)
	}
	if len(d.Data) > MaxData {
		return nil, fmt.Errorf("datagram of %d bytes: more than %d", len(d.Data), MaxData)
	}
	toMAC := d.ToMAC
	switch {
	case toMAC != [6]byte{}:
	case to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		toMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case to.Is6() && to.IsMulticast(): // RFC 2464 §7
		a := to.As16()
		toMAC = [6]byte{0x33, 0x33, a[12], a[13], a[14], a[15]}
	}
	length := uint16(udpHeader + len(d.Data))
	b := append(append(make([]byte, 0, ethernetHeader+ipv6Header+int(length)), toMAC[:]...), d.FromMAC[:]...)
	if from.Is4() {
		b = binary.BigEndian.AppendUint16(b, etherIPv4)
		at := len(b)
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, ipv4Header+length)
		b = append(b, 0, 0, 0, 0, hopLimit, protocolUDP, 0, 0)
		b = append(append(b, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(b[at+10:], checksum(b[at:at+ipv4Header]))
	} else {
		b = binary.BigEndian.AppendUint16(b, etherIPv6)
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, length)
		b = append(b, protocolUDP, hopLimit)
		b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	}
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, d.From.Port())
	b = binary.BigEndian.AppendUint16(b, d.To.Port())
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(append(b, 0, 0), d.Data...)
	// RFC 768: the checksum covers the addresses, the protocol and the length, too.
	sum := checksum(from.AsSlice(), to.AsSlice(), []byte{0, protocolUDP, byte(length >> 8), byte(length)}, b[at:])
	if sum == 0 {
		sum = 0xffff // the same number in ones' complement; zero says that there is none
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	return b, nil
}

// checksum is that of the Internet (RFC 1071) over the parts, all but the last of
// which have an even length.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
