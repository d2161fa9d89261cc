package boots

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// choosing is a table of which a boot can be chosen.
type choosing struct {
	table
	boots []string
}

func (c *choosing) Current() *boot.Snapshot { return &boot.Snapshot{Gen: c.gen, Booter: *c} }

func (choosing) Called(boot.Machine) string { return "db1" }

func (c choosing) Choose(v *boot.Verdict, name string) (*boot.Verdict, error) {
	for _, known := range c.boots {
		if known == name {
			return &boot.Verdict{Action: boot.Boot, Rule: v.Rule, Boot: name, Spec: &boot.Spec{Kernel: "k"}, Chosen: true}, nil
		}
	}
	return v, fmt.Errorf("there is no boot.%s", name)
}

// keptNexts keep nothing longer than the Nexts do.
type keptNexts struct{}

func (keptNexts) Load() (map[string]once.Next, error) { return nil, nil }
func (keptNexts) Save(map[string]*once.Next) error    { return nil }

// chosen is a memory of a machine for which "rescue" is chosen, and whose rule has the
// verdict.
func chosen(t *testing.T, v *boot.Verdict) (*Memory, *choosing, *once.Nexts) {
	t.Helper()
	nexts, err := once.NewNexts(keptNexts{}, start)
	if err != nil {
		t.Fatal(err)
	}
	if err := nexts.Set(once.Machine{Name: "db1"}, nil, "rescue", time.Hour, start); err != nil {
		t.Fatal(err)
	}
	src := &choosing{*newTable(v), []string{"rescue"}}
	return &Memory{Source: src, Next: func() *once.Nexts { return nexts }, Events: events.New()}, src, nexts
}

// outcome is what becomes of the machine, in a word or the name of what it boots.
func outcome(t *testing.T, m *Memory, after time.Duration) string {
	t.Helper()
	if d := asks(t, m, after); d.Action == boot.Boot {
		return d.Boot
	} else {
		return d.Action.String()
	}
}

// Whatever the rule says, unless it ignores the machine; for one boot.
func TestWhatIsChosenForABoot(t *testing.T) {
	api := boots("api")
	api.Ask = func(context.Context, boot.Machine) (*boot.Verdict, error) {
		return &boot.Verdict{}, errors.New("the inventory is down")
	}
	other := boots("lab")
	other.Boot = "live"
	disarmed := installs("db1")
	for name, tc := range map[string]struct {
		v           *boot.Verdict
		want, after string
	}{
		"of a rule that boots":       {other, "rescue", "live"},
		"of one that boots the disk": {&boot.Verdict{Action: boot.Local, Rule: "all"}, "rescue", "local"},
		"of one that ignores":        {&boot.Verdict{Rule: "printers"}, "ignore", "ignore"},
		"of none":                    {&boot.Verdict{}, "ignore", "ignore"},
		"of one that must know more": {&boot.Verdict{Action: boot.Probe, Rule: "serial"}, "probe", "probe"},
		"of one that asks an API":    {api, "rescue", "error"},
		"of one that is disarmed":    {disarmed, "rescue", "local"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, _ := chosen(t, tc.v)
			dhcp(m, 1, 0)
			for i := range 3 {
				if got := outcome(t, m, time.Duration(i)*time.Second); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				if tc.want == "rescue" {
					if err := script(t, m, time.Duration(i)*time.Second); err != nil {
						t.Fatal(err)
					}
				}
			}
			dhcp(m, 2, time.Minute)
			d, err := m.Decide(t.Context(), machineOf, start.Add(time.Minute))
			got := d.Action.String()
			switch {
			case err != nil:
				got = "error"
			case d.Action == boot.Boot:
				got = d.Boot
			}
			if got != tc.after {
				t.Errorf("the boot after it: got %s, want %s", got, tc.after)
			}
		})
	}
}

// It is decided at the beginning of a boot, and a reload, or who takes it back when the
// machine has its script, changes nothing of that.
func TestWhatIsChosenIsOneVerdict(t *testing.T) {
	v := boots("lab")
	v.Boot = "live"
	m, src, nexts := chosen(t, v)
	who := once.Machine{Name: "db1"}
	dhcp(m, 1, time.Second)
	is := func(want string) {
		t.Helper()
		if got := outcome(t, m, time.Minute); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	is("rescue")
	src.table.reload(v)
	src.boots = nil // which the boot under way has from its own generation
	is("rescue")
	if _, _, err := nexts.Cancel(who, nil, start); err != nil {
		t.Fatal(err)
	}
	is("live")
	if err := nexts.Set(who, nil, "rescue", time.Hour, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	is("live") // it is for the next one
	src.boots = []string{"rescue"}
	dhcp(m, 2, 2*time.Minute)
	if err := script(t, m, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	if was, _, err := nexts.Cancel(who, nil, start.Add(2*time.Minute)); was.ID == "" || err != nil {
		t.Fatalf("got %+v, %v", was, err)
	}
	is("rescue")
	src.table.reload(&boot.Verdict{Rule: "printers"})
	is("ignore") // at once, as everything that is refused
}

// The rule decides where the boot is not there any more, and an event says so once.
func TestABootThatIsChosenAndGone(t *testing.T) {
	m, src, _ := chosen(t, &boot.Verdict{Action: boot.Local, Rule: "all"})
	src.boots = nil
	dhcp(m, 1, 0)
	for range 3 {
		if got := outcome(t, m, 0); got != "local" {
			t.Errorf("got %s", got)
		}
	}
	got, _ := m.Events.Machine(MAC(mac))
	if all := got.Events(); len(all) != 1 || all[0].Count != 1 || !strings.Contains(all[0].Detail, "boot.rescue was chosen") {
		t.Errorf("got %+v", all)
	}
}

// A machine that is armed stays armed; the one whose installer was begun and broke off
// is not taken for the same boot afterwards.
func TestWhatIsChosenLeavesTheArm(t *testing.T) {
	m, _, nexts := chosen(t, installs("db1"))
	_, states := armed(t)
	m.Once = func() *once.States { return states }
	dhcp(m, 1, 0)
	if err := script(t, m, 0); err != nil {
		t.Fatal(err)
	}
	if r, _ := states.Find(once.Machine{Name: "db1"}); r.State != once.Armed {
		t.Errorf("it is %s", r.State)
	}
	dhcp(m, 2, time.Minute)
	if got := outcome(t, m, time.Minute); got != "debian" {
		t.Fatalf("got %s", got)
	}
	if err := script(t, m, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := nexts.Set(once.Machine{Name: "db1"}, nil, "rescue", time.Hour, start.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	dhcp(m, 3, 3*time.Minute)
	if got := outcome(t, m, 3*time.Minute); got != "rescue" {
		t.Errorf("got %s", got)
	}
	if r, _ := states.Find(once.Machine{Name: "db1"}); !r.Over {
		t.Error("the installer's boot is not over")
	}
	dhcp(m, 4, 4*time.Minute)
	if got := outcome(t, m, 4*time.Minute); got != "rescue" { // the script was never asked for
		t.Errorf("got %s", got)
	}
}

// What is chosen while a machine waits that no DHCP request tells of is what it boots
// when it asks again, and as often as it asks in that boot.
func TestWhatIsChosenForAMachineWithoutDHCP(t *testing.T) {
	v := boots("lab")
	v.Boot = "live"
	m, _, nexts := chosen(t, v)
	if _, _, err := nexts.Cancel(once.Machine{Name: "db1"}, nil, start); err != nil {
		t.Fatal(err)
	}
	check := func(after time.Duration, want string) {
		t.Helper()
		m.Script(mac, start.Add(after))
		if got := outcome(t, m, after); got != want {
			t.Errorf("after %v: got %s, want %s", after, got, want)
		}
		if err := script(t, m, after); err != nil {
			t.Fatal(err)
		}
	}
	v.Spec = &boot.Spec{Kernel: "k"}
	check(0, "live")
	if err := nexts.Set(once.Machine{Name: "db1"}, nil, "rescue", time.Hour, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	check(2*time.Minute, "rescue")
	check(3*time.Minute, "rescue")
	m.Events.Add(MAC(mac), events.Event{Kind: events.Booting, Time: start.Add(4 * time.Minute)})
	check(5*time.Minute, "live")
}
