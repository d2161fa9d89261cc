package daemon

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/daemon/control"
	"github.com/pixiecore/pixiecore/protocols/boots"
	"github.com/pixiecore/pixiecore/protocols/events"
)

// A reload says rule by rule what is other now, and how many of the machines
// that were seen lately are concerned.
func TestAReloadSaysWhatChanged(t *testing.T) {
	const before = `
boot "debian" {
  kernel = "/srv/debian/linux"
}
boot "inventory" {
  kernel = "/srv/inventory/linux"
}
rule "lab" {
  match { mac = "52:54:00:*" }
  boot = boot.inventory
}
rule "live" {
  match { mac = "02:01:*" }
  boot = boot.inventory
}
rule "printers" {
  match { mac = "00:80:77:*" }
  ignore = true
}
rule "old" {
  match { mac = "02:02:*" }
  local = true
}
rule "rack" {
  match { circuit_id = "rack7" }
  boot = boot.inventory
}
rule "x64" {
  match { arch = "x64" }
  boot = boot.inventory
}
`
	after := strings.NewReplacer(
		"mac = \"52:54:00:*\" }\n  boot = boot.inventory", "mac = \"52:54:00:*\" }\n  boot = boot.debian",
		"\"rack7\" }\n  boot = boot.inventory", "\"rack7\" }\n  boot = boot.debian",
		"\"old\"", "\"new\"",
	).Replace(before)
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	web := listen("http", "127.0.0.1:0")
	write(t, path, web+before)
	core, logged := observer.New(zap.InfoLevel)
	o := options(t, path)
	o.Log = zap.New(core)
	d, err := New(o)
	must(t, err)
	defer d.Close()

	now := time.Now()
	d.boots.Heard(boots.Request{MAC: events.MAC{6, 0, 0, 0, 0, 7}, Discover: true, Facts: &boot.Facts{Known: boot.DHCPFacts &^ boot.FactUUID, Transport: boot.TransportPXE, CircuitID: "rack7"}}, now)
	for i, m := range []struct {
		mac   events.MAC
		facts events.Facts
		age   time.Duration
		kind  events.Kind
	}{
		{events.MAC{0x52, 0x54, 0, 0, 0, 1}, events.Facts{Arch: "x64", Firmware: "efi64"}, time.Hour, events.Offered},
		{events.MAC{0x52, 0x54, 0, 0, 0, 2}, events.Facts{Arch: "ia32", Firmware: "bios", Serial: "1"}, 6 * 24 * time.Hour, events.Script},
		{events.MAC{0x52, 0x54, 0, 0, 0, 3}, events.Facts{Arch: "x64", Firmware: "efi64"}, 8 * 24 * time.Hour, events.Offered},
		{events.MAC{2, 1, 0, 0, 0, 1}, events.Facts{Arch: "x64", Firmware: "efi64"}, time.Hour, events.Offered},
		{events.MAC{2, 2, 0, 0, 0, 1}, events.Facts{Arch: "x64", Firmware: "efi64"}, time.Hour, events.Local},
		{events.MAC{6, 0, 0, 0, 0, 7}, events.Facts{Arch: "x64", Firmware: "efi64", UUID: "4c4c4544-0042-3510-8053-b4c04f463433"}, time.Hour, events.Offered},
		{events.MAC{6, 0, 0, 0, 0, 1}, events.Facts{Arch: "x64", Firmware: "bios"}, time.Hour, events.Script},
	} {
		d.events.SetFacts(m.mac, m.facts)
		d.events.Add(m.mac, events.Event{Kind: m.kind, Time: now.Add(-m.age), Detail: fmt.Sprint(i)})
	}
	write(t, path, web+after)
	must(t, d.Reload())

	want := []string{
		"rule lab now boots debian (was: boots inventory)",
		"rule new is new: it boots its own disk",
		"rule rack now boots debian (was: boots inventory)",
		"rule old is gone (was: boots its own disk)",
		"4 of 6 machines would boot something else; 1 of these cannot be told apart before iPXE asks them", // by which relay the last one came was forgotten
	}
	var got []string
	for _, e := range logged.All() {
		if s, ok := e.ContextMap()["change"]; ok {
			got = append(got, s.(string))
			if e.ContextMap()["gen"] != uint64(2) {
				t.Errorf("%q is said of generation %v", s, e.ContextMap()["gen"])
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	// What a boot holds is compared, too: the same name may be another kernel.
	logged.TakeAll()
	write(t, path, web+strings.ReplaceAll(after, "/srv/inventory", "/srv/inventory2"))
	must(t, d.Reload())
	got = nil
	for _, e := range logged.FilterMessage("machines differ").All() {
		got = append(got, e.ContextMap()["change"].(string))
	}
	if diff := cmp.Diff([]string{"2 of 6 machines would boot something else; 1 of these cannot be told apart before iPXE asks them"}, got); diff != "" {
		t.Errorf("another kernel: -want +got\n%s", diff)
	}
}

// What a machine gets is compared, not what is written, and the inventory's
// machines are compared before they are seen, by name.
func TestAReloadComparesTheInventoryByWhatItGets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pixiecore.hcl")
	write(t, filepath.Join(dir, "seed.tmpl"), "${role}")
	src := listen("http", "127.0.0.1:0") + `
machine "db1" {
  mac    = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
  labels = { role = "db" }
}
machine "web1" {
  mac    = "52:54:00:00:00:03"
  labels = { role = "web" }
}
boot "linux" {
  kernel  = "/srv/linux"
  cmdline = "role=${templatefile("seed.tmpl", { role = machine.labels.role })}"
}
rule "all" {
  match { labels = { role = "db" } }
  boot = boot.linux
}
`
	write(t, path, src)
	core, logged := observer.New(zap.InfoLevel)
	o := options(t, path)
	o.Log = zap.New(core)
	d, err := New(o)
	must(t, err)
	defer d.Close()
	write(t, filepath.Join(dir, "seed.tmpl"), "the-${role}")
	must(t, d.Reload())
	var got []string
	for _, e := range logged.All() {
		if s, ok := e.ContextMap()["change"]; ok {
			got = append(got, s.(string), fmt.Sprint(e.ContextMap()["machines"]))
		}
	}
	want := []string{
		"rule all now boots linux, which has changed (was: boots linux)", "<nil>",
		"1 of 2 machines would boot something else", "[db1]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The log stays readable when everything is new.
func TestTheListOfChangesIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pixiecore.hcl")
	write(t, path, listen("http", "127.0.0.1:0"))
	core, logged := observer.New(zapcore.InfoLevel)
	o := options(t, path)
	o.Log = zap.New(core)
	d, err := New(o)
	must(t, err)
	defer d.Close()
	var src strings.Builder
	src.WriteString(listen("http", "127.0.0.1:0"))
	for i := range 2 * maxChanges {
		fmt.Fprintf(&src, "rule \"r%d\" {\n  match { mac = \"02:00:00:00:00:%02x\" }\n  local = true\n}\n", i, i)
	}
	write(t, path, src.String())
	must(t, d.Reload())
	said := logged.FilterMessage("generation differs").All()
	if n := len(said); n != maxChanges+1 || said[n-1].ContextMap()["change"] != "and 50 more: `pixiecore plan` tells all before a reload" {
		t.Errorf("%d lines, the last %v", n, said[n-1].ContextMap())
	}
}

func BenchmarkAffected(b *testing.B) {
	path := filepath.Join(b.TempDir(), "pixiecore.hcl")
	write(b, path, version("one"))
	d, err := New(options(b, path))
	must(b, err)
	defer d.Close()
	for i := range 1000 {
		mac := events.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
		d.events.SetFacts(mac, events.Facts{Arch: "x64", Firmware: "efi64", Serial: fmt.Sprint(i)})
		d.events.Add(mac, events.Event{Kind: events.Script})
	}
	for b.Loop() {
		asked, _ := control.Compared(d.seen(time.Now(), lately), d.current.Config)
		old, next := control.Draw(d.current.Explainable(), asked), control.Draw(d.current.Explainable(), asked)
		if n := control.Tally(old, next, control.Compare(old, next)); n.Of != 1000 {
			b.Fatal(n)
		}
	}
}
