package booters

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pixiecore/pixiecore/booters/boot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ boot.Booter        = (*Table)(nil)
	_ boot.ContextBooter = (*Table)(nil)
	_ boot.Decider       = (*Table)(nil)
	_ boot.Booter        = (*static)(nil)
	_ boot.ContextBooter = (*static)(nil)
	_ boot.Source        = (*Swapper)(nil)
)

func sealer(t testing.TB) *Sealer {
	t.Helper()
	s, err := NewSealer([]byte("a secret of thirty-two bytes ..."))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func table(t testing.TB, rules ...Rule) *Table {
	t.Helper()
	tab, err := NewTable(sealer(t), NewSources(), nil, rules)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// boots is the Action that most tests need.
func boots(name string) Action {
	return Action{Do: boot.Boot, Boot: name, Spec: &boot.Spec{Kernel: boot.ID("/srv/" + name)}}
}

func decide(t testing.TB, tab *Table, m boot.Machine) *boot.Verdict {
	t.Helper()
	v, err := tab.Decide(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	tab := table(t,
		Rule{Name: "printers", Match: Match{MACs: patterns(t, "00:80:77:*")}},
		Rule{Name: "one", Pos: "p.hcl:3", Match: Match{MACs: patterns(t, "52:54:00:aa:00:01")}, Action: boots("special")},
		Rule{Name: "lab", Match: Match{MACs: patterns(t, "52:54:00:*")}, Action: boots("debian")},
		Rule{Name: "one-again", Match: Match{MACs: patterns(t, "52:54:00:aa:00:01")}, Action: boots("never")},
		Rule{Name: "arm", Match: Match{Archs: []boot.Architecture{boot.ArchARM64}}, Action: Action{Do: boot.Local}},
	)
	efi := func(s string) boot.Machine {
		return boot.Machine{MAC: mac(s), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	}
	for _, tt := range []struct {
		name    string
		machine boot.Machine
		want    *boot.Verdict
	}{
		{"ignore", efi("00:80:77:00:00:01"), &boot.Verdict{Action: boot.Ignore, Rule: "printers"}},
		{"an exact MAC above a glob", efi("52:54:00:aa:00:01"), &boot.Verdict{Action: boot.Boot, Rule: "one", Pos: "p.hcl:3", Boot: "special"}},
		{"a glob", efi("52:54:00:aa:00:02"), &boot.Verdict{Action: boot.Boot, Rule: "lab", Boot: "debian"}},
		{"a rule without MACs", boot.Machine{MAC: mac("02:00:00:00:00:01"), Arch: boot.ArchARM64, Firmware: boot.FirmwareEFIARM64}, &boot.Verdict{Action: boot.Local, Rule: "arm"}},
		{"no MAC at all", boot.Machine{Arch: boot.ArchARM64, Firmware: boot.FirmwareEFIARM64}, &boot.Verdict{Action: boot.Local, Rule: "arm"}},
		{"no rule", efi("02:00:00:00:00:01"), &boot.Verdict{Action: boot.Ignore}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := decide(t, tab, tt.machine)
			spec, err := tab.BootSpec(tt.machine)
			if err != nil || spec != got.Spec || (spec != nil) != (tt.want.Action == boot.Boot) {
				t.Errorf("BootSpec: got %v, %v; the verdict has %v", spec, err, got.Spec)
			}
			got.Spec = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A BIOS says nothing about 64 bits, so a rule about that is unknown until
// iPXE has run. Nobody is made to load iPXE only to be ignored.
func TestUnknownRules(t *testing.T) {
	var (
		x64      = Rule{Name: "x64", Pos: "p.hcl:1", Match: Match{Archs: []boot.Architecture{boot.ArchX64}}, Action: boots("debian")}
		x64local = Rule{Name: "x64-local", Match: Match{Archs: []boot.Architecture{boot.ArchX64}}, Action: Action{Do: boot.Local}}
		ia32     = Rule{Name: "ia32", Match: Match{Archs: []boot.Architecture{boot.ArchIA32}}, Action: boots("old")}
		ignore   = Rule{Name: "ignore"}
		local    = Rule{Name: "local", Action: Action{Do: boot.Local}}
		rescue   = Rule{Name: "rescue", Action: boots("rescue")}
	)
	probe := &boot.Verdict{Action: boot.Probe, Rule: "x64", Pos: "p.hcl:1"}
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  *boot.Verdict
	}{
		{"nothing behind", []Rule{x64}, probe},
		{"ignore behind", []Rule{x64, ignore}, &boot.Verdict{Action: boot.Ignore, Rule: "ignore"}},
		{"local behind", []Rule{x64, local}, probe},
		{"boot behind", []Rule{x64, rescue}, probe},
		{"another unknown behind", []Rule{x64, ia32}, probe},
		{"another unknown, then ignore", []Rule{x64, ia32, ignore}, &boot.Verdict{Action: boot.Ignore, Rule: "ignore"}},
		{"only the first true one behind counts", []Rule{x64, local, ignore}, probe},
		{"a true one before", []Rule{local, x64}, &boot.Verdict{Action: boot.Local, Rule: "local"}},
		{"an unknown one of any outcome", []Rule{x64local}, &boot.Verdict{Action: boot.Probe, Rule: "x64-local"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := table(t, tt.rules...)
			m := boot.Machine{MAC: mac("52:54:00:aa:00:01")}
			if diff := cmp.Diff(tt.want, decide(t, tab, m)); diff != "" {
				t.Errorf("unprobed BIOS (-want +got)\n%s", diff)
			}
			if tt.want.Action == boot.Probe {
				if spec, err := tab.BootSpec(m); spec != nil || err != nil {
					t.Errorf("BootSpec of a machine to be probed: got %v, %v, want nil, nil", spec, err)
				}
			}
			m.Probed = true
			if v := decide(t, tab, m); v.Action == boot.Probe {
				t.Errorf("a probed machine is probed again: %+v", v)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	tab := table(t,
		Rule{Name: "printers", Pos: "p.hcl:1", Match: Match{MACs: patterns(t, "00:80:77:*")}},
		Rule{Name: "arm", Match: Match{Archs: []boot.Architecture{boot.ArchARM64}}, Action: boots("arm")},
		Rule{Name: "uefi", Match: Match{Firmwares: []boot.Firmware{boot.FirmwareEFI64}}, Action: boots("uefi")},
		Rule{Name: "x64", Match: Match{Archs: []boot.Architecture{boot.ArchX64}}, Action: boots("debian")},
		Rule{Name: "rest", Action: Action{Do: boot.Local}},
		Rule{Name: "never"},
	)
	got := tab.Explain(boot.Machine{MAC: mac("52:54:00:aa:00:01")})
	want := Trace{
		Steps: []Step{
			{Rule: "printers", Pos: "p.hcl:1", Truth: False, Failed: "mac"},
			{Rule: "arm", Truth: False, Failed: "arch"},
			{Rule: "uefi", Truth: False, Failed: "firmware"},
			{Rule: "x64", Truth: Unknown, Failed: "arch"},
			{Rule: "rest", Truth: True},
		},
		Verdict: &boot.Verdict{Action: boot.Probe, Rule: "x64"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestASpecIsSealedAndItsFilesOpen(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("bytes of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	in := &boot.Spec{
		Kernel:  boot.ID(file("linux")),
		Initrd:  []boot.ID{boot.ID(file("initrd.gz")), "https://example.com/firmware.cpio"},
		Cmdline: `url={{ URL "` + file("preseed") + `" }} net={{ ID "http://example.com/n" }}`,
		Message: "hello",
	}
	before := *in
	tab := table(t, Rule{Name: "all", Action: Action{Do: boot.Boot, Spec: in}})
	if diff := cmp.Diff(before, *in); diff != "" {
		t.Errorf("the rule's Spec was modified:\n%s", diff)
	}
	got, err := tab.BootSpec(boot.Machine{Firmware: boot.FirmwareEFI64})
	if err != nil {
		t.Fatal(err)
	}
	s := sealer(t) // of the same secret: an ID opens in every generation
	want := &boot.Spec{
		Kernel:  s.Seal(dir + "/linux"),
		Initrd:  []boot.ID{s.Seal(dir + "/initrd.gz"), s.Seal("https://example.com/firmware.cpio")},
		Cmdline: `url={{ ID "` + string(s.Seal(dir+"/preseed")) + `" }} net={{ ID "` + string(s.Seal("http://example.com/n")) + `" }}`,
		Message: "hello",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	r, size, err := tab.ReadBootFile(got.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); string(b) != "bytes of linux" || err != nil || size != int64(len(b)) {
		t.Errorf("got %q, %v, size %d", b, err, size)
	}
	if _, _, err := tab.ReadBootFile("kernel"); !errors.Is(err, boot.ErrNotFound) {
		t.Errorf("a foreign ID: got %v, want boot.ErrNotFound", err)
	}
	if err := tab.WriteBootFile(got.Kernel, strings.NewReader("x")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("WriteBootFile: got %v, want errors.ErrUnsupported", err)
	}
}

func TestAnIPXEScriptNeedsNoKernel(t *testing.T) {
	tab := table(t, Rule{Name: "rescue", Action: Action{Do: boot.Boot, Spec: &boot.Spec{IpxeScript: "#!ipxe\nshell\n"}}})
	got := decide(t, tab, boot.Machine{}).Spec
	if diff := cmp.Diff(&boot.Spec{IpxeScript: "#!ipxe\nshell\n"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNewTableSaysAllThatIsWrong(t *testing.T) {
	_, err := NewTable(sealer(t), NewSources(), nil, []Rule{
		{Name: "empty", Pos: "p.hcl:1", Action: Action{Do: boot.Boot}},
		{Name: "no-kernel", Pos: "p.hcl:2", Action: Action{Do: boot.Boot, Spec: &boot.Spec{}}},
		{Name: "two", Action: Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: "linux", Initrd: []boot.ID{"/a", "ftp://host/b"}}}},
		{Name: "template", Action: Action{Do: boot.Boot, Spec: &boot.Spec{Kernel: "/linux", Cmdline: "{{ FILE }}"}}},
		{Name: "probe", Action: Action{Do: boot.Probe}},
		{Name: "arch", Match: Match{Archs: []boot.Architecture{6}}},
		{Name: "firmware", Match: Match{Firmwares: []boot.Firmware{-1}}},
	})
	want := []string{
		`p.hcl:1: rule "empty": there is nothing to boot`,
		`p.hcl:2: rule "no-kernel": kernel: no path or URL is given`,
		`rule "two": kernel: "linux" is neither an absolute path nor an http or https URL`,
		`initrd 2: URL "ftp://host/b": the scheme "ftp" is neither http nor https`,
		`rule "template": cmdline:1: function "FILE" not defined`,
		`rule "probe": the outcome cannot be "probe"`,
		`rule "arch": there is no architecture 6`,
		`rule "firmware": there is no firmware -1`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestRender holds that a Spec which depends on the machine is made when it is
// asked for, and sealed like any other.
func TestRender(t *testing.T) {
	inv, err := NewInventory([]Entry{{Name: "db1", MACs: []net.HardwareAddr{mac("52:54:00:aa:00:01")}}})
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	rules := []Rule{{Name: "all", Action: Action{Do: boot.Boot, Boot: "debian", Render: func(r Request) (*boot.Spec, error) {
		made++
		e := r.Entry
		if e == nil {
			return nil, errors.New("it has no name")
		}
		return &boot.Spec{Kernel: boot.ID("/srv/" + e.Name + "/linux"), Cmdline: "hostname=" + e.Name}, nil
	}}}}
	seal, err := NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := NewTable(seal, NewSources(), inv, rules)
	if err != nil {
		t.Fatal(err)
	}
	db1 := boot.Machine{MAC: mac("52:54:00:aa:00:01")}
	v, err := tab.Decide(context.Background(), db1)
	if err != nil || v.Action != boot.Boot || v.Boot != "debian" || made != 0 {
		t.Errorf("%+v, %v, made %d times; want a verdict and nothing made", v, err, made)
	}
	spec, err := v.SpecFor(db1, "http://192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if source, err := seal.Open(spec.Kernel); source != "/srv/db1/linux" || spec.Cmdline != "hostname=db1" {
		t.Errorf("kernel %q (%v), cmdline %q", source, err, spec.Cmdline)
	}
	if _, err := tab.BootSpec(boot.Machine{MAC: mac("52:54:00:aa:00:02")}); err == nil || err.Error() != "it has no name" {
		t.Errorf("of a stranger: %v", err)
	}
}

// What a boot becomes is made once, however many rules are for it.
func TestRulesForOneBootShareWhatIsPrepared(t *testing.T) {
	action, other := boots("one"), boots("one")
	tab := table(t, Rule{Name: "a", Action: action}, Rule{Name: "b", Action: action}, Rule{Name: "c", Action: other})
	if tab.ready(0).Spec == nil || tab.ready(0).Spec != tab.ready(1).Spec {
		t.Error("two rules of one boot: got a Spec for each")
	}
	if tab.ready(2).Spec == tab.ready(0).Spec {
		t.Error("a rule of another boot: got the Spec of the first")
	}
}
