package stalls

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/protocols/events"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mac  = events.MAC{0x52, 0x54, 0, 0, 0, 1}
)

// at is an event so many seconds after noon.
func at(seconds int, e events.Event) events.Event {
	e.Time = noon.Add(time.Duration(seconds) * time.Second)
	return e
}

func tftp(f events.Fault, e events.Event) events.Event {
	e.Kind, e.Via, e.File, e.Fault = events.Failed, "tftp", "ipxe.efi", f
	return e
}

// Diagnoses of failures that take minutes to provoke, or another network. Those of
// package daemon are by machines that stop before real servers.
func TestDiagnose(t *testing.T) {
	offered := []events.Event{at(0, events.Event{Kind: events.Asked, Via: "dhcp"}), at(0, events.Event{Kind: events.Offered, Via: "dhcp", Detail: "loader"})}
	for _, tc := range []struct {
		name    string
		steps   []events.Event
		network Network
		after   int // seconds after noon
		word    string
		says    string
	}{
		{"an API that is slow", []events.Event{at(0, events.Event{Kind: events.Asked, Via: "dhcp"})}, Network{}, 10, Unanswered, "has not answered"},
		{"answers from another port are lost", append(offered, at(8, tftp(events.FaultNoAnswer, events.Event{BlockSize: 1468}))), Network{}, 13, TFTPNoAnswer, "single_port = true"},
		{"an MTU below 1500", append(offered, at(8, tftp(events.FaultFirstBlock, events.Event{BlockSize: 1468}))), Network{}, 13, TFTPBlocks, "OACK 1468 acknowledged and no block of that size: the path's MTU is below 1500"},
		{"no block at all", append(offered, at(8, tftp(events.FaultFirstBlock, events.Event{BlockSize: 512}))), Network{}, 13, TFTPBlocks, "and no block of it"},
		{"the loader is broken off", append(offered,
			at(1, events.Event{Kind: events.Loader, Via: "tftp", File: "ipxe.efi", Bytes: 512, Size: 2048}),
			at(9, tftp(events.FaultCut, events.Event{Bytes: 512, Detail: "client error 3: disk full"}))), Network{}, 14, Cut, ""},
		{"iPXE without HTTP", append(offered, at(2, events.Event{Kind: events.Failed, Fault: events.FaultNoHTTP, Detail: "cannot load by HTTP"})), Network{}, 7, WithoutHTTP, "cannot load by HTTP"},
		{"an interface that is left out", append(offered, at(2, tftp(events.FaultDenied, events.Event{Detail: "leaves this interface out"}))), Network{}, 7, Refused, "leaves this interface out"},
		{"this server leases", offered, Network{Leases: true}, 30, NoLoader, "UDP port 69"},
		{"a server of last week is not heard of", offered, Network{Servers: []events.Server{{Last: noon.Add(-7 * 24 * time.Hour)}}}, 30, NoLease, "no DHCP server"},
		{"a script of its own", append(offered, at(1, events.Event{Kind: events.Script, Final: true})), Network{}, 1000, "", ""},
		{"a local disk", append(offered, at(1, events.Event{Kind: events.Local})), Network{}, 1000, "", ""},
		{"an ignored machine", []events.Event{at(0, events.Event{Kind: events.Asked}), at(0, events.Event{Kind: events.Ignored})}, Network{}, 1000, "", ""},
		{"files of another system", append(offered, at(1, events.Event{Kind: events.Script}), at(2, events.Event{Kind: events.File})), Network{}, 1000, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := events.New()
			l.SetFacts(mac, events.Facts{Firmware: "efi64"})
			l.Begin(mac, noon)
			for _, e := range tc.steps {
				l.Add(mac, e)
			}
			m, _ := l.Machine(mac)
			early, ok := Diagnose(m, *m.Current(), tc.network, noon.Add(time.Duration(tc.after-1)*time.Second))
			if ok && tc.word != "" {
				t.Errorf("a second before: %+v", early)
			}
			got, _ := Diagnose(m, *m.Current(), tc.network, noon.Add(time.Duration(tc.after)*time.Second))
			if got.Word != tc.word || !strings.Contains(got.Cause, tc.says) {
				t.Errorf("got %+v, want %s: %s", got, tc.word, tc.says)
			}
		})
	}
}

// A restart says nothing of what happened before it, but once in the status.
func TestABootOfBeforeARestart(t *testing.T) {
	l := events.New()
	l.Restore([]events.Machine{{MAC: mac, Boots: []events.Boot{{Began: noon, Steps: []events.Event{at(1, events.Event{Kind: events.Offered, Count: 1})}}}}})
	core, logged := observer.New(zap.DebugLevel)
	w := &Watch{Events: l, Network: func() Network { return Network{} }, Started: noon.Add(time.Hour), Log: zap.New(core)}
	w.Check(noon.Add(2 * time.Hour))
	m, _ := l.Machine(mac)
	if b := m.Current(); b.Result != events.Stalled || b.Stall.Word != Unseen || logged.Len() > 0 {
		t.Errorf("got %+v, and %d lines", b, logged.Len())
	}
}

// Every word is in the list that metrics and documents go by.
func TestWordsAreListed(t *testing.T) {
	src, err := os.ReadFile("diagnose.go")
	if err != nil {
		t.Fatal(err)
	}
	block := strings.SplitN(strings.SplitN(string(src), "// The words of diagnoses", 2)[1], "\n)", 2)[0]
	n := 0
	for line := range strings.Lines(block) {
		if _, value, ok := strings.Cut(line, `= "`); ok {
			n++
			if word, _, _ := strings.Cut(value, `"`); !slices.Contains(Words(), word) {
				t.Errorf("%s is not listed", word)
			}
		}
	}
	if n != len(Words()) {
		t.Errorf("%d words, %d listed", n, len(Words()))
	}
}
