//go:build e2e

package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
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
	be := binary.BigEndian
	head := fmt.Sprintf("%s > %s %4d", f.src(), f.dst(), f.size)
	if be.Uint16(f.data[12:]) != unix.ETH_P_IP || len(f.data) < 14+20 {
		return fmt.Sprintf("%s ethertype %#04x", head, be.Uint16(f.data[12:]))
	}
	p := f.data[14:]
	l4 := p[min(int(p[0]&15)*4, len(p)):]
	src, dst := net.IP(p[12:16]), net.IP(p[16:20])
	if len(l4) < 8 {
		return fmt.Sprintf("%s IP %s > %s", head, src, dst)
	}
	ports := fmt.Sprintf("%s:%d > %s:%d", src, be.Uint16(l4), dst, be.Uint16(l4[2:]))
	switch p[9] {
	case unix.IPPROTO_UDP:
		if m, err := dhcpv4.FromBytes(l4[8:]); err == nil {
			return fmt.Sprintf("%s DHCP %s %s siaddr %s file %q", head, ports, m.MessageType(), m.ServerIPAddr, m.BootFileName)
		}
		return fmt.Sprintf("%s UDP %s %s", head, ports, text(l4[8:]))
	case unix.IPPROTO_TCP:
		if len(l4) >= 20 {
			return fmt.Sprintf("%s TCP %s %s", head, ports, text(l4[min(int(l4[12]>>4)*4, len(l4)):]))
		}
	}
	return fmt.Sprintf("%s protocol %d %s > %s", head, p[9], src, dst)
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
