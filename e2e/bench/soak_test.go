//go:build bench

package bench

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// The faults, at full size. PIXIECORE_SOAK_PART=n does the n-th part of each.
const (
	strangers    = 5_000_000 // MAC addresses, a DISCOVER of each
	halfOpenTFTP = 20_000    // requests whose answers nobody acknowledges
	slowHeaders  = 5_000     // connections that send a header byte by byte
	amplifyMax   = 6         // bytes that come back for each that is sent, at most, to who acknowledges nothing
	soakMemory   = 256 << 20 // bytes that the daemon may have, whatever is done to it
	goodAnswer   = time.Second
	silence      = 10 * time.Second // after which nothing more comes by TFTP
	quietRounds  = 5                // of a good machine before the faults
)

// TestSoak does to one daemon what a hostile or broken network does, and a
// machine that means well boots meanwhile.
func TestSoak(t *testing.T) {
	netlab.Require(t, "ip", "taskset", "setpriv")
	part := setting(t, "PIXIECORE_SOAK_PART", 1, strconv.Atoi)
	patience := 2 * goodAnswer.Seconds()
	if part > 1 { // among other tests, where time decides nothing
		patience = startLimit.Seconds()
	}
	_, file := configure(t, 10_000)
	b := &bench{file: file, pixiecore: started(t, "pixiecore", daemon(t), file)}
	defer func() {
		fmt.Println()
		b.print(os.Stdout)
		for _, r := range b.rows {
			if !r.met {
				t.Errorf("%s: %.3g, want %s", r.what, r.measured, r.bound)
			}
		}
	}()
	before := b.pixiecore.memory(t)
	var quiet time.Duration
	for range quietRounds {
		quiet = max(quiet, b.good(t))
	}
	b.unhurried = fmt.Sprintf("Before any fault it waited %s at most, on a host that may have had other things to do.", quiet.Round(time.Millisecond))
	for _, fault := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"amplification", b.amplification},
		{"strangers", func(t *testing.T) { b.strangers(t, patience, strangers/part) }},
		{"tftp", func(t *testing.T) { b.halfOpen(t, patience, halfOpenTFTP/part) }},
		{"headers", func(t *testing.T) { b.slowHeaders(t, patience, slowHeaders/part) }},
	} {
		b.measuring = fault.name
		t.Run(fault.name, fault.do)
	}
	b.measuring = "all"
	after := b.pixiecore.memory(t)
	b.atMost("memory after all of it, MB", float64(after)/1e6, soakMemory/1e6, fmt.Sprintf("%.0f MB before", float64(before)/1e6))
}

// A good machine asks, and fetches its loader and its script, while something
// else goes on: what it is given, and the longest that it waited.
func (b *bench) good(t *testing.T) (longest time.Duration) {
	t.Helper()
	wait := func(what string, f func() bool) {
		began := time.Now()
		for !f() {
			if time.Since(began) > startLimit {
				t.Fatalf("a machine that means well got no %s within %s", what, startLimit)
			}
		}
		longest = max(longest, time.Since(began))
	}
	wait("offer", func() bool { return b.asks(t) })
	wait("loader", func() bool {
		took, err := lockStepFetch(b.pixiecore, smallName, machine(0))
		if err != nil {
			t.Fatal(err)
		}
		return took[0] > 0
	})
	wait("script", func() bool {
		c, err := b.pixiecore.dial("tcp", httpPort.String())
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(goodAnswer))
		_, err = io.WriteString(c, "GET "+scriptPath+" HTTP/1.0\r\n\r\n")
		text, _ := io.ReadAll(c)
		return err == nil && len(text) > 0
	})
	return longest
}

// asks sends one DISCOVER from a port of its own, by way of a relay, and waits for
// the answer.
func (b *bench) asks(t *testing.T) bool {
	t.Helper()
	from := machine(1)
	var conn netio.Conn
	var err error
	b.pixiecore.client.Do(func() { conn, err = netio.ListenUDP(netip.AddrPortFrom(from, 67)) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	q := request(1, netip.AddrPortFrom(serverAddr, 67))
	number(q.template, 0xfffffff0, macs)
	copy(q.template[24:], from.AsSlice())
	if _, err := conn.WriteBatch([]netio.Datagram{{Data: q.template, Peer: q.to}}); err != nil {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(goodAnswer))
	n, err := conn.ReadBatch(netio.NewBatch(1, 1500))
	return err == nil && n == 1
}

// strangers sends DISCOVERs of as many MAC addresses.
func (b *bench) strangers(t *testing.T, patience float64, count int) {
	c := newCaller(t, b.pixiecore, clientUDP)
	q := request(1, dhcpPort)
	answered, began, checked := 0, time.Now(), time.Now()
	var longest time.Duration
	var most int64
	for sent := 0; sent < count; {
		for range inFlight {
			c.put(q)
			d := &c.out[len(c.out)-1]
			binary.BigEndian.PutUint32(d.Data[30:], c.next)
			binary.BigEndian.PutUint32(d.Data[uuidAt:], c.next)
			sent++
		}
		c.flush(t)
		for len(c.sent) > 16*inFlight { // as fast as it goes
			if got := c.receive(time.Now().Add(lossAfter), nil); got > 0 {
				answered += got
				continue
			}
			clear(c.sent)
		}
		if time.Since(checked) > time.Second {
			longest, most, checked = max(longest, b.good(t)), max(most, b.pixiecore.memory(t)), time.Now()
		}
	}
	longest, most = max(longest, b.good(t)), max(most, b.pixiecore.memory(t))
	detail := fmt.Sprintf("%d addresses at %.0f/s, %d answered", count, float64(count)/time.Since(began).Seconds(), answered)
	b.atMost("memory in a flood of MAC addresses, MB", float64(most)/1e6, soakMemory/1e6, detail)
	b.atMost("the longest a good machine waits in it, s", longest.Seconds(), patience, detail).because(b.unhurried)
}

// halfOpen asks for files by TFTP and never acknowledges.
func (b *bench) halfOpen(t *testing.T, patience float64, count int) {
	began := time.Now()
	var longest time.Duration
	var open []net.PacketConn
	defer func() {
		for _, c := range open { // else the kernel would say that nobody listens
			c.Close()
		}
	}()
	for sent := 0; sent < count; {
		var conn net.PacketConn
		var err error
		b.pixiecore.client.Do(func() {
			conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: machine(2 + sent%(machines-2)).AsSlice()})
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, err := conn.WriteTo([]byte("\x00\x01"+loaderName+"\x00octet\x00blksize\x001468\x00tsize\x000\x00"), net.UDPAddrFromAddrPort(tftpPort))
			if err != nil {
				t.Fatal(err)
			}
			sent++
		}
		open = append(open, conn)
		if sent%1000 == 0 {
			longest = max(longest, b.good(t))
		}
	}
	longest = max(longest, b.good(t))
	b.atMost("the longest a good machine waits beside TFTP requests that nobody goes on with, s", longest.Seconds(), patience, fmt.Sprintf("%d of them in %s", count, time.Since(began).Round(time.Second))).because(b.unhurried)
}

// slowHeaders opens connections whose header never ends.
func (b *bench) slowHeaders(t *testing.T, patience float64, count int) {
	began := time.Now()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	refused := 0
	var longest time.Duration
	for i := range count {
		c, err := b.pixiecore.dial("tcp", httpPort.String())
		if err != nil {
			refused++
			continue
		}
		_, err = io.WriteString(c, "GET /")
		if open = append(open, c); err != nil {
			refused++
		}
		if i%1000 == 999 {
			longest = max(longest, b.good(t))
		}
	}
	longest = max(longest, b.good(t))
	b.atMost("the longest a good machine waits beside headers that never end, s", longest.Seconds(), patience, fmt.Sprintf("%d connections in %s, %d refused", count, time.Since(began).Round(time.Second), refused)).because(b.unhurried)
}

// amplification is what a TFTP request with a forged sender brings upon it: all
// that comes for one that nobody acknowledges.
func (b *bench) amplification(t *testing.T) {
	const headers = 28 // of IPv4 and UDP
	var mu sync.Mutex
	worst, what := 0.0, ""
	var wg sync.WaitGroup
	for name, options := range map[string]string{
		"tsize":                           "tsize\x000\x00",
		"blksize":                         "blksize\x001468\x00",
		"blksize, tsize and windowsize 4": "tsize\x000\x00blksize\x001468\x00windowsize\x004\x00",
		"windowsize 64":                   "windowsize\x0064\x00",
	} {
		var conn net.PacketConn
		var err error
		b.pixiecore.client.Do(func() { conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: clientAddr.AsSlice()}) })
		if err != nil {
			t.Fatal(err)
		}
		rrq := []byte("\x00\x01" + loaderName + "\x00octet\x00" + options)
		if _, err := conn.WriteTo(rrq, net.UDPAddrFromAddrPort(tftpPort)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			got := 0
			for buf := make([]byte, 2048); ; {
				_ = conn.SetReadDeadline(time.Now().Add(silence))
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					break
				}
				got += n + headers
			}
			mu.Lock()
			defer mu.Unlock()
			if got == 0 {
				t.Errorf("a request with %s got no answer at all", name)
			}
			if f := float64(got) / float64(len(rrq)+headers); f > worst {
				worst, what = f, fmt.Sprintf("a request with %s: %d bytes for %d", name, got, len(rrq)+headers)
			}
		})
	}
	wg.Wait()
	b.atMost("TFTP amplification", worst, amplifyMax, what)
}
