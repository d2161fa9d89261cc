package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// inbox holds the messages that a socket's reader reuses.
type inbox struct{ msgs []ipv4.Message }

// messages returns n messages, each with one buffer to be set.
func (in *inbox) messages(n int) []ipv4.Message {
	for len(in.msgs) < n {
		in.msgs = append(in.msgs, ipv4.Message{
			Buffers: make([][]byte, 1),
			OOB:     make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo)), // the larger of the two
		})
	}
	return in.msgs[:n]
}

// writeAll sends all of msgs, in as many calls as the kernel needs (it takes 1024
// at most), and returns how many went out.
func writeAll(c *ipv4.PacketConn, msgs []ipv4.Message) (sent int, err error) {
	for sent < len(msgs) {
		// sendmmsg tells an error only when nothing went out before it, so a
		// short count is followed by a call that says why.
		n, err := c.WriteBatch(msgs[sent:], 0)
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
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

// packetInfo is the control message that makes d leave from d.Local by d.Interface,
// nil if both are the kernel's choice. Linux takes IP_PKTINFO for a datagram of
// IPv4 on a socket of IPv6 too.
func packetInfo(d *Datagram) []byte {
	switch {
	case !d.Local.IsValid() && d.Interface == 0:
		return nil
	case d.Local.Is4(), !d.Local.IsValid() && d.Peer.Addr().Is4():
		info := unix.Inet4Pktinfo{Ifindex: int32(d.Interface)}
		if d.Local.IsValid() {
			info.Spec_dst = d.Local.As4()
		}
		return unix.PktInfo4(&info)
	default:
		info := unix.Inet6Pktinfo{Ifindex: uint32(d.Interface)}
		if d.Local.IsValid() {
			info.Addr = d.Local.As16()
		}
		return unix.PktInfo6(&info)
	}
}

// setIP sets ip to a, within its old memory if that is large enough.
func setIP(ip net.IP, a netip.Addr) net.IP {
	switch {
	case a.Is4():
		v4 := a.As4()
		return append(ip[:0], v4[:]...)
	case a.Is6():
		v6 := a.As16()
		return append(ip[:0], v6[:]...)
	default:
		return nil
	}
}

// growReceiveBuffer asks for receiveBuffer, best effort: a socket with the usual
// buffer works, and loses datagrams earlier in a storm.
func growReceiveBuffer(c interface {
	SyscallConn() (syscall.RawConn, error)
	SetReadBuffer(bytes int) error
}) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// socket(7): beyond net.core.rmem_max, but only with CAP_NET_ADMIN.
	forced := false
	_ = raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) == nil
	})
	if !forced {
		_ = c.SetReadBuffer(receiveBuffer) // cut down to rmem_max in silence
	}
}
