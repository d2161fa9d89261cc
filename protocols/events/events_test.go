package events

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	one  = MAC{0x52, 0x54, 0, 0, 0, 1}
	two  = MAC{0x52, 0x54, 0, 0, 0, 2}
)

func TestTheMachineHeardOfLastComesFirst(t *testing.T) {
	l := New()
	l.Add(one, Event{Time: noon, Kind: Offered})
	l.Add(two, Event{Time: noon, Kind: Offered})
	l.SetFacts(one, Facts{Arch: "x64"})
	got := []MAC{}
	for _, m := range l.Machines() {
		got = append(got, m.MAC)
	}
	if diff := cmp.Diff([]MAC{one, two}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestTheOldestEventsAreForgotten(t *testing.T) {
	l := New()
	for i := range MaxSteps + 5 {
		l.Add(one, Event{Time: noon, Kind: File, Detail: fmt.Sprint(i)})
	}
	events := l.Machines()[0].Events()
	if len(events) != MaxSteps {
		t.Fatalf("got %d events, want %d", len(events), MaxSteps)
	}
	for i, e := range events {
		if want := fmt.Sprint(i + 5); e.Detail != want {
			t.Errorf("event %d: got %q, want %q", i, e.Detail, want)
		}
	}
}

func TestRepeatedEventsAreCounted(t *testing.T) {
	add := func(l *Log, after time.Duration, e Event) {
		e.Time = noon.Add(after)
		l.Add(one, e)
	}
	offered := Event{Kind: Offered, Rule: "nodes", Gen: 3}
	tests := []struct {
		name string
		add  func(l *Log)
		want []Event
	}{
		{
			"within the time they are one",
			func(l *Log) {
				add(l, 0, offered)
				add(l, FoldWithin-1, offered)
				add(l, 2*FoldWithin-2, offered) // since the last repetition, not since the first
			},
			[]Event{{Time: noon, Last: noon.Add(2*FoldWithin - 2), Count: 3, Kind: Offered, Rule: "nodes", Gen: 3}},
		},
		{
			"later it is another boot",
			func(l *Log) {
				add(l, 0, offered)
				add(l, FoldWithin, offered)
			},
			[]Event{
				{Time: noon, Count: 1, Kind: Offered, Rule: "nodes", Gen: 3},
				{Time: noon.Add(FoldWithin), Count: 1, Kind: Offered, Rule: "nodes", Gen: 3},
			},
		},
		{
			"another generation is another event",
			func(l *Log) {
				add(l, 0, offered)
				add(l, 1, Event{Kind: Offered, Rule: "nodes", Gen: 4})
			},
			[]Event{
				{Time: noon, Count: 1, Kind: Offered, Rule: "nodes", Gen: 3},
				{Time: noon.Add(1), Count: 1, Kind: Offered, Rule: "nodes", Gen: 4},
			},
		},
		{
			"in a full ring too",
			func(l *Log) {
				for i := range MaxSteps {
					add(l, 0, Event{Kind: File, Detail: fmt.Sprint(i)})
				}
				add(l, 0, offered)
				add(l, 1, offered)
			},
			append(files(1, MaxSteps), Event{Time: noon, Last: noon.Add(1), Count: 2, Kind: Offered, Rule: "nodes", Gen: 3}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := New()
			tt.add(l)
			if diff := cmp.Diff(tt.want, l.Machines()[0].Events()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func files(from, to int) (all []Event) {
	for i := from; i < to; i++ {
		all = append(all, Event{Time: noon, Count: 1, Kind: File, Detail: fmt.Sprint(i)})
	}
	return all
}

func TestAFloodOfDiscoversDoesNotWashOutTheHistory(t *testing.T) {
	l := New()
	l.Add(one, Event{Time: noon, Kind: Failed, Detail: "kernel not found"})
	for i := range 100_000 {
		l.Add(one, Event{Time: noon.Add(time.Duration(i) * time.Second), Kind: Offered})
	}
	events := l.Machines()[0].Events()
	if len(events) != 2 || events[0].Kind != Failed || events[1].Count != 100_000 {
		t.Errorf("got %+v, want the failure and one event of count 100000", events)
	}
}

func TestFactsAreMerged(t *testing.T) {
	l := New()
	l.SetFacts(one, Facts{Arch: "ia32", Firmware: "bios", IP: "192.0.2.7"})
	l.SetFacts(one, Facts{Arch: "x64", Serial: "S1"})
	want := Facts{Arch: "x64", Firmware: "bios", IP: "192.0.2.7", Serial: "S1"}
	if diff := cmp.Diff(want, l.Machines()[0].Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestTextsOfClientsAreMadeFitToShow(t *testing.T) {
	long := strings.Repeat("é", MaxText)
	for in, want := range map[string]string{
		"PowerEdge R640":        "PowerEdge R640",
		"a\x1b[2Jb\r\nc\x00":    "a[2Jbc",
		"\u202egnp.exe":         "gnp.exe",
		"bad \xff\xfe bytes":    "bad  bytes",
		"  spaces \t":           "spaces",
		long:                    long[:MaxText],
		"x" + long:              "x" + long[:MaxText-2],
		"\ufffd and \u0085 too": "and  too",
	} {
		l := New()
		l.SetFacts(one, Facts{Product: in})
		l.Add(one, Event{Kind: Failed, File: in})
		m := l.Machines()[0]
		if m.Facts.Product != want || m.Boots[0].Steps[0].File != want {
			t.Errorf("%q: got fact %q and file %q, want %q", in, m.Facts.Product, m.Boots[0].Steps[0].File, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("PowerEdge R640")
	f.Add("\x1b]0;title\a\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, MaxText)
		if len(got) > MaxText || !utf8.ValidString(got) {
			t.Fatalf("clean(%q) = %q", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("clean(%q) = %q holds %U", s, got, r)
			}
		}
	})
}

func TestJSON(t *testing.T) {
	l := New()
	l.SetFacts(one, Facts{Arch: "x64", Firmware: "efi64"})
	l.Add(one, Event{Time: noon, Kind: Offered, Rule: "nodes", Gen: 7})
	l.Add(one, Event{Time: noon.Add(time.Second), Kind: Offered, Rule: "nodes", Gen: 7})
	l.Add(one, Event{Time: noon.Add(2 * time.Second), Kind: Loader, File: "ipxe.efi"})
	got, err := json.MarshalIndent(l.Machines(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	clock := strings.NewReplacer("Z", noon.Local().Format("Z07:00"), "2026-03-01T12:", noon.Local().Format("2006-01-02T15:"))
	want := clock.Replace(`[
  {
    "mac": "52:54:00:00:00:01",
    "facts": {
      "arch": "x64",
      "firmware": "efi64"
    },
    "boots": [
      {
        "began": "2026-03-01T12:00:00Z",
        "attempts": 1,
        "result": "running",
        "rule": "nodes",
        "generation": 7,
        "steps": [
          {
            "time": "2026-03-01T12:00:00Z",
            "last": "2026-03-01T12:00:01Z",
            "count": 2,
            "kind": "offered",
            "rule": "nodes",
            "generation": 7
          },
          {
            "time": "2026-03-01T12:00:02Z",
            "count": 1,
            "kind": "loader",
            "file": "ipxe.efi"
          }
        ]
      }
    ]
  }
]`)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	var back []Machine
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.Machines(), back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`[{"mac": "52:54"}]`), &back); err == nil {
		t.Error("a short address reads")
	}
	if got, _ := json.Marshal(New().Machines()); string(got) != "[]" {
		t.Errorf("an empty log: got %s, want []", got)
	}
}

func TestEveryKindHasAWordThatReadsBack(t *testing.T) {
	for _, k := range Kinds() {
		text, _ := k.MarshalText()
		var back Kind
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%d: %q read back as %d, %v", k, text, back, err)
		}
	}
	if got := Kind(200).String(); got != "kind 200" {
		t.Errorf("got %q", got)
	}
	if err := new(Kind).UnmarshalText([]byte("nonsense")); err == nil {
		t.Error("nonsense was read as a kind")
	}
}

func TestANilLogIsUsable(t *testing.T) {
	var l *Log
	l.Add(one, Event{Kind: Offered})
	l.SetFacts(one, Facts{Arch: "x64"})
	if got := l.Machines(); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}

// TestAMillionInventedMachines holds a Log to its bounds, in machines and in
// memory: the worst that a flood of invented addresses can leave is every
// machine with all the long texts that there is room for.
func TestAMillionInventedMachines(t *testing.T) {
	l := New()
	r := rand.New(rand.NewPCG(1, 2))
	text := strings.Repeat("x", 4*MaxText)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var mac [8]byte
	for i := range 1_000_000 {
		binary.BigEndian.PutUint64(mac[:], r.Uint64())
		l.Add(MAC(mac[:6]), Event{Time: noon, Kind: Ignored})
		if i > 1_000_000-MaxMachines {
			for n := range MaxSteps {
				l.Add(MAC(mac[:6]), Event{Time: noon, Kind: Kind(n % 10), Detail: fmt.Sprint(i, n, text), File: fmt.Sprint(n, i, text)})
			}
			l.SetFacts(MAC(mac[:6]), Facts{text, text, text, text, text, text, text, text, text})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const weight = 1 + (MaxText+MaxDetail)/textWeight
	if got, want := len(l.Machines()), MaxAll/(1+(MaxSteps-1)*weight); got != want {
		t.Errorf("got %d machines, want %d, which have as many steps as there may be", got, want)
	}
	const limit = 16 << 20
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > limit {
		t.Errorf("the log holds %d MiB, want at most %d", grown>>20, limit>>20)
	} else {
		t.Logf("the fullest log holds %d MiB", grown>>20)
	}
	runtime.KeepAlive(l)
}

func TestConcurrentUse(t *testing.T) {
	l := New()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				mac := MAC{byte(g), byte(i), byte(i >> 8)}
				l.Add(mac, Event{Kind: Kind(i % 11)})
				l.SetFacts(mac, Facts{Hostname: "node"})
				if i%500 == 0 {
					l.Machines()
				}
			}
		})
	}
	wg.Wait()
	if got := len(l.Machines()); got != MaxMachines {
		t.Errorf("got %d machines, want %d", got, MaxMachines)
	}
}

func BenchmarkAdd(b *testing.B) {
	l := New()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Add(MAC{1, 2, 3, 4, byte(i >> 8), byte(i)}, Event{Time: noon, Kind: Kind(i % 11), Rule: "nodes", Detail: "ipxe.efi"})
	}
}

// What a Log has listed makes another one list the same, within its bounds, but for
// what was of the process.
func TestRestore(t *testing.T) {
	listed := []Machine{
		{MAC: two, Facts: Facts{Arch: "x64", Serial: "S2"}, Boots: []Boot{
			{Began: noon, Attempts: 2, Result: BootFailed, Rule: "r", Over: true, Steps: []Event{{Time: noon, Count: 3, Kind: Failed, Rule: "r", Detail: "d"}}},
			{Began: noon.Add(time.Hour), Attempts: 1, Rule: "r", Gen: 7, Steps: []Event{{Time: noon.Add(time.Hour), Count: 1, Kind: Kernel, Rule: "r", Gen: 7, Bytes: 10, Size: 40, Active: true}}},
		}},
		{MAC: one, Boots: []Boot{{Began: noon, Attempts: 1, Steps: []Event{{Time: noon, Count: 1, Kind: Offered}}}}},
	}
	l := New()
	l.Restore(listed)
	running := &listed[0].Boots[1]
	running.Gen, running.Steps[0].Gen, running.Steps[0].Active, running.Steps[0].End = 0, 0, false, running.Began
	if diff := cmp.Diff(listed, l.Machines()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	l.Add(one, Event{Kind: Ignored, Time: noon.Add(time.Hour)})
	if got := l.Machines()[0]; got.MAC != one || len(got.Events()) != 2 || got.Current().Result != BootIgnored {
		t.Errorf("after another event: %+v", got)
	}

	many := make([]Machine, MaxMachines+1)
	for i := range many {
		many[i] = Machine{MAC: MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, Boots: []Boot{{Steps: make([]Event, 4)}}}
	}
	many[0].Boots[0].Steps = make([]Event, MaxSteps+1)
	l = New()
	l.Restore(many)
	if got := l.Machines(); len(got) != MaxMachines || len(got[0].Events()) != MaxSteps || got[0].MAC != many[0].MAC {
		t.Errorf("%d machines, the first %v with %d events", len(got), got[0].MAC, len(got[0].Events()))
	}
}

// What comes with every packet costs no memory that has to be collected: a repetition,
// and, once the Log is full, a machine that nobody has heard of.
func TestAddAllocatesNothing(t *testing.T) {
	l := New()
	l.Observe(func(*Update) {})
	hears := func(mac MAC) {
		l.Begin(mac, noon)
		l.SetFacts(mac, Facts{Arch: "x64", Firmware: "efi64"})
		l.Add(mac, Event{Time: noon, Kind: Asked, Via: "dhcp", Detail: "rom"})
		l.Add(mac, Event{Time: noon, Kind: Offered, Rule: "nodes", Boot: "debian", Gen: 3, Via: "dhcp", Detail: "ipxe.efi by TFTP"})
	}
	n := uint32(0)
	next := func() (mac MAC) {
		binary.BigEndian.PutUint32(mac[2:], n)
		n++
		return mac
	}
	for range MaxMachines + 1 {
		hears(next())
	}
	if got := testing.AllocsPerRun(1000, func() { hears(one) }); got != 0 {
		t.Errorf("a machine that asks again: %v allocations", got)
	}
	if got := testing.AllocsPerRun(1000, func() { hears(next()) }); got != 0 {
		t.Errorf("another machine: %v allocations", got)
	}
}

// BenchmarkMemory measures what the Log costs for each machine: one that was offered
// something, and one that went all the way, five times.
func BenchmarkMemory(b *testing.B) {
	for name, kinds := range map[string][]Kind{
		"offered": {Asked, Offered},
		"booted":  {Asked, Offered, Loader, IPXE, Offered, Autoexec, Reporting, Script, Kernel, Initrd, Booting},
	} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			l := New()
			boots := 1
			if name == "booted" {
				boots = MaxBoots
			}
			for i := range MaxMachines {
				mac := MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
				l.SetFacts(mac, Facts{Arch: "x64", Firmware: "efi64", UUID: fmt.Sprintf("4c4c4544-0042-3510-8053-%012x", i)})
				for n := range boots {
					at := noon.Add(time.Duration(n) * time.Hour)
					l.Begin(mac, at)
					for _, k := range kinds {
						e := Event{Time: at, Kind: k, Rule: "nodes", Boot: "debian", Gen: 3, Via: "dhcp", Detail: k.String()}
						if k == Kernel || k == Initrd {
							e.File = "linux"
							l.Start(mac, e, nil).End(1, "")
							continue
						}
						l.Add(mac, e)
					}
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			for i := 0; b.Loop(); i++ {
				l.Add(MAC{2, 0, 0, 0, byte(i >> 8 & 15), byte(i)}, Event{Time: noon, Kind: Asked, Via: "dhcp", Detail: "rom"})
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/MaxMachines, "bytes/machine")
		})
	}
}
