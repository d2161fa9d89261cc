package loaders

import (
	"path"
	"slices"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// The machine types of PE/COFF that UEFI loads: UEFI 2.10 §2.1.1, table 2.1.
const (
	peI386        = 0x014c
	peThumb       = 0x01c2 // ARM with Thumb interworking: what UEFI calls ARM
	peX64         = 0x8664
	peARM64       = 0xaa64
	peRISCV64     = 0x5064
	peLoongArch64 = 0x6264
)

// A kind is what one firmware needs.
type kind struct {
	firmware boot.Firmware
	like     boot.Firmware // whose configured path serves this one, unless it has its own
	names    []string      // below a directory, in the order of preference
	machine  uint16        // of the PE header; 0 for a program of the BIOS
	mend     string        // what the operator can do when there is none
}

const (
	mendPackage = "`apt install ipxe` brings it, or build pixiecore after `make firmware`"
	mendTrixie  = "`apt install ipxe` brings it from Debian 13 on, or build pixiecore after `make firmware`"
)

// mendBuild is for processors for which Debian's package has no iPXE.
func mendBuild(target, word string) string {
	return "no Debian package has it: build " + target + " of iPXE and name the file in `ipxe { " + word + " = \"…\" }`"
}

// kinds names the files as they are called by Debian (bookworm: undionly.kpxe,
// snponly.efi and ipxe.efi; trixie: those and ipxe-amd64.efi, ipxe-arm64.efi,
// ipxe-riscv64.efi, ipxe-loong64.efi), by Fedora (ipxe-snponly-x86_64.efi,
// ipxe-x86_64.efi, ipxe-i386.efi, arm64-efi/…) and by iPXE's documentation. A
// Raspberry Pi's boot ROM and U-Boot are not here: they load no iPXE by
// themselves.
func kinds() []kind {
	x64 := []string{"snponly.efi", "ipxe-snponly-x86_64.efi", "ipxe.efi", "ipxe-amd64.efi", "ipxe-x86_64.efi"}
	return []kind{
		{boot.FirmwareX86PC, boot.FirmwareX86PC, []string{"undionly.kpxe"}, 0, mendPackage},
		{boot.FirmwareEFI32, boot.FirmwareEFI32, []string{"snponly-ia32.efi", "ipxe-ia32.efi", "ipxe-i386.efi"}, peI386, mendBuild("bin-i386-efi/snponly.efi", "efi32")},
		{boot.FirmwareEFI64, boot.FirmwareEFI64, x64, peX64, mendPackage},
		{boot.FirmwareEFIBC, boot.FirmwareEFI64, x64, peX64, mendPackage},
		{boot.FirmwareEFIARM32, boot.FirmwareEFIARM32, []string{"snponly-arm32.efi", "ipxe-arm32.efi"}, peThumb, mendBuild("bin-arm32-efi/snponly.efi", "arm32")},
		{boot.FirmwareEFIARM64, boot.FirmwareEFIARM64, []string{"snponly-arm64.efi", "arm64-efi/snponly.efi", "ipxe-arm64.efi", "arm64-efi/ipxe.efi"}, peARM64, mendTrixie},
		{boot.FirmwareEFIRISCV64, boot.FirmwareEFIRISCV64, []string{"snponly-riscv64.efi", "ipxe-riscv64.efi"}, peRISCV64, mendTrixie},
		{boot.FirmwareEFILoongArch64, boot.FirmwareEFILoongArch64, []string{"snponly-loong64.efi", "ipxe-loong64.efi"}, peLoongArch64, mendTrixie},
	}
}

// buildOf tells iPXE's two builds apart by the file's name, as all that distribute them
// do: neither says what it is. The BIOS has one only.
func buildOf(name string) boot.Loader {
	switch {
	case path.Ext(name) != ".efi":
		return boot.LoaderAuto
	case strings.Contains(name, "snponly"):
		return boot.LoaderSNPOnly
	default:
		return boot.LoaderIPXE
	}
}

// kindOf is the row for f; ok is false for a firmware that has only what is
// configured.
func kindOf(f boot.Firmware) (k kind, ok bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.firmware == f })
	if i < 0 {
		return kind{firmware: f, like: f}, false
	}
	return all[i], true
}
