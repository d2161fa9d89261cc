package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	length uint32 // what was received or sent, in bytes
}

// A message is what an mmsghdr points to.
type message struct {
	parts   [2]unix.Iovec // a snooper sends a header before the payload
	name    unix.RawSockaddrInet6
	control control
}

// A mailbox is the memory of recvmmsg(2) or of sendmmsg(2) for the batches of one
// socket, one at a time.
type mailbox struct {
	raw      syscall.RawConn
	headers  []mmsghdr
	messages []message

	call  func(fd uintptr) bool // made once, since a closure for each call is an allocation
	first int                   // the call's part of headers
	last  int
	n     int // what came of it
	errno syscall.Errno
}

func newMailbox(raw syscall.RawConn, trap uintptr) *mailbox {
	m := &mailbox{raw: raw}
	m.call = func(fd uintptr) bool {
		for {
			n, _, errno := syscall.Syscall6(trap, fd, uintptr(unsafe.Pointer(&m.headers[m.first])), uintptr(m.last-m.first), 0, 0, 0)
			if errno == syscall.EINTR {
				continue
			}
			m.n, m.errno = int(n), errno
			return errno != syscall.EAGAIN // else wait until the socket is ready
		}
	}
	return m
}

// room makes room for n messages.
func (m *mailbox) room(n int) {
	if n <= len(m.messages) {
		return
	}
	m.headers, m.messages = make([]mmsghdr, n), make([]message, n)
	for i := range m.messages {
		h, msg := &m.headers[i], &m.messages[i]
		h.Iov = &msg.parts[0]
		h.SetIovlen(1)
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&msg.name)), unix.SizeofSockaddrInet6
		h.Control = (*byte)(unsafe.Pointer(&msg.control))
		h.SetControllen(len(msg.control.bytes()))
	}
	m.n = 0
}

// receive waits for at least one of n messages, and returns how many there are.
func (m *mailbox) receive(n int) (int, error) {
	for i := range m.n { // the kernel has written their lengths over the room that there is
		m.headers[i].Namelen = unix.SizeofSockaddrInet6
		m.headers[i].SetControllen(len(m.messages[i].control.bytes()))
	}
	m.first, m.last, m.n = 0, n, 0
	if err := m.raw.Read(m.call); err != nil {
		return 0, err
	}
	if m.errno != 0 {
		m.n = 0
		return 0, os.NewSyscallError("recvmmsg", m.errno)
	}
	return m.n, nil
}

// send sends n messages, in as many calls as the kernel needs (it takes 1024 at
// most), and returns how many went out.
func (m *mailbox) send(n int) (sent int, err error) {
	for sent < n {
		// sendmmsg tells an error only when nothing went out before it, so a
		// short count is followed by a call that says why.
		m.first, m.last = sent, n
		if err := m.raw.Write(m.call); err != nil {
			return sent, err
		}
		if m.errno != 0 {
			return sent, os.NewSyscallError("sendmmsg", m.errno)
		}
		sent += m.n
	}
	return sent, nil
}

// put makes part k of message i the bytes of b.
func (m *mailbox) put(i, k int, b []byte) {
	part := &m.messages[i].parts[k]
	part.Base = unsafe.SliceData(b)
	part.SetLen(len(b))
}

// address makes message i one for d.Peer, by the way that d says.
func (m *mailbox) address(i int, d *Datagram, zones *zones) {
	h, msg := &m.headers[i], &m.messages[i]
	h.Namelen = msg.setPeer(d, zones)
	h.SetControllen(msg.control.set(d))
}

// setPeer writes the peer's address, and returns the length of it. Linux takes one of
// IPv4 on a socket of IPv6 too.
func (msg *message) setPeer(d *Datagram, zones *zones) uint32 {
	peer := d.Peer.Addr()
	if peer.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&msg.name))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(d.Peer.Port()), Addr: peer.As4()}
		return unix.SizeofSockaddrInet4
	}
	msg.name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(d.Peer.Port()), Addr: peer.As16()}
	if d.Interface == 0 { // else the index says it, without looking up a name
		msg.name.Scope_id = zones.index(peer.Zone())
	}
	return unix.SizeofSockaddrInet6
}

// peer is who sent the message; invalid for an address of another family.
func (msg *message) peer(zones *zones) netip.AddrPort {
	switch msg.name.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&msg.name))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), networkOrder(sa.Port))
	case unix.AF_INET6:
		a := netip.AddrFrom16(msg.name.Addr).Unmap()
		if msg.name.Scope_id != 0 && a.Is6() {
			a = a.WithZone(zones.name(msg.name.Scope_id))
		}
		return netip.AddrPortFrom(a, networkOrder(msg.name.Port))
	default:
		return netip.AddrPort{}
	}
}

// networkOrder turns a port into the order of bytes that it has in a socket's address,
// or back.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// zones are the names of interfaces by their index, for addresses of one link.
type zones struct {
	mu    sync.Mutex
	names map[uint32]string
	read  time.Time
}

// zoneAge is how long a name is believed: an interface can be renamed.
const zoneAge = time.Minute

func (z *zones) name(index uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	if name, ok := z.names[index]; ok && time.Since(z.read) < zoneAge {
		return name
	}
	z.load()
	if name, ok := z.names[index]; ok {
		return name
	}
	return strconv.FormatUint(uint64(index), 10)
}

// index is 0 for a name that no interface has.
func (z *zones) index(name string) uint32 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	find := func() uint32 {
		for index, n := range z.names {
			if n == name {
				return index
			}
		}
		return 0
	}
	if index := find(); index != 0 && time.Since(z.read) < zoneAge {
		return index
	}
	z.load()
	if index := find(); index != 0 {
		return index
	}
	index, _ := strconv.ParseUint(name, 10, 32)
	return uint32(index)
}

// load reads the names. The caller holds z.mu.
func (z *zones) load() {
	z.names, z.read = make(map[uint32]string), time.Now()
	links, _ := net.Interfaces()
	for _, l := range links {
		z.names[uint32(l.Index)] = l.Name
	}
}

// parsePacketInfo reads IP_PKTINFO (ip(7)) or IPV6_PKTINFO (RFC 3542 §6.1) from the
// control messages of a datagram: to which address, and by which interface.
func parsePacketInfo(oob []byte) (local netip.Addr, index int) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return netip.Addr{}, 0
		}
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: index, our address for a reply, the
			// destination in the header. The last is what was asked for: a
			// broadcast must be seen as one.
			return netip.AddrFrom4([4]byte(data[8:12])), int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: the destination, the index.
			return netip.AddrFrom16([16]byte(data[:16])).Unmap(), int(binary.NativeEndian.Uint32(data[16:]))
		}
		oob = rest
	}
	return netip.Addr{}, 0
}

// A control is the room for a control message, aligned as the kernel has it: for that
// of IPv6, which is the larger one.
type control [(unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo + 7) / 8]uint64

func (c *control) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), len(c)*8)
}

// set makes it the control message by which d leaves from d.Local by d.Interface, and
// returns its length, which is 0 if both are the kernel's choice. Linux takes
// IP_PKTINFO for a datagram of IPv4 on a socket of IPv6 too.
func (c *control) set(d *Datagram) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(c))
	data := unsafe.Pointer(&c.bytes()[unix.CmsgLen(0)])
	switch {
	case !d.Local.IsValid() && d.Interface == 0:
		return 0
	case d.Local.Is4(), !d.Local.IsValid() && d.Peer.Addr().Is4():
		info := unix.Inet4Pktinfo{Ifindex: int32(d.Interface)}
		if d.Local.IsValid() {
			info.Spec_dst = d.Local.As4()
		}
		*h = unix.Cmsghdr{Level: unix.SOL_IP, Type: unix.IP_PKTINFO}
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(data) = info
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	default:
		info := unix.Inet6Pktinfo{Ifindex: uint32(d.Interface)}
		if d.Local.IsValid() {
			info.Addr = d.Local.As16()
		}
		*h = unix.Cmsghdr{Level: unix.SOL_IPV6, Type: unix.IPV6_PKTINFO}
		h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
		*(*unix.Inet6Pktinfo)(data) = info
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
}

// growReceiveBuffer asks for receiveBuffer, best effort: a socket with the usual
// buffer works, and loses datagrams earlier in a storm. One that has more already, since
// a .socket unit says so, keeps that: what is asked for here without CAP_NET_ADMIN is
// cut down to net.core.rmem_max in silence (socket(7)), which may be less.
func growReceiveBuffer(c syscall.Conn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		had, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) // the double
		if err != nil || had >= 2*receiveBuffer || unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) == nil {
			return
		}
		if had < allowedReceiveBuffer() {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
	})
}

// allowedReceiveBuffer is what comes of asking for receiveBuffer, as SO_RCVBUF tells it:
// found out by a socket of its own, since what that costs cannot be taken back.
func allowedReceiveBuffer() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	n, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return n
}
