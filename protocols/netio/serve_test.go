package netio

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A script is a Conn that gives one answer after the other: an error, or a
// datagram. After the last it blocks until its deadline.
type script struct {
	Conn
	answers  []any
	deadline chan struct{}
}

func (s *script) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		s.deadline = make(chan struct{})
	} else {
		close(s.deadline)
	}
	return nil
}

func (s *script) ReadBatch(b []Datagram) (int, error) {
	if len(s.answers) == 0 {
		<-s.deadline
		return 0, fmt.Errorf("read: %w", os.ErrDeadlineExceeded)
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if err, ok := a.(error); ok {
		return 0, os.NewSyscallError("recvmmsg", err)
	}
	b[0].Data = b[0].buf[:copy(b[0].buf, a.(string))]
	return 1, nil
}

func TestServe(t *testing.T) {
	many := func(n int, err error) (list []any) {
		for range n {
			list = append(list, err)
		}
		return list
	}
	for _, tt := range []struct {
		name    string
		answers []any
		want    []string
		wantErr error // nil: serves until it is told to stop
	}{
		{"datagrams in their order", []any{"a", "b", "c"}, []string{"a", "b", "c"}, nil},
		{"survives an ICMP of a peer", []any{"a", syscall.ECONNREFUSED, "b"}, []string{"a", "b"}, nil},
		{"survives an interface that goes down", []any{syscall.ENETDOWN, "a"}, []string{"a"}, nil},
		{"survives a lack of memory", append(many(maxReadErrors-1, syscall.ENOBUFS), "a"), []string{"a"}, nil},
		{"counts errors in a row only", append(append(many(maxReadErrors-1, syscall.ENOBUFS), "a"), append(many(maxReadErrors-1, syscall.ENOBUFS), "b")...), []string{"a", "b"}, nil},
		{"gives up at last", append(many(maxReadErrors, syscall.ENOBUFS), "a"), nil, syscall.ENOBUFS},
		{"gives up at once on what does not pass", []any{"a", syscall.EBADF, "b"}, []string{"a"}, syscall.EBADF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var got []string
				end := make(chan error, 1)
				go func() {
					end <- Serve(ctx, &script{answers: tt.answers}, 4, 16, func(b []Datagram) {
						for _, d := range b {
							got = append(got, string(d.Data))
						}
					})
				}()
				time.Sleep(time.Minute) // of the bubble's clock: all pauses are over
				synctest.Wait()
				cancel()
				if err := <-end; !errors.Is(err, tt.wantErr) {
					t.Errorf("Serve = %v, want %v", err, tt.wantErr)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("handled (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestServeStopsDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), firstPause/2)
		defer cancel()
		start := time.Now()
		if err := Serve(ctx, &script{answers: []any{syscall.ENOMEM}}, 1, 1, nil); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if took := time.Since(start); took != firstPause/2 {
			t.Errorf("Serve took %v, want %v", took, firstPause/2)
		}
	})
}

// A listener that a reload put aside is served again with the same socket.
func TestServeTwiceOnOneSocket(t *testing.T) {
	c, err := ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for generation := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := c.WriteBatch([]Datagram{{Data: []byte("to myself"), Peer: c.LocalAddr()}}); err != nil {
			t.Fatal(err)
		}
		handled := 0
		err := Serve(ctx, c, 4, 16, func(b []Datagram) {
			handled += len(b)
			cancel()
		})
		if err != nil || handled != 1 {
			t.Errorf("generation %d: %d datagrams, error %v; want 1, nil", generation, handled, err)
		}
	}
}
