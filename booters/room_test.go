package booters

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// What is made for machines lies in memory until they have it: that of so many at a
// time, and no more.
func TestRoomForWhatIsMade(t *testing.T) {
	m := newMadeRoom()
	render := func() (string, error) { return strings.Repeat("x", maxRendered), nil }
	var open []io.Closer
	for range maxMade / maxRendered {
		f, _, err := m.open(t.Context(), FileContent, render)
		if err != nil {
			t.Fatalf("file %d: %v", len(open)+1, err)
		}
		open = append(open, f)
	}
	m.wait = time.Millisecond
	if _, _, err := m.open(t.Context(), FileContent, render); !errors.Is(err, boot.ErrNoRoom) || !strings.Contains(err.Error(), "start the machine again") {
		t.Errorf("one more: %v, want a sentence", err)
	}
	m.wait = madeWait
	gone, leave := context.WithCancelCause(t.Context())
	leave(errors.New("it has gone"))
	if _, _, err := m.open(gone, FileContent, render); err == nil || err.Error() != "it has gone" {
		t.Errorf("who has gone: %v", err)
	}

	open[0].Close()
	open[0].Close() // takes no second room
	f, size, err := m.open(t.Context(), FileContent, func() (string, error) { return "small", nil })
	if err != nil || size != 5 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if text, err := io.ReadAll(f); string(text) != "small" {
		t.Errorf("read %q, %v", text, err)
	}
	if m.left.TryAcquire(maxRendered-4) || !m.left.TryAcquire(maxRendered-5) {
		t.Error("a small file does not have the room of its bytes")
	}
	m.left.Release(maxRendered - 5)

	f.Close()
	if _, _, err := m.open(t.Context(), FileContent, func() (string, error) { return "", errors.New("no label") }); err == nil || err.Error() != "no label" {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() { _ = recover() }() // as who serves the file does
		m.open(t.Context(), FileContent, func() (string, error) { panic("a fault") })
	}()
	for _, f := range open {
		f.Close()
	}
	if !m.left.TryAcquire(maxMade) {
		t.Error("all are closed, and there is less room than in the beginning")
	}
}
