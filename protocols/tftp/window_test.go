package tftp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// play sends all that may go out and writes it down as "1-4", without pauses.
func play(w *window) string {
	var out []string
	for {
		from, to := w.next()
		if from > to {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d-%d", from, to))
		w.out(to)
	}
}

func TestWindow(t *testing.T) {
	optioned := terms{blockSize: 10, windowSize: 4, oack: []byte{}}
	// A step is an ACK's number, or -1: time is up. Then comes what goes out.
	type step struct {
		ack  int
		want string
	}
	for _, tt := range []struct {
		name  string
		terms terms
		size  int64
		first string
		steps []step
	}{
		{"lock-step without options", terms{blockSize: 10, windowSize: 1}, 25, "1-1", []step{{1, "2-2"}, {2, "3-3"}, {3, ""}}},
		{"an empty file", terms{blockSize: 10, windowSize: 1}, 0, "1-1", []step{{1, ""}}},
		{"a whole number of blocks ends with an empty one", terms{blockSize: 10, windowSize: 1}, 10, "1-1", []step{{1, "2-2"}, {2, ""}}},
		{"nothing but the OACK before its ACK", optioned, 95, "0-0", []step{{0, "1-4"}, {4, "5-8"}, {8, "9-10"}, {10, ""}}},
		{"the OACK again", optioned, 15, "0-0", []step{{-1, "0-0"}, {0, "1-2"}, {2, ""}}},
		{"duplicate ACKs send nothing", optioned, 95, "0-0", []step{{0, "1-4"}, {0, ""}, {0, ""}, {4, "5-8"}, {4, ""}, {0, ""}, {8, "9-10"}, {10, ""}}},
		{"ACKs of what was never sent", optioned, 95, "0-0", []step{{1, ""}, {65535, ""}, {0, "1-4"}, {5, ""}, {4, "5-8"}, {8, "9-10"}, {11, ""}, {10, ""}}},
		{"a gap: anew behind it, in smaller bursts", optioned, 95, "0-0", []step{{0, "1-4"}, {2, "3-4 5-6"}, {6, "7-9 10-10"}, {10, ""}}},
		{"a lost window", optioned, 75, "0-0", []step{{0, "1-4"}, {-1, "1-2 3-4"}, {4, "5-7 8-8"}, {8, ""}}},
		{"a lost ACK", optioned, 75, "0-0", []step{{0, "1-4"}, {-1, "1-2 3-4"}, {4, "5-7 8-8"}, {4, ""}, {4, ""}, {8, ""}}},
		{"smaller with each loss, down to one block", optioned, 35, "0-0", []step{{0, "1-4"}, {-1, "1-2 3-4"}, {-1, "1-1 2-2 3-3 4-4"}, {-1, "1-1 2-2 3-3 4-4"}, {4, ""}}},
		{"after a rewind the client tells what it has: go on, not back", optioned, 155, "0-0",
			[]step{{0, "1-4"}, {4, "5-8"}, {-1, "5-6 7-8"}, {6, "9-10"}, {10, "11-13 14-14"}, {14, "15-16"}, {16, ""}}},
		{"an ACK that time overtook", optioned, 155, "0-0", []step{{0, "1-4"}, {-1, "1-2 3-4"}, {4, "5-7 8-8"}, {8, "9-12"}, {12, "13-16"}, {16, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWindow(tt.terms, tt.size)
			if got := play(&w); got != tt.first {
				t.Fatalf("first %q, want %q", got, tt.first)
			}
			for i, s := range tt.steps {
				if w.done() {
					t.Fatalf("step %d: done already", i)
				}
				if s.ack < 0 {
					w.rewind()
				} else {
					w.ack(uint16(s.ack))
				}
				if got := play(&w); got != s.want {
					t.Fatalf("step %d (ACK %d): got %q, want %q", i, s.ack, got, s.want)
				}
			}
			if !w.done() {
				t.Error("not done")
			}
		})
	}
}

// TestWindowConverges drives a window by a client as RFC 7440 has it, over a network
// that loses and repeats at random: everything arrives, and blocks are not sent
// again for ever.
func TestWindowConverges(t *testing.T) {
	for _, size := range []int{1, 2, 4, 16, 64} {
		for seed := range uint64(8) {
			rnd := rand.New(rand.NewPCG(seed, uint64(size)))
			w := newWindow(terms{blockSize: 1, windowSize: size, oack: []byte{}}, 70000) // beyond 16 bits
			w.out(0)
			w.ack(0)
			var has, counted int64 // the client's: blocks in order, and those since its last ACK
			sent, timeouts := int64(0), 0
			for !w.done() {
				var acks []int64
				for {
					from, to := w.next()
					if from > to {
						break
					}
					w.out(to)
					for b := from; b <= to; b++ {
						sent++
						if rnd.IntN(1000) < 2 {
							continue // lost
						}
						if b != has+1 {
							acks, counted = append(acks, has), 0 // as EDK2 does
							continue
						}
						has++
						if counted++; counted == int64(size) || has == w.last {
							acks, counted = append(acks, has), 0
						}
					}
				}
				moved := false
				for _, a := range acks {
					if rnd.IntN(1000) >= 2 && w.ack(uint16(a)) {
						moved = true
					}
				}
				if !moved {
					timeouts++
					w.rewind()
				}
			}
			if has != w.last {
				t.Fatalf("window %d, seed %d: the client has %d of %d", size, seed, has, w.last)
			}
			if most := w.last * 3 / 2; sent > most {
				t.Errorf("window %d, seed %d: %d blocks sent for %d (%d timeouts), want %d at most", size, seed, sent, w.last, timeouts, most)
			}
		}
	}
}

func TestIntervals(t *testing.T) {
	s := session{base: time.Second, current: 300 * time.Millisecond}
	var got []time.Duration
	for retry := range maxRetries + 1 {
		got = append(got, s.interval(retry))
	}
	want := []time.Duration{300 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, maxInterval}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIntervalFollowsTheClient(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		took    time.Duration
		want    time.Duration
	}{
		{"fast", 0, time.Millisecond, minInterval},
		{"middling", 0, 100 * time.Millisecond, 400 * time.Millisecond},
		{"slow", 0, 5 * time.Second, time.Second},
		{"by its own wish", 3 * time.Second, time.Millisecond, time.Second},
	} {
		s := session{base: time.Second, current: time.Second, terms: terms{timeout: tt.timeout}}
		s.measure(tt.took)
		if s.current != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, s.current, tt.want)
		}
	}
}

func TestNetASCII(t *testing.T) {
	// Line ends at, before and after the borders of chunks.
	file := strings.Repeat("a\nb\rc\r\n", 1200) + "\r"
	want := strings.NewReplacer("\r", "\r\x00", "\n", "\r\n").Replace(file)
	n, err := newNetASCII(strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if n.length() != int64(len(want)) {
		t.Errorf("length %d, want %d", n.length(), len(want))
	}
	if err := iotest.TestReader(io.NewSectionReader(n, 0, n.length()), []byte(want)); err != nil {
		t.Error(err)
	}
	for off := 0; off < len(want); off += 511 {
		b := make([]byte, min(512, len(want)-off))
		if _, err := n.ReadAt(b, int64(off)); err != nil || !bytes.Equal(b, []byte(want[off:off+len(b)])) {
			t.Fatalf("at %d: %q, %v", off, b, err)
		}
	}
	if _, err := newNetASCII(strings.NewReader(file), maxNetASCII+1); err == nil {
		t.Error("a file beyond the bound was taken")
	}
	if _, err := newNetASCII(strings.NewReader(file), int64(len(file)+1)); err == nil {
		t.Error("a file that is too short was taken")
	}
}
