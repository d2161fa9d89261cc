package events

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func current(t *testing.T, l *Log) Boot {
	t.Helper()
	m, ok := l.Machine(one)
	if !ok || m.Current() == nil {
		t.Fatal("no boot")
	}
	return *m.Current()
}

// What a machine does says how its boot stands.
func TestResult(t *testing.T) {
	stall := Event{Kind: 255} // in the table below: somebody says that it stalls
	for _, tc := range []struct {
		name  string
		steps []Event
		want  Result
	}{
		{"it goes on", []Event{{Kind: Asked}, {Kind: Offered}}, Running},
		{"its kernel starts", []Event{{Kind: Script}, {Kind: Booting}}, Booted},
		{"the system fetches files", []Event{{Kind: Booting}, {Kind: File}, {Kind: Written}}, Booted},
		{"it says that it is done", []Event{{Kind: Booting}, {Kind: PhonedHome}}, Booted},
		{"the system does not find a file", []Event{{Kind: Booting}, {Kind: Failed}}, Booted},
		{"a script of its own", []Event{{Kind: Script, Final: true}}, Booted},
		{"its own disk", []Event{{Kind: Script}, {Kind: Local}}, BootedLocal},
		{"not from here", []Event{{Kind: Asked}, {Kind: Ignored}, {Kind: Asked}}, BootIgnored},
		{"it is offered something after all", []Event{{Kind: Asked}, {Kind: Ignored}, {Kind: Asked}, {Kind: Offered}}, Running},
		{"it fails", []Event{{Kind: Script}, {Kind: Failed}}, BootFailed},
		{"it fails again and again", []Event{{Kind: Reporting}, {Kind: Failed}, {Kind: Reporting}, {Kind: Failed}, {Kind: Reporting}}, BootFailed},
		{"it fails, and goes on", []Event{{Kind: Reporting}, {Kind: Failed}, {Kind: Script}}, Running},
		{"it stalls", []Event{{Kind: Offered}, stall}, Stalled},
		{"it stalls, and asks again", []Event{{Kind: Offered}, stall, {Kind: Asked}, {Kind: Offered}}, Stalled},
		{"it stalls, and goes on", []Event{{Kind: Offered}, stall, {Kind: Loader}}, Running},
		{"a notice is none", []Event{{Kind: Script}, {Kind: Noticed}, {Kind: Moved}}, Running},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := New()
			l.Begin(one, noon)
			for i, e := range tc.steps {
				if e == stall {
					l.Stall(one, noon, Stall{Word: "w"})
					continue
				}
				e.Time = noon.Add(time.Duration(i) * time.Second)
				l.Add(one, e)
			}
			b := current(t, l)
			if b.Result != tc.want || (b.Stall != nil) != (tc.want == Stalled) {
				t.Errorf("got %s, %+v; want %s", b.Result, b.Stall, tc.want)
			}
		})
	}
}

// A machine that does not get further than DHCP tries again in the same boot; one that
// did begins another.
func TestAttempts(t *testing.T) {
	l := New()
	for i := range 3 {
		at := noon.Add(time.Duration(i) * time.Minute)
		l.Begin(one, at)
		l.Add(one, Event{Time: at, Kind: Asked})
		l.Add(one, Event{Time: at, Kind: Offered})
	}
	if b := current(t, l); b.Attempts != 3 || !b.Began.Equal(noon) || !l.Began(one).Equal(noon) {
		t.Errorf("got %+v", b)
	}
	l.Add(one, Event{Time: noon.Add(3 * time.Minute), Kind: Loader})
	l.Begin(one, noon.Add(4*time.Minute))
	l.Begin(one, noon.Add(time.Hour))
	m, _ := l.Machine(one)
	if len(m.Boots) != 3 || !m.Boots[0].Over || !m.Boots[1].Over || m.Boots[2].Over {
		t.Errorf("got %+v", m.Boots)
	}
	for i := range 2 * MaxBoots {
		l.Begin(one, noon.Add(time.Duration(i+2)*time.Hour))
	}
	if m, _ := l.Machine(one); len(m.Boots) != MaxBoots {
		t.Errorf("%d boots", len(m.Boots))
	}
}

// A DISCOVER and its answer alternate, and are counted all the same.
func TestStepsThatAlternateAreCounted(t *testing.T) {
	l := New()
	for i := range 100 {
		at := noon.Add(time.Duration(i) * time.Second)
		l.Add(one, Event{Time: at, Kind: Asked})
		l.Add(one, Event{Time: at, Kind: Failed, Detail: "no loader"})
	}
	if b := current(t, l); len(b.Steps) != 2 || b.Steps[0].Count != 100 || b.Steps[1].Count != 100 {
		t.Errorf("got %+v", b.Steps)
	}
}

// Firmware that takes none of its offers gets one style after the other.
func TestOffersInEachStyleAreCounted(t *testing.T) {
	l := New()
	for i := range 100 {
		at := noon.Add(time.Duration(i) * time.Second)
		l.Add(one, Event{Time: at, Kind: Asked})
		l.Add(one, Event{Time: at, Kind: Offered, Detail: []string{"bypass", "bypass+prompt", "boot-servers", "binl"}[i%4]})
	}
	if b := current(t, l); len(b.Steps) != 5 || b.Steps[0].Count != 100 || b.Steps[4].Count != 25 {
		t.Errorf("got %+v", b.Steps)
	}
}

// A boot of many files keeps its beginning and its end.
func TestABootOfManyFiles(t *testing.T) {
	l := New()
	l.Add(one, Event{Time: noon, Kind: Asked})
	l.Add(one, Event{Time: noon, Kind: Script})
	for i := range 1000 {
		l.Add(one, Event{Time: noon.Add(time.Duration(i) * time.Second), Kind: File, File: fmt.Sprint(i)})
	}
	b := current(t, l)
	if len(b.Steps) != MaxSteps || b.LeftOut != 1002-MaxSteps || b.Steps[0].Kind != Asked || b.Steps[1].Kind != Script || b.Steps[MaxSteps-1].File != "999" {
		t.Errorf("%d steps, %d left out, from %v to %v", len(b.Steps), b.LeftOut, b.Steps[0], b.Steps[len(b.Steps)-1])
	}
}

func TestTransfer(t *testing.T) {
	l := New()
	s := l.Subscribe(10)
	defer s.Close()
	var at atomic.Int64
	tr := l.Start(one, Event{Time: noon, Kind: Kernel, File: "linux", Size: 100}, at.Load)
	at.Store(40)
	if e := current(t, l).Steps[0]; !e.Active || e.Bytes != 40 || e.Percent() != 40 || e.What(noon.Add(10*time.Second)) != "linux, 40 B of 100 B (40 %), 4 B/s" {
		t.Errorf("got %+v: %s", e, e.What(noon.Add(10*time.Second)))
	}
	l.Tick(noon.Add(10 * time.Second))
	l.Tick(noon.Add(11 * time.Second)) // nothing has moved
	tr.End(60, "")
	e := current(t, l).Steps[0]
	if e.Active || e.Bytes != 60 || e.End.IsZero() || e.What(e.Time) != "linux, 60 B of 100 B (60 %), broken off, 0 B/s" {
		t.Errorf("got %+v: %s", e, e.What(e.Time))
	}
	var got []int64
	for range 3 {
		got = append(got, (<-s.C).Event.Bytes)
	}
	if diff := cmp.Diff([]int64{0, 40, 60}, got); diff != "" || len(s.C) > 0 {
		t.Errorf("told (-want +got):\n%s and %d more", diff, len(s.C))
	}
	tr.End(100, "") // of no effect any more
	if e := current(t, l).Steps[0]; e.Bytes != 60 {
		t.Errorf("got %+v", e)
	}
	var none *Log
	none.Start(one, Event{}, nil).End(1, "")
}

// A reader that is too slow loses updates, and is told how many. An observer loses
// none.
func TestASlowReader(t *testing.T) {
	l := New()
	seen := 0
	l.Observe(func(*Update) { seen++ })
	s := l.Subscribe(2)
	for i := range 10 {
		l.Add(one, Event{Time: noon, Kind: File, File: fmt.Sprint(i)})
	}
	<-s.C
	<-s.C
	l.Add(one, Event{Time: noon, Kind: Booting})
	if u := <-s.C; u.Lost != 8 || u.Event.Kind != Booting || u.Result != Booted || u.Was != Running {
		t.Errorf("got %+v", u)
	}
	s.Close()
	s.Close()
	if _, ok := <-s.C; ok {
		t.Error("it is not closed")
	}
	l.Add(one, Event{Time: noon, Kind: Local})
	if seen != 12 {
		t.Errorf("observed %d", seen)
	}
}

func TestUpdateJSON(t *testing.T) {
	for _, want := range []Update{
		{MAC: one, Arch: "x64", Began: noon, Rule: "r", Event: Event{Time: noon, Count: 1, Kind: Kernel, Active: true}, New: true, Lost: 3},
		{MAC: one, Began: noon, Result: Stalled, Stall: &Stall{Word: "w", Cause: "c"}},
	} {
		text, err := json.Marshal(want)
		var got Update
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	}
}

// Only machines whose boot goes on are said to have chosen a server, of which a
// bounded number is remembered.
func TestChosenServers(t *testing.T) {
	l := New()
	server := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
	l.Chose(one, server(1), noon) // nobody knows the machine
	if len(l.Servers()) != 0 || l.Knows(one) {
		t.Errorf("got %+v", l.Servers())
	}
	l.Begin(one, noon)
	for i := range 2 * MaxServers {
		l.Chose(one, server(i), noon.Add(time.Duration(i)*time.Second))
	}
	l.Chose(one, server(MaxServers+1), noon.Add(time.Hour)) // too late to be of this boot
	if all := l.Servers(); len(all) != MaxServers || all[0].Addr != server(2*MaxServers-1) || all[0].Count != 1 {
		t.Errorf("%d servers, the last %+v", len(all), all[0])
	}
	if e := current(t, l).Find(Address); e == nil || e.Detail != server(2*MaxServers-1).String() {
		t.Errorf("got %+v", e)
	}
}

func TestChanged(t *testing.T) {
	l := New()
	l.Add(one, Event{Time: noon})
	all, upTo := l.Changed(0)
	l.Add(two, Event{Time: noon})
	some, now := l.Changed(upTo)
	if len(all) != 1 || len(some) != 1 || some[0].MAC != two {
		t.Errorf("got %+v, then %+v", all, some)
	}
	if l.SetFacts(two, Facts{}); func() int { m, _ := l.Changed(now); return len(m) }() != 0 {
		t.Error("nothing new is a change")
	}
}

// A diagnosis of what has changed meanwhile is none, and the same is said once.
func TestStallOfABootThatHasGoneOn(t *testing.T) {
	l := New()
	l.Begin(one, noon)
	l.Add(one, Event{Time: noon, Kind: Offered})
	l.Add(one, Event{Time: noon.Add(time.Second), Kind: Loader})
	if l.Stall(one, noon, Stall{Word: "w", Seen: noon}) {
		t.Error("it has gone on")
	}
	if !l.Stall(one, noon, Stall{Word: "w", Seen: noon.Add(time.Second)}) || l.Stall(one, noon, Stall{Word: "w"}) {
		t.Error("it is news once")
	}
	l.Add(one, Event{Time: noon.Add(2 * time.Second), Kind: Script})
	if l.Stall(one, noon, Stall{Word: "w"}) {
		t.Error("the same once more is no news")
	}
	l.Begin(one, noon.Add(time.Minute))
	if got := l.Trouble(one, time.Hour, noon.Add(time.Minute)); got != "" {
		t.Errorf("no cause: %q", got)
	}
}

func BenchmarkAddRepeated(b *testing.B) {
	l := New()
	l.Begin(one, noon)
	b.ReportAllocs()
	for b.Loop() {
		l.Add(one, Event{Time: noon, Kind: Asked, Via: "dhcp", Detail: "rom"})
		l.Add(one, Event{Time: noon, Kind: Offered, Rule: "nodes", Via: "dhcp", Detail: "loader"})
	}
}

// Unfinished goes through all machines by and by, also while they are heard of and
// forgotten.
func TestUnfinishedComesInParts(t *testing.T) {
	l := New()
	at := time.Now()
	hear := func(n byte) { l.Add(MAC{n}, Event{Time: at, Kind: Asked}) }
	for n := byte(1); n <= 5; n++ {
		hear(n)
	}
	part := func(from MAC) (got string, next MAC) {
		some, next := l.Unfinished(from, 2)
		for _, m := range some {
			got += fmt.Sprint(m.MAC[0])
		}
		return got, next
	}
	first, next := part(MAC{})
	second, next := part(next)
	hear(5) // stays the last
	third, next := part(next)
	again, next := part(next)
	if got := first + " " + second + " " + third + " " + again; got != "12 34 5 12" {
		t.Errorf("got %s", got)
	}
	hear(next[0]) // is the last now
	if got, next := part(next); got != "3" || next != (MAC{}) {
		t.Errorf("of one that was heard of: got %s, then %v", got, next)
	}
	if got, _ := part(MAC{9}); got != "12" {
		t.Errorf("of one that is not known: got %s", got)
	}
}
