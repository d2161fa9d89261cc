package boot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryWordOfTheLanguageReadsBack(t *testing.T) {
	for i, name := range ArchitectureNames() {
		a, err := ParseArchitecture(name)
		if err != nil || a != Architecture(i) || a.Name() != name {
			t.Errorf("architecture %q: got %v, %v", name, a, err)
		}
	}
	for _, f := range Platforms() {
		got, err := ParseFirmware(f.String())
		if diff := cmp.Diff([]Firmware{f}, got); diff != "" || err != nil {
			t.Errorf("firmware %q: %v %s", f, err, diff)
		}
	}
	for _, word := range FirmwareWords() {
		if _, err := ParseFirmware(word); err != nil {
			t.Errorf("%q: %v", word, err)
		}
	}
	uefi, err := ParseFirmware("uefi")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range uefi {
		if !f.UEFI() {
			t.Errorf("uefi stands for %s", f)
		}
	}
	for _, bad := range []string{"", "BIOS", "bios-ipxe", "pixiecore-ipxe"} {
		if f, err := ParseFirmware(bad); err == nil {
			t.Errorf("firmware %q is %v", bad, f)
		}
	}
	if a, err := ParseArchitecture("amd64"); err == nil {
		t.Errorf("amd64 is %v", a)
	}
}

// The original's numbers and words are in programs and URLs.
func TestTheOriginalsConstantsKeepTheirValues(t *testing.T) {
	got := []int{int(ArchIA32), int(ArchX64), int(FirmwareX86PC), int(FirmwareEFI32), int(FirmwareEFI64), int(FirmwareEFIBC), int(FirmwareX86Ipxe), int(FirmwarePixiecoreIpxe)}
	if diff := cmp.Diff([]int{0, 1, 0, 1, 2, 3, 4, 5}, got); diff != "" {
		t.Error(diff)
	}
	if ArchIA32.String() != "IA32" || ArchX64.String() != "X64" || Architecture(99).String() != "Unknown architecture" {
		t.Errorf("got %s, %s, %s", ArchIA32, ArchX64, Architecture(99))
	}
}

func TestEachArchitectureTypeIsAPossiblePlatform(t *testing.T) {
	for typ, p := range archTypes {
		if !Possible(p.Arch, p.Firmware) {
			t.Errorf("type %d: %s with %s is not possible", typ, p.Arch.Name(), p.Firmware)
		}
	}
	for _, no := range []Platform{{Arch: ArchARM64, Firmware: FirmwareX86PC}, {Arch: ArchX64, Firmware: FirmwareEFI32}, {Arch: ArchIA32, Firmware: FirmwareEFIARM64}} {
		if Possible(no.Arch, no.Firmware) {
			t.Errorf("%s with %s is possible", no.Arch.Name(), no.Firmware)
		}
	}
	if _, ok := ArchType(2).Platform(); ok {
		t.Error("Itanium boots")
	}
}

func TestOnlyABIOSLeavesTheArchitectureOpen(t *testing.T) {
	for _, tc := range []struct {
		m    Machine
		want bool
	}{
		{Machine{Firmware: FirmwareX86PC}, false},
		{Machine{Firmware: FirmwareX86PC, Probed: true}, true},
		{Machine{Firmware: FirmwareX86PC, Arch: ArchX64}, true}, // a library's user says so
		{Machine{Firmware: FirmwareEFI32}, true},
	} {
		if got := tc.m.ArchCertain(); got != tc.want {
			t.Errorf("%+v: got %t", tc.m, got)
		}
	}
}
