package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"
)

// MaxBlock bounds a block of a capture that is read, in bytes: several times what
// tcpdump takes of a packet.
const MaxBlock = 1 << 20

// Magic numbers of the older format (draft-ietf-opsawg-pcap §4).
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
)

var (
	errFormat = errors.New("not a capture: neither pcapng nor pcap")
	errBlock  = errors.New("malformed block")
)

// A Reader reads the UDP datagrams of a capture.
type Reader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	next  func() (packet, error) // of the format

	links []link // the interfaces of the section; of pcap the only one
}

// A link is an interface of a capture.
type link struct {
	kind   uint32
	name   string
	offset int64   // seconds, to be added to each time
	unit   float64 // nanoseconds of one unit of time
}

// A packet is a frame of a link.
type packet struct {
	link link
	time time.Time
	data []byte
}

// NewReader looks which format it is.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReader(r)}
	magic, err := c.r.Peek(4)
	if err != nil {
		return nil, errFormat
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(magic) {
		case blockSection:
			c.next = c.ng
			return c, nil
		case magicMicro:
			return c, c.header(order, 1000)
		case magicNano:
			return c, c.header(order, 1)
		}
	}
	return nil, errFormat
}

// Next is the next datagram, and io.EOF after the last. The error is
// io.ErrUnexpectedEOF where the capture is cut short, as one is that is still being
// written.
func (c *Reader) Next() (Datagram, error) {
	for {
		p, err := c.next()
		if err != nil {
			return Datagram{}, err
		}
		if d, ok := p.datagram(); ok {
			d.Time, d.Interface = p.time, p.link.name
			return d, nil
		}
	}
}

// header reads that of the older format.
func (c *Reader) header(order binary.ByteOrder, unit float64) error {
	var h [24]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return errFormat
	}
	c.order, c.next = order, c.old
	c.links = []link{{kind: order.Uint32(h[20:]) & 0xffff, unit: unit}} // above it is the frame's check sequence
	return nil
}

// old reads a packet of the older format.
func (c *Reader) old() (p packet, err error) {
	var h [16]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return p, err
	}
	size := c.order.Uint32(h[8:])
	if size > MaxBlock {
		return p, fmt.Errorf("%w: a packet of %d bytes, more than %d", errBlock, size, MaxBlock)
	}
	p.link = c.links[0]
	p.time = time.Unix(int64(c.order.Uint32(h[0:])), int64(float64(c.order.Uint32(h[4:]))*p.link.unit))
	p.data = make([]byte, size)
	_, err = io.ReadFull(c.r, p.data)
	return p, cut(err)
}

// cut makes an end within something one that is not expected.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ng reads up to the next packet of pcapng.
func (c *Reader) ng() (p packet, err error) {
	for {
		head, err := c.r.Peek(8)
		if len(head) == 0 && errors.Is(err, io.EOF) {
			return p, io.EOF
		}
		if err != nil {
			return p, cut(err)
		}
		// The type of a section's block reads the same in both orders; what comes
		// behind its length says which it is.
		if binary.LittleEndian.Uint32(head) == blockSection {
			head, err = c.r.Peek(12)
			switch {
			case err != nil:
				return p, cut(err)
			case binary.LittleEndian.Uint32(head[8:]) == byteOrder:
				c.order = binary.LittleEndian
			case binary.BigEndian.Uint32(head[8:]) == byteOrder:
				c.order = binary.BigEndian
			default:
				return p, fmt.Errorf("%w: a section without a byte order", errBlock)
			}
			c.links = nil
		}
		kind, size := c.order.Uint32(head), c.order.Uint32(head[4:])
		if size < 12 || size%4 != 0 || size > MaxBlock {
			return p, fmt.Errorf("%w: a length of %d bytes", errBlock, size)
		}
		block := make([]byte, size)
		if _, err := io.ReadFull(c.r, block); err != nil {
			return p, cut(err)
		}
		if c.order.Uint32(block[size-4:]) != size {
			return p, fmt.Errorf("%w: its two lengths are not the same", errBlock)
		}
		switch body := block[8 : size-4]; kind {
		case blockInterface:
			if err := c.linkOf(body); err != nil {
				return p, err
			}
		case blockPacket:
			if p, err = c.packetOf(body); err != nil {
				return p, err
			}
			return p, nil
		case blockSimple: // no time, and the first interface
			if len(body) >= 4 && len(c.links) > 0 {
				return packet{link: c.links[0], data: body[4:]}, nil
			}
		}
	}
}

// linkOf reads a block of an interface.
func (c *Reader) linkOf(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("%w: an interface of %d bytes", errBlock, len(body))
	}
	if len(c.links) >= maxInterfaces {
		return fmt.Errorf("%w: more than %d interfaces", errBlock, maxInterfaces)
	}
	l := link{kind: uint32(c.order.Uint16(body)), unit: 1000}
	for b := body[8:]; len(b) >= 4; {
		code, size := c.order.Uint16(b), int(c.order.Uint16(b[2:]))
		if code == optEnd || len(b) < 4+size {
			break
		}
		switch value := b[4 : 4+size]; {
		case code == optInterfaceName:
			l.name = text(value)
		case code == optResolution && size == 1 && value[0]&0x80 == 0:
			l.unit = math.Pow10(9 - int(value[0]))
		case code == optResolution && size == 1:
			l.unit = 1e9 / math.Pow(2, float64(value[0]&0x7f))
		case code == 14 && size == 8: // if_tsoffset
			l.offset = int64(c.order.Uint64(value))
		}
		b = b[min(4+(size+3)/4*4, len(b)):]
	}
	c.links = append(c.links, l)
	return nil
}

// maxName bounds the name of an interface, in bytes.
const maxName = 64

// text is a name without what does not print.
func text(raw []byte) string {
	var b []byte
	for _, x := range raw[:min(len(raw), maxName)] {
		if x > ' ' && x < 0x7f {
			b = append(b, x)
		}
	}
	return string(b)
}

// packetOf reads a block of a packet.
func (c *Reader) packetOf(body []byte) (p packet, err error) {
	if len(body) < 20 {
		return p, fmt.Errorf("%w: a packet of %d bytes", errBlock, len(body))
	}
	id, size := c.order.Uint32(body), c.order.Uint32(body[12:])
	if int64(id) >= int64(len(c.links)) || int64(size) > int64(len(body)-20) {
		return p, fmt.Errorf("%w: a packet of an interface, or of a size, that there is not", errBlock)
	}
	p.link = c.links[id]
	units := float64(uint64(c.order.Uint32(body[4:]))<<32 | uint64(c.order.Uint32(body[8:])))
	// A float has 53 bits: what is lost of a time in nanoseconds is less than one
	// microsecond. The whole numbers are exact.
	if p.link.unit == 1 {
		p.time = time.Unix(p.link.offset, 0).Add(time.Duration(uint64(c.order.Uint32(body[4:]))<<32 | uint64(c.order.Uint32(body[8:]))))
	} else if ns := units * p.link.unit; ns < math.MaxInt64 {
		p.time = time.Unix(p.link.offset, 0).Add(time.Duration(ns))
	}
	p.data = body[20 : 20+size]
	return p, nil
}

// datagram finds the UDP datagram in a frame; false: there is no whole one.
func (p packet) datagram() (d Datagram, ok bool) {
	b, ether := p.data, uint16(0)
	switch p.link.kind {
	case linkEthernet:
		if len(b) < ethernetHeader {
			return d, false
		}
		d.ToMAC, d.FromMAC, ether = [6]byte(b), [6]byte(b[6:]), binary.BigEndian.Uint16(b[12:])
		b = b[ethernetHeader:]
		for range 2 { // tags of VLANs
			if (ether == etherVLAN || ether == etherQinQ) && len(b) >= 4 {
				ether, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			}
		}
	case linkSLL:
		if len(b) < 16 {
			return d, false
		}
		copy(d.FromMAC[:], b[6:12])
		ether, b = binary.BigEndian.Uint16(b[14:]), b[16:]
	case linkSLL2:
		if len(b) < 20 {
			return d, false
		}
		copy(d.FromMAC[:], b[12:18])
		ether, b = binary.BigEndian.Uint16(b), b[20:]
	case linkNull, linkLoop: // the number of the family is of the system; the packet says it too
		if len(b) < 4 {
			return d, false
		}
		b = b[4:]
	case linkRaw, linkIPv4, linkIPv6:
	default:
		return d, false
	}
	if ether == 0 && len(b) > 0 {
		ether = map[byte]uint16{4: etherIPv4, 6: etherIPv6}[b[0]>>4]
	}
	var from, to netip.Addr
	switch {
	case ether == etherIPv4 && len(b) >= ipv4Header && b[0]>>4 == 4:
		header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
		if header < ipv4Header || total < header || total > len(b) || b[9] != protocolUDP || fragment {
			return d, false
		}
		from, to = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		b = b[header:total]
	case ether == etherIPv6 && len(b) >= ipv6Header && b[0]>>4 == 6:
		size := int(binary.BigEndian.Uint16(b[4:]))
		if b[6] != protocolUDP || size > len(b)-ipv6Header {
			return d, false
		}
		from, to = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		b = b[ipv6Header : ipv6Header+size]
	default:
		return d, false
	}
	if len(b) < udpHeader {
		return d, false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < udpHeader || length > len(b) {
		return d, false
	}
	d.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(b))
	d.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))
	d.Data = b[udpHeader:length:length]
	return d, true
}
