package dhcp4

import (
	"sync"
	"time"
)

// ChainEvery is how long a machine whose iPXE cannot load by HTTP is not given
// our loader again, and chainGrace how long its repeated questions still
// belong to the first.
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
	since map[[6]byte]time.Time
}

// Allow reports whether the machine may be given a loader at now, and
// remembers that it was.
func (c *Chains) Allow(mac [6]byte, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.since[mac]; ok {
		if age := now.Sub(first); age < ChainEvery {
			return age < chainGrace
		}
	}
	if c.since == nil {
		c.since = map[[6]byte]time.Time{}
	}
	if len(c.since) >= maxChains {
		for old, first := range c.since {
			if now.Sub(first) >= ChainEvery || len(c.since) >= maxChains {
				delete(c.since, old)
			}
		}
	}
	c.since[mac] = now
	return true
}
