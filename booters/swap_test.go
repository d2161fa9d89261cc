package booters

import (
	"sync"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestGenerationsCountFromOne(t *testing.T) {
	var w Swapper
	if got := w.Current(); got != nil {
		t.Fatalf("before the first: got %+v", got)
	}
	for want := uint64(1); want <= 3; want++ {
		if got := w.Publish(boot.Snapshot{Gen: 99}); got != want || w.Current().Gen != want {
			t.Errorf("got generation %d, current %d, want %d", got, w.Current().Gen, want)
		}
	}
}

// Every reader sees whole generations, in order, whoever publishes.
func TestReadersDuringReloads(t *testing.T) {
	const publishers, each = 4, 500
	var (
		w    Swapper
		wg   sync.WaitGroup
		gens sync.Map
		last = uint64(publishers*each + 1)
	)
	one := table(t, Rule{Name: "one"})
	w.Publish(boot.Snapshot{Booter: one})
	for range 4 {
		wg.Go(func() {
			for seen := uint64(0); seen < last; {
				s := w.Current()
				if s.Gen < seen || s.Booter != one {
					t.Errorf("after generation %d: %+v", seen, s)
					return
				}
				seen = s.Gen
			}
		})
	}
	for range publishers {
		wg.Go(func() {
			for range each {
				if _, twice := gens.LoadOrStore(w.Publish(boot.Snapshot{Booter: one}), true); twice {
					t.Error("two reloads have one generation")
				}
			}
		})
	}
	wg.Wait()
	if got := w.Current().Gen; got != last {
		t.Errorf("got generation %d, want %d", got, last)
	}
}

// What a request pays for a reload that goes on beside it.
func BenchmarkReloadUnderReaders(b *testing.B) {
	tab := table(b, manyRules(1000)...)
	var w Swapper
	w.Publish(boot.Snapshot{Booter: tab})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				w.Publish(boot.Snapshot{Booter: tab})
			}
		}
	}()
	m := boot.Machine{MAC: hwOf(0x525400000001), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if v, err := boot.Decide(b.Context(), w.Current().Booter, m); err != nil || v.Action != boot.Boot {
				b.Error(v, err)
			}
		}
	})
	close(stop)
	<-stopped
}
