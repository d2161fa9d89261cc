package tftp

import (
	"strconv"
	"strings"
	"time"
)

// Bounds of what a client can negotiate.
const (
	defaultBlock = 512   // bytes, RFC 1350 §2
	minBlock     = 8     // RFC 2348
	maxBlock     = 65464 // RFC 2348
	maxWindow    = 64    // blocks; RFC 7440 §3 allows 65535
	// maxWindowBytes bounds the memory of a transfer. 64 blocks of 1468 bytes
	// fit, and a socket's usual send buffer holds them.
	maxWindowBytes = 96 << 10

	defaultMTU = 1500 // of an interface that is not known
	overhead4  = 32   // bytes of IPv4, UDP and DATA headers
	overhead6  = 52   // of IPv6
)

// terms are what a transfer is done by.
type terms struct {
	blockSize  int           // bytes
	windowSize int           // blocks for each ACK
	timeout    time.Duration // the client's; 0 if it asked for none
	oack       []byte        // the OACK packet; nil if no option was accepted
	sizeAsked  bool          // tsize was accepted…
	sizeOnly   bool          // …and nothing else
}

// negotiate accepts options for a file of size bytes, in blocks of at most
// largestBlock bytes. What is unknown, asked twice or outside the RFC's range is
// ignored, as RFC 2347 wants it: the client then goes on without that option.
func negotiate(options []Option, size int64, largestBlock int) terms {
	t := terms{blockSize: defaultBlock, windowSize: 1}
	var accepted []Option // the names as the client spells them
	seen := make(map[string]bool, 4)
	for _, o := range options {
		name := strings.ToLower(o.Name) // RFC 2347: case-insensitive
		if seen[name] {
			continue
		}
		ok := false
		var n int
		switch name {
		case "blksize": // RFC 2348: the answer can be smaller
			if n, ok = number(o.Value, minBlock, maxBlock); ok {
				t.blockSize = min(n, largestBlock)
			}
		case "windowsize": // RFC 7440 §3: likewise
			if n, ok = number(o.Value, 1, 65535); ok {
				t.windowSize = min(n, maxWindow)
			}
		case "timeout": // RFC 2349: the answer is the same or none
			if n, ok = number(o.Value, 1, 255); ok {
				t.timeout = time.Duration(n) * time.Second
			}
		case "tsize": // RFC 2349: the question is "0", but some send other things
			t.sizeAsked, ok = true, true
		}
		if ok {
			seen[name] = true
			accepted = append(accepted, o)
		}
	}
	if len(accepted) == 0 {
		return t // RFC 2347: then there is no OACK
	}
	t.sizeOnly = t.sizeAsked && len(accepted) == 1
	t.windowSize = max(1, min(t.windowSize, maxWindowBytes/t.blockSize))
	t.oack = []byte{0, opOACK}
	for _, o := range accepted {
		value := o.Value
		switch strings.ToLower(o.Name) {
		case "blksize":
			value = strconv.Itoa(t.blockSize)
		case "windowsize":
			value = strconv.Itoa(t.windowSize)
		case "tsize":
			value = strconv.FormatInt(size, 10)
		}
		t.oack = append(append(t.oack, o.Name...), 0)
		t.oack = append(append(t.oack, value...), 0)
	}
	return t
}

// number reads a decimal of digits only.
func number(s string, low, high uint64) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n >= low && n <= high
}

// largestBlock is the block size in bytes whose datagrams fit a packet of mtu
// bytes: ROMs that cannot put fragments together are many.
func largestBlock(mtu int, v6 bool) int {
	overhead := overhead4
	if v6 {
		overhead = overhead6
	}
	return min(max(mtu-overhead, minBlock), maxBlock)
}
