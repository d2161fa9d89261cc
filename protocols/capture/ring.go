package capture

import (
	"bytes"
	"container/list"
	"slices"
	"sync"

	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// The bounds of a Ring, in bytes, each packet with what it takes beside its data.
const (
	MaxBytes   = 16 << 20
	MaxMachine = 256 << 10
	// overhead is what a packet takes beside its data.
	overhead = 200
	// maxBehind is how many packets wait for a reader of Follow. More are lost to it.
	maxBehind = 1024
	// MaxFollowers bounds those who follow at the same time.
	MaxFollowers = 64
)

// MAC is a machine's Ethernet address.
type MAC = [6]byte

// A Ring holds the last packets of each machine. The zero Ring is empty and ready; a
// nil one takes everything and remembers nothing. It is safe for concurrent use.
type Ring struct {
	mu        sync.Mutex
	machines  map[MAC]*list.Element // of *machine
	order     list.List             // the machine that was heard of last comes first
	bytes     int
	followers map[*Follower]struct{}
}

// machine are the packets of one machine.
type machine struct {
	mac     MAC
	packets []pcap.Datagram // oldest first
	bytes   int
}

func size(d pcap.Datagram) int { return overhead + len(d.Interface) + len(d.Data) }

// Add takes a copy of a packet that a machine sent or got.
func (r *Ring) Add(mac MAC, d pcap.Datagram) {
	if r == nil {
		return
	}
	d.Data = bytes.Clone(d.Data)
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.followers {
		if f.mac == mac {
			f.put(d)
		}
	}
	if r.machines == nil {
		r.machines = map[MAC]*list.Element{}
	}
	e, ok := r.machines[mac]
	if !ok {
		e = r.order.PushFront(&machine{mac: mac})
		r.machines[mac] = e
	}
	r.order.MoveToFront(e)
	m := e.Value.(*machine)
	m.packets = append(m.packets, d)
	m.bytes += size(d)
	r.bytes += size(d)
	n := 0
	for ; m.bytes > MaxMachine && n < len(m.packets)-1; n++ {
		m.bytes -= size(m.packets[n])
		r.bytes -= size(m.packets[n])
	}
	clear(m.packets[:n])
	m.packets = m.packets[n:]
	for r.bytes > MaxBytes && r.order.Len() > 1 {
		last := r.order.Back()
		old := r.order.Remove(last).(*machine)
		delete(r.machines, old.mac)
		r.bytes -= old.bytes
	}
}

// Of returns the packets of a machine, oldest first. Their data must not be modified.
func (r *Ring) Of(mac MAC) []pcap.Datagram {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(mac)
}

func (r *Ring) of(mac MAC) []pcap.Datagram {
	if e, ok := r.machines[mac]; ok {
		return slices.Clone(e.Value.(*machine).packets)
	}
	return nil
}

// A Follower is told each packet of a machine.
type Follower struct {
	C    <-chan pcap.Datagram
	c    chan pcap.Datagram
	mac  MAC
	lost int
}

func (f *Follower) put(d pcap.Datagram) {
	select {
	case f.c <- d:
	default:
		f.lost++
	}
}

// Follow returns the packets of a machine so far, and a Follower of those that come,
// which must be given to Leave. It returns nil where MaxFollowers follow already.
func (r *Ring) Follow(mac MAC) ([]pcap.Datagram, *Follower) {
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.followers) >= MaxFollowers {
		return nil, nil
	}
	if r.followers == nil {
		r.followers = map[*Follower]struct{}{}
	}
	c := make(chan pcap.Datagram, maxBehind)
	f := &Follower{C: c, c: c, mac: mac}
	r.followers[f] = struct{}{}
	return r.of(mac), f
}

// Leave ends what Follow began, and returns how many packets were lost since its
// reader was too slow.
func (r *Ring) Leave(f *Follower) (lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.followers, f)
	return f.lost
}
