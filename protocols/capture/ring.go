package capture

import (
	"bytes"
	"slices"
	"sync"

	"github.com/pixiecore/pixiecore/protocols/pcap"
)

// The bounds of a Ring, in bytes, each packet with what it takes beside its data.
const (
	MaxBytes   = 16 << 20
	MaxMachine = 256 << 10 // that Of returns of one machine
	// overhead is what a packet takes beside its data.
	overhead = 200
	// A chunk is full with so many bytes of data, or so many packets of any size.
	chunkData    = 192 << 10
	chunkPackets = (chunkBytes - chunkData) / overhead
	chunkBytes   = 256 << 10
	maxChunks    = MaxBytes / chunkBytes
	// maxBehind is how many packets wait for a reader of Follow. More are lost to it.
	maxBehind = 1024
	// MaxFollowers bounds those who follow at the same time.
	MaxFollowers = 64
)

// MAC is a machine's Ethernet address.
type MAC = [6]byte

// A Ring holds the last packets of all machines. The zero Ring is empty and ready; a
// nil one takes everything and remembers nothing. It is safe for concurrent use.
type Ring struct {
	mu        sync.Mutex
	chunks    []*chunk // oldest first; the last is being filled
	followers map[*Follower]struct{}
}

// A chunk are some hundred packets and their data, which are written one behind the
// other and forgotten together.
type chunk struct {
	packets []packet
	data    []byte // of the packets, and never moved
}

type packet struct {
	mac MAC
	pcap.Datagram
}

func (p *packet) size() int { return overhead + len(p.Data) }

// full reports whether there is no room for n more bytes.
func (c *chunk) full(n int) bool {
	return len(c.packets) == cap(c.packets) || len(c.data)+n > cap(c.data)
}

// Add takes a copy of a packet that a machine sent or got. One that is larger than any
// that UDP carries is not remembered.
func (r *Ring) Add(mac MAC, d pcap.Datagram) {
	if r == nil || len(d.Data) > pcap.MaxData {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.followers {
		if f.mac == mac {
			own := d
			own.Data = bytes.Clone(d.Data)
			f.put(own)
		}
	}
	if n := len(r.chunks); n == 0 || r.chunks[n-1].full(len(d.Data)) {
		r.turn()
	}
	c := r.chunks[len(r.chunks)-1]
	from := len(c.data)
	c.data = append(c.data, d.Data...)
	d.Data = c.data[from:len(c.data):len(c.data)]
	c.packets = append(c.packets, packet{mac, d})
}

// turn goes on to an empty chunk: a new one, or the oldest. The caller holds r.mu.
func (r *Ring) turn() {
	if len(r.chunks) < maxChunks {
		r.chunks = append(r.chunks, &chunk{packets: make([]packet, 0, chunkPackets), data: make([]byte, 0, chunkData)})
		return
	}
	oldest := r.chunks[0]
	copy(r.chunks, r.chunks[1:])
	r.chunks[maxChunks-1] = oldest
	oldest.packets, oldest.data = oldest.packets[:0], oldest.data[:0]
}

// Of returns the last packets of a machine, oldest first, MaxMachine bytes at most.
func (r *Ring) Of(mac MAC) []pcap.Datagram {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(mac)
}

// of looks at everything, since nobody waits for it but who asked.
func (r *Ring) of(mac MAC) (all []pcap.Datagram) {
	bytes := 0
	for _, c := range slices.Backward(r.chunks) {
		for i := len(c.packets) - 1; i >= 0; i-- {
			p := &c.packets[i]
			if p.mac != mac {
				continue
			}
			if bytes += p.size(); bytes > MaxMachine {
				slices.Reverse(all)
				return all
			}
			d := p.Datagram
			d.Data = slices.Clone(p.Data)
			all = append(all, d)
		}
	}
	slices.Reverse(all)
	return all
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
