package drops

import (
	"errors"
	"strings"
	"testing"
)

func TestARequestThatBreaksIsAnError(t *testing.T) {
	parse := func(packet []byte) byte { return packet[len(packet)] }
	err := Contain(func() error { parse(nil); return nil })
	var broken *Broken
	if !errors.As(err, &broken) {
		t.Fatalf("got %v, want a *Broken", err)
	}
	// What it says can be sent to who mends it: the fault, and the way there.
	for _, want := range []string{"index out of range [0]", "drops.TestARequestThatBreaksIsAnError.func1:", " < drops.TestARequestThatBreaksIsAnError.func2:", "please report it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	for _, other := range []string{"Contain", "runtime.", "testing.", "\n"} {
		if strings.Contains(err.Error()[strings.Index(err.Error(), ", at "):], other) {
			t.Errorf("got %q, with %q", err, other)
		}
	}
	err = Contain(func() error { panic("two\n  lines") })
	if !strings.Contains(err.Error(), "report it: two lines, at drops.TestARequestThatBreaksIsAnError.func") {
		t.Errorf("got %q", err)
	}
	want := errors.New("its own")
	if got := Contain(func() error { return want }); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
