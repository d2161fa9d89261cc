//go:build bench

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

var tftpPort = netip.AddrPortFrom(serverAddr, 69)

const (
	blockSize   = 1468
	transferMax = 60 * time.Second
	lockStep    = 256 // clients at once
	resendAfter = time.Second
)

// fetch reads a file in windows of blocks, and returns how many bytes it has and
// how long it took (RFC 1350, 2348, 7440).
func fetch(s *subject, file string, windowSize int) (int64, time.Duration, error) {
	var conn netio.Conn
	var err error
	s.client.Do(func() { conn, err = netio.ListenUDP(netip.AddrPortFrom(clientAddr, 0)) })
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	began := time.Now()
	rrq := fmt.Appendf(nil, "\x00\x01%s\x00octet\x00blksize\x00%d\x00", file, blockSize)
	if windowSize > 1 {
		rrq = fmt.Appendf(rrq, "windowsize\x00%d\x00", windowSize)
	}
	out := []netio.Datagram{{Data: rrq, Peer: tftpPort}}
	in := netio.NewBatch(max(windowSize, 1), blockSize+4)
	var size int64
	var have uint16 // the last block in order
	ack := func(peer netip.AddrPort) error {
		out[0].Peer, out[0].Data = peer, binary.BigEndian.AppendUint16([]byte{0, 4}, have)
		_, err := conn.WriteBatch(out)
		return err
	}
	if _, err := conn.WriteBatch(out); err != nil {
		return 0, 0, err
	}
	var server netip.AddrPort
	inWindow, tries := 0, 0
	for time.Since(began) < transferMax {
		_ = conn.SetReadDeadline(time.Now().Add(resendAfter))
		n, err := conn.ReadBatch(in)
		if err != nil {
			if tries++; tries > 10 {
				return size, 0, fmt.Errorf("no answer after %d bytes", size)
			}
			if server.IsValid() {
				inWindow = 0
				err = ack(server)
			} else {
				_, err = conn.WriteBatch(out)
			}
			if err != nil {
				return size, 0, err
			}
			continue
		}
		tries = 0
		for _, d := range in[:n] {
			if len(d.Data) < 4 {
				continue
			}
			switch d.Data[1] {
			case 5:
				return size, 0, fmt.Errorf("the server says %q", d.Data[4:])
			case 6: // OACK
				if !server.IsValid() {
					server = d.Peer
					if err := ack(server); err != nil {
						return size, 0, err
					}
				}
			case 3:
				if !server.IsValid() {
					server = d.Peer
				}
				if binary.BigEndian.Uint16(d.Data[2:]) != have+1 {
					continue // a gap, or a repetition: the pause asks again
				}
				have++
				inWindow++
				size += int64(len(d.Data) - 4)
				last := len(d.Data)-4 < blockSize
				if inWindow >= windowSize || last {
					inWindow = 0
					if err := ack(server); err != nil {
						return size, 0, err
					}
				}
				if last {
					return size, time.Since(began), nil
				}
			}
		}
	}
	return size, 0, errors.New("too slow")
}

func atftpd(t *testing.T, root string) *subject {
	t.Helper()
	path, err := exec.LookPath("atftpd")
	if err != nil {
		if path = "/usr/sbin/atftpd"; exec.Command(path, "--version").Run() != nil {
			t.Log("atftpd is not installed: its rows are left out")
			return nil
		}
	}
	s := newSubject(t, "atftpd", exec.Command(path, "--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "1000", "--logfile", "/dev/null", root))
	s.until(t, "file", func() bool {
		_, _, err := fetch(s, "small", 1)
		return err == nil
	})
	return s
}

// The names of the daemon's files for TFTP, under which it has the loaders.
const (
	loaderName = "ipxe-x64.efi"
	smallName  = "ipxe-arm64.efi"
)

// TFTP: a large file, in windows.
func (b *bench) tftp(t *testing.T) {
	speed := func(s *subject, file string, windowSize int) float64 {
		size, took, err := fetch(s, file, windowSize)
		if err != nil || size != loaderFile {
			t.Fatalf("%s: %s: %d bytes, %v", s.name, file, size, err)
		}
		return float64(size) / took.Seconds() / 1e6
	}
	if b.atftpd != nil {
		for windowSize, target := range map[int]float64{16: 3, 64: 5} {
			var ours, peer []float64
			for range b.rounds {
				ours = append(ours, speed(b.pixiecore, loaderName, windowSize))
				peer = append(peer, speed(b.atftpd, "ipxe.efi", 64)) // its best
			}
			b.atLeast(fmt.Sprintf("TFTP, blksize 1468, windowsize %d, times atftpd's best", windowSize), median(ours)/median(peer), target, fmt.Sprintf("%.0f MB/s to %.0f MB/s", median(ours), median(peer)))
		}
	}

}

// Lock-step: a rack that fetches its loader one block at a time.
func (b *bench) lockstep(t *testing.T) {
	many := func(s *subject, file string) (p99 time.Duration, failed int) {
		took := make([]time.Duration, lockStep)
		var wg sync.WaitGroup
		for i := range lockStep {
			wg.Go(func() { took[i] = lockStepFetch(s, machine(i), file) })
		}
		wg.Wait()
		for _, d := range took {
			if d == 0 {
				failed++
			}
		}
		return quantile(took, .99), failed
	}
	var ours, peer []time.Duration
	failed := 0
	for range b.rounds {
		d, n := many(b.pixiecore, smallName)
		ours, failed = append(ours, d), failed+n
		if b.dnsmasq != nil {
			d, _ := many(b.dnsmasq, "small")
			peer = append(peer, d)
		}
	}
	b.atMost(fmt.Sprintf("%d clients of 1 MiB in lock-step, failed", lockStep), float64(failed), 0, "all rounds")
	if b.dnsmasq != nil {
		b.atMost(fmt.Sprintf("%d clients of 1 MiB in lock-step, p99 to dnsmasq's", lockStep), float64(median(ours))/float64(median(peer)), 1.1, fmt.Sprintf("%s to %s", median(ours), median(peer)))
	}
}

// lockStepFetch is one of many clients: a plain socket, one block at a time. It
// returns 0 if the file did not come.
func lockStepFetch(s *subject, from netip.Addr, file string) time.Duration {
	var conn *net.UDPConn
	var err error
	s.client.Do(func() { conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: from.AsSlice()}) })
	if err != nil {
		return 0
	}
	defer conn.Close()
	began := time.Now()
	out := []byte("\x00\x01" + file + "\x00octet\x00blksize\x00" + strconv.Itoa(blockSize) + "\x00")
	to := tftpPort
	buf := make([]byte, blockSize+4)
	var have uint16
	size := 0
	for tries := 0; tries < 10; tries++ {
		if _, err := conn.WriteToUDPAddrPort(out, to); err != nil {
			return 0
		}
		_ = conn.SetReadDeadline(time.Now().Add(resendAfter))
		for {
			n, peer, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				break // once more
			}
			switch {
			case n >= 4 && buf[1] == 3 && binary.BigEndian.Uint16(buf[2:]) == have+1:
				have++
				size += n - 4
			case n >= 2 && buf[1] == 6 && have == 0:
			default:
				continue
			}
			to, tries = peer, 0
			out = binary.BigEndian.AppendUint16([]byte{0, 4}, have)
			_, _ = conn.WriteToUDPAddrPort(out, to)
			if have > 0 && n-4 < blockSize {
				if size != smallFile {
					return 0
				}
				return time.Since(began)
			}
			_ = conn.SetReadDeadline(time.Now().Add(resendAfter))
		}
	}
	return 0
}

func (b *bench) root() string { return filepath.Dir(b.file) }
