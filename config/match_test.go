package config

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters"
	"github.com/pixiecore/pixiecore/booters/boot"
)

// TestWhen holds what a condition says of machines of which more or less is
// known.
func TestWhen(t *testing.T) {
	known := func(f boot.Facts) *boot.Facts { return &f }
	mac := func(s string) net.HardwareAddr {
		hw, err := net.ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		return hw
	}
	var (
		bios    = boot.Machine{MAC: mac("52:54:00:aa:00:09"), Arch: boot.ArchIA32, Firmware: boot.FirmwareX86PC}
		uefi    = boot.Machine{MAC: mac("52:54:00:aa:00:09"), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
		db1     = boot.Machine{MAC: mac("52:54:00:aa:00:01"), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64}
		serial  = boot.Machine{MAC: mac("52:54:00:aa:00:09"), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Probed: true, Facts: known(boot.Facts{Known: boot.FactSerial, Serial: "X7"})}
		probed  = boot.Machine{MAC: mac("52:54:00:aa:00:09"), Arch: boot.ArchX64, Firmware: boot.FirmwareX86PC, Probed: true, Facts: known(boot.Facts{})}
		relayed = boot.Machine{MAC: mac("52:54:00:aa:00:09"), Arch: boot.ArchX64, Firmware: boot.FirmwareEFI64, Facts: known(boot.Facts{Known: boot.FactIPXE | boot.FactUserClass, IPXE: true})}
	)
	for _, tt := range []struct {
		when    string
		name    string
		machine boot.Machine
		want    booters.Truth
	}{
		{`machine.mac == "52:54:00:aa:00:01"`, "db1", db1, booters.True},
		{`machine.name == "db1"`, "db1", db1, booters.True},
		{`machine.name == "52-54-00-aa-00-09"`, "a stranger", uefi, booters.Unknown}, // by its UUID it may be big
		{`machine.name == "52-54-00-aa-00-09"`, "a stranger after iPXE", probed, booters.True},
		{`machine.labels.role == "db"`, "db1", db1, booters.True},
		{`machine.labels.rack == "a1"`, "db1, without that label", db1, booters.False},
		{`machine.labels.rack != "a1"`, "db1, without that label", db1, booters.False},
		{`try(machine.labels.rack, "none") == "none"`, "db1, without that label", db1, booters.True},
		{`machine.labels.role == "db"`, "a stranger after iPXE", probed, booters.False},
		{`machine.arch == "x64"`, "BIOS", bios, booters.Unknown},
		{`contains(["ia32", "x64"], machine.arch)`, "BIOS", bios, booters.True},
		{`machine.arch == "ia32" || machine.arch == "x64"`, "BIOS", bios, booters.True},
		{`machine.arch == "arm64"`, "BIOS", bios, booters.False},
		{`machine.arch == "x64"`, "BIOS after iPXE", probed, booters.True},
		{`machine.firmware == "efi64" && machine.arch == "x64"`, "UEFI", uefi, booters.True},
		{`machine.serial == "X7"`, "UEFI", uefi, booters.Unknown},
		{`machine.serial == "X7"`, "that serial", serial, booters.True},
		{`machine.serial != "X7"`, "that serial", serial, booters.False},
		{`machine.serial == "X7" || machine.firmware == "efi64"`, "UEFI", uefi, booters.True},
		{`machine.serial == "X7" && machine.firmware == "bios"`, "UEFI", uefi, booters.False},
		{`machine.serial == "X7"`, "no serial after iPXE", probed, booters.Unknown}, // which booters takes for missing
		{`machine.ipxe`, "iPXE", relayed, booters.True},
		{`machine.user_class == ""`, "a request without one", relayed, booters.True},
		{`tonumber(machine.user_class) > 1`, "a request without one", relayed, booters.False},
	} {
		src := fmt.Sprintf(`listener "http" {}
machine "db1" {
  mac    = "52:54:00:aa:00:01"
  labels = { role = "db" }
}
machine "big" { uuid = "4c4c4544-0042-3510-8053-b4c04f463433" }
rule "r" {
  match {
    when = %s
  }
  probe = true
  local = true
}
`, tt.when)
		cfg, report := Parse("pixiecore.hcl", []byte(src))
		if cfg == nil {
			t.Errorf("%s: %v: %v", tt.when, report.Err(), report.Problems())
			continue
		}
		if got := cfg.Rules[0].Match.Further.When(tt.machine, cfg.Inventory.Lookup(tt.machine)); got != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.when, tt.name, got, tt.want)
		}
	}
}

// What a when says is its text, with the values of what is not the machine's.
func TestWhenText(t *testing.T) {
	const src = `
listener "http" {}
locals {
  racks = ["a1", "a2"]
}
rule "one" {
  for_each = { x = "S1", y = "S2" }
  match {
    when = machine.serial == each.value && contains([for r in local.racks : lower(r)], try(machine.labels.rack, ""))
    mac  = "52:54:00:*"
  }
  ignore = true
}
`
	texts := func(src string) [2]string {
		t.Helper()
		cfg, report := Parse("pixiecore.hcl", []byte(src))
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		return [2]string{cfg.Rules[0].Match.Further.WhenText, cfg.Rules[1].Match.Further.WhenText}
	}
	was := texts(src)
	if was[0] == was[1] {
		t.Error("two instances say the same")
	}
	for _, tc := range []struct {
		name, old, new string
		differ         [2]bool
	}{
		{"the same", "", "", [2]bool{}},
		{"the same by a function", `"a2"`, `lower("A2")`, [2]bool{}},
		{"a local value", `"a2"`, `"a3"`, [2]bool{true, true}},
		{"each.value of one", `"S2"`, `"S3"`, [2]bool{false, true}},
		{"what is written", "lower(r)", "upper(r)", [2]bool{true, true}},
		{"another condition", `mac  = "52:54:00:*"`, `mac  = "52:54:01:*"`, [2]bool{}},
	} {
		got := texts(strings.Replace(src, tc.old, tc.new, 1))
		if differ := [2]bool{got[0] != was[0], got[1] != was[1]}; differ != tc.differ {
			t.Errorf("%s: differ %v, want %v", tc.name, differ, tc.differ)
		}
	}
}
