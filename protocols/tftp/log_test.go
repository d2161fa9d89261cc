package tftp

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/protocols/drops"
	"github.com/pixiecore/pixiecore/protocols/netio"
)

// Requests of addresses that never answer are a line each second and a count; a machine
// that has answered and is cut off keeps its own.
func TestAFloodDoesNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		counts := &drops.Counts{}
		r := &service{Server: &Server{Interfaces: netio.NewInterfaces(), Drops: counts, Log: zap.New(core)}}
		end := func(err error, answered bool) {
			r.log(Transfer{Request: Request{Path: "a", Remote: netip.MustParseAddrPort("192.0.2.7:1024")}, Err: err, Answered: answered})
		}
		for range 3 { // seconds
			for range 50 {
				end(errSilent, false)
				end(fmt.Errorf("%w: %w", errSilent, errors.New("no route")), false)
				end(errGone, false)
				time.Sleep(time.Second / 50)
			}
		}
		end(errSilent, true)
		end(errGone, true)
		end(errors.New("read: input/output error"), false)

		var got []any
		for _, line := range logs.All() {
			got = append(got, line.ContextMap()["left_out"])
		}
		if diff := cmp.Diff([]any{int64(0), int64(149), int64(149), nil, nil, nil}, got); diff != "" {
			t.Errorf("left out before each line (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(map[drops.Reason]uint64{drops.Unheard: 450}, maps.Collect(counts.All())); diff != "" {
			t.Errorf("counted (-want +got)\n%s", diff)
		}
	})
}

// What a client asks for is in the log, and nothing in it that a terminal obeys, be it
// written in one byte or in two.
func TestAFileNameInTheLogIsASCII(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	r := &service{Server: &Server{Interfaces: netio.NewInterfaces(), Log: zap.New(core)}}
	r.log(Transfer{Request: Request{Path: "a\x1b[2J\u009b2J\x9b\u202e/b"}, Err: ErrNotFound})
	if got, want := logs.All()[0].ContextMap()["file"], "a?[2J?2J??/b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
