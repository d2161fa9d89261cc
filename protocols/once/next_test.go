package once

import (
	"maps"
	"net"
	"strings"
	"testing"
	"time"
)

// nextDisk is a NextStore whose content outlives Nexts.
type nextDisk struct {
	all    map[string]Next
	broken error
}

func (d *nextDisk) Load() (map[string]Next, error) { return maps.Clone(d.all), d.broken }

func (d *nextDisk) Save(changed map[string]*Next) error {
	if d.broken != nil {
		return d.broken
	}
	if d.all == nil {
		d.all = map[string]Next{}
	}
	for key, x := range changed {
		if delete(d.all, key); x != nil {
			d.all[key] = *x
		}
	}
	return nil
}

// A nextLab is a machine before Nexts that can be restarted.
type nextLab struct {
	t    *testing.T
	disk *nextDisk
	*Nexts
	now  time.Time
	who  Machine
	boot Boot
}

func (l *nextLab) restart() {
	n, err := NewNexts(l.disk, l.now)
	must(l.t, err)
	l.Nexts, l.boot = n, Boot{Token: l.boot.Token, Began: l.now}
}

// reset starts the machine anew; DHCP is heard.
func (l *nextLab) reset() {
	l.now = l.now.Add(time.Minute)
	l.boot = Boot{Began: l.now, Heard: true, Token: l.now.Add(time.Second)}
	l.now = l.now.Add(10 * time.Second)
}

// ask is what the machine gets when it asks for its script.
func (l *nextLab) ask() string {
	x, ok := l.Look(l.who, l.boot, l.now)
	if !ok {
		return "rule"
	}
	id, err := l.Use(l.who, l.boot, x.Boot, l.now)
	if err != nil {
		return "error"
	}
	l.boot.ID = id
	return x.Boot
}

func TestNexts(t *testing.T) {
	for name, words := range map[string]string{
		"one boot, then back":                          "set reset =rescue reset =rule reset =rule",
		"the same again within the boot":               "set reset =rescue =rescue =rescue",
		"not in the boot that has begun":               "reset set =rule reset =rescue",
		"taken back":                                   "set reset cancel =rule reset =rule",
		"taken back when it is used, it goes on":       "set reset =rescue cancel =rescue reset =rule",
		"chosen again":                                 "set reset =rescue set =rule reset =rescue reset =rule",
		"over a restart":                               "set restart reset =rescue restart =rescue reset =rule",
		"over a restart in the boot, before its use":   "set reset restart =rescue restart =rescue",
		"over a restart in a boot of before":           "reset set restart =rule reset =rescue",
		"used before a restart, and the machine reset": "set reset =rescue restart reset =rule restart =rule",
		"it expires":                                   "set day reset =rule",
		"not in a boot that has begun":                 "set reset day =rescue",
		"it expires over a restart":                    "set restart day reset =rule",
		"while nothing runs":                           "set day restart reset =rule",
		"a clock that is set back by years":            "set back restart reset =rescue reset =rule",
		"and it does not last longer for it":           "set back restart day reset =rule",
		"a full disk begins nothing":                   "set reset full =error mended =rescue",
		"and what was used is not used again":          "set reset =rescue full reset =rule =rule mended reset =rule",
	} {
		t.Run(name, func(t *testing.T) {
			l := &nextLab{t: t, disk: &nextDisk{}, now: noon, who: db1}
			l.restart()
			l.reset()
			for i, w := range strings.Fields(words) {
				switch w {
				case "set":
					l.now = l.now.Add(2 * time.Second)
					must(t, l.Set(l.who, nil, "rescue", 24*time.Hour, l.now))
				case "cancel":
					_, found, err := l.Cancel(l.who, nil, l.now)
					if must(t, err); !found {
						t.Errorf("%d: nothing was found", i)
					}
				case "reset":
					l.reset()
				case "restart":
					l.restart()
				case "day":
					l.now = l.now.Add(24 * time.Hour)
				case "back":
					l.now = l.now.AddDate(-3, 0, 0)
				case "full":
					l.disk.broken = errNoDisk
				case "mended":
					l.disk.broken = nil
				default:
					if got := l.ask(); "="+got != w {
						t.Errorf("%d: got %s, want %s", i, got, w)
					}
				}
			}
		})
	}
}

const errNoDisk = noDisk("no space left on device")

type noDisk string

func (e noDisk) Error() string { return string(e) }

// By whatever the machine comes, and what is new takes the place of what was.
func TestANextIsOfTheMachineWithAllOfItsKeys(t *testing.T) {
	disk := &nextDisk{}
	n, err := NewNexts(disk, noon)
	must(t, err)
	other := net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 2}
	const uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
	must(t, n.Set(Machine{MAC: other}, nil, "old", time.Hour, noon))
	must(t, n.Set(Machine{Name: "db1"}, []Machine{{MAC: mac}, {MAC: other}, {UUID: uuid}}, "rescue", time.Hour, noon))
	for _, who := range []Machine{{Name: "db1"}, {MAC: mac}, {MAC: other}, {UUID: uuid}, {Name: "db1", MAC: []byte{2, 0, 0, 0, 0, 9}}} {
		if x, ok := n.Pending(who, noon); !ok || x.Boot != "rescue" {
			t.Errorf("%s: got %+v", who, x)
		}
	}
	if all := n.All(noon); len(all) != 1 || len(disk.all) != 1 {
		t.Errorf("got %+v, and %+v is kept", all, disk.all)
	}
	if _, found, err := n.Cancel(Machine{MAC: other}, nil, noon); !found || err != nil || n.Any() || len(disk.all) != 0 {
		t.Errorf("found %t, %v; %+v is left", found, err, disk.all)
	}
	if _, found, _ := n.Cancel(Machine{MAC: other}, nil, noon); found {
		t.Error("it is found again")
	}
}

// A nil *Nexts has none, so that nobody must ask whether there are any.
func TestNoNexts(t *testing.T) {
	var n *Nexts
	if _, ok := n.Look(db1, Boot{}, noon); ok || n.Any() || n.All(noon) != nil {
		t.Error("there is one")
	}
	if n, err := NewNexts(&nextDisk{broken: errNoDisk}, noon); err == nil || n.Any() {
		t.Errorf("of a broken store: %v", err)
	}
}
