//go:build bench

package bench

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/pixiecore/pixiecore/protocols/netio/netlab"
)

// A bench is one run: the subjects and the table so far.
type bench struct {
	rounds int
	turn   time.Duration
	file   string // the configuration of the daemon with 10,000 rules

	pixiecore, echo, handler, sender *subject
	dnsmasq, atftpd, nginx           *subject // nil: not installed

	measuring string // what ROW selects
	unhurried string // of the soak: how long a machine waits without a fault, as a sentence
	again     string // says how to look at such a row again; empty: nothing does
	rows      []*row
}

// A row is one figure against its target.
type row struct {
	of       string // what ROW selects
	what     string
	measured float64
	bound    string
	met      bool
	detail   string
	why      string // it falls short, where it does
}

func (b *bench) atLeast(what string, got, want float64, detail string) *row {
	return b.add(&row{what: what, measured: got, bound: fmt.Sprintf("≥ %.4g", want), met: got >= want, detail: detail})
}

func (b *bench) atMost(what string, got, want float64, detail string) *row {
	return b.add(&row{what: what, measured: got, bound: fmt.Sprintf("≤ %.4g", want), met: got <= want, detail: detail})
}

func (b *bench) add(r *row) *row {
	r.of = b.measuring
	b.rows = append(b.rows, r)
	return r
}

// because says in a sentence why the figure falls short. It is printed only where
// it does.
func (r *row) because(sentence string) { r.why = sentence }

// print writes the table, and below it why a figure falls short.
func (b *bench) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\twhat\tmeasured\ttarget\t\tof")
	for _, r := range b.rows {
		verdict := "short"
		if r.met {
			verdict = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%.3g\t%s\t%s\t%s\n", r.of, r.what, r.measured, r.bound, verdict, r.detail)
	}
	t.Flush()
	for _, r := range b.rows {
		if !r.met {
			fmt.Fprintf(w, "\n%s: %s\n", r.what, cmp.Or(r.why, "No reason is known yet."))
			if b.again != "" {
				fmt.Fprintf(w, "  Where its time goes: "+b.again+"\n", r.of)
			}
		}
	}
}

// TestTable measures every row, or those that PIXIECORE_BENCH_ROW names, and prints
// them. A row that falls short is no failure: a busy machine is none. What did not
// work at all is.
func TestTable(t *testing.T) {
	netlab.Require(t, "ip", "taskset", "setpriv")
	b := &bench{
		rounds: setting(t, "PIXIECORE_BENCH_ROUNDS", 5, strconv.Atoi),
		turn:   setting(t, "PIXIECORE_BENCH_TURN", 2*time.Second, time.ParseDuration),
		again:  "make profile ROW=%s",
	}
	bin := daemon(t)
	dir, file := configure(t, 10_000)
	b.file = file

	// Each server is started for the first row that needs it.
	once := func(s **subject, start func() *subject) func() {
		return func() {
			if *s == nil {
				*s = start()
			}
		}
	}
	pixiecore := once(&b.pixiecore, func() *subject { return started(t, "pixiecore", bin, file) })
	echo := once(&b.echo, func() *subject { return echo(t) })
	dnsmasq := once(&b.dnsmasq, func() *subject { return dnsmasq(t, dir) })
	atftpd := once(&b.atftpd, func() *subject { return atftpd(t, dir) })
	sender := once(&b.sender, func() *subject { return newSubject(t, "sender", itself(t, "sender")) })
	nginx := once(&b.nginx, func() *subject { return nginx(t, dir) })
	handler := once(&b.handler, func() *subject { return minimalHandler(t) })

	rows := []struct {
		name    string
		measure func(*testing.T)
		needs   []func()
	}{
		{"start", func(t *testing.T) { b.start(t, bin) }, nil},
		{"offers", b.offers, []func(){pixiecore, echo, dnsmasq}},
		{"pxe", b.pxe, []func(){pixiecore, echo, dnsmasq}},
		{"one", b.one, []func(){pixiecore, echo}},
		{"burst", b.burst, []func(){pixiecore}},
		{"tftp", b.tftp, []func(){pixiecore, sender, atftpd}},
		{"lockstep", b.lockstep, []func(){pixiecore, dnsmasq}},
		{"http", b.http, []func(){pixiecore, nginx}},
		{"scripts", b.scripts, []func(){pixiecore, handler}},
		{"reload", b.reload, []func(){pixiecore}},
		{"rules", func(t *testing.T) { b.rules(t, bin) }, nil},
	}
	var all, want []string
	for _, r := range rows {
		all = append(all, r.name)
	}
	if s := os.Getenv("PIXIECORE_BENCH_ROW"); s != "" {
		want = strings.Split(s, ",")
	}
	for _, name := range want {
		if !slices.Contains(all, name) {
			t.Fatalf("there is no row %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	defer func() {
		fmt.Println()
		b.print(os.Stdout)
	}()
	for _, r := range rows {
		if len(want) > 0 && !slices.Contains(want, r.name) {
			continue
		}
		for _, start := range r.needs {
			start()
		}
		b.measuring = r.name
		t.Run(r.name, r.measure)
	}
}

// start is the time to the first answer, and what is in memory then.
func (b *bench) start(t *testing.T, bin string) {
	type figures struct {
		took                time.Duration
		own, resident, seen int64 // in bytes; seen: what machines that ask add to its own
		lost                int   // questions of these that were not answered
	}
	const filled = 40_000 // questions whose answers fill what the daemon keeps for `pixiecore capture`
	first := func(name string, see int, configure func() (file string)) figures {
		var took []time.Duration
		var own, resident, seen []int64
		lost := 0
		for range b.rounds {
			file := configure()
			s := newSegment(t, name)
			c := newCaller(t, s, clientUDP)
			q := request(1, dhcpPort)
			began := time.Now()
			s.serve(t, bin, file)
			for {
				if time.Since(began) > startLimit {
					t.Fatalf("no answer within %s:\n%s", startLimit, s.log)
				}
				c.put(q)
				c.flush(t)
				if c.receive(time.Now().Add(2*time.Millisecond), nil) > 0 {
					break
				}
			}
			took = append(took, time.Since(began))
			time.Sleep(300 * time.Millisecond) // the collector's
			own, resident = append(own, s.memory(t)), append(resident, s.resident(t))
			if see == 0 {
				continue
			}
			var had, heard int64
			for _, n := range []struct{ questions, machines int }{{filled, 1}, {see, see}} {
				c.machines = uint32(n.machines)
				lost += c.open(t, q, n.questions, offered).lost
				time.Sleep(300 * time.Millisecond)
				has := s.memory(t)
				heard, had = has-had, has
			}
			seen = append(seen, heard)
		}
		f := figures{took: median(took), own: median(own), resident: median(resident), lost: lost}
		if see > 0 {
			f.seen = median(seen)
		}
		return f
	}
	literal := func(n int) func() string {
		return func() string { _, file := configure(t, n); return file }
	}
	b.atMost("start to first answer, a small file, ms", first("small", 0, literal(1)).took.Seconds()*1000, 50, "").
		because("The program needs 13 ms of its processor until it is ready. Beside that, the key, the store and the copy of the configuration are written through to the disk in a new state directory, by five calls that wait for it; and there are entering the network namespace, and a load that asks every 5 ms.")
	idle := first("idle", 10_000, func() string { return withoutLoaders(t, literal(1)()) })
	b.atMost("memory when idle, MB", float64(idle.own)/1e6, 20, fmt.Sprintf("its own, with the loaders of the binary or the host; %.1f MB are resident, with the pages of the binary's file", float64(idle.resident)/1e6))
	b.atMost("10,000 machines seen add, MB", float64(idle.seen)/1e6, 5, fmt.Sprintf("a DISCOVER of each, when another's have filled the capture; %d of all rounds not answered", idle.lost)).
		because("A machine that has only asked has some 180 bytes in package boots: 144 for its boot and its place in their order, and its place in a map. Of each of the last 4096 there are 336 more for what it said, which the others share with those of their network, but for the UUID. Package events has 340 more for as many. So some 5 MB are in use, and what was made for the others before they were packed lies there until the collector runs: with GOGC=20, by which it runs each time that a fifth has come, and not when as much has, the row has 3 MB less.")
	tenThousand := first("literal", 0, func() string { return withoutLoaders(t, literal(10_000)()) })
	b.atMost("start to first answer, 10,000 literal rules, s", tenThousand.took.Seconds(), 1, "").
		because("Two fifths of its processor time are the lexer of HCL, which runs twice: the parser recurses, so it is seen first how deep things stand in each other. An eighth is the collector's.")
	b.atMost("10,000 literal rules add, MB", float64(tenThousand.own-idle.own)/1e6, 5, "a machine each").
		because("Some 4 MB are in use: a rule has 264 bytes, and its name, its place and its address come beside; the rest is pages that are in use in part, and what the runtime keeps of them. It is as much with GOGC=20.")
	named := first("machines", 0, func() string { return machineBlocks(t, withoutLoaders(t, literal(1)()), 10_000) })
	b.atMost("10,000 machine blocks add, MB", float64(named.own-idle.own)/1e6, 5, "a name and an address each").
		because("Some 2 MB are in use, 200 bytes for an entry of the inventory and its places in the tables of names and addresses; the rest is pages that are in use in part.")
	table := first("csv", 0, func() string {
		dir, file := configure(t, 0)
		csv(t, dir, file, 100_000)
		return file
	})
	b.atMost("start to first answer, 100,000 machines of a CSV, s", table.took.Seconds(), 2, "").
		because("Of 2 s of its processor, 0.3 are decoding the table, 0.7 the object, the type and the scope of each row, 0.5 its labels, 0.2 that no name and no address is there twice, and a fifth of it all is the collector's.")
}

// reload is the longest that an answer takes while the file of 10,000 rules is
// read again and again under full load.
func (b *bench) reload(t *testing.T) {
	c := newCaller(t, b.pixiecore, clientUDP)
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
			}
			n++
			next := filepath.Join(b.root(), "next")
			if os.WriteFile(next, fmt.Appendf(text, "# %d\n", n), 0o644) != nil || os.Rename(next, b.file) != nil {
				return
			}
		}
	}()
	r := c.closedWithLatency(t, request(1, dhcpPort), inFlight, time.Duration(b.rounds)*b.turn)
	close(stop)
	edits := <-done
	quiet := c.closedWithLatency(t, request(1, dhcpPort), inFlight, b.turn)
	b.atMost("latest answer under load while 10,000 rules are reloaded, ms", quantile(r.latency, 1).Seconds()*1000, 50, fmt.Sprintf("%d edits; %d lost; without an edit %s", edits, r.lost, quantile(quiet.latency, 1)))
}
