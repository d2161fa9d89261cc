package netio

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// Snoop reads copies of the IPv4 datagrams that come to a UDP port of this host,
// broadcast and unicast, on every interface, those without an address and those
// of later included. It takes nothing away from the server that is bound to the
// port. It writes from that port.
//
// It needs CAP_NET_RAW when it opens, not later.
func Snoop(port uint16) (Conn, error) {
	conn, err := net.ListenIP("ip4:17", nil) // sets SO_BROADCAST
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("snoop udp port %d: needs CAP_NET_RAW, to read beside the server that is bound to the port (share = true): %w", port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("snoop udp port %d: %w", port, err)
	}
	c, err := newSnooper(conn, port)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("snoop udp port %d: %w", port, err)
	}
	return c, nil
}

// SnoopFile is Snoop on a socket that a process before this one opened by it. It
// needs no privilege. f stays the caller's: closing the Conn closes a copy.
func SnoopFile(f *os.File, port uint16) (Conn, error) {
	any, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", f.Name(), err)
	}
	conn, ok := any.(*net.IPConn)
	if !ok {
		any.Close()
		return nil, fmt.Errorf("socket %s: not a raw one of IPv4", f.Name())
	}
	c, err := newSnooper(conn, port)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("socket %s: %w", f.Name(), err)
	}
	return c, nil
}

func newSnooper(conn *net.IPConn, port uint16) (*snooper, error) {
	filter, err := bpf.Assemble(portFilter(port))
	if err != nil {
		return nil, err
	}
	c, options := &snooper{port: port, conn: conn}, ipv4.NewPacketConn(conn)
	c.echoes.seed = maphash.MakeSeed()
	// All of UDP queues from socket(2) until the filter is in place. What did is
	// discarded by ReadBatch, which looks at the port again.
	err = options.SetBPF(filter)
	if err == nil {
		err = options.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	}
	if err != nil {
		return nil, err
	}
	growReceiveBuffer(conn)
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	c.in = newMailbox(raw, unix.SYS_RECVMMSG)
	c.out.New = func() any { return newMailbox(raw, unix.SYS_SENDMMSG) }
	return c, nil
}

// portFilter keeps the kernel from copying all of the host's UDP (a raw socket's
// packets begin with the header of IP). It only saves work: parsePacket decides.
func portFilter(port uint16) []bpf.Instruction {
	const whole = 1 << 18 // bytes to keep; no packet is longer
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0},          // X = length of the IP header
		bpf.LoadIndirect{Off: 2, Size: 2}, // UDP destination port
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{Val: 0},
	}
}

type snooper struct {
	port   uint16
	conn   *net.IPConn
	in     *mailbox  // the one reader's
	out    sync.Pool // *mailbox, one for each writer at work
	echoes echoes
	zones  zones // of nothing: it is for IPv4

	rooms [][]byte // one for each packet of a batch, with its headers
}

// ReadBatch implements Conn.
func (c *snooper) ReadBatch(b []Datagram) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in.room(len(b))
	for len(c.rooms) < len(b) {
		c.rooms = append(c.rooms, nil)
	}
	for i := range b {
		// Headers are before the payload, so it is read elsewhere and copied.
		if room := maxIPHeader + udpHeader + len(b[i].buf); len(c.rooms[i]) < room {
			c.rooms[i] = make([]byte, room)
		}
		c.in.put(i, 0, c.rooms[i])
	}
	for {
		got, err := c.in.receive(len(b))
		if err != nil {
			return 0, err
		}
		n := 0
		for i := range got {
			p, err := parsePacket(c.rooms[i][:c.in.headers[i].length], c.port)
			if err != nil || c.echoes.take(c.port, &p) {
				continue
			}
			d := &b[n]
			if len(p.Data) >= len(d.buf) { // would not fit; one byte of buf is only to tell
				continue
			}
			d.Data = d.buf[:copy(d.buf, p.Data)]
			d.Peer, d.Local = p.Peer, p.Local
			_, d.Interface = parsePacketInfo(c.in.messages[i].control.bytes()[:c.in.headers[i].Controllen])
			n++
		}
		if n > 0 {
			return n, nil
		}
	}
}

// WriteBatch implements Conn. The peers must be of IPv4. A datagram without Local
// goes out without a checksum.
func (c *snooper) WriteBatch(b []Datagram) (int, error) {
	out := c.out.Get().(*mailbox)
	defer c.out.Put(out)
	out.room(len(b))
	headers := make([]byte, 0, udpHeader*len(b))
	var bad error
	n := 0
	for i := range b {
		d := &b[i]
		if bad = sendable(d); bad != nil {
			break
		}
		c.echoes.add(c.port, d)
		headers = appendUDPHeader(headers, c.port, d)
		out.put(i, 0, headers[len(headers)-udpHeader:])
		out.put(i, 1, d.Data)
		out.headers[i].SetIovlen(2)
		out.address(i, d, &c.zones)
		n++
	}
	n, err := out.send(n)
	if err == nil {
		err = bad
	}
	return n, err
}

// sendable checks what the kernel cannot, as we make the header.
func sendable(d *Datagram) error {
	switch {
	case !d.Peer.Addr().Is4(), d.Local.IsValid() && !d.Local.Is4():
		return fmt.Errorf("send to %v from %v: %w", d.Peer, d.Local, unix.EAFNOSUPPORT)
	case len(d.Data) > maxUDPLength:
		return fmt.Errorf("send %d bytes to %v: %w", len(d.Data), d.Peer, unix.EMSGSIZE)
	}
	return nil
}

func (c *snooper) LocalAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), c.port)
}

func (c *snooper) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

func (c *snooper) Close() error { return c.conn.Close() }

// SyscallConn implements syscall.Conn, for whoever keeps the socket over a restart.
func (c *snooper) SyscallConn() (syscall.RawConn, error) { return c.conn.SyscallConn() }

// maxEchoes is how many datagrams to the snooped port are remembered: those that
// one burst of relayed requests calls forth. An echo that slips through is seen
// as what it is by the protocol (op = BOOTREPLY).
const maxEchoes = 64

// echoes recognises our own datagrams. Those to the snooped port come back to the
// snooper if their destination is this host: the relay agent that we answer
// (giaddr, port 67) may run here, and its requests have the same addresses and
// ports as our replies. Only the payload tells them apart.
type echoes struct {
	seed maphash.Seed
	mu   sync.Mutex
	sent [maxEchoes]uint64 // hashes of the last ones; 0 is none
	next int
}

// add remembers d, which is about to be sent.
func (e *echoes) add(port uint16, d *Datagram) {
	if d.Peer.Port() != port {
		return
	}
	h := maphash.Bytes(e.seed, d.Data)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent[e.next] = h
	e.next = (e.next + 1) % maxEchoes
}

// take reports whether d is one of those, and forgets it.
func (e *echoes) take(port uint16, d *Datagram) bool {
	if d.Peer.Port() != port {
		return false
	}
	h := maphash.Bytes(e.seed, d.Data)
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.sent[:], h)
	if i < 0 {
		return false
	}
	e.sent[i] = 0
	return true
}
