package once

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// disk is a Store whose content outlives States, as a file does.
type disk struct {
	all    map[string]Record
	begun  bool
	broken error // of whatever is asked of it
	saves  int
}

func (d *disk) Load() (map[string]Record, bool, error) { return maps.Clone(d.all), d.begun, d.broken }

func (d *disk) Save(changed map[string]*Record) error {
	if d.broken != nil {
		return d.broken
	}
	d.saves++
	if d.all == nil {
		d.all = map[string]Record{}
	}
	for key, r := range changed {
		if delete(d.all, key); r != nil {
			d.all[key] = *r
		}
	}
	return nil
}

func (d *disk) Begin() error {
	d.begun = d.begun || d.broken == nil
	return d.broken
}

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	mac  = []byte{0x52, 0x54, 0, 0xaa, 0, 1}
	db1  = Machine{Name: "db1", MAC: mac}
	rule = boot.Once{Attempts: 1, OnTimeout: boot.TimeoutPark, DoneBy: boot.DoneByPhoneHome, Spent: boot.Local}
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A lab is a machine before States that can be restarted.
type lab struct {
	t    *testing.T
	disk *disk
	*States
	now  time.Time
	o    boot.Once
	who  Machine
	boot Boot
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, disk: &disk{}, now: noon, o: rule, who: db1}
	l.restart()
	l.reset()
	return l
}

func (l *lab) restart() {
	l.States = New(l.disk, l.now)
	// What a process knows of a boot goes with it, but for the token of its addresses.
	l.boot = Boot{Token: l.boot.Token, Began: l.now}
}

// reset starts the machine anew; DHCP is heard.
func (l *lab) reset() {
	l.now = l.now.Add(time.Minute)
	l.boot = Boot{Began: l.now, Heard: true, Token: l.now.Add(time.Second)}
	l.now = l.now.Add(10 * time.Second)
}

// ask lets the machine ask for its script, and says in a word what it gets.
func (l *lab) ask() string {
	l.t.Helper()
	v := l.Look(l.who, &l.o, l.boot, l.now)
	if (v.Reason == "") != (v.Do == Give) {
		l.t.Errorf("%v has the reason %q", v.Do, v.Reason)
	}
	switch v.Do {
	case Give:
		id, err := l.Use(l.who, &l.o, l.boot, "debian", l.now)
		if err != nil {
			return "error"
		}
		l.boot.ID = id
		return "installer"
	case Wait:
		return "waits"
	case Pass:
		return "disk"
	}
	panic("unreachable")
}

// does runs through words, each of which is done, or is what the machine must be given
// when it asks.
func (l *lab) does(words string) {
	l.t.Helper()
	for i, w := range strings.Fields(words) {
		switch w {
		case "arm":
			must(l.t, l.Arm(l.who, nil, l.now))
		case "disarm":
			must(l.t, l.Disarm(l.who, nil, l.now))
		case "reset":
			l.reset()
		case "restart":
			l.restart()
		case "done":
			if _, err := l.Done(l.who.MAC, boot.DoneByPhoneHome, l.now, l.now); err != nil && !errors.Is(err, boot.ErrExpired) {
				l.t.Fatal(err)
			}
		case "booting":
			_, err := l.Done(l.who.MAC, boot.DoneByBooting, time.Time{}, l.now)
			must(l.t, err)
		case "hour":
			l.now = l.now.Add(time.Hour)
		case "back": // the clock is set
			l.now = l.now.Add(-24 * time.Hour)
		case "tokenless":
			l.boot.Token = time.Time{}
		default:
			if got := l.ask(); got != w {
				l.t.Fatalf("word %d of %q: got %s", i+1, words, got)
			}
		}
	}
}

func TestStates(t *testing.T) {
	rearm := rule
	rearm.Timeout, rearm.OnTimeout = 30*time.Minute, boot.TimeoutRearm
	local := rule
	local.Timeout, local.OnTimeout = 30*time.Minute, boot.TimeoutLocal
	park := rule
	park.Timeout, park.Attempts = 30*time.Minute, 2
	twice := rule
	twice.Attempts = 2
	booting := rule
	booting.DoneBy = boot.DoneByBooting
	for name, test := range map[string]struct {
		o    boot.Once
		does string
	}{
		"nobody has armed it":                        {rule, "disk reset disk"},
		"once, and then its disk":                    {rule, "arm installer done reset disk restart disk"},
		"repeats within the boot":                    {rule, "arm installer installer installer"},
		"another boot waits":                         {rule, "arm installer reset waits reset waits"},
		"and goes on when it is armed again":         {rule, "arm installer reset waits arm installer reset waits"},
		"or disarmed":                                {rule, "arm installer reset waits disarm disk"},
		"disarmed within the boot":                   {rule, "arm installer disarm disk"},
		"the same boot, after a restart":             {rule, "arm installer restart installer installer done reset disk"},
		"another boot, after a restart":              {rule, "arm installer restart reset waits"},
		"another boot, of which DHCP was not heard":  {rule, "arm installer reset restart waits"},
		"heard before the restart":                   {rule, "arm installer reset waits restart waits"},
		"without a token, after a restart":           {rule, "arm installer restart tokenless waits"},
		"two attempts":                               {twice, "arm installer reset installer installer reset waits"},
		"two attempts, over a restart":               {twice, "arm installer restart reset installer restart reset waits"},
		"done at the second":                         {twice, "arm installer reset installer done reset disk"},
		"done by booting":                            {booting, "arm installer done reset waits arm installer booting reset disk"},
		"booting is not waited for":                  {rule, "arm installer booting reset waits"},
		"rearmed when it takes too long":             {rearm, "arm installer hour reset installer reset waits"},
		"which does not concern the boot":            {rearm, "arm installer hour installer"},
		"its disk when it takes too long":            {local, "arm installer hour reset disk"},
		"no attempt is left when it takes too long":  {park, "arm installer hour reset waits"},
		"a restart begins the time anew":             {rearm, "arm installer hour restart reset waits"},
		"the clock is set back":                      {rearm, "arm installer back reset waits restart waits reset waits"},
		"the clock is set back while nobody is here": {rule, "arm installer reset waits back restart waits"},
		"armed twice":                                {rule, "arm arm installer reset waits"},
		"done before it began":                       {rule, "arm done booting installer reset waits"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.o = test.o
			l.does(test.does)
		})
	}
}

// The state machine over all short ways through it: one arm is used by no more boots
// than it is good for, and nobody who is not armed is given anything.
func TestNoWayLeadsToASecondInstallation(t *testing.T) {
	words := []string{"ask", "reset", "restart", "back", "hour", "done", "tokenless", "disarm"}
	const length = 5
	for attempts := 1; attempts <= 2; attempts++ {
		ways := 1
		for range length {
			ways *= len(words)
		}
		for way := range ways {
			l := newLab(t)
			l.o.Attempts = attempts
			l.does("arm")
			given, boots, armed := map[int]bool{}, 0, true
			var said []string
			for n := way; len(said) < length; n /= len(words) {
				word := words[n%len(words)]
				said = append(said, word)
				switch word {
				case "ask":
					if l.ask() == "installer" {
						given[boots] = true
						if !armed {
							t.Fatalf("%q: installed without being armed", said)
						}
					}
				case "reset":
					boots++
					l.reset()
					l.Look(l.who, &l.o, l.boot, l.now) // the answer to its DISCOVER
				case "disarm":
					armed = false
					l.does(word)
				default:
					l.does(word)
				}
			}
			if len(given) > attempts {
				t.Fatalf("%q: %d boots have been given the installer, of %d", said, len(given), attempts)
			}
		}
	}
}

// A machine that changes what it is known by does not begin anew.
func TestAMachineIsKnownByAllOfItsKeys(t *testing.T) {
	uuid := "4c4c4544-0042-3510-8053-b4c04f463433"
	armed := rule
	armed.Armed = true
	for name, test := range map[string]struct{ first, then Machine }{
		"another network card": {Machine{UUID: uuid, MAC: mac}, Machine{UUID: uuid, MAC: []byte{2, 0, 0, 0, 0, 9}}},
		"without its UUID":     {Machine{UUID: uuid, MAC: mac}, Machine{MAC: mac}},
		"a name":               {Machine{UUID: uuid, MAC: mac}, Machine{Name: "db1", UUID: uuid, MAC: mac}},
		"another name":         {db1, Machine{Name: "db01", MAC: mac}},
		"no name any more":     {db1, Machine{MAC: mac}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			must(t, l.Begin())
			l.o = armed // so that the worst comes of a record that is not found
			l.who = test.first
			l.does("installer done reset disk restart")
			l.who = test.then
			l.does("reset disk")
			if got := l.All(); len(got) != 1 {
				t.Errorf("got %d machines, want one: %+v", len(got), got)
			}
		})
	}
}

// The record of a machine with a name is that of all its cards.
func TestAMachineIsArmedByName(t *testing.T) {
	l := newLab(t)
	l.does("arm installer done reset disk")
	must(t, l.Arm(db1, []Machine{{MAC: mac}, {MAC: []byte{2, 0, 0, 0, 0, 9}}}, l.now))
	l.does("reset installer reset waits")
	l.who.MAC = []byte{2, 0, 0, 0, 0, 9}
	l.does("reset waits")
	l.who = Machine{MAC: mac} // whose block was taken out of the file
	l.does("reset waits")
}

// To have no record means nothing, unless somebody has said that none is missing.
func TestLostStatesArmNobody(t *testing.T) {
	l := newLab(t)
	l.o.Armed = true
	l.does("disk")
	must(t, l.Begin())
	l.does("installer done reset disk restart disk")
	*l.disk = disk{} // the file is gone
	l.does("restart reset disk")
	l.who = Machine{MAC: []byte{2, 0, 0, 0, 0, 9}}
	l.does("disk")
}

func TestStatesThatCannotBeReadCountAsSpent(t *testing.T) {
	l := newLab(t)
	l.does("arm")
	l.disk.broken = errors.New("the disk has gone")
	l.o.Armed = true
	l.does("restart disk")
	if v := l.Look(l.who, &l.o, l.boot, l.now); v.State != Spent || !strings.Contains(v.Reason, "the disk has gone") {
		t.Errorf("got %+v", v)
	}
	if l.Arm(db1, nil, l.now) == nil || l.Begin() == nil || l.Err() == nil {
		t.Error("no error")
	}
	if _, err := l.Done(mac, boot.DoneByPhoneHome, l.now, l.now); err == nil {
		t.Error("no error")
	}
	if v := New(nil, noon).Look(db1, &l.o, l.boot, noon); v.Do != Pass || v.State != Spent {
		t.Errorf("without a store: got %+v", v)
	}
}

func TestARecordThatCannotBeReadCountsAsSpent(t *testing.T) {
	for _, r := range []Record{{Damage: "unexpected end of JSON input"}, {State: "amred", Keys: []string{"name:db1"}}} {
		l := newLab(t)
		l.disk.all = map[string]Record{"name:db1": r}
		l.does("restart reset disk")
		if all := l.All(); len(all) != 1 || all[0].Machine != "db1" || all[0].Damage == "" || all[0].State != Spent {
			t.Errorf("got %+v", all)
		}
		l.does("arm installer")
	}
}

// What cannot be kept is not begun.
func TestStatesThatCannotBeWrittenBeginNothing(t *testing.T) {
	l := newLab(t)
	l.does("arm")
	l.disk.broken = errors.New("read-only file system")
	l.does("error reset error")
	l.disk.broken = nil
	l.does("installer")
	l.disk.broken = errors.New("read-only file system")
	l.does("installer reset waits waits") // this process knows, and
	if _, err := l.Done(mac, boot.DoneByPhoneHome, l.now, l.now); err == nil {
		t.Error("a machine is done, and that is not kept")
	}
}

// The one boot of a machine that uses its arm writes once, and so does the next one
// that does not get it.
func TestARepetitionIsNotWritten(t *testing.T) {
	l := newLab(t)
	l.does("arm installer")
	saves := l.disk.saves
	l.does("installer installer installer")
	if got := l.disk.saves - saves; got != 0 {
		t.Errorf("repeats were written %d times", got)
	}
	l.does("reset waits waits reset waits")
	if got := l.disk.saves - saves; got != 1 {
		t.Errorf("the boots that wait were written %d times", got)
	}
}

func TestAnAddressIsOfItsBoot(t *testing.T) {
	l := newLab(t)
	l.does("arm installer")
	first := l.now
	l.does("hour reset arm installer")
	if changed, err := l.Done(mac, boot.DoneByPhoneHome, first, l.now); changed || !errors.Is(err, boot.ErrExpired) {
		t.Errorf("of the boot before: got %t, %v", changed, err)
	}
	l.does("reset waits")
	if changed, err := l.Done(mac, boot.DoneByPhoneHome, l.now, l.now); !changed || err != nil {
		t.Errorf("got %t, %v", changed, err)
	}
	if changed, err := l.Done(mac, boot.DoneByPhoneHome, l.now, l.now); changed || err != nil {
		t.Errorf("once more: got %t, %v", changed, err)
	}
	if changed, err := l.Done([]byte{2, 0, 0, 0, 0, 9}, boot.DoneByPhoneHome, l.now, l.now); changed || err != nil {
		t.Errorf("of a machine that boots no such thing: got %t, %v", changed, err)
	}
}

// Invented machines do not fill the disk, and what was armed goes on.
func TestStrangersAreBounded(t *testing.T) {
	l := newLab(t)
	must(t, l.Begin())
	for i := range MaxRecords {
		key := fmt.Sprint("mac:", i)
		l.all[key] = &Record{State: Spent, Keys: []string{key}}
	}
	l.o.Armed = true
	l.does("error")
	l.does("arm")
	if r, ok := l.Find(db1); !ok || r.State != Armed {
		t.Errorf("got %+v, %t", r, ok)
	}
}

// A machine that boots what is not booted once has nothing to be done with.
func TestWhereNothingIsBootedOnceNothingIsDone(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	if changed, err := Broken(ErrUnused).Done(mac, boot.DoneByBooting, time.Time{}, time.Now()); changed || err != nil {
		t.Errorf("got %t, %v", changed, err)
	}
	if _, err := Broken(errors.New("damaged")).Done(mac, boot.DoneByBooting, time.Time{}, time.Now()); err == nil {
		t.Error("what cannot be read is done")
	}
}
