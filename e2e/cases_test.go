package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// This file is the list of what boots, which the README's table is made of. TestMatrix
// boots it where the build tag e2e is given.

// A platform is a kind of machine, with its firmware.
type platform string

const (
	seabios platform = "BIOS"
	ovmf    platform = "UEFI x64"
	secured platform = "UEFI x64, Secure Boot" // enforced, with Microsoft's keys
	ovmf32  platform = "UEFI ia32"
	aavmf   platform = "UEFI arm64"
	riscv   platform = "UEFI riscv64"
)

// A network is one that a machine boots on: who gives addresses, and how the daemon
// is configured.
type network string

const (
	beside  network = "beside a DHCP server" // which says nothing of booting
	alone   network = "leasing addresses"    // mode = "server", and nobody else
	beside6 network = "beside a DHCPv6 server"
	alone6  network = "leasing IPv6 addresses"
	older   network = "with iPXE of 2019" // beside a DHCP server, with bookworm's loaders
	reserve network = "beside a DHCP server, leasing reserved addresses"
	ignored network = "ignored" // beside a DHCP server; no rule is for the machines
)

// An end is what shows that a boot came out as the rule says.
type end string

const (
	kernel  end = "kernel"        // the kernel printed this machine's own command line
	disk    end = "local disk"    // the machine's disk was booted, after it had asked
	nothing end = "not one frame" // the machine gave up, and nothing of the server's was on its cable
)

// A content is what a case boots: the kernel of its machine's architecture, by one
// of these boot blocks.
type content string

const (
	linux  content = "linux"  // kernel, initrd and command line
	signed content = "signed" // the same, with a shim and the GRUB that it trusts
	grub   content = "grub"   // the same, by a GRUB made for this server's address
	native content = "native" // all in one EFI program
	imaged content = "image"  // kernel and initrd in the ISO image of a CD, and command line
)

// What the firmware is told to leave out, so that what is left comes first.
// OVMF and AAVMF of 2022 have a word for PXE and none for HTTP Boot.
var (
	noPXE   = []string{"IPv4PXESupport", "IPv6PXESupport"}
	noPXEv4 = []string{"IPv4PXESupport"}
	noPXEv6 = []string{"IPv6PXESupport"}
)

// A bootCase is a machine that is switched on, and a row of the README's table.
type bootCase struct {
	machine  string // the kind of machine, and by what it boots
	on       network
	given    string  // what the daemon sends it
	boots    content // linux if empty
	platform platform
	off      []string // what its firmware is told to leave out; UEFI only
	nic      string   // QEMU's device; virtio-net-pci if empty
	plain    bool     // its ROM is none of iPXE's
	loader   string   // the file that it loads to begin with: "TFTP ipxe.efi"; none if empty
	end      end
	waits    bool // its firmware waits in vain for IPv4 or an offer, for a minute, and idles meanwhile
}

// cases are in the order of the README's table.
var cases = []bootCase{
	{machine: "BIOS with iPXE of 2019 in its ROM", on: beside, given: "script", platform: seabios, end: kernel},
	{machine: "BIOS with iPXE of 2019 in its ROM, another NIC", on: beside, given: "script", platform: seabios, nic: "e1000", end: kernel},
	{machine: "BIOS with iPXE of 2019 in its ROM", on: alone, boots: imaged, given: "script, files of an ISO image", platform: seabios, end: kernel},
	{machine: "BIOS", on: beside, given: "undionly.kpxe of 2025", platform: seabios, plain: true, loader: "TFTP undionly.kpxe", end: kernel},
	{machine: "BIOS", on: older, given: "undionly.kpxe of 2019", platform: seabios, plain: true, loader: "TFTP undionly.kpxe", end: kernel},
	{machine: "BIOS, to its own disk", on: beside, given: "script", platform: seabios, end: disk},
	{machine: "BIOS", on: ignored, given: "nothing", platform: seabios, end: disk},
	{machine: "UEFI x64, PXE", on: beside, given: "iPXE of 2025", platform: ovmf, off: noPXEv6, loader: "TFTP ipxe.efi", end: kernel},
	{machine: "UEFI x64, PXE", on: alone, boots: imaged, given: "iPXE of 2025, files of an ISO image", platform: ovmf, off: noPXEv6, loader: "TFTP ipxe.efi", end: kernel},
	{machine: "UEFI x64, PXE", on: older, given: "iPXE of 2019", platform: ovmf, off: noPXEv6, loader: "TFTP ipxe.efi", end: kernel},
	{machine: "UEFI x64, PXE, to its own disk", on: beside, given: "boot menu", platform: ovmf, off: noPXEv6, loader: "GET ipxe.efi", end: disk},
	{machine: "UEFI x64, PXE", on: ignored, given: "nothing", platform: ovmf, end: nothing, waits: true},
	{machine: "UEFI x64, HTTP Boot", on: beside, given: "iPXE of 2025", platform: ovmf, off: noPXE, loader: "GET ipxe.efi", end: kernel},
	{machine: "UEFI x64, PXE over IPv6, then HTTP Boot", on: beside6, given: "iPXE of 2025, by HTTP Boot", platform: ovmf, off: noPXEv4, loader: "GET ipxe.efi", end: kernel, waits: true},
	{machine: "UEFI x64, HTTP Boot over IPv6", on: beside6, given: "iPXE of 2025", platform: ovmf, off: noPXE, loader: "GET ipxe.efi", end: kernel, waits: true},
	{machine: "UEFI x64, PXE over IPv6", on: alone6, given: "iPXE of 2025", platform: ovmf, off: noPXEv4, loader: "TFTP ipxe.efi", end: kernel, waits: true},
	{machine: "UEFI x64, HTTP Boot over IPv6", on: alone6, given: "iPXE of 2025", platform: ovmf, off: noPXE, loader: "GET ipxe.efi", end: kernel, waits: true},
	{machine: "BIOS with iPXE of 2019 in its ROM", on: reserve, boots: signed, given: "script", platform: seabios, end: kernel},
	{machine: "UEFI x64, PXE", on: reserve, boots: signed, given: "shim, GRUB", platform: ovmf, off: noPXEv6, loader: "TFTP shimx64.efi", end: kernel},
	{machine: "UEFI x64, Secure Boot, PXE", on: reserve, boots: signed, given: "shim, GRUB", platform: secured, off: noPXEv6, loader: "TFTP shimx64.efi", end: kernel},
	{machine: "UEFI x64, PXE, unified kernel image", on: beside, boots: native, given: "the image", platform: ovmf, off: noPXEv6, loader: "TFTP bootx64.efi", end: kernel},
	{machine: "UEFI x64, HTTP Boot, unified kernel image", on: beside, boots: native, given: "the image", platform: ovmf, off: noPXE, loader: "GET bootx64.efi", end: kernel},
	{machine: "UEFI ia32, PXE", on: beside, boots: grub, given: "GRUB made for the address", platform: ovmf32, off: noPXEv6, loader: "TFTP grubia32.efi", end: kernel},
	{machine: "UEFI arm64, PXE", on: beside, given: "iPXE of 2025", platform: aavmf, off: noPXEv6, loader: "TFTP ipxe.efi", end: kernel},
	{machine: "UEFI arm64, HTTP Boot", on: beside, given: "iPXE of 2025", platform: aavmf, off: noPXE, loader: "GET ipxe.efi", end: kernel},
	{machine: "UEFI riscv64, PXE", on: beside, given: "iPXE of 2025", platform: riscv, off: noPXEv6, loader: "TFTP ipxe.efi", end: kernel},
}

// A packetCase is a machine for which Debian has no firmware: what it sends is made
// of what is published, and what the daemon answers is held by a test.
type packetCase struct {
	machine string
	on      network
	given   string
	test    string // its package and name
}

var packetCases = []packetCase{
	{"UEFI ia32, PXE", beside, "an iPXE that you name in the `ipxe` block", "protocols/dhcp4.TestOffersPerFirmware"},
	{"UEFI loongarch64, PXE", beside, "iPXE of 2025", "protocols/dhcp4.TestPacketsOfFirmware"},
	{"iPXE of 2026 in the ROM", beside, "script", "protocols/dhcp4.TestOffersPerFirmware"},
	{"Raspberry Pi 3, 4 and 5", beside, "its firmware, `config.txt`", "protocols/dhcp4.TestPacketsOfFirmware"},
	{"U-Boot", alone, "`extlinux.conf`", "protocols/dhcp4.TestUBootIsAnsweredWithAnAddress"},
	{"U-Boot that asks a ProxyDHCP", beside, "`extlinux.conf`", "protocols/dhcp4.TestPacketsOfFirmware"},
}

var update = flag.Bool("update", false, "write the README's table of what boots anew")

// The README says of every machine what it is given, and by what that is shown:
// nothing that is not in the lists above, and nothing less.
func TestREADME(t *testing.T) {
	const path, begin, end = "../README.md", "<!-- what boots: made of e2e/cases_test.go by `make docs` -->\n", "<!-- end -->\n"
	var b strings.Builder
	b.WriteString("| machine | network | is given | shown by |\n| --- | --- | --- | --- |\n")
	for _, c := range cases {
		fmt.Fprintf(&b, "| %s | %s | %s | a boot in QEMU |\n", c.machine, c.on, c.given)
	}
	for _, c := range packetCases {
		fmt.Fprintf(&b, "| %s | %s | %s | packets |\n", c.machine, c.on, c.given)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: no table between %q and %q", path, begin, end)
	}
	if got == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the lists say; `make docs` writes\n%s", path, b.String())
	}
	if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What is shown by packets is shown by a test that there is.
func TestPacketCasesNameTheirTests(t *testing.T) {
	for _, c := range packetCases {
		dir, name, _ := strings.Cut(c.test, ".")
		files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			there = there || regexp.MustCompile(`(?m)^func `+regexp.QuoteMeta(name)+`\(`).Match(src)
		}
		if !there {
			t.Errorf("%s: there is no test %s", c.machine, c.test)
		}
	}
}
