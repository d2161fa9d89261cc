package metrics

import (
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/events"
)

func BenchmarkObserve(b *testing.B) {
	m := New(func() status.Report { return status.Report{} })
	u := events.Update{MAC: events.MAC{2}, Arch: "x64", Began: time.Now(), Event: events.Event{Time: time.Now(), Count: 2, Kind: events.Offered, Rule: "nodes", Via: "dhcp"}}
	m.Observe(&u)
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(&u)
	}
}
