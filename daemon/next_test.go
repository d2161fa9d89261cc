package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/events"
	"github.com/pixiecore/pixiecore/protocols/once"
)

// rescued is a configuration of a machine that boots its disk, and of what can be chosen
// for it.
const rescued = `
machine "db1" {
  mac  = "02:00:00:00:00:01"
  uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
}
boot "rescue" {
  kernel  = "kernel-b"
  initrd  = ["initrd-b"]
  cmdline = "rescue of=${machine.name} note=${url(file.note)}"
  file "note" {
    content = "for ${machine.name}"
  }
}
boot "installer" {
  installs = true
  kernel   = "kernel-a"
}
rule "printers" {
  match { mac = "02:00:00:00:00:09" }
  ignore = true
}
rule "a" {
  match { machine = "db1" }
  local = true
}
rule "databases" {
  match { mac = "02:00:00:00:00:02" }
  boot = boot.installer
  any_machine = true
  once {}
}
ipxe {
  efi64 = "loader-b"
}
`

func chooses(t *testing.T, d *Daemon, n control.Next) control.Chosen {
	t.Helper()
	n.For = time.Hour
	done, err := operator{d}.Next(n)
	must(t, err)
	return done
}

// From DHCP to the last file, also over a restart; then the rule decides again.
func TestWhatIsChosenIsBootedOnce(t *testing.T) {
	for _, name := range []string{"db1", "02:00:00:00:00:01", "4c4c4544-0042-3510-8053-b4c04f463433"} {
		b := newBooting(t)
		b.write(rescued)
		b.reload()
		b.boot++
		b.ask("DHCP")
		if got := b.script(); strings.Contains(got, "kernel") {
			t.Fatalf("by its rule it gets %q", got)
		}
		follows := b.d.events.Subscribe(10)
		defer follows.Close()
		done := chooses(t, b.d, control.Next{Machine: name, Boot: "boot.rescue"})
		if done.Machine != "db1" || done.Boot != "rescue" {
			t.Errorf("got %+v", done)
		}
		if u := <-follows.C; u.Event.Kind != events.Chosen || u.MAC != events.MAC(b.mac) || u.Event.Boot != "rescue" {
			t.Errorf("the event is %+v", u)
		}
		if got := b.script(); strings.Contains(got, "kernel") {
			t.Errorf("in the boot that has begun it gets %q", got)
		}
		b.boot++
		b.ask("DHCP")
		b.ask("4011")
		if got := b.ask("TFTP"); got != "b" {
			t.Errorf("TFTP: got %q", got)
		}
		for range 2 {
			if got := b.script(); !strings.Contains(got, " rescue of=db1 note=") {
				t.Errorf("it gets %q", got)
			}
		}
		if r := b.d.report(); len(r.Next) != 1 || r.Next[0].Machine != "db1" || r.Next[0].Used.IsZero() {
			t.Errorf("the status says %+v", r.Next)
		}
		b.ask("script")
		if got := b.ask("kernel"); got != "b" {
			t.Errorf("the kernel is %q", got)
		}
		_, script := get(t, b.web()+"/_/ipxe?facts=1&token="+b.token())
		note := strings.Fields(script[strings.Index(script, "note=")+len("note="):])[0]
		if status, body := get(t, b.web()+note[strings.Index(note, "/_/"):]); body != "for db1" {
			t.Errorf("its file: %d %q", status, body)
		}
		b.boot++
		b.ask("DHCP")
		if got := b.script(); strings.Contains(got, "kernel") {
			t.Errorf("the boot after it gets %q", got)
		}
	}
}

// Explain says why, of a boot that is chosen and of one that is gone.
func TestWhatIsChosenIsExplained(t *testing.T) {
	b := newBooting(t)
	b.write(rescued)
	b.reload()
	chooses(t, b.d, control.Next{Machine: "db1", Boot: "rescue"})
	walk := func() control.Walk {
		x, err := control.Explain(t.Context(), operator{b.d}.Running(), control.Question{MAC: "02:00:00:00:00:01", Arch: "x64", Firmware: "efi64"}, false)
		must(t, err)
		return x.Walks[len(x.Walks)-1]
	}
	if w := walk(); w.Boot != "rescue" || w.Rule != "a" || !strings.Contains(w.Next, "in place of what the rule says") || !strings.HasSuffix(w.Kernel, "kernel-b") || len(w.Files) != 1 {
		t.Errorf("got %+v", w)
	}
	b.write(strings.ReplaceAll(rescued, `"rescue"`, `"other"`))
	b.reload()
	if w := walk(); w.Action != "local" || !strings.Contains(w.Next, "there is no boot.rescue") {
		t.Errorf("got %+v", w)
	}
	b.boot++
	b.ask("DHCP")
	if got := b.script(); strings.Contains(got, "kernel") {
		t.Errorf("a boot that is gone: %q", got)
	}
}

// What cannot be chosen is refused with a sentence.
func TestWhatCannotBeChosen(t *testing.T) {
	b := newBooting(t)
	b.write(rescued)
	b.reload()
	for _, tc := range []struct {
		n    control.Next
		want string
	}{
		{control.Next{Machine: "db2", Boot: "rescue"}, `did you mean "db1"?`},
		{control.Next{Machine: "db1", Boot: "rescu"}, "did you mean boot.rescue?"},
		{control.Next{Machine: "db1", Boot: "installer"}, "boot.installer writes disks"},
		{control.Next{Machine: "02:00:00:00:00:09", Boot: "rescue"}, "no rule boots 02:00:00:00:00:09"},
		{control.Next{Machine: "db1", Cancel: true}, "nothing is chosen"},
	} {
		if _, err := (operator{b.d}).Next(tc.n); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want %q", tc.n, err, tc.want)
		}
	}
}

// It outlives a restart; a state that is lost, or cannot be read, is no choice.
func TestWhatIsChosenOutlivesARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		damage func(string) error
		want   int
	}{
		"kept":    {func(string) error { return nil }, 1},
		"gone":    {os.Remove, 0},
		"garbage": {func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("nonsense", 4096)), 0o600) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := installing(t, strings.NewReplacer("kernel-b", "kernel-V", "kernel-a", "kernel-V", "initrd-b", "kernel-V", "loader-b", "loader-V").Replace(rescued))
			o := options(t, path)
			d, err := New(o)
			must(t, err)
			chooses(t, d, control.Next{Machine: "db1", Boot: "rescue"})
			d.Close()
			must(t, tc.damage(filepath.Join(o.StateDir, store.File)))
			d, err = New(o)
			must(t, err)
			defer d.Close()
			if got := d.report().Next; len(got) != tc.want {
				t.Errorf("got %+v", got)
			}
			if got, err := d.boots.Decide(t.Context(), db1, time.Now()); err != nil || got.Chosen != (tc.want == 1) {
				t.Errorf("got %+v, %v", got.Verdict, err)
			}
			if tc.want == 1 {
				if was, found, err := d.nexts().Cancel(once.Machine{Name: "db1"}, nil, time.Now()); !found || err != nil || was.Boot != "rescue" {
					t.Errorf("got %+v, %t, %v", was, found, err)
				}
			}
		})
	}
}

// Who follows the events is told at once of what operators do, also of a machine that
// was never seen, which does not become one that was.
func TestWhatOperatorsDoIsAnEvent(t *testing.T) {
	d, err := New(options(t, installing(t, installer)))
	must(t, err)
	defer d.Close()
	follows := d.events.Subscribe(10)
	defer follows.Close()
	_, err = operator{d}.Arm(control.Arming{Machines: []string{"db1"}})
	must(t, err)
	_, err = operator{d}.Disarm(control.Arming{Machines: []string{"db1"}})
	must(t, err)
	for _, want := range []events.Kind{events.Armed, events.Disarmed} {
		if u := <-follows.C; u.Event.Kind != want || u.MAC != events.MAC(db1.MAC) || u.Event.Time.IsZero() {
			t.Errorf("got %+v, want %s", u, want)
		}
	}
	if d.events.Knows(events.MAC(db1.MAC)) {
		t.Error("the machine counts as seen")
	}
}
