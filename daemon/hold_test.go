package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/protocols/boots"
)

func TestAHoldIgnoresItsMachinesAndSaysWhy(t *testing.T) {
	seal, err := booters.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	mac, err := booters.ParseMACPattern("52:54:00:*")
	if err != nil {
		t.Fatal(err)
	}
	table, err := booters.NewTable(seal, booters.NewSources(), nil, []booters.Rule{
		{Name: "lab", Match: booters.Match{MACs: []booters.MACPattern{mac}}, Action: booters.Action{Do: boot.Local}},
		{Name: "rest", Action: booters.Action{Do: boot.Local}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := loadHold("", zap.NewNop())
	var swap booters.Swapper
	swap.Publish(boot.Snapshot{Booter: table})
	memory := boots.Memory{Source: &swap, Held: h.why}
	decide := func(first byte) *boot.Verdict {
		d, err := memory.Decide(t.Context(), boot.Machine{MAC: []byte{first, 0x54, 0, 0, 0, 1}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return d.Verdict
	}
	h.set("lab", "broken", time.Now())
	if got, want := decide(0x52), (&boot.Verdict{Action: boot.Ignore, Rule: "lab", Reason: `rule "lab" is on hold: broken`}); got.Reason != want.Reason || got.Action != want.Action || got.Rule != want.Rule {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := decide(0x50); got.Action != boot.Local {
		t.Errorf("another rule: got %+v", got)
	}
	h.set("", "", time.Now())
	if got := decide(0x50); got.Action != boot.Ignore || got.Reason != "the daemon is on hold" {
		t.Errorf("everything: got %+v", got)
	}
	if was, err := h.resume(""); !was || err != nil || decide(0x52).Action != boot.Local {
		t.Errorf("after resume: %t, %v, %+v", was, err, decide(0x52))
	}
}

func TestAHoldOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	h := loadHold(dir, zap.NewNop())
	for _, rule := range []string{"a", "b", "a"} { // again: with another reason
		if err := h.set(rule, "reason of "+rule, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := []status.Hold{{Rule: "b", Reason: "reason of b"}, {Rule: "a", Reason: "reason of a"}}
	if diff := cmp.Diff(want, loadHold(dir, zap.NewNop()).list(), cmpopts.IgnoreFields(status.Hold{}, "Since")); diff != "" {
		t.Error(diff)
	}
	if st, err := os.Stat(filepath.Join(dir, holdFile)); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if was, err := h.resume("b"); !was || err != nil {
		t.Error(was, err)
	}
	if got := loadHold(dir, zap.NewNop()).list(); len(got) != 1 || got[0].Rule != "a" {
		t.Errorf("after resume: %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAHoldThatCannotBeReadHoldsEverything(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, holdFile), []byte("[{"), 0o600)
	got := loadHold(dir, zap.NewNop()).list()
	if len(got) != 1 || got[0].Rule != "" || !strings.Contains(got[0].Why(), "cannot be read") {
		t.Errorf("got %+v", got)
	}
}

func TestAHoldThatCannotBeKeptIsNone(t *testing.T) {
	h := loadHold(filepath.Join(t.TempDir(), "gone"), zap.NewNop())
	if err := h.set("", "", time.Now()); err == nil || len(h.list()) != 0 {
		t.Errorf("got %v, %+v", err, h.list())
	}
	h = loadHold("", zap.NewNop())
	for i := range maxHolds + 1 {
		if err := h.set(string(rune('a'+i)), "", time.Now()); (err != nil) != (i == maxHolds) {
			t.Fatalf("hold %d: %v", i, err)
		}
	}
}
