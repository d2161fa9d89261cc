package pxeclient

import "time"

// limits are the time limits of a firmware: how long it waits for an answer after
// each of its requests, and how often it asks.
type limits struct {
	discover   []time.Duration // after each DISCOVER, or SOLICIT
	bootServer []time.Duration // after each REQUEST to port 4011
	block      time.Duration   // for a packet of TFTP, before it repeats its own
	http       time.Duration   // for a connection, and for the head of an answer
}

func (p Profile) limits() limits {
	const s = time.Second
	// PXE 2.1 §2.2.2, and of §2.2.4 for the boot server.
	l := limits{discover: []time.Duration{4 * s, 8 * s, 16 * s, 32 * s}, bootServer: []time.Duration{1 * s, 2 * s, 3 * s, 4 * s}, block: 4 * s, http: 10 * s}
	switch p.family {
	case edk2HTTP:
		l.http = 5 * s // the default of PcdHttpIoTimeout
	case ipxe:
		// It doubles from one second to ten, and gives up there.
		l.discover = []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 10 * s}
		l.block = 2 * s
	}
	return l
}
