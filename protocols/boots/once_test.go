package boots

import (
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// kept is a once.Store that keeps nothing longer than the States do.
type kept struct{ err error }

func (kept) Load() (map[string]once.Record, bool, error) { return nil, false, nil }
func (k kept) Save(map[string]*once.Record) error        { return k.err }
func (k kept) Begin() error                              { return k.err }

// armed is a memory of a machine "db1" that is armed for a boot which installs.
func armed(t *testing.T) (*Memory, *once.States) {
	t.Helper()
	states := once.New(kept{}, start)
	if err := states.Arm(once.Machine{Name: "db1"}, nil, start); err != nil {
		t.Fatal(err)
	}
	return &Memory{Source: newTable(installs("db1")), Once: func() *once.States { return states }, Events: events.New()}, states
}

// installs is a verdict that writes disks, on a machine of that name.
func installs(name string) *boot.Verdict {
	v := boots("databases")
	v.Boot, v.Machine, v.Spec = "debian", name, &boot.Spec{Kernel: "k"}
	v.Once = &boot.Once{Attempts: 1, OnTimeout: boot.TimeoutPark, DoneBy: boot.DoneByPhoneHome, Spent: boot.Local, Installs: true}
	return v
}

// asks is what becomes of the machine at any stage but its script.
func asks(t *testing.T, m *Memory, after time.Duration) Decision {
	t.Helper()
	d, err := m.Decide(t.Context(), machineOf, start.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// script gives the machine its script.
func script(t *testing.T, m *Memory, after time.Duration) error {
	t.Helper()
	d := asks(t, m, after)
	if d.Action != boot.Boot {
		t.Fatalf("the machine is not booted: %s", d.Reason)
	}
	_, err := m.SpecFor(t.Context(), d, machineOf, "http://h", start.Add(after))
	return err
}

// dhcp begins a boot.
func dhcp(m *Memory, transaction byte, after time.Duration) {
	m.Heard(Request{MAC: MAC(mac), Transaction: [4]byte{transaction}, Program: Firmware, Discover: true, Facts: said("rom", false, boot.DHCPFacts)}, start.Add(after))
}

func TestOneVerdictOfABootThatHappensOnce(t *testing.T) {
	m, states := armed(t)
	check := func(after time.Duration, want boot.Action, refuses bool) {
		t.Helper()
		if d := asks(t, m, after); d.Action != want || d.Refuses() != refuses || (d.Reason == "") != (want == boot.Boot) {
			t.Errorf("got %s (%q), refuses %t, want %s, %t", d.Action, d.Reason, d.Refuses(), want, refuses)
		}
	}
	dhcp(m, 1, 0)
	for i := range 5 { // DHCP, 4011, TFTP, as often as they like
		check(time.Duration(i)*time.Second, boot.Boot, false)
	}
	for i := range 3 { // the script, and its repeats
		if err := script(t, m, time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	check(time.Minute, boot.Boot, false)

	dhcp(m, 2, 2*time.Minute) // the machine is reset
	check(2*time.Minute, boot.Park, false)
	if changed, err := m.Done(mac, boot.DoneByPhoneHome, start.Add(time.Minute), start.Add(3*time.Minute)); !changed || err != nil {
		t.Fatalf("got %t, %v", changed, err)
	}
	check(3*time.Minute, boot.Local, false) // and may fetch what is left of its files
	dhcp(m, 3, 4*time.Minute)
	check(4*time.Minute, boot.Local, false)

	if err := states.Arm(once.Machine{Name: "db1"}, nil, start); err != nil {
		t.Fatal(err)
	}
	dhcp(m, 4, 5*time.Minute)
	if err := script(t, m, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := states.Disarm(once.Machine{Name: "db1", MAC: mac}, nil, start); err != nil {
		t.Fatal(err)
	}
	check(5*time.Minute, boot.Local, true) // at once, files too
}

// A machine that another DHCP server sends may ask for its script again before it
// starts what is in that, and is installed once all the same.
func TestTheRepeatsOfAScriptWithoutDHCPAreOneBoot(t *testing.T) {
	m, _ := armed(t)
	for i := range 3 {
		after := time.Duration(i) * time.Minute
		m.Script(mac, start.Add(after))
		if err := script(t, m, after); err != nil {
			t.Fatal(err)
		}
	}
	m.Events.Add(MAC(mac), events.Event{Kind: events.Booting, Time: start.Add(3 * time.Minute)})
	m.Script(mac, start.Add(4*time.Minute)) // the installer was reset
	if d := asks(t, m, 4*time.Minute); d.Action != boot.Park {
		t.Errorf("after it has started the installer: got %s", d.Action)
	}
}

// What the machine is told is an event, once in a boot.
func TestWhyAMachineIsPassedIsAnEvent(t *testing.T) {
	m, states := armed(t)
	states.Disarm(once.Machine{Name: "db1"}, nil, start)
	dhcp(m, 1, 0)
	for range 4 {
		asks(t, m, time.Second)
	}
	got, _ := m.Events.Machine(MAC(mac))
	if all := got.Events(); len(all) != 1 || all[0].Count != 1 || !strings.Contains(all[0].Detail, "pixiecore arm db1") {
		t.Errorf("got %+v", all)
	}
}

// Armed or not.
func TestWhatWritesDisksIsWithheld(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*boot.Verdict, *boot.Snapshot)
		want   string
	}{
		"from a stranger":        {func(v *boot.Verdict, _ *boot.Snapshot) { v.Machine = "" }, "in no machine block"},
		"on a last good file":    {func(_ *boot.Verdict, s *boot.Snapshot) { s.Standin = "the file has errors" }, "the file has errors"},
		"not from one it is for": {func(v *boot.Verdict, s *boot.Snapshot) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, states := armed(t)
			if err := states.Arm(once.Machine{MAC: mac}, nil, start); err != nil {
				t.Fatal(err)
			}
			v, snap := installs("db1"), *m.Source.Current()
			tc.change(v, &snap)
			snap.Booter = *newTable(v)
			m.Source = fixed{&snap}
			d := asks(t, m, 0)
			if (d.Action == boot.Boot) != (tc.want == "") || !strings.Contains(d.Reason, tc.want) {
				t.Errorf("got %s, %q", d.Action, d.Reason)
			}
		})
	}
}

type fixed struct{ *boot.Snapshot }

func (f fixed) Current() *boot.Snapshot { return f.Snapshot }

// A machine whose arm cannot be noted gets not one byte.
func TestAnArmThatCannotBeNotedIsNotUsed(t *testing.T) {
	broken := &kept{}
	states := once.New(broken, start)
	states.Arm(once.Machine{Name: "db1"}, nil, start)
	broken.err = errNoDisk
	m := &Memory{Source: newTable(installs("db1")), Once: func() *once.States { return states }}
	if err := script(t, m, 0); err == nil || !strings.Contains(err.Error(), errNoDisk.Error()) {
		t.Errorf("got %v", err)
	}
	broken.err = nil
	if err := script(t, m, 0); err != nil {
		t.Errorf("got %v", err)
	}
}

const errNoDisk = noDisk("no space left on device")

type noDisk string

func (e noDisk) Error() string { return string(e) }

// A Memory without States arms nobody.
func TestWithoutStatesNobodyIsArmed(t *testing.T) {
	m := &Memory{Source: newTable(installs("db1"))}
	if d := asks(t, m, 0); d.Action != boot.Local || d.Reason == "" {
		t.Errorf("got %s, %q", d.Action, d.Reason)
	}
}

// A machine says that it boots whatever it boots: where nothing is booted once, there
// is nothing to keep.
func TestBootingWhereNothingHappensOnce(t *testing.T) {
	m := &Memory{Source: newTable(boots("everybody")), Once: func() *once.States { return once.Broken(errNoDisk) }}
	if changed, err := m.Done(mac, boot.DoneByBooting, time.Time{}, start); changed || err != nil {
		t.Errorf("booting: %v, %v", changed, err)
	}
	if _, err := m.Done(mac, boot.DoneByPhoneHome, time.Time{}, start); err == nil {
		t.Error("who phones home waits for that to be kept")
	}
}
