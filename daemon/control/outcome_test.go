package control

import (
	"fmt"
	"strings"
	"testing"
)

// fleet is an inventory of one machine, with what is rendered for it.
const fleet = `
listener "http" {}
locals {
  mirror = "http://one.lan"
}
machine "db1" {
  mac    = "52:54:00:00:00:01"
  labels = { role = "db" }
}
machine "by-uuid" {
  uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
}
boot "linux" {
  kernel  = "/srv/linux"
  cmdline = "mirror=${local.mirror}/${machine.arch} role=${try(machine.labels.role, "none")} host=${machine.name}"
}
rule "serial" {
  match {
    mac    = "52:55:00:*"
    serial = "S1"
  }
  boot = boot.linux
}
rule "all" {
  boot = boot.linux
}
`

// What machines would get is compared, whatever it is that changes it.
func TestCompareByWhatMachinesGet(t *testing.T) {
	const changed = ", which has changed"
	for _, tc := range []struct {
		name, old, new string
		seen           []Question
		want           []string // what, name: new
		count          Count
	}{
		{"a local value", "one.lan", "two.lan", nil, []string{
			"rule serial: boots linux" + changed, "rule all: boots linux" + changed,
			`machine 52:54:00:00:00:01 db1: boots linux by rule "all"` + changed,
			`machine 4c4c4544-0042-3510-8053-b4c04f463433 by-uuid: boots linux by rule "all"` + changed,
		}, Count{Differ: 2, Of: 2, All: 2, Asked: 2}},
		{"a label", `role = "db"`, `role = "web"`, nil, []string{
			`machine 52:54:00:00:00:01 db1: boots linux by rule "all"` + changed,
		}, Count{Differ: 1, Of: 2, All: 2, Asked: 2}},
		{"text that gives the same", "${local.mirror}", "${lower(local.mirror)}", nil, nil, Count{Of: 2, All: 2, Asked: 2}},
		{"what only this machine is given", `try(machine.labels.role, "none")`, `try("my-${machine.labels.role}", "none")`, nil, []string{
			"rule all: boots linux" + changed,
			`machine 52:54:00:00:00:01 db1: boots linux by rule "all"` + changed,
		}, Count{Differ: 1, Of: 2, All: 2, Asked: 2}},
		{"an error", "host=${machine.name}", "host=${machine.labels.rack}", []Question{{MAC: "52:54:00:00:00:01", Firmware: "efi64"}}, []string{
			"rule serial: boots linux" + changed, "rule all: boots linux" + changed,
			`machine 52:54:00:00:00:01 db1: boots linux by rule "all", which fails: boot linux: cmdline: the machine db1 has no label "rack"`,
			`machine 4c4c4544-0042-3510-8053-b4c04f463433 by-uuid: boots linux by rule "all", which fails: boot linux: cmdline: the machine by-uuid has no label "rack"`,
		}, Count{Differ: 2, Of: 2, All: 2, Asked: 2}},
		{"a fact that is not known", `"S1"`, `"S2"`, []Question{{MAC: "52:55:00:00:00:01", Early: true}, {MAC: "52:55:00:00:00:02", Facts: map[string]string{"serial": "S3"}}}, []string{
			"rule serial: boots linux, with other conditions",
			`machine 52:55:00:00:00:01: loads iPXE to be asked by rule "serial", and may boot something else then`,
		}, Count{Differ: 1, Unsure: 1, Of: 4, All: 4, Asked: 4}},
		{"a when of which no machine is known", "serial = \"S1\"", "serial = \"S1\"\n    when   = machine.asset == \"A1\"", nil, []string{
			"rule serial: boots linux, with other conditions",
		}, Count{Of: 2, All: 2, Asked: 2}},
		{"probe", "rule \"serial\" {", "rule \"serial\" {\n  probe = true", nil, []string{
			"rule serial: boots linux, with other conditions",
		}, Count{Of: 2, All: 2, Asked: 2}},
		// It gets what it got, under the name that it had.
		{"an address of a machine that was known by its UUID", "by-uuid\" {", "by-uuid\" {\n  mac = \"52:54:00:00:00:09\"", nil, nil, Count{Of: 2, All: 2, Asked: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, next := compile(t, fleet), compile(t, strings.ReplaceAll(fleet, tc.old, tc.new))
			next.Loaders = old.Loaders
			asked, all := Compared(tc.seen, next.Config)
			before, after := Draw(old, asked), Draw(next, asked)
			after.All = all
			changes := Compare(before, after)
			var got []string
			for _, c := range changes {
				who := c.Name
				if c.Machine != "" {
					who += " " + c.Machine
				}
				got = append(got, fmt.Sprintf("%s %s: %s", c.What, who, c.New))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(tc.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
			if n := Tally(before, after, changes); n != tc.count {
				t.Errorf("got %+v, want %+v", n, tc.count)
			}
		})
	}
}

// inventory is n machines, and a boot that is rendered for each.
func inventory(n int) string {
	var b strings.Builder
	b.WriteString(fleet)
	for i := range n {
		fmt.Fprintf(&b, "machine \"m%d\" {\n  mac = \"02:00:00:%02x:%02x:%02x\"\n}\n", i, i>>16, i>>8&0xff, i&0xff)
	}
	return b.String()
}

func TestComparedIsBounded(t *testing.T) {
	c := compile(t, inventory(MaxCompared+1))
	asked, all := Compared([]Question{{MAC: "02:00:00:00:00:00"}}, c.Config, c.Config)
	if len(asked) != MaxCompared+1 || all != MaxCompared+3 {
		t.Errorf("%d of %d", len(asked), all)
	}
	n := Count{Differ: 3, Unsure: 1, Of: 4, All: 7, Asked: 5}
	if got := n.String(); got != "3 of 4 machines would boot something else; 1 of these cannot be told apart before iPXE asks them; compared are 5 of 7 addresses" {
		t.Error(got)
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{1000, MaxCompared} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := compile(b, inventory(n))
			for b.Loop() {
				asked, _ := Compared(nil, c.Config)
				if d := Compare(Draw(c, asked), Draw(c, asked)); len(d) != 0 {
					b.Fatal(d)
				}
			}
		})
	}
}
