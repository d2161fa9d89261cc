//go:build bench

package bench

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var tftpPort = netip.AddrPortFrom(serverAddr, 69)

const (
	blockSize   = 1468
	transferMax = 60 * time.Second
	lockStep    = 256 // clients at once
	resendAfter = time.Second
)

// fetch reads a file in windows of blocks, and returns how many bytes it has and
// how long it took (RFC 1350, 2348, 7440). It must not be what limits a server, so
// it takes at once what the server sent by one call (udp(7), UDP_GRO).
func fetch(s *subject, file string, windowSize int, read func(fd int, buf []byte) (int, error)) (int64, time.Duration, error) {
	fd, err := tftpSocket(s)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	began := time.Now()
	rrq := fmt.Appendf(nil, "\x00\x01%s\x00octet\x00blksize\x00%d\x00", file, blockSize)
	if windowSize > 1 {
		rrq = fmt.Appendf(rrq, "windowsize\x00%d\x00", windowSize)
	}
	buf := make([]byte, 1<<16)
	var n int
	for tries := 0; ; tries++ {
		if err := unix.Sendto(fd, rrq, 0, &unix.SockaddrInet4{Addr: serverAddr.As4(), Port: int(tftpPort.Port())}); err != nil {
			return 0, 0, err
		}
		var server unix.Sockaddr
		n, server, err = unix.Recvfrom(fd, buf, 0)
		if (err == unix.EAGAIN || err == unix.EINTR) && tries < 10 {
			continue
		}
		if err == nil {
			err = unix.Connect(fd, server)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("no answer: %w", err)
		}
		break
	}
	if n < 4 || buf[1] != 6 {
		return 0, 0, fmt.Errorf("the answer to the request is %q", buf[:min(n, 40)])
	}

	var size int64
	var have uint16 // the last block in order
	ack := func() error {
		_, err := unix.Write(fd, []byte{0, 4, byte(have >> 8), byte(have)})
		return err
	}
	if err := ack(); err != nil {
		return 0, 0, err
	}
	for inWindow, tries := 0, 0; time.Since(began) < transferMax; {
		n, err := read(fd, buf)
		switch {
		case err == unix.EAGAIN && tries < 10:
			tries, inWindow = tries+1, 0
			if err := ack(); err != nil {
				return size, 0, err
			}
			continue
		case err != nil:
			return size, 0, fmt.Errorf("after %d bytes: %w", size, err)
		}
		tries = 0
		for rest := buf[:n]; len(rest) >= 4; {
			block := rest[:min(len(rest), blockSize+4)]
			rest = rest[len(block):]
			if block[1] == 5 {
				return size, 0, fmt.Errorf("the server says %q", block[4:])
			}
			if block[1] != 3 || binary.BigEndian.Uint16(block[2:]) != have+1 {
				continue // a gap, or a repetition: the pause asks again
			}
			have++
			inWindow++
			size += int64(len(block) - 4)
			last := len(block)-4 < blockSize
			if inWindow >= windowSize || last {
				inWindow = 0
				if err := ack(); err != nil {
					return size, 0, err
				}
			}
			if last {
				return size, time.Since(began), nil
			}
		}
	}
	return size, 0, errors.New("too slow")
}

// sleep reads as a program does that is woken: every datagram that comes while it
// sleeps costs the server the wakening of another processor.
func sleep(fd int, buf []byte) (n int, err error) {
	for n, err = unix.Read(fd, buf); err == unix.EINTR; n, err = unix.Read(fd, buf) {
		// signal(7): with a timeout set, it is not taken up again by itself.
	}
	return n, err
}

// poll reads as a ROM does, without sleeping, for no longer than resendAfter.
func poll(fd int, buf []byte) (n int, err error) {
	for began := time.Now(); ; {
		n, _, err = unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if err != unix.EAGAIN || time.Since(began) > resendAfter {
			return n, err
		}
	}
}

// tftpSocket is that of a segment's client. Reading from it ends after resendAfter.
func tftpSocket(s *subject) (fd int, err error) {
	s.client.Do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return 0, err
	}
	timeout := unix.NsecToTimeval(int64(resendAfter))
	err = cmp.Or(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20),
		unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: clientAddr.As4()}),
	)
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// sender is the ceiling for TFTP: the same datagrams, sent by a program that has no
// file, no poller and nobody else to serve, in windows by one call each.
func sender() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(tftpPort.Port())}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, blockSize+4); err != nil {
		return err
	}
	const perCall = 65507 / (blockSize + 4)
	last := largeFile/blockSize + 1
	window, blocks, in := 1, make([]byte, perCall*(blockSize+4)), make([]byte, 1024)
	for {
		n, client, err := unix.Recvfrom(fd, in, 0)
		if err != nil || n < 4 {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if in[1] == 1 {
			window = 1
			if _, value, ok := bytes.Cut(in[:n], []byte("windowsize\x00")); ok {
				_, _ = fmt.Sscanf(string(value), "%d", &window)
			}
			_ = unix.Sendto(fd, []byte{0, 6, 0, 0}, 0, client)
			continue
		}
		next := int(binary.BigEndian.Uint16(in[2:])) + 1
		for end := min(next+window, last+1); next < end; {
			count := min(end-next, perCall)
			for i := range count {
				binary.BigEndian.PutUint16(blocks[i*(blockSize+4)+2:], uint16(next+i))
				blocks[i*(blockSize+4)+1] = 3
			}
			size := count * (blockSize + 4)
			if next += count; next > last {
				size -= blockSize - largeFile%blockSize
			}
			_ = unix.Sendto(fd, blocks[:size], 0, client)
		}
	}
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
		_, _, err := fetch(s, "small", 1, sleep)
		return err == nil
	})
	return s
}

// The names of the daemon's files for TFTP: those of the loaders, and of what a
// U-Boot boots of whose MAC address nothing was heard by DHCP.
const (
	loaderName = "ipxe-x64.efi"
	smallName  = "ipxe-arm64.efi"
	kernelName = "02-bb-00-00-00-01/boot.kernel"
)

// TFTP: a large file, in windows.
func (b *bench) tftp(t *testing.T) {
	type rates struct{ rate, cpu []float64 } // MB/s, s/GB
	for _, row := range []struct {
		windowSize int
		client     string
		read       func(int, []byte) (int, error)
		times      float64
		why        string
	}{
		{16, "sleeps", sleep, 3, "Each 23 KB wait for an acknowledgement, and two processors that wake one another take longer over that than over sending: the sender without TFTP is hardly faster."},
		{64, "sleeps", sleep, 5, "The client was not woken in time: look at what else the machine did."},
		{16, "polls", poll, 3, "Each 23 KB wait for an acknowledgement, so the sender without TFTP gets little further: between it and ours are a read of the file, Go's poller, and the thread that watches over Go's scheduler, which the first system call after each wait wakes on this same processor. And atftpd has here what no network gives, packets that cost neither a wakening nor a card's doorbell."},
		{64, "polls", poll, 5, "atftpd has here what no network gives, packets that cost neither a wakening nor a card's doorbell. Between ours and the sender without TFTP are a read of the file, which the sender has in its cache, Go's poller, and the thread that watches over Go's scheduler."},
	} {
		fetched := func(r *rates, s *subject, file string, windowSize int) {
			before := s.cpu(t)
			size, took, err := fetch(s, file, windowSize, row.read)
			if err != nil || size != largeFile {
				t.Fatalf("%s: %s: %d bytes, %v", s.name, file, size, err)
			}
			r.rate = append(r.rate, float64(size)/took.Seconds()/1e6)
			r.cpu = append(r.cpu, (s.cpu(t)-before).Seconds()/(float64(size)/1e9))
		}
		var ours, ceiling, peer rates
		for range b.rounds {
			fetched(&ours, b.pixiecore, kernelName, row.windowSize)
			fetched(&ceiling, b.sender, "", row.windowSize)
			if b.atftpd != nil {
				fetched(&peer, b.atftpd, "large", 64) // its best
			}
		}
		if b.atftpd == nil {
			continue
		}
		b.atLeast(fmt.Sprintf("TFTP 64 MiB, blksize 1468, windowsize %d, to a client that %s, times atftpd's best", row.windowSize, row.client),
			median(ours.rate)/median(peer.rate), row.times,
			fmt.Sprintf("%.0f MB/s to %.0f MB/s; the sender without TFTP %.0f MB/s; CPU s/GB %.2f, %.2f, %.2f", median(ours.rate), median(peer.rate), median(ceiling.rate), median(ours.cpu), median(peer.cpu), median(ceiling.cpu)),
		).because(row.why)
	}
}

// Lock-step: a rack that fetches its loader one block at a time.
func (b *bench) lockstep(t *testing.T) {
	many := func(s *subject, file string) (p99 time.Duration, failed int, cpu float64) {
		from := make([]netip.Addr, lockStep)
		for i := range from {
			from[i] = machine(i)
		}
		before := s.cpu(t)
		took, err := lockStepFetch(s, file, from...)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range took {
			if d == 0 {
				failed++
			}
		}
		return quantile(took, .99), failed, (s.cpu(t) - before).Seconds() / (lockStep * smallFile / 1e9)
	}
	var ours, peer []time.Duration
	var cpu, peerCPU []float64
	failed := 0
	for range b.rounds {
		d, n, used := many(b.pixiecore, smallName)
		ours, failed, cpu = append(ours, d), failed+n, append(cpu, used)
		if b.dnsmasq != nil {
			d, _, used := many(b.dnsmasq, "small")
			peer, peerCPU = append(peer, d), append(peerCPU, used)
		}
	}
	b.atMost(fmt.Sprintf("%d clients of 1 MiB in lock-step, failed", lockStep), float64(failed), 0, "all rounds")
	if b.dnsmasq != nil {
		b.atMost(fmt.Sprintf("%d clients of 1 MiB in lock-step, p99 to dnsmasq's", lockStep), float64(median(ours))/float64(median(peer)), 1.1,
			fmt.Sprintf("%s to %s; CPU s/GB %.1f to %.1f", median(ours).Round(time.Millisecond), median(peer).Round(time.Millisecond), median(cpu), median(peerCPU))).
			because("Of the daemon's time 60 % is the kernel's sending of one block, 13 % the read of its acknowledgement, and 10 % asking which clients have answered, as in dnsmasq; the rest is Go's scheduler, which hands the processor from one transfer to the next.")
	}
}

// A lockStepper is one of many clients: one block at a time.
type lockStepper struct {
	fd   int
	out  []byte // what it said last
	have uint16 // the last block
	size int
	at   time.Time // of what it said last
	said int       // how often

	ended bool
	took  time.Duration // 0: the file did not come
}

// say sends what there is to say: a request to the server's port, everything else to
// the transfer's. What does not go out is lost like anything else.
func (c *lockStepper) say() {
	c.at = time.Now()
	c.said++
	if c.out[1] == 1 {
		_ = unix.Sendto(c.fd, c.out, 0, &unix.SockaddrInet4{Addr: serverAddr.As4(), Port: int(tftpPort.Port())})
		return
	}
	_, _ = unix.Write(c.fd, c.out)
}

// take reads what has come, and reports whether the transfer has ended.
func (c *lockStepper) take(buf []byte) bool {
	n, server, err := unix.Recvfrom(c.fd, buf, 0)
	switch {
	case err != nil:
		return false
	case n >= 4 && buf[1] == 3 && binary.BigEndian.Uint16(buf[2:]) == c.have+1:
		c.have++
		c.size += n - 4
	case n >= 2 && buf[1] == 6 && c.have == 0:
	default:
		return n >= 2 && buf[1] == 5
	}
	if c.out[1] == 1 { // the first answer comes from the transfer's own port
		_ = unix.Connect(c.fd, server)
	}
	c.out, c.said = append(c.out[:0], 0, 4, byte(c.have>>8), byte(c.have)), 0
	c.say()
	return c.have > 0 && n-4 < blockSize
}

// lockStepFetch has many clients fetch the small file at once, from an address each,
// and returns how long each took: 0 if the file did not come. One thread serves them
// all, so that the server is what they wait for.
func lockStepFetch(s *subject, file string, from ...netip.Addr) ([]time.Duration, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(poll)
	clients := make([]lockStepper, len(from))
	for i := range clients {
		c := &clients[i]
		s.client.Do(func() { c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) })
		if err != nil {
			return nil, err
		}
		defer unix.Close(c.fd)
		err = cmp.Or(
			unix.Bind(c.fd, &unix.SockaddrInet4{Addr: from[i].As4()}),
			unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}),
		)
		if err != nil {
			return nil, err
		}
	}
	began := time.Now()
	for i := range clients {
		c := &clients[i]
		c.out = []byte("\x00\x01" + file + "\x00octet\x00blksize\x00" + strconv.Itoa(blockSize) + "\x00")
		c.say()
	}
	buf, ready := make([]byte, blockSize+4), make([]unix.EpollEvent, len(clients))
	for left, checked := len(clients), began; left > 0; {
		n, err := unix.EpollWait(poll, ready, int(resendAfter.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return nil, err
		}
		for _, e := range ready[:max(n, 0)] {
			c := &clients[e.Fd]
			if c.ended || !c.take(buf) {
				continue
			}
			if c.size == smallFile {
				c.took = time.Since(began)
			}
			left--
			c.ended = true
			_ = unix.EpollCtl(poll, unix.EPOLL_CTL_DEL, c.fd, nil) // what still comes
		}
		if time.Since(checked) < resendAfter/4 {
			continue
		}
		checked = time.Now()
		for i := range clients {
			switch c := &clients[i]; {
			case c.ended || time.Since(c.at) < resendAfter:
			case c.said == 10:
				left--
				c.ended = true
			default:
				c.say()
			}
		}
	}
	took := make([]time.Duration, len(clients))
	for i := range clients {
		took[i] = clients[i].took
	}
	return took, nil
}

func (b *bench) root() string { return filepath.Dir(b.file) }
