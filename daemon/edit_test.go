package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/config"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/daemon/status"
	"github.com/pixiecore/pixiecore/daemon/store"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// fleet is a configuration with three machines that boot a kernel, and a reload
// block.
func fleet(kernel, rule, reload string) string {
	s := listen("http", "127.0.0.1:0") + "reload {\n" + reload + "\n}\nboot \"linux\" {\n  kernel = \"" + kernel + "\"\n}\n"
	for i := range 3 {
		s += fmt.Sprintf("machine \"m%d\" {\n  mac = \"52:54:00:00:00:0%d\"\n}\n", i, i)
	}
	return s + rule
}

const (
	all   = "rule \"all\" {\n  boot = boot.linux\n}\n"
	onlyA = "rule \"m0\" {\n  match { machine = \"m0\" }\n  boot = boot.linux\n}\nrule \"rest\" {\n  local = true\n}\n"
)

// installs is a rule by which a machine installs, and the others boot their disks.
func installs(name, kernel string) string {
	return "boot \"debian\" {\n  installs = true\n  kernel = \"" + kernel + "\"\n}\n" +
		"rule \"all\" {\n  match { machine = \"" + name + "\" }\n  boot = boot.debian\n  once { done_by = \"booting\" }\n}\nrule \"rest\" {\n  local = true\n}\n"
}

// edit is a save that the daemon has noticed.
func edit(t *testing.T, d *Daemon, src string) {
	t.Helper()
	write(t, d.opts.Path, src)
	d.reloadChanged(func() bool { return true })
}

// What an edit may do by itself, and what it may not.
func TestAnEditIsHeld(t *testing.T) {
	for _, tc := range []struct {
		name, before, after string
		want                string // of why it is held, without the way out
		figures             [3]int // changed, removed, of
	}{
		{name: "no limit", before: fleet("/a", all, ""), after: fleet("/b", onlyA, "")},
		{name: "within", before: fleet("/a", all, "max_changed = 3\n max_removed = 0"), after: fleet("/b", all, "max_changed = 3\n max_removed = 0")},
		{name: "too many changed", before: fleet("/a", all, "max_changed = 2"), after: fleet("/b", all, "max_changed = 2"),
			want: "the edit changes the boot of 3 of 3 machines (max_changed = 2)", figures: [3]int{3, 0, 3}},
		{name: "too many removed", before: fleet("/a", all, "max_removed = 1"), after: fleet("/a", onlyA, "max_removed = 1"),
			want: "the edit takes the boot away from 2 of 3 machines (max_removed = 1)", figures: [3]int{2, 2, 3}},
		{name: "both", before: fleet("/a", all, "max_changed = 0\n max_removed = 0"), after: fleet("/a", onlyA, ""),
			want: "the edit changes the boot of 2 of 3 machines (max_changed = 0), and takes the boot away from 2 of 3 machines (max_removed = 0)", figures: [3]int{2, 2, 3}},
		{name: "that lifts its own limit", before: fleet("/a", all, "max_changed = 0"), after: fleet("/b", all, ""),
			want: "the edit changes the boot of 3 of 3 machines (max_changed = 0)", figures: [3]int{3, 0, 3}},
		{name: "that sets a limit", before: fleet("/a", all, ""), after: fleet("/b", all, "max_changed = 0")},
		{name: "that changes no machine", before: fleet("/a", all, "max_changed = 0"), after: fleet("/a", all, "max_changed = 0") + "log {\n  level = \"debug\"\n}\n"},
		// Whether it loses its boot is not known before iPXE has asked it, and counts.
		{name: "of machines that are not known well", before: fleet("/a", all, "max_removed = 0"),
			after: fleet("/a", "rule \"s\" {\n  match {\n    mac    = \"52:*\"\n    serial = \"S1\"\n  }\n  boot = boot.linux\n}\n", "max_removed = 0"),
			want:  "the edit takes the boot away from 3 of 3 machines (max_removed = 0)", figures: [3]int{3, 3, 3}},
		// Armed or not.
		{name: "that installs", before: fleet("/a", all, ""), after: fleet("/a", installs("m1", "/b"), ""),
			want: "the edit gives a boot that writes disks to 1 of 3 machines", figures: [3]int{3, 2, 3}},
		{name: "that installs what it did", before: fleet("/a", installs("m1", "/b"), ""), after: fleet("/a", installs("m1", "/c"), "")},
		{name: "that installs on another", before: fleet("/a", installs("m1", "/b"), ""), after: fleet("/a", installs("m2", "/b"), ""),
			want: "the edit gives a boot that writes disks to 1 of 3 machines", figures: [3]int{2, 1, 3}},
		{name: "manual", before: fleet("/a", all, `mode = "manual"`), after: fleet("/a", all, ""),
			want: "the file differs from what is served"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pixiecore.hcl")
			write(t, path, tc.before)
			d, err := New(options(t, path))
			must(t, err)
			defer d.Close()
			edit(t, d, tc.after)
			held := d.report().HeldEdit
			if tc.want == "" {
				if held != nil || d.swap.Current().Gen != 2 {
					t.Errorf("held: %+v, generation %d", held, d.swap.Current().Gen)
				}
				return
			}
			if held == nil || d.swap.Current().Gen != 1 {
				t.Fatalf("held: %+v, generation %d", held, d.swap.Current().Gen)
			}
			got := status.HeldEdit{Why: held.Why, Changed: held.Changed, Removed: held.Removed, Of: held.Of}
			want := status.HeldEdit{Why: tc.want + ": " + wayOut, Changed: tc.figures[0], Removed: tc.figures[1], Of: tc.figures[2]}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if line := d.statusLine(); !strings.HasPrefix(line, "edit held: "+tc.want) || !strings.Contains(line, "; running: generation 1: listeners 1, rules ") {
				t.Errorf("systemd is told %q", line)
			}

			// Whoever asks gets what the file says, and nothing is held any more.
			must(t, d.Reload())
			if held := d.report().HeldEdit; held != nil || d.swap.Current().Gen != 2 {
				t.Errorf("after a reload: %+v, generation %d", held, d.swap.Current().Gen)
			}
		})
	}
}

// Machines that were left out of the comparison count as changed.
func TestWhatCannotBeComparedCounts(t *testing.T) {
	r := config.Reload{MaxChanged: config.Limit{Set: true, Most: 5}, MaxRemoved: config.Limit{Set: true, Most: 10}}
	got := exceeded(r, control.Count{Differ: 1, Of: 100, Asked: 100, All: 105}, false)
	want := []string{"changes the boot of 1 of 100 machines and perhaps of 5 addresses more, which are too many to compare (max_changed = 5)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A held edit ends with a later one that is within the limits, and a refused one
// leaves it.
func TestALaterEditEndsTheHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	before := fleet("/a", all, "max_changed = 1")
	write(t, path, before)
	d, err := New(options(t, path))
	must(t, err)
	defer d.Close()
	for _, step := range []struct {
		src  string
		held bool
		gen  uint64
	}{
		{fleet("/b", all, "max_changed = 1"), true, 1},
		{bad, true, 1},
		{fleet("/b", all, "max_changed = 1"), true, 1},
		{before, false, 2},
		{fleet("/b", all, "max_changed = 1"), true, 2},
		{fleet("/a", "rule \"m0\" {\n  match { machine = \"m0\" }\n  local = true\n}\n"+all, "max_changed = 1"), false, 3},
	} {
		edit(t, d, step.src)
		if held := d.report().HeldEdit; (held != nil) != step.held || d.swap.Current().Gen != step.gen {
			t.Errorf("after %q: held %+v, generation %d", step.src, held, d.swap.Current().Gen)
		}
	}
}

// A start while an edit is held takes what was served last.
func TestAHeldEditOutlivesARestart(t *testing.T) {
	was, is := fleet("/a", all, "max_changed = 1"), fleet("/b", all, "max_changed = 1")
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, path, state string)
		held   bool
		kernel string
	}{
		{"as it was", func(*testing.T, string, string) {}, true, "/a"},
		{"edited to be held", func(t *testing.T, path, _ string) { write(t, path, fleet("/c", all, "")) }, true, "/a"},
		{"edited back", func(t *testing.T, path, _ string) { write(t, path, was) }, false, "/a"},
		{"edited within the limits", func(t *testing.T, path, _ string) {
			write(t, path, fleet("/a", "rule \"m0\" {\n  match { machine = \"m0\" }\n  local = true\n}\n"+all, ""))
		}, false, "/a"},
		{"with a file that has errors", func(t *testing.T, path, _ string) { write(t, path, bad) }, true, "/a"},
		{"with a note that cannot be read", func(t *testing.T, _, state string) { write(t, filepath.Join(state, editFile), "{") }, true, "/a"},
		{"without the note", func(t *testing.T, _, state string) { must(t, os.Remove(filepath.Join(state, editFile))) }, false, "/b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pixiecore.hcl")
			write(t, path, was)
			o := options(t, path)
			d, err := New(o)
			must(t, err)
			edit(t, d, is)
			d.Close()
			if st, err := os.Stat(filepath.Join(o.StateDir, editFile)); err != nil || st.Mode().Perm() != 0o600 {
				t.Fatalf("the note: %v, %v", st, err)
			}
			tc.change(t, path, o.StateDir)
			d, err = New(o)
			must(t, err)
			defer d.Close()
			held := d.report().HeldEdit
			if kernel := string(d.current.Config.Rules[len(d.current.Config.Rules)-1].Action.Spec.Kernel); (held != nil) != tc.held || kernel != tc.kernel {
				t.Errorf("held %+v, and %s is served; want %t, %s", held, kernel, tc.held, tc.kernel)
			}
			if _, err := os.Stat(filepath.Join(o.StateDir, editFile)); (err == nil) != tc.held {
				t.Errorf("the note: %v", err)
			}
			// And after one more restart it is the same.
			d.Close()
			again, err := New(o)
			must(t, err)
			defer again.Close()
			if held := again.report().HeldEdit; (held != nil) != tc.held {
				t.Errorf("once more: %+v", held)
			}
		})
	}
}

// Where what was served last is gone, an edit that was held is not served
// either: a terminal is told how to, and a service waits to be told.
func TestAHeldEditWithoutTheLastGoodOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, fleet("/a", all, "max_changed = 1"))
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	edit(t, d, fleet("/b", all, ""))
	d.Close()
	must(t, os.Remove(filepath.Join(o.StateDir, lastGood)))

	_, err = New(o)
	if err == nil || !strings.Contains(err.Error(), "an edit is held since ") ||
		!strings.HasSuffix(err.Error(), "to serve the file as it is, remove "+filepath.Join(o.StateDir, editFile)+" and start again") {
		t.Errorf("at a terminal: %v", err)
	}

	told := manager(t)
	d, err = New(o)
	must(t, err)
	defer d.Close()
	if r := d.report(); r.HeldEdit == nil || !strings.Contains(r.Standin, "`pixiecore reload` serves the file as it is") {
		t.Errorf("under a service manager: %+v", r)
	}
	edit(t, d, fleet("/c", all, ""))
	await(t, told, "nothing is served: ")
	if r := d.report(); r.HeldEdit == nil || len(r.Rules) != 0 {
		t.Errorf("after an edit: %+v", r)
	}
	must(t, d.Reload())
	if r := d.report(); r.HeldEdit != nil || len(r.Rules) != 1 || r.Standin != "" {
		t.Errorf("after a reload: %+v", r)
	}
}

// A machine that was seen before a restart is one that an edit is judged by, with
// what it said then.
func TestAnEditIsJudgedByMachinesOfBefore(t *testing.T) {
	rules := func(local string) string {
		return listen("http", "127.0.0.1:0") + "reload {\n  max_changed = 0\n}\n" +
			"rule \"rack\" {\n  match { circuit_id = \"" + local + "\" }\n  local = true\n}\nrule \"rest\" {\n  ignore = true\n}\n"
	}
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, rules("r7"))
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	now := time.Now()
	for i, age := range []time.Duration{time.Hour, 40 * 24 * time.Hour} {
		mac := events.MAC{2, 0, 0, 0, 0, byte(i)}
		d.boots.Heard(boots.Request{MAC: mac, Discover: true, Facts: heardOn("r7")}, now.Add(-age))
		d.events.SetFacts(mac, events.Facts{Arch: "x64", Firmware: "efi64", UUID: "4c4c4544-0042-3510-8053-b4c04f463433"})
		d.events.Add(mac, events.Event{Kind: events.Local, Rule: "rack", Gen: 1, Time: now.Add(-age)})
	}
	d.writeRecord()
	want := control.Recognise(operator{d}.Running(), d.events.Machines()[1:], operator{d}.Heard)
	d.Close()
	d, err = New(o)
	must(t, err)
	defer d.Close()
	want[0].Machine.Boots[0].Gen, want[0].Machine.Boots[0].Steps[0].Gen = 0, 0 // of another process
	got := control.Recognise(operator{d}.Running(), d.events.Machines(), operator{d}.Heard)
	for _, all := range [][]control.Seen{got, want} {
		b := &all[0].Machine.Boots[0]
		b.Began, b.Steps[0].Time = b.Began.Round(0).UTC(), b.Steps[0].Time.Round(0).UTC()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if f := d.boots.Of(net.HardwareAddr{2, 0, 0, 0, 0, 0}); f != nil {
		t.Errorf("a boot would be decided by %+v", f)
	}
	edit(t, d, rules("r8"))
	if held := d.report().HeldEdit; held == nil || held.Changed != 1 || held.Of != 1 {
		t.Errorf("held: %+v", held)
	}
}

// heardOn is what a machine says in DHCP on that circuit.
func heardOn(circuit string) *boot.Facts {
	return &boot.Facts{Known: boot.DHCPFacts &^ boot.FactUUID, Transport: boot.TransportPXE, CircuitID: circuit, Relay: netip.MustParseAddr("192.0.2.1"),
		Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
}

// A machine whose record is damaged costs what is in it.
func TestADamagedRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	must(t, os.MkdirAll(o.StateDir, 0o700))
	s, err := store.Open(o.StateDir)
	must(t, err)
	must(t, s.Bucket(bootsBucket).Update(map[string][]byte{"02:00:00:00:00:07": []byte(`{"machine":{"mac":"02:00`)}))
	must(t, s.Close())
	var log lines
	o.Log = log.log()
	d, err := New(o)
	must(t, err)
	defer d.Close()
	if log.count("boots of before the start are forgotten") != 1 || len(d.events.Machines()) != 0 {
		t.Errorf("machines: %v", d.events.Machines())
	}
	d.events.Add(events.MAC{2, 0, 0, 0, 0, 1}, events.Event{Kind: events.Offered})
	d.writeRecord()
	if all, err := d.loadRecord(time.Now()); err != nil || len(all) != 1 {
		t.Errorf("after it was written anew: %v, %v", all, err)
	}
}

// What is stored has a bound, and the machines that were silent longest go first.
func TestTheRecordHasABound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	o := options(t, path)
	d, err := New(o)
	must(t, err)
	defer func() { d.Close() }()
	d.record.limit = 4 << 10
	for i := range 100 {
		d.events.Add(events.MAC{2, 0, 0, 0, 0, byte(i)}, events.Event{Kind: events.Offered, Detail: strings.Repeat("x", 100)})
		d.writeRecord()
	}
	total := 0
	for _, n := range d.record.sizes {
		total += n
	}
	d.Close()
	d, err = New(o)
	must(t, err)
	all := d.events.Machines()
	if total > 4<<10 || len(all) < 5 || all[0].MAC[5] != 99 || all[len(all)-1].MAC[5] != byte(100-len(all)) {
		t.Errorf("%d bytes of %d machines, from %v on", total, len(all), all[0].MAC)
	}
}

// A port that is taken keeps an edit from being served, until it is free: nobody
// has to save the file again. It is told once.
func TestATakenPortIsTriedAgain(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	var log lines
	o := options(t, path)
	o.Path = "" // the attempts are this test's
	o.Log = log.log()
	d, err := New(o)
	must(t, err)
	defer d.Close()
	next := listen("http", "127.0.0.1:0") + listen("status", other.Addr().String()) + rule("two")
	write(t, path, next)
	if err := d.Reload(); err == nil || !strings.HasSuffix(err.Error(), errAgain.Error()) {
		t.Errorf("the port is taken: %v", err)
	}
	for range 3 {
		d.rebind()
	}
	if got := log.count("reload refused"); got != 1 || d.blocked == nil || d.blocked.wait != 16*rebindFirst {
		t.Errorf("told %d times, and waits %+v", got, d.blocked)
	}
	other.Close()
	d.rebind()
	if r := d.report(); serving(t, d) != "two" || !r.LastReload.OK || d.blocked != nil {
		t.Errorf("%q is served; last reload %+v", serving(t, d), r.LastReload)
	}

	// The next edit ends it.
	other, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	write(t, path, next+listen("status", other.Addr().String()))
	if err := d.Reload(); err == nil {
		t.Error("served on a port that is taken")
	}
	write(t, path, bad)
	if err := d.Reload(); err == nil || strings.Contains(err.Error(), errAgain.Error()) || d.blocked != nil {
		t.Errorf("a file with errors is tried again: %v", err)
	}
}

// Run tries again by itself.
func TestATakenPortIsServedWhenItIsFree(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, version("one"))
	var log lines
	o := options(t, path)
	o.Log = log.log()
	d := run(t, o, func(d *Daemon) { d.poll = time.Hour })
	log.await(t, "watching", log.said("configuration watched"))
	write(t, path, listen("http", "127.0.0.1:0")+listen("status", other.Addr().String())+rule("two"))
	log.await(t, "refused", log.said("reload refused"))
	other.Close()
	log.await(t, "served", log.said("configuration reloaded"))
	if got := serving(t, d); got != "two" {
		t.Errorf("%q is served", got)
	}
}
