//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/sys/unix"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

const (
	snapLen   = 1024      // bytes kept of a frame: all of a DHCP message
	maxFrames = 64 * 1024 // kept of a machine's life; the rest is counted only
)

// A frame is what went over a machine's cable, in either direction.
type frame struct {
	at   time.Time
	data []byte // up to snapLen bytes
	size int
}

func (f frame) dst() net.HardwareAddr { return f.data[0:6] }
func (f frame) src() net.HardwareAddr { return f.data[6:12] }

// A capture collects the frames of one interface.
type capture struct {
	began time.Time
	file  *os.File
	done  chan struct{}

	mu     sync.Mutex
	frames []frame
	missed int
}

// newCapture captures on an interface of a host until the test ends.
func newCapture(t *testing.T, on *netlab.Host, iface string) *capture {
	t.Helper()
	var fd int
	var err error
	on.Do(func() { fd, err = packetSocket(iface) })
	if err != nil {
		t.Fatalf("capture on %s: %v", iface, err)
	}
	c := &capture{began: time.Now(), file: os.NewFile(uintptr(fd), iface), done: make(chan struct{})}
	go c.run()
	t.Cleanup(func() {
		c.file.Close()
		<-c.done
	})
	return c
}

// packetSocket receives every frame of an interface, in both directions.
func packetSocket(iface string) (int, error) {
	i, err := net.InterfaceByName(iface)
	if err != nil {
		return -1, err
	}
	// Protocol 0 at first, so that nothing of other interfaces queues up before
	// the socket is bound (packet(7)).
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: i.Index}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

func (c *capture) run() {
	defer close(c.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.file.Read(buf)
		if err != nil {
			return
		}
		if n < 14 {
			continue
		}
		c.mu.Lock()
		if len(c.frames) < maxFrames {
			c.frames = append(c.frames, frame{time.Now(), append([]byte(nil), buf[:min(n, snapLen)]...), n})
		} else {
			c.missed++
		}
		c.mu.Unlock()
	}
}

// from returns the frames of one sender.
func (c *capture) from(mac string) []frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []frame
	for _, f := range c.frames {
		if f.src().String() == mac {
			all = append(all, f)
		}
	}
	return all
}

// summary shows the first and the last frames, a line each.
func (c *capture) summary() string {
	const shown = 40
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for i, f := range c.frames {
		if i >= shown && i < len(c.frames)-shown {
			continue
		}
		fmt.Fprintf(&b, "%8.3f %s\n", f.at.Sub(c.began).Seconds(), f)
	}
	fmt.Fprintf(&b, "%d frames, %d more not kept", len(c.frames), c.missed)
	return b.String()
}

// String is the frame in one line, as far as a boot is concerned.
func (f frame) String() string {
	head := fmt.Sprintf("%s > %s %4d", f.src(), f.dst(), f.size)
	protocol, src, dst, l4 := f.ip()
	if !src.IsValid() {
		return fmt.Sprintf("%s ethertype %#04x", head, binary.BigEndian.Uint16(f.data[12:]))
	}
	if len(l4) < 20 || protocol != unix.IPPROTO_UDP && protocol != unix.IPPROTO_TCP {
		return fmt.Sprintf("%s protocol %d %s > %s", head, protocol, src, dst)
	}
	ports := fmt.Sprintf("%s > %s", netip.AddrPortFrom(src, binary.BigEndian.Uint16(l4)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(l4[2:])))
	if protocol == unix.IPPROTO_TCP {
		return fmt.Sprintf("%s TCP %s %s", head, ports, text(l4[min(int(l4[12]>>4)*4, len(l4)):]))
	}
	if m, err := dhcpv4.FromBytes(l4[8:]); err == nil {
		return fmt.Sprintf("%s DHCP %s %s siaddr %s file %q", head, ports, m.MessageType(), m.ServerIPAddr, m.BootFileName)
	}
	if m, err := dhcpv6.MessageFromBytes(l4[8:]); err == nil && src.Is6() {
		return fmt.Sprintf("%s DHCPv6 %s %s file %q", head, ports, m.MessageType, m.Options.BootFileURL())
	}
	return fmt.Sprintf("%s UDP %s %s", head, ports, text(l4[8:]))
}

// ip is what stands in an IP header, and what is behind it. Without one, src is not
// valid.
func (f frame) ip() (protocol byte, src, dst netip.Addr, l4 []byte) {
	switch p := f.data[14:]; {
	case binary.BigEndian.Uint16(f.data[12:]) == unix.ETH_P_IP && len(p) >= 20:
		return p[9], netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), p[min(int(p[0]&15)*4, len(p)):]
	case binary.BigEndian.Uint16(f.data[12:]) == unix.ETH_P_IPV6 && len(p) >= 40:
		return p[6], netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40])), p[40:]
	}
	return 0, netip.Addr{}, netip.Addr{}, nil
}

// requests are the files that a machine asked for, in order and each as often as
// it asked: "TFTP name", "HEAD path", "GET path". A query, which is a path's token,
// is left out.
func (c *capture) requests(mac string) []string {
	var all []string
	for _, f := range c.from(mac) {
		protocol, _, _, l4 := f.ip()
		switch {
		case protocol == unix.IPPROTO_UDP && len(l4) > 10 && binary.BigEndian.Uint16(l4[2:]) == 69 && binary.BigEndian.Uint16(l4[8:]) == 1: // RRQ (RFC 1350 §5)
			name, _, _ := bytes.Cut(l4[10:], []byte{0})
			all = append(all, "TFTP "+string(name))
		case protocol == unix.IPPROTO_TCP && len(l4) >= 20:
			line, _, _ := bytes.Cut(l4[min(int(l4[12]>>4)*4, len(l4)):], []byte("\r\n"))
			if method, rest, _ := strings.Cut(string(line), " "); method == "GET" || method == "HEAD" {
				target, _, _ := strings.Cut(rest, " ")
				target, _, _ = strings.Cut(target, "?")
				all = append(all, method+" "+target)
			}
		}
	}
	return all
}

// text is the beginning of a payload, as far as it can be read.
func text(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(b[:min(60, len(b))]))
}

func htons(v uint16) uint16 { return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)) }
