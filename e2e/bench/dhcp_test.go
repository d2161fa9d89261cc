//go:build bench

package bench

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio"
)

const (
	inFlight  = 64
	macs      = 4096 // machines that ask
	lossAfter = 500 * time.Millisecond
	burst     = 4096
	offered   = 20_000 // DISCOVERs a second that must all be answered
)

var (
	dhcpPort  = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 67)
	pxePort   = netip.AddrPortFrom(serverAddr, 4011)
	echoPort  = netip.AddrPortFrom(serverAddr, 7)
	clientUDP = netip.AddrPortFrom(netip.IPv4Unspecified(), 68)
)

// A question is what is asked of a server, 64 bytes of which are for the number.
type question struct {
	to       netip.AddrPort
	template []byte
}

// request is a DISCOVER or a REQUEST of a BIOS: an xid and a MAC are filled in
// for each.
func request(kind byte, to netip.AddrPort) question {
	b := make([]byte, 240, 320)
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	if to.Port() == pxePort.Port() {
		copy(b[12:], clientAddr.AsSlice())
	}
	class := "PXEClient:Arch:00000:UNDI:002001"
	b = append(b, 53, 1, kind, 93, 2, 0, 0, 94, 3, 1, 2, 1, 60, byte(len(class)))
	b = append(b, class...)
	b = append(b, 97, 17, 0)
	b = append(b, make([]byte, 16)...) // the UUID, filled in too
	return question{to, append(b, 57, 2, 5, 192, 55, 4, 1, 3, 60, 43, 255)}
}

const uuidAt = 240 + 3 + 4 + 5 + 2 + 32 + 3

// number writes which question it is into a packet, and which of so many machines asks it.
func number(b []byte, n, machines uint32) {
	binary.BigEndian.PutUint32(b[4:], n)
	mac := n % machines
	copy(b[28:], []byte{0x02, 0xaa, 0, byte(mac >> 16), byte(mac >> 8), byte(mac)})
	binary.BigEndian.PutUint32(b[uuidAt:], mac+1)
}

// A tally is what came of a turn.
type tally struct {
	answered int
	lost     int
	took     time.Duration
	latency  []time.Duration // one of each answer, where asked for
}

func (t tally) rate() float64 { return float64(t.answered) / t.took.Seconds() }

// A caller asks from the client of one segment.
type caller struct {
	conn     netio.Conn
	in       []netio.Datagram
	out      []netio.Datagram
	sent     map[uint32]time.Time
	next     uint32
	machines uint32 // that ask in turn
	eth0     int    // the index of the client's interface, by which a broadcast goes
}

func newCaller(t *testing.T, s *subject, from netip.AddrPort) *caller {
	t.Helper()
	c := &caller{machines: macs, in: netio.NewBatch(inFlight, 1500), sent: make(map[uint32]time.Time)}
	s.client.Do(func() {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			t.Fatal(err)
		}
		c.eth0 = eth0.Index
		if c.conn, err = netio.ListenUDP(from); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// put adds a question to what flush sends.
func (c *caller) put(q question) {
	i := len(c.out)
	if i < cap(c.out) {
		c.out = c.out[:i+1]
	} else {
		c.out = append(c.out, netio.Datagram{})
	}
	d := &c.out[i]
	d.Peer, d.Interface, d.Data = q.to, c.eth0, append(d.Data[:0], q.template...)
	c.next++
	number(d.Data, c.next, c.machines)
	c.sent[c.next] = time.Now()
}

func (c *caller) flush(t *testing.T) {
	t.Helper()
	for rest := c.out; len(rest) > 0; {
		n, err := c.conn.WriteBatch(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	c.out = c.out[:0]
}

// receive waits for answers until a deadline, and returns how many have come: 0 for
// none. What comes to questions of an earlier turn is none.
func (c *caller) receive(deadline time.Time, latency *[]time.Duration) (good int) {
	_ = c.conn.SetReadDeadline(deadline)
	for good == 0 {
		n, err := c.conn.ReadBatch(c.in)
		if err != nil {
			return 0
		}
		for _, d := range c.in[:n] {
			if len(d.Data) < 8 {
				continue
			}
			xid := binary.BigEndian.Uint32(d.Data[4:])
			at, ok := c.sent[xid]
			if !ok {
				continue
			}
			delete(c.sent, xid)
			good++
			if latency != nil {
				*latency = append(*latency, time.Since(at))
			}
		}
	}
	return good
}

// closed keeps a number of questions in flight for the time of a turn.
func (c *caller) closed(t *testing.T, q question, flight int, turn time.Duration) tally {
	t.Helper()
	return c.keep(t, q, flight, turn, flight == 1)
}

// closedWithLatency notes how long each answer took, which costs the load time.
func (c *caller) closedWithLatency(t *testing.T, q question, flight int, turn time.Duration) tally {
	t.Helper()
	return c.keep(t, q, flight, turn, true)
}

func (c *caller) keep(t *testing.T, q question, flight int, turn time.Duration, latency bool) tally {
	t.Helper()
	clear(c.sent)
	began := time.Now()
	end := began.Add(turn)
	var r tally
	var keep *[]time.Duration
	if latency {
		keep = &r.latency
	}
	for time.Now().Before(end) {
		for len(c.sent) < flight {
			c.put(q)
		}
		c.flush(t)
		if got := c.receive(time.Now().Add(lossAfter), keep); got > 0 {
			r.answered += got
			continue
		}
		r.lost += len(c.sent)
		clear(c.sent)
	}
	r.took = time.Since(began)
	return r
}

// open sends at a rate (0: at once) and counts what is answered at the first try.
func (c *caller) open(t *testing.T, q question, count, rate int) tally {
	t.Helper()
	clear(c.sent)
	began := time.Now()
	var r tally
	for sent := 0; sent < count; {
		due := count
		if rate > 0 {
			due = min(count, int(time.Since(began).Seconds()*float64(rate))+1)
		}
		for ; sent < due && len(c.out) < inFlight; sent++ {
			c.put(q)
		}
		c.flush(t)
		if rate > 0 {
			r.answered += c.receive(time.Now().Add(200*time.Microsecond), &r.latency)
		}
	}
	for quiet := time.Now(); len(c.sent) > 0 && time.Since(quiet) < 2*lossAfter; {
		if got := c.receive(time.Now().Add(lossAfter), &r.latency); got > 0 {
			r.answered, quiet = r.answered+got, time.Now()
		}
	}
	r.lost, r.took = len(c.sent), time.Since(began)
	clear(c.sent)
	return r
}

// answers reports whether a server on port 67 answers a DISCOVER.
func answers(t *testing.T, s *subject) bool {
	return replies(t, s, request(1, dhcpPort))
}

// replies reports whether there is an answer to a question within a few milliseconds.
func replies(t *testing.T, s *subject, q question) bool {
	t.Helper()
	c := newCaller(t, s, clientUDP)
	defer c.conn.Close()
	c.put(q)
	c.flush(t)
	return c.receive(time.Now().Add(5*time.Millisecond), nil) > 0
}

// dnsmasq as a ProxyDHCP server, on 4011, and for TFTP.
func dnsmasq(t *testing.T, root string) *subject {
	t.Helper()
	path, err := exec.LookPath("dnsmasq")
	if err != nil {
		t.Log("dnsmasq is not installed: its rows are left out")
		return nil
	}
	s := newSubject(t, "dnsmasq", exec.Command(path, "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0", "--interface=eth0", "--leasefile-ro",
		"--log-facility=/dev/null", "--pid-file=", "--quiet-dhcp", "--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86PC,boot,undionly", "--enable-tftp", "--tftp-root="+root, "--tftp-max=1000"))
	s.until(t, "answer", func() bool { return answers(t, s) })
	return s
}

// echo is the ceiling: what a server costs that looks at nothing.
func echo(t *testing.T) *subject {
	t.Helper()
	s := newSubject(t, "echo", itself(t, "echo"))
	s.until(t, "answer", func() bool { return replies(t, s, request(1, echoPort)) })
	return s
}

// ceiling is this program as one of the ceilings; it returns when it fails.
func ceiling(role string) int {
	switch role {
	case "echo":
		conn, err := netio.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), echoPort.Port()))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for b := netio.NewBatch(inFlight, 1500); ; {
			n, err := conn.ReadBatch(b)
			if err != nil {
				return 1
			}
			_, _ = conn.WriteBatch(b[:n])
		}
	case "handler":
		return handler()
	case "sender":
		fmt.Fprintln(os.Stderr, sender())
		return 1
	}
	return 2
}

// cost is the processor time of a turn per answer.
type cost struct {
	rate float64
	cpu  time.Duration // of the server, for each answer
}

func compare(t *testing.T, rounds int, turn time.Duration, of []*subject, ask func(*subject) tally) map[string]cost {
	t.Helper()
	rates, cpus := make(map[string][]float64), make(map[string][]time.Duration)
	for range rounds {
		for _, s := range of {
			before := s.cpu(t)
			r := ask(s)
			rates[s.name] = append(rates[s.name], r.rate())
			if r.answered > 0 {
				cpus[s.name] = append(cpus[s.name], (s.cpu(t)-before)/time.Duration(r.answered))
			}
		}
	}
	all := make(map[string]cost)
	for name := range rates {
		all[name] = cost{median(rates[name]), median(cpus[name])}
	}
	return all
}

// Offers by ProxyDHCP.
func (b *bench) offers(t *testing.T) {
	b.load(t, "ProxyDHCP, 64 in flight", request(1, dhcpPort), 6, 2)
}

// PXE is the boot server's port.
func (b *bench) pxe(t *testing.T) {
	b.load(t, "PXE 4011, 64 in flight", request(3, pxePort), 7, 1.5)
}

// costs is where the time of an offer goes, in a profile of user and kernel.
const costs = "the echo is two system calls for each batch. Of an offer, such calls are 63 in 100 parts, and sendmmsg 52 of them: a broadcast is larger than its question, has a route that is made for it and thrown away (7), and a way back to the host that sends it (5). " +
	"The answer is 20 (the boot that it belongs to 8, the verdict 3, the packet with its token 2), its event with metrics 4, the collector 4, copies of both packets for who asks later 3. An answer of port 4011 is a unicast, and begins no boot"

// load compares how many answers come, with dnsmasq, and what each costs, with the
// echo.
func (b *bench) load(t *testing.T, what string, q question, times, cpu float64) {
	of := []*subject{b.pixiecore, b.echo}
	if b.dnsmasq != nil {
		of = append(of, b.dnsmasq)
	}
	callers := make(map[*subject]*caller)
	for _, s := range of {
		callers[s] = newCaller(t, s, clientUDP)
	}
	got := compare(t, b.rounds, b.turn, of, func(s *subject) tally {
		q := q
		if s == b.echo {
			q.to = echoPort
		}
		return callers[s].closed(t, q, inFlight, b.turn)
	})
	ours, echo := got["pixiecore"], got["echo"]
	if peer, ok := got["dnsmasq"]; ok {
		b.atLeast(what+", times dnsmasq's rate", ours.rate/peer.rate, times, fmt.Sprintf("%.0f/s to %.0f/s; the echo %.0f/s", ours.rate, peer.rate, echo.rate)).
			because(fmt.Sprintf("the ceiling is the echo, %.1f times dnsmasq's rate in this run, which looks at nothing; where that is below the target, so is every server", echo.rate/peer.rate))
	}
	b.atMost(what+", times the echo's CPU", float64(ours.cpu)/float64(echo.cpu), cpu, fmt.Sprintf("%s to %s", ours.cpu, echo.cpu)).
		because(costs)
}

// One question at a time.
func (b *bench) one(t *testing.T) {
	asks, echoed := newCaller(t, b.pixiecore, clientUDP), newCaller(t, b.echo, clientUDP)
	ours, echoes := make([]time.Duration, 0), make([]time.Duration, 0)
	for range b.rounds {
		ours = append(ours, asks.closed(t, request(1, dhcpPort), 1, b.turn/2).latency...)
		echoes = append(echoes, echoed.closed(t, request(1, echoPort), 1, b.turn/2).latency...)
	}
	b.atMost("ProxyDHCP one at a time, p50 times the echo's", float64(quantile(ours, .5))/float64(quantile(echoes, .5)), 1.3, fmt.Sprintf("%s to %s", quantile(ours, .5), quantile(echoes, .5)))
}

// Burst: a rack that is switched on.
func (b *bench) burst(t *testing.T) {
	c := newCaller(t, b.pixiecore, clientUDP)
	atOnce, steady := lossy{first: 1}, lossy{first: 1}
	for range b.rounds {
		atOnce.add(t, b.pixiecore, func() tally { return c.open(t, request(1, dhcpPort), burst, 0) })
		steady.add(t, b.pixiecore, func() tally {
			return c.open(t, request(1, dhcpPort), int(b.turn.Seconds()*offered), offered)
		})
	}
	b.atLeast(fmt.Sprintf("burst of %d, answered at the first try", burst), atOnce.first, 1, "the worst round").because(atOnce.String())
	b.atMost(fmt.Sprintf("lost at %d/s", offered), float64(steady.lost), 0, "all rounds").because(steady.String())
}

// lossy is what came of rounds in which every question must be answered, and where they
// were lost that were not.
type lossy struct {
	first float64 // the part that was answered in the worst round
	lost  int     // in all rounds
	dropped
}

// add plays a round.
func (l *lossy) add(t *testing.T, s *subject, round func() tally) {
	t.Helper()
	before := dropsOf(t, s)
	r := round()
	l.first = min(l.first, float64(r.answered)/float64(r.answered+r.lost))
	l.lost += r.lost
	l.dropped.add(before, dropsOf(t, s))
}

func (l lossy) String() string {
	return fmt.Sprintf("of %d lost, %s; what is left was answered too late, or not at all", l.lost, l.dropped)
}

// Rules: what a hundred thousand cost beside ten.
func (b *bench) rules(t *testing.T, bin string) {
	_, ten := configure(t, 10)
	dir, table := configure(t, 0)
	csv(t, dir, table, 100_000)
	few, many := started(t, "few", bin, ten), started(t, "many", bin, table)
	callers := map[*subject]*caller{few: newCaller(t, few, clientUDP), many: newCaller(t, many, clientUDP)}
	got := compare(t, b.rounds, b.turn, []*subject{few, many}, func(s *subject) tally {
		return callers[s].closed(t, request(1, dhcpPort), inFlight, b.turn)
	})
	b.atLeast("offers/s with 100,000 rules to those with 10", got["many"].rate/got["few"].rate, .95, fmt.Sprintf("%.0f/s to %.0f/s", got["many"].rate, got["few"].rate))
}

// csv gives a configuration n machines of a table, and a rule for each.
func csv(t *testing.T, dir, file string, n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := `
rule "each" {
  for_each = { for m in csvdecode(file("machines.csv")) : m.name => m }
  match { mac = [each.value.mac] }
  boot = boot.live
}
` + "rule \"all\" { boot = boot.live }\n"
	old = old[:len(old)-len("rule \"all\" { boot = boot.live }\n")]
	if err := os.WriteFile(file, append(old, text...), 0o644); err != nil {
		t.Fatal(err)
	}
	table := []byte("name,mac\n")
	for i := range n {
		table = fmt.Appendf(table, "m%d,02:01:%02x:%02x:%02x:%02x\n", i, i>>24, i>>16&255, i>>8&255, i&255)
	}
	if err := os.WriteFile(filepath.Join(dir, "machines.csv"), table, 0o644); err != nil {
		t.Fatal(err)
	}
}
