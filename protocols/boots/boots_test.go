package boots

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pixiecore/pixiecore/booters/boot"
	"github.com/pixiecore/pixiecore/protocols/events"
)

var (
	mac   = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	start = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
)

// said are the facts of a request, told apart by their user class.
func said(class string, ipxe bool, known boot.Fact) *boot.Facts {
	return &boot.Facts{Known: known, UserClass: class, IPXE: ipxe}
}

// A table is a Source whose current generation decides by decide.
type table struct {
	gen    uint64
	decide func(boot.Machine) (*boot.Verdict, error)
}

func (t *table) Current() *boot.Snapshot { return &boot.Snapshot{Gen: t.gen, Booter: *t} }

func (t table) Decide(_ context.Context, m boot.Machine) (*boot.Verdict, error) { return t.decide(m) }

func (table) BootSpec(boot.Machine) (*boot.Spec, error)          { return nil, nil }
func (table) ReadBootFile(boot.ID) (io.ReadCloser, int64, error) { return nil, 0, boot.ErrNotFound }
func (table) WriteBootFile(boot.ID, io.Reader) error             { return boot.ErrNotFound }

// reload makes another generation, in which everybody gets v.
func (t *table) reload(v *boot.Verdict) {
	*t = table{t.gen + 1, func(boot.Machine) (*boot.Verdict, error) { return v, nil }}
}

func newTable(v *boot.Verdict) *table {
	t := &table{}
	t.reload(v)
	return t
}

// boots is a verdict by a rule of that name.
func boots(rule string) *boot.Verdict { return &boot.Verdict{Action: boot.Boot, Rule: rule} }

var machineOf = boot.Machine{MAC: mac, Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}

// rule is the rule by which the machine boots at a time, or what it gets instead.
func rule(t testing.TB, m *Memory, asks boot.Machine, after time.Duration) string {
	t.Helper()
	d, err := m.Decide(t.Context(), asks, start.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	if d.Action != boot.Boot {
		return d.Action.String()
	}
	return fmt.Sprintf("%s of %d", d.Rule, d.Snapshot.Gen)
}

// Which requests belong to one boot: those that get the verdict and the facts of
// its first one, though there is another generation with each.
func TestWhatBelongsToABoot(t *testing.T) {
	type request struct {
		after       time.Duration
		transaction byte
		program     Program
		class       string
	}
	for _, tt := range []struct {
		name     string
		requests []request
		want     string // the facts and the generation of the last one
	}{
		{"the first one", []request{{0, 1, Firmware, "rom"}}, "rom, 1"},
		{"a retransmit", []request{{0, 1, Firmware, "rom"}, {32 * time.Second, 1, Firmware, "again"}}, "rom, 1"},
		{"a machine that was reset", []request{{0, 1, Firmware, "rom"}, {time.Second, 2, Firmware, "reset"}}, "reset, 2"},
		{"iPXE goes on", []request{{0, 1, Firmware, "rom"}, {9 * time.Minute, 2, IPXE, "ipxe"}}, "rom, 1"},
		{"iPXE tries again", []request{{0, 1, Firmware, "rom"}, {9 * time.Second, 2, IPXE, "ipxe"}, {19 * time.Second, 3, IPXE, "ipxe"}}, "rom, 1"},
		{"iPXE after one that can less", []request{{0, 1, Firmware, "rom"}, {9 * time.Second, 2, LimitedIPXE, "ipxe"}, {19 * time.Second, 3, IPXE, "ipxe"}}, "rom, 1"},
		{"iPXE on its own, much later", []request{{0, 1, Firmware, "rom"}, {10 * time.Minute, 2, IPXE, "ipxe"}}, "ipxe, 2"},
		{"a reset while iPXE ran", []request{{0, 1, Firmware, "rom"}, {9 * time.Second, 2, IPXE, "ipxe"}, {19 * time.Second, 3, Firmware, "reset"}}, "reset, 3"},
		{"of a ROM whose transactions are all the same", []request{{0, 1, Firmware, "rom"}, {9 * time.Second, 2, IPXE, "ipxe"}, {19 * time.Second, 1, Firmware, "reset"}}, "reset, 3"},
		{"which comes late", []request{{0, 1, Firmware, "rom"}, {2 * time.Minute, 1, Firmware, "reset"}}, "reset, 2"},
		{"a ROM that is iPXE", []request{{0, 1, IPXE, "card"}}, "card, 1"},
		{"its reset", []request{{0, 1, IPXE, "card"}, {time.Minute, 2, IPXE, "reset"}}, "reset, 2"},
		{"a ROM that is an old iPXE, and ours", []request{{0, 1, LimitedIPXE, "card"}, {time.Minute, 2, IPXE, "ours"}}, "card, 1"},
		{"a ROM that is iPXE, and our autoexec", []request{{0, 1, IPXE, "card"}, {time.Minute, 2, Chained, "pixiecore"}}, "card, 1"},
		{"another boot", []request{{0, 1, IPXE, "card"}, {time.Minute, 2, Firmware, "rom"}}, "rom, 2"},
	} {
		src := newTable(boots("all"))
		m := &Memory{Source: src}
		got := ""
		for i, r := range tt.requests {
			if i > 0 {
				src.reload(boots("all"))
			}
			now := start.Add(r.after)
			f := m.Heard(Request{MAC(mac), [4]byte{r.transaction}, r.program, true, said(r.class, r.program > Firmware, boot.DHCPFacts), 0}, now)
			d, err := m.Decide(t.Context(), machineOf, now)
			if err != nil {
				t.Fatal(err)
			}
			got = fmt.Sprintf("%s, %d", f.UserClass, d.Snapshot.Gen)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What can be told on port 4011 is less than what a DISCOVER tells.
func TestTheFactsOfABoot(t *testing.T) {
	const some = boot.FactIPXE | boot.FactUserClass
	type request struct {
		discover bool
		program  Program
		said     *boot.Facts
	}
	rom := request{true, Firmware, said("rom", false, boot.DHCPFacts)}
	ipxe := request{true, IPXE, said("ipxe", true, boot.DHCPFacts)}
	bootServer := request{false, Firmware, said("4011", false, some)}
	for _, tt := range []struct {
		name     string
		requests []request
		want     string
	}{
		{"the boot server's port tells less", []request{rom, bootServer}, "rom"},
		{"which is better than nothing", []request{bootServer}, "4011"},
		{"and brought back by iPXE after a restart", []request{bootServer, ipxe}, "ipxe"},
		{"until the whole is told", []request{bootServer, rom}, "rom"},
		{"a request without UUID is whole", []request{bootServer, {true, Firmware, said("no-uuid", false, boot.DHCPFacts&^boot.FactUUID)}}, "no-uuid"},
	} {
		m := &Memory{Source: newTable(boots("all"))}
		var got *boot.Facts
		for i, r := range tt.requests {
			got = m.Heard(Request{MAC(mac), [4]byte{byte(i)}, r.program, r.discover, r.said, 0}, start)
		}
		if got.UserClass != tt.want || m.Of(mac) != got {
			t.Errorf("%s: got %q, want %q; remembered is %q", tt.name, got.UserClass, tt.want, m.Of(mac).UserClass)
		}
	}
}

// heard begins a boot of the machine.
func heard(m *Memory, mac net.HardwareAddr, transaction byte, after time.Duration) {
	m.Heard(Request{MAC: MAC(mac), Transaction: [4]byte{transaction}, Discover: true, Facts: said("rom", false, boot.DHCPFacts)}, start.Add(after))
}

func TestABootEndsAfterTwoHours(t *testing.T) {
	src := newTable(boots("old"))
	m := &Memory{Source: src}
	heard(m, mac, 1, 0)
	rule(t, m, machineOf, 0)
	src.reload(boots("new"))
	if got := rule(t, m, machineOf, MaxBoot-time.Second); got != "old of 1" {
		t.Errorf("just before: got %s", got)
	}
	if got := rule(t, m, machineOf, MaxBoot); got != "new of 2" {
		t.Errorf("after: got %s", got)
	}
	if m.Of(mac) == nil {
		t.Error("what the machine has said is forgotten: nothing will say it again")
	}
}

// Each request is asked of the current table and of the holds; what is refused
// goes on when it is refused no more.
func TestWhatTheCurrentTableRefuses(t *testing.T) {
	src := newTable(boots("lab"))
	held := map[string]string{}
	m := &Memory{Source: src, Held: func(rule string) string { return held[rule] + held["*"] }}
	heard(m, mac, 1, 0)
	is := func(want, refusal string) {
		t.Helper()
		d, err := m.Decide(t.Context(), machineOf, start)
		if got := rule(t, m, machineOf, 0); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
		if got := d.Refusal(machineOf); d.Action == boot.Ignore && got != refusal {
			t.Errorf("got %q, want %q", got, refusal)
		}
	}
	const who = "52:54:00:12:34:56 (x64, efi64)"
	is("lab of 1", "")
	src.reload(&boot.Verdict{Rule: "printers"})
	is("ignore", `the rule "printers" ignores `+who)
	src.reload(&boot.Verdict{})
	is("ignore", "no rule of the server boots "+who)
	src.reload(&boot.Verdict{Action: boot.Probe, Rule: "serial"})
	is("lab of 1", "")
	src.decide = func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{}, errors.New("the inventory is down") }
	is("lab of 1", "")
	src.reload(boots("other"))
	held["other"] = "not this one"
	is("lab of 1", "")
	held["lab"] = `rule "lab" is on hold`
	is("ignore", who+` is not booted: rule "lab" is on hold`)
	delete(held, "lab")
	is("lab of 1", "")
	held["*"] = "the daemon is on hold"
	is("ignore", who+" is not booted: the daemon is on hold")
}

// What may still change is not fixed.
func TestWhatIsNotFixed(t *testing.T) {
	src := newTable(&boot.Verdict{Rule: "printers"})
	m := &Memory{Source: src}
	heard(m, mac, 1, 0)
	for _, tc := range []struct {
		v    *boot.Verdict
		want string
	}{
		{&boot.Verdict{Rule: "printers"}, "ignore"},
		{&boot.Verdict{Action: boot.Probe, Rule: "serial"}, "probe"},
		{boots("lab"), "lab of 4"},
		{boots("later"), "lab of 4"},
	} {
		src.reload(tc.v)
		if got := rule(t, m, machineOf, 0); got != tc.want {
			t.Errorf("%v: got %s, want %s", tc.v.Action, got, tc.want)
		}
	}
	src.decide = func(boot.Machine) (*boot.Verdict, error) { return &boot.Verdict{}, io.ErrUnexpectedEOF }
	heard(m, mac, 2, time.Second)
	if _, err := m.Decide(t.Context(), machineOf, start); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
}

// plain is a Booter that is no Decider, whose specs are numbered.
type plain struct {
	table
	asked *int
}

func (plain) Decide() {} // not the Decider's

func (p plain) BootSpec(boot.Machine) (*boot.Spec, error) {
	*p.asked++
	return &boot.Spec{Kernel: boot.ID(fmt.Sprint(*p.asked))}, nil
}

func (p plain) Current() *boot.Snapshot { return &boot.Snapshot{Gen: 1, Booter: p} }

// A Booter that has no word for what it does not know is asked again until iPXE
// has reported, as the original asks it.
func TestABooterThatIsNoDecider(t *testing.T) {
	m := &Memory{Source: plain{asked: new(int)}}
	heard(m, mac, 1, 0)
	kernel := func(probed bool) boot.ID {
		asks := machineOf
		asks.Probed = probed
		d, err := m.Decide(t.Context(), asks, start)
		if err != nil {
			t.Fatal(err)
		}
		return d.Spec.Kernel
	}
	if got := []boot.ID{kernel(false), kernel(false), kernel(true), kernel(true), kernel(false)}; fmt.Sprint(got) != "[1 2 3 3 3]" {
		t.Errorf("got %v", got)
	}
}

func TestAMachineThatAnotherServerSends(t *testing.T) {
	src := newTable(boots("all"))
	m := &Memory{Source: src, Events: events.New()}
	for _, tc := range []struct {
		name string
		at   time.Duration // when it comes for its script
		is   events.Kind   // what it did before that, if anything
		want string
	}{
		{"its script begins a boot", 0, 0, "all of 1"},
		{"it comes again", time.Second, 0, "all of 2"}, // what decides is the table, each time
		{"it has waited", SameBoot - time.Second, 0, "all of 3"},
		{"a boot's time is over", SameBoot + time.Second, 0, "all of 4"},
		{"it has booted", SameBoot + 2*time.Second, events.Booting, "all of 5"},
		{"it comes again", SameBoot + 3*time.Second, 0, "all of 6"},
		{"its own disk", SameBoot + 4*time.Second, events.Local, "all of 7"},
	} {
		if tc.is != 0 {
			m.Events.Add(MAC(mac), events.Event{Kind: tc.is, Time: start.Add(tc.at - time.Second/2)})
		}
		before := m.Started(mac)
		m.Script(mac, start.Add(tc.at))
		if got := rule(t, m, machineOf, tc.at); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
		if again, same := tc.name == "it comes again" || tc.name == "it has waited", m.Started(mac).Equal(before); same != again {
			t.Errorf("%s: began at %v, before that at %v", tc.name, m.Started(mac), before)
		}
		src.reload(boots("all"))
	}

	src = newTable(boots("all"))
	m = &Memory{Source: src} // without events, time tells
	m.Script(mac, start)
	m.Script(mac, start.Add(time.Second))
	if got := m.Started(mac); !got.Equal(start) {
		t.Errorf("without events: began at %v, want %v", got, start)
	}
	heard(m, mac, 1, 0)
	rule(t, m, machineOf, 0)
	src.reload(boots("all"))
	m.Script(mac, start) // it was announced after all
	if got := rule(t, m, machineOf, 0); got != "all of 1" {
		t.Errorf("got %s, want the boot that its DISCOVER began", got)
	}
}

// A decision that comes when the machine has begun another boot fixes nothing.
func TestASlowDecisionIsOfItsBoot(t *testing.T) {
	src := newTable(boots("fast"))
	m := &Memory{Source: src}
	heard(m, mac, 1, 0)
	fast := src.decide
	src.decide = func(boot.Machine) (*boot.Verdict, error) {
		src.decide = fast
		heard(m, mac, 2, time.Second)
		return boots("slow"), nil
	}
	if got := rule(t, m, machineOf, 0); got != "slow of 1" {
		t.Errorf("got %s", got)
	}
	if got := rule(t, m, machineOf, time.Second); got != "fast of 1" {
		t.Errorf("the next boot: got %s", got)
	}
	// Of two at once, the first that is done is the one.
	heard(m, mac, 3, 2*time.Second)
	src.decide = func(boot.Machine) (*boot.Verdict, error) {
		src.decide = fast
		rule(t, m, machineOf, 2*time.Second)
		return boots("slow"), nil
	}
	if got := rule(t, m, machineOf, 2*time.Second); got != "fast of 1" {
		t.Errorf("two at once: got %s", got)
	}
}

func TestTwoInterfacesOfOneMachine(t *testing.T) {
	src := newTable(boots("all"))
	m := &Memory{Source: src}
	second := machineOf
	second.MAC = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x57}
	heard(m, mac, 1, 0)
	rule(t, m, machineOf, 0)
	src.reload(boots("all"))
	heard(m, second.MAC, 1, 0)
	if a, b := rule(t, m, machineOf, 0), rule(t, m, second, 0); a != "all of 1" || b != "all of 2" {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestOldGenerationsAreLetGo(t *testing.T) {
	src := newTable(boots("all"))
	log := events.New()
	m := &Memory{Source: src, Events: log}
	of := func(i int) boot.Machine {
		x := machineOf
		x.MAC = net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}
		return x
	}
	for i := range MaxGenerations + 1 { // a boot of each generation
		heard(m, of(i).MAC, 1, 0)
		rule(t, m, of(i), 0)
		src.reload(boots("all"))
	}
	if got := rule(t, m, of(1), 0); got != "all of 2" {
		t.Errorf("a generation within the bound: got %s", got)
	}
	if got, want := rule(t, m, of(0), 0), fmt.Sprintf("all of %d", src.gen); got != want {
		t.Errorf("the oldest: got %s, want %s", got, want)
	}
	told := 0
	for _, x := range log.Machines() {
		if len(x.Events()) == 0 {
			continue // it began a boot, and nothing else is known
		}
		told++
		if x.MAC != MAC(of(0).MAC) || len(x.Events()) != 1 || x.Events()[0].Kind != events.Moved || !strings.Contains(x.Events()[0].Detail, "generation 1,") {
			t.Errorf("got %+v", x)
		}
	}
	if len(m.generations) > MaxGenerations || told != 1 {
		t.Errorf("%d generations are kept, %d machines told", len(m.generations), told)
	}
	// Boots that are over hold nothing, though their machines never come back.
	last := of(100)
	heard(m, last.MAC, 1, MaxBoot)
	rule(t, m, last, MaxBoot)
	if len(m.generations) != 1 || m.generations[src.gen] != 1 {
		t.Errorf("after two hours: %v", m.generations)
	}
}

func TestWhatIPXEReported(t *testing.T) {
	m := &Memory{Source: newTable(boots("all"))}
	heard(m, mac, 1, 0)
	rule(t, m, machineOf, 0)
	if _, ok := m.Reported(mac); ok {
		t.Error("before it has")
	}
	asks := machineOf
	asks.Probed, asks.Facts = true, &boot.Facts{Known: boot.FactSerial, Serial: "X1"}
	rule(t, m, asks, 0)
	if got, ok := m.Reported(mac); !ok || got.Facts.Serial != "X1" {
		t.Errorf("got %+v, %t", got, ok)
	}
	heard(m, mac, 2, time.Second)
	if _, ok := m.Reported(mac); ok {
		t.Error("in another boot")
	}
}

func TestFilesThatABootHasBegun(t *testing.T) {
	m := &Memory{Source: newTable(boots("all"))}
	m.Fetches(MAC(mac), "kernel") // of nobody
	heard(m, mac, 1, 0)
	if m.Fetched(MAC(mac), "kernel") {
		t.Error("before it was")
	}
	for i := range maxFiles {
		m.Fetches(MAC(mac), fmt.Sprint(i))
		m.Fetches(MAC(mac), "0")
	}
	if !m.Fetched(MAC(mac), "0") || m.Fetched(MAC(mac), "kernel") {
		t.Error("not what was fetched")
	}
	m.Fetches(MAC(mac), "kernel")
	if m.Fetched(MAC(mac), "0") || !m.Fetched(MAC(mac), "kernel") || len(m.machines) != 1 {
		t.Error("the bound")
	}
	heard(m, mac, 2, 0)
	if m.Fetched(MAC(mac), "kernel") {
		t.Error("in another boot")
	}
}

func TestTheMachineThatWasSilentLongestIsForgotten(t *testing.T) {
	m := &Memory{Source: newTable(boots("all"))}
	number := func(i int) net.HardwareAddr {
		return binary.BigEndian.AppendUint32(net.HardwareAddr{0, 0}, uint32(i))
	}
	ask := func(i int) {
		asks := machineOf
		asks.MAC = number(i)
		heard(m, number(i), 1, 0)
		rule(t, m, asks, 0)
	}
	for i := range MaxMachines {
		ask(i)
	}
	if m.Of(number(0)) == nil { // and is heard of by that
		t.Fatal("forgotten too early")
	}
	ask(MaxMachines)
	if m.Of(number(0)) == nil || m.Of(number(1)) != nil || m.Of(number(MaxMachines)) == nil {
		t.Error("the wrong machine is forgotten")
	}
	if got := len(m.machines); got != MaxMachines || m.recent.n+m.quiet.n != got || m.generations[1] != got {
		t.Errorf("got %d machines, and %d that hang on the generation; want %d", got, m.generations[1], MaxMachines)
	}
}

func TestWhatIsNoEthernetAddress(t *testing.T) {
	m := &Memory{Source: newTable(boots("all"))}
	asks := machineOf
	asks.MAC = mac[:4]
	m.Script(asks.MAC, start)
	if _, ok := m.Reported(asks.MAC); ok || m.Of(asks.MAC) != nil || rule(t, m, asks, 0) != "all of 1" || len(m.machines) != 0 {
		t.Error("four octets are a machine")
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"PXEClient:Arch:00007\x00":          "PXEClient:Arch:00007",
		" \x1b[31mred\u202e ":               "[31mred",
		"\xff\xfe":                          "",
		"caf\u00e9":                         "café",
		strings.Repeat("x", 254) + "é":      strings.Repeat("x", 254), // cut within a character
		strings.Repeat("x", 300):            strings.Repeat("x", 255),
		"two\nlines\tand a tab":             "twolinesand a tab",
		"sw1/0/7":                           "sw1/0/7",
		"":                                  "",
		string(make([]byte, MaxText)) + "x": "",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// A boot starts when the machine is heard, and not when something of it is asked
// for: after a restart of the server nobody knows.
func TestStarted(t *testing.T) {
	m := &Memory{Source: newTable(boots("a"))}
	if rule(t, m, machineOf, 0); !m.Started(mac).IsZero() {
		t.Errorf("asked for only: got %v", m.Started(mac))
	}
	for i, tc := range []struct {
		r     Request
		after time.Duration
		want  time.Duration
	}{
		{Request{Program: Firmware, Discover: true, Transaction: [4]byte{1}}, time.Minute, time.Minute},
		{Request{Program: IPXE, Discover: true, Transaction: [4]byte{2}}, 2 * time.Minute, time.Minute},
		{Request{Program: Firmware, Discover: true, Transaction: [4]byte{3}}, 3 * time.Minute, 3 * time.Minute},
	} {
		tc.r.MAC, tc.r.Facts = MAC(mac), &boot.Facts{}
		m.Heard(tc.r, start.Add(tc.after))
		if got := m.Started(mac); !got.Equal(start.Add(tc.want)) {
			t.Errorf("%d: got %v, want %v", i, got, start.Add(tc.want))
		}
	}
	other := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	m.Script(other, start)
	if got := m.Started(other); !got.Equal(start) {
		t.Errorf("by its script: got %v", got)
	}
	for _, after := range []time.Duration{MaxBoot, 3 * MaxBoot} { // it installs, for long
		rule(t, m, boot.Machine{MAC: other}, after)
		if got := m.Started(other); !got.Equal(start) {
			t.Errorf("%v later: got %v", after, got)
		}
	}
}

// Whatever serial numbers a machine says one after the other, it is known by one.
func TestSerialNumbersAreBounded(t *testing.T) {
	const whole = boot.DHCPFacts&^boot.FactUUID | boot.FactSerial
	var m Memory
	now := time.Unix(1000, 0)
	for i := range 100 {
		mac := MAC{2, 0, 0, 0, 0, byte(i)}
		// On the boot server's port, of which not all can be known, and by a DISCOVER.
		m.Heard(Request{MAC: mac, Program: Firmware, Facts: &boot.Facts{Known: boot.FactSerial, Serial: fmt.Sprintf("a%d", i)}}, now)
		m.Heard(Request{MAC: mac, Program: Firmware, Discover: true, Facts: &boot.Facts{Known: whole, Serial: fmt.Sprintf("b%d", i)}}, now)
	}
	if len(m.serials) != 100 {
		t.Errorf("100 machines are known by %d serial numbers", len(m.serials))
	}
	if mac, ok := m.serials["b7"]; !ok || mac[5] != 7 {
		t.Errorf("b7 is %v, %v", mac, ok)
	}
}
