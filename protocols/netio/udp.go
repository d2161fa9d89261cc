package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// receiveBuffer is what we ask the kernel to hold for a socket, in bytes, for the
// morning when a whole room is switched on. It grants double, and counts 1.3 KiB
// for a DISCOVER from a virtual link (with 2 MiB, 3276 waited without loss) and about
// 2 KiB for one from a card. It takes no memory while nothing waits.
const receiveBuffer = 16 << 20

// udpConn is a bound socket. ReadBatch and WriteBatch are in udp_mmsg.go and
// udp_portable.go.
type udpConn struct {
	conn  *net.UDPConn
	local netip.AddrPort
	udpIO
}

// ListenUDP binds a UDP socket to addr; port 0 takes a free one. [::] serves both
// families, where the host has sockets that can (else IPv4 only: OpenBSD, or a
// kernel without IPv6), any other address its own. The error is of package net:
// EADDRINUSE if anybody else holds the port, whatever options they set.
func ListenUDP(addr netip.AddrPort) (Conn, error) {
	network, at := "udp6", net.UDPAddrFromAddrPort(addr)
	switch ip := addr.Addr(); {
	case !ip.IsValid():
		return nil, fmt.Errorf("listen udp: address %v: not valid", addr)
	case ip.IsMulticast():
		// Package net sets SO_REUSEADDR for these, which we never want.
		return nil, fmt.Errorf("listen udp %v: a multicast address", addr)
	case ip == netip.IPv6Unspecified():
		// Without an address, net takes both families if it can.
		network, at = "udp", &net.UDPAddr{Port: int(addr.Port())}
	case ip.Unmap().Is4():
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, at) // sets SO_BROADCAST, and not SO_REUSEADDR
	if err != nil {
		return nil, err
	}
	c, err := newUDPConn(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen udp %v: %w", addr, err)
	}
	return c, nil
}

// FileConn makes a Conn of a bound UDP socket that another process has opened, as
// systemd does for a .socket unit. f stays the caller's, and so does the socket:
// closing the Conn closes a copy. The other process must have set IP_PKTINFO
// (PassPacketInfo=): for what queued before, it cannot be known any more by which
// interface it came.
func FileConn(f *os.File) (Conn, error) {
	any, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", f.Name(), err)
	}
	conn, ok := any.(*net.UDPConn)
	if !ok {
		any.Close()
		return nil, fmt.Errorf("socket %s: not one of UDP", f.Name())
	}
	c, err := newUDPConn(conn)
	if err == nil {
		err = allowBroadcast(conn)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("socket %s: %w", f.Name(), err)
	}
	return c, nil
}

// allowBroadcast is what package net does for the sockets that it opens.
func allowBroadcast(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1))
	})
	return errors.Join(err, set)
}

// newUDPConn has a bound socket say the way of its datagrams.
func newUDPConn(conn *net.UDPConn) (*udpConn, error) {
	// The kernel chooses the port: read it back.
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	c := &udpConn{conn: conn, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}
	var err error
	if c.v4() {
		err = ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	} else {
		// Reports datagrams of IPv4 too, with mapped addresses.
		err = ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	if err != nil {
		return nil, fmt.Errorf("interface of datagrams: %w", err)
	}
	growReceiveBuffer(conn)
	if err := c.init(conn); err != nil {
		return nil, err
	}
	return c, nil
}

// v4 reports whether the socket is of family AF_INET.
func (c *udpConn) v4() bool { return c.local.Addr().Is4() }

func (c *udpConn) LocalAddr() netip.AddrPort { return c.local }

func (c *udpConn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

func (c *udpConn) Close() error { return c.conn.Close() }

// SyscallConn implements syscall.Conn, for whoever keeps the socket over a restart.
func (c *udpConn) SyscallConn() (syscall.RawConn, error) { return c.conn.SyscallConn() }
