//go:build bench

package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
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

	pixiecore, echo, handler *subject
	dnsmasq, atftpd, nginx   *subject // nil: not installed

	rows []row
}

// A row is one figure against its target.
type row struct {
	what     string
	measured float64
	bound    string
	met      bool
	detail   string
}

func (b *bench) atLeast(what string, got, want float64, detail string) {
	b.rows = append(b.rows, row{what, got, fmt.Sprintf("≥ %g", want), got >= want, detail})
}

func (b *bench) atMost(what string, got, want float64, detail string) {
	b.rows = append(b.rows, row{what, got, fmt.Sprintf("≤ %g", want), got <= want, detail})
}

// print writes the table.
func (b *bench) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured\ttarget\t\tof")
	for _, r := range b.rows {
		verdict := "short"
		if r.met {
			verdict = "met"
		}
		fmt.Fprintf(t, "%s\t%.3g\t%s\t%s\t%s\n", r.what, r.measured, r.bound, verdict, r.detail)
	}
	t.Flush()
}

// TestTable measures every row and prints them. A row that falls short is no
// failure: a busy machine is none. What did not work at all is.
func TestTable(t *testing.T) {
	netlab.Require(t, "ip", "taskset", "setpriv")
	b := &bench{
		rounds: setting(t, "PIXIECORE_BENCH_ROUNDS", 5, strconv.Atoi),
		turn:   setting(t, "PIXIECORE_BENCH_TURN", 2*time.Second, time.ParseDuration),
	}
	defer func() {
		fmt.Println()
		b.print(os.Stdout)
	}()
	bin := daemon(t)
	b.start(t, bin)

	dir, file := configure(t, 10_000)
	b.file = file
	b.pixiecore = started(t, bin, file)
	b.echo = echo(t)
	b.dnsmasq = dnsmasq(t, dir)
	b.atftpd = atftpd(t, dir)
	b.nginx = nginx(t, dir)
	b.handler = newSubject(t, "handler", itself(t, "handler"))
	b.handler.until(t, "answer", func() bool {
		c, err := b.handler.dial("tcp", httpPort.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})

	t.Run("dhcp", b.dhcp)
	t.Run("tftp", b.tftp)
	t.Run("http", b.http)
	t.Run("reload", func(t *testing.T) { b.reload(t) })
	t.Run("rules", func(t *testing.T) { b.rules(t, bin) })
}

// start is the time to the first answer, and what is in memory then.
func (b *bench) start(t *testing.T, bin string) {
	first := func(configure func() (file string)) (time.Duration, int64) {
		var took []time.Duration
		var memory []int64
		for range b.rounds {
			file := configure()
			s := newSegment(t, "starting")
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
			memory = append(memory, s.memory(t))
		}
		return median(took), median(memory)
	}
	literal := func(n int) func() string {
		return func() string { _, file := configure(t, n); return file }
	}
	small, idle := first(literal(1))
	b.atMost("start to first answer, a small file, ms", small.Seconds()*1000, 50, "")
	b.atMost("memory when idle, MB", float64(idle)/1e6, 20, "anonymous, with 16 MiB of it a loader of the bench")
	tenThousand, more := first(literal(10_000))
	b.atMost("start to first answer, 10,000 literal rules, s", tenThousand.Seconds(), 1, "")
	b.atMost("10,000 machines add, MB", float64(more-idle)/1e6, 5, "")
	table, _ := first(func() string {
		dir, file := configure(t, 0)
		csv(t, dir, file, 100_000)
		return file
	})
	b.atMost("start to first answer, 100,000 machines of a CSV, s", table.Seconds(), 2, "")
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
