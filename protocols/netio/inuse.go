package netio

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	// probeTime is how long an answer of a host is waited for. Those of a link come
	// within milliseconds; a DHCP client repeats its DISCOVER after one second at the
	// earliest.
	probeTime = 500 * time.Millisecond
	// discardPort is where nobody listens (RFC 863).
	discardPort = 9
)

// neighbours is Linux's ARP table of the caller's network namespace.
const neighbours = "/proc/thread-self/net/arp"

// InUse reports whether somebody has an IPv4 address, other than the hardware address
// mac. It waits for up to half a second. A host behind a relay that answers nothing at
// all is not found.
//
// It needs no privilege: it sends an empty datagram to the discard port. On a link, the
// kernel looks for the host by ARP, which no firewall of a host refuses, and on Linux
// shows in its table whom it found; from further away the host says by ICMP that nobody
// listens there. An entry that was in the table before says nothing, since it outlives
// its host.
func InUse(ctx context.Context, a netip.Addr, mac net.HardwareAddr) bool {
	before := Neighbour(a)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	// A connected socket is told of ICMP.
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp4", netip.AddrPortFrom(a, discardPort).String())
	if err != nil {
		return false // no route leads there
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(nil); err == nil {
		_, err = conn.Read(make([]byte, 1))
		if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			now := Neighbour(a)
			return now == nil || !bytes.Equal(now, mac)
		}
	}
	now := Neighbour(a)
	return before == nil && now != nil && !bytes.Equal(now, mac)
}

// Neighbour is the hardware address that the kernel has found for an IPv4 address of a
// link; nil: none. Who has just asked this host by ARP is in its table.
func Neighbour(a netip.Addr) net.HardwareAddr {
	const complete = "0x2" // ATF_COM
	table, _ := os.ReadFile(neighbours)
	for line := range strings.Lines(string(table)) {
		// IP address, HW type, flags, HW address, mask, device
		f := strings.Fields(line)
		if len(f) >= 4 && f[0] == a.String() && f[2] == complete {
			mac, _ := net.ParseMAC(f[3])
			return mac
		}
	}
	return nil
}
