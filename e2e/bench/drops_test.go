//go:build bench

package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// dropped are the datagrams that found no room on their way, as the kernel counts them.
type dropped struct {
	server  int // in the queues of the server's sockets
	load    int // in those of the load's
	backlog int // before any socket, in the queue of a processor (net.core.netdev_max_backlog)
}

func (d dropped) String() string {
	return fmt.Sprintf("%d found no room at the server's socket, %d at that of the load, %d in a processor's queue before both", d.server, d.load, d.backlog)
}

// add counts what was dropped between two looks.
func (d *dropped) add(before, after dropped) {
	d.server += after.server - before.server
	d.load += after.load - before.load
	d.backlog += after.backlog - before.backlog
}

// dropsOf is what was dropped on a segment so far; the backlog is that of the whole host.
func dropsOf(t *testing.T, s *subject) dropped {
	t.Helper()
	d := dropped{server: socketDrops(t, s.server), load: socketDrops(t, s.client)}
	for _, fields := range table(t, "/proc/net/softnet_stat") {
		n, err := strconv.ParseUint(fields[1], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		d.backlog += int(n)
	}
	return d
}

// socketDrops is what the UDP sockets of a host had no room for (proc(5), net/udp).
func socketDrops(t *testing.T, h *netlab.Host) (n int) {
	t.Helper()
	h.Do(func() {
		for _, fields := range table(t, "/proc/thread-self/net/udp")[1:] {
			drops, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				t.Fatal(err)
			}
			n += drops
		}
	})
	return n
}

// table is a file of /proc, by line and field.
func table(t *testing.T, path string) (lines [][]string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}
