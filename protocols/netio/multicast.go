package netio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv6"
)

// JoinGroup makes a Conn of ListenUDP that takes IPv6 hear what is sent to a
// multicast group on the interface of that index. Joining again is no error. On a
// Wire everybody hears everything.
func JoinGroup(c Conn, group netip.Addr, index int) error {
	if _, ok := c.(*wireConn); ok {
		return nil
	}
	udp, ok := c.(*udpConn)
	if !ok || udp.v4() {
		return fmt.Errorf("join %v: not a UDP socket of IPv6", group)
	}
	err := ipv6.NewPacketConn(udp.conn).JoinGroup(&net.Interface{Index: index}, &net.UDPAddr{IP: group.AsSlice()})
	if err != nil && !errors.Is(err, syscall.EADDRINUSE) { // which says that it has joined
		return fmt.Errorf("join %v: %w", group, err)
	}
	return nil
}
