package dhcp4

import (
	"sync"
	"time"
)

// ChainEvery is how long a machine whose iPXE cannot load by HTTP is not given
// our loader again, unless that was seen to do better, and chainGrace how long its
// repeated questions still belong to the first.
const (
	ChainEvery = 5 * time.Minute
	chainGrace = 10 * time.Second
	maxChains  = 4096 // machines remembered
)

// Chains remembers which machines were lately given a loader in place of an
// iPXE of their own. It breaks the loop of a loader that cannot do more than
// the one before it. The zero value is ready; both ports share one.
type Chains struct {
	mu    sync.Mutex
	since map[[6]byte]chain
}

// A chain is one loader that was given.
type chain struct {
	first time.Time
	xid   [4]byte // of the request; iPXE repeats it, and the next program has another
}

// Allow reports whether the machine may be given a loader at now, and
// remembers that it was.
func (c *Chains) Allow(mac [6]byte, xid [4]byte, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.since[mac]; ok {
		if age := now.Sub(last.first); age < ChainEvery {
			return age < chainGrace && last.xid == xid
		}
	}
	if c.since == nil {
		c.since = map[[6]byte]chain{}
	}
	if len(c.since) >= maxChains {
		for old := range c.since { // any one: who invents addresses must not make this look at them all
			delete(c.since, old)
			break
		}
	}
	c.since[mac] = chain{now, xid}
	return true
}

// Worked says that the machine has come with an iPXE that can load by HTTP: what it was
// given is no loop, and it may be given that again when it is restarted.
func (c *Chains) Worked(mac [6]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.since, mac)
}
