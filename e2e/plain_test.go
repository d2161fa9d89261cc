//go:build e2e

package e2e

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// plainROM stands between a machine's NIC and its cable and takes from its DHCP
// requests what shows that iPXE sent them (the user class, option 77, and iPXE's own
// option 175), until it fetches a file: the program that it starts then speaks for
// itself. QEMU has no PXE ROM but iPXE's, and this makes a plain one of it: what the
// daemon sees, and what it answers to, is a BIOS that knows PXE and nothing else.
//
// It returns the -netdev for QEMU, and ends with the test.
func (l *lab) plainROM(t *testing.T, tap, dir string) (netdev string) {
	t.Helper()
	var fd int
	var err error
	l.Switch.Do(func() { fd, err = openTap(tap) })
	if err != nil {
		t.Fatalf("tap %s: %v", tap, err)
	}
	cable := os.NewFile(uintptr(fd), tap)
	ours, theirs := filepath.Join(dir, "switch"), filepath.Join(dir, "nic")
	machine, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: ours, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		plain := true
		buf := make([]byte, 64<<10)
		for {
			n, err := machine.Read(buf)
			if err != nil {
				return
			}
			frame := buf[:n]
			if d := udp4(frame); d != nil {
				switch binary.BigEndian.Uint16(d[2:]) { // destination port
				case 69:
					plain = false
				case 67, 4011:
					if plain {
						frame = withoutIPXE(frame)
					}
				}
			}
			if _, err := cable.Write(frame); err != nil && !errors.Is(err, unix.EIO) { // EIO: the link is down yet
				return
			}
		}
	})
	both.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := cable.Read(buf)
			if err != nil {
				return
			}
			// Nobody is there before QEMU has begun, nor after it has ended.
			_, _ = machine.WriteToUnix(buf[:n], &net.UnixAddr{Name: theirs, Net: "unixgram"})
		}
	})
	t.Cleanup(func() {
		machine.Close()
		cable.Close()
		both.Wait()
	})
	return "dgram,id=net,local.type=unix,local.path=" + theirs + ",remote.type=unix,remote.path=" + ours
}

// openTap attaches to a tap interface of this namespace.
func openTap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// udp4 is the UDP datagram of an Ethernet frame, with its header; nil if there is
// none over IPv4.
func udp4(frame []byte) []byte {
	if len(frame) < 14+20 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP || frame[14+9] != unix.IPPROTO_UDP {
		return nil
	}
	if at := 14 + int(frame[14]&15)*4; len(frame) >= at+8 {
		return frame[at:]
	}
	return nil
}

// withoutIPXE is a frame with a DHCP request as a plain ROM would have sent it.
func withoutIPXE(frame []byte) []byte {
	m, err := dhcpv4.FromBytes(udp4(frame)[8:])
	if err != nil {
		return frame
	}
	delete(m.Options, dhcpv4.OptionUserClassInformation.Code())
	delete(m.Options, 175)
	be, payload := binary.BigEndian, m.ToBytes()
	header := len(frame) - len(udp4(frame)) // of Ethernet and IP
	out := append(append([]byte(nil), frame[:header+8]...), payload...)
	ip, datagram := out[14:header], out[header:]
	be.PutUint16(datagram[4:], uint16(8+len(payload)))
	be.PutUint16(datagram[6:], 0) // no checksum (RFC 768)
	be.PutUint16(ip[2:], uint16(len(out)-14))
	be.PutUint16(ip[10:], 0)
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(be.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	be.PutUint16(ip[10:], ^uint16(sum))
	return out
}
