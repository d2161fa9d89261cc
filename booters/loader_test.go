package booters

import (
	"errors"
	"testing"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// A rule that does without iPXE decides before one that iPXE would have to be asked
// for; a machine that has no loader but iPXE loses nothing by being asked.
func TestARuleOfAnotherLoaderBehindAnUnknownOne(t *testing.T) {
	serial, err := ParseGlob("X*")
	if err != nil {
		t.Fatal(err)
	}
	unknown := Rule{Name: "asks", Match: Match{Further: &Further{Serials: []Glob{serial}}}, Action: boots("a")}
	by := func(l boot.Loader) Rule {
		r := Rule{Name: "all", Action: boots("b")}
		r.Action.Loader = l
		return r
	}
	uefi := boot.Machine{MAC: make([]byte, 6), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Facts: &boot.Facts{Known: boot.DHCPFacts}}
	bios := uefi
	bios.Firmware = boot.FirmwareX86PC
	for _, tc := range []struct {
		loader boot.Loader
		m      boot.Machine
		probe  bool
		want   boot.Action
	}{
		{boot.LoaderShim, uefi, false, boot.Boot},
		{boot.LoaderGRUB, uefi, false, boot.Boot},
		{boot.LoaderNative, uefi, false, boot.Boot},
		{boot.LoaderShim, uefi, true, boot.Probe},
		{boot.LoaderShim, bios, false, boot.Probe},
		{boot.LoaderAuto, uefi, false, boot.Probe},
		{boot.LoaderSNPOnly, uefi, false, boot.Probe},
	} {
		first := unknown
		first.Probe = tc.probe
		tab := table(t, first, by(tc.loader))
		v := decide(t, tab, tc.m)
		if v.Action != tc.want {
			t.Errorf("%s on %s, probe %t: got %s, want %s", tc.loader, tc.m.Firmware, tc.probe, v.Action, tc.want)
		}
		if x := tab.Explain(tc.m); x.Verdict.Action != v.Action || x.Verdict.Rule != v.Rule {
			t.Errorf("%s on %s: Explain says %s by %q, Decide %s by %q", tc.loader, tc.m.Firmware, x.Verdict.Action, x.Verdict.Rule, v.Action, v.Rule)
		}
		if v.Action == boot.Boot && v.Loader != tc.loader {
			t.Errorf("the verdict says loader %s, want %s", v.Loader, tc.loader)
		}
	}
}

func TestProgramsAreSealedAsKernelsAre(t *testing.T) {
	r := Rule{Name: "all", Action: boots("b")}
	r.Action.Loader = boot.LoaderShim
	r.Action.Programs = func(q Request) (boot.Programs, error) {
		if q.Machine.Arch == boot.ArchARM64 {
			return boot.Programs{}, errors.New("no label")
		}
		return boot.Programs{Shim: "/srv/shim", GRUB: "https://example.org/grub"}, nil
	}
	tab := table(t, r)
	m := boot.Machine{MAC: make([]byte, 6), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
	p, err := decide(t, tab, m).Programs(m)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[boot.ID]string{p.Shim: "/srv/shim", p.GRUB: "https://example.org/grub"} {
		if got, err := tab.seal.Open(id); err != nil || got != want {
			t.Errorf("%s opens as %q, %v; want %q", id, got, err, want)
		}
	}
	m.Arch = boot.ArchARM64
	if _, err := decide(t, tab, m).Programs(m); err == nil {
		t.Error("the error of what is rendered is lost")
	}
}
