package drops

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCounts(t *testing.T) {
	var c Counts
	c.Add(Relay)
	c.Add(Held)
	c.Add(Relay)
	if diff := cmp.Diff(map[Reason]uint64{Relay: 2, Held: 1}, maps.Collect(c.All())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var none *Counts
	none.Add(Relay)
	for r := range none.All() {
		t.Errorf("a nil Counts has %v", r)
	}
}

func TestEveryReasonHasAWord(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasons {
		word, err := r.MarshalText()
		var back Reason
		if err != nil || back.UnmarshalText(word) != nil || back != r || seen[string(word)] || len(word) == 0 {
			t.Errorf("%d: %q, %v", r, word, err)
		}
		seen[string(word)] = true
	}
	var r Reason
	if err := r.UnmarshalText([]byte("weather")); err == nil {
		t.Error("a reason that there is not")
	}
}
