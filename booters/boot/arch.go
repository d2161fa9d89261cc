package boot

import (
	"fmt"
	"slices"
)

// Architecture describes a kind of CPU architecture.
type Architecture int

// Architecture types that Pixiecore knows how to boot.
//
// These architectures are self-reported by the booting machine. The machine
// may support additional execution modes. For example, legacy PC BIOS reports
// itself as an ArchIA32, but may also support ArchX64 execution.
const (
	// ArchIA32 is a 32-bit x86 machine. It may also support X64 execution,
	// which only the CPU itself can say: see Machine.ArchCertain.
	ArchIA32 Architecture = iota
	// ArchX64 is a 64-bit x86 machine (aka amd64 aka X64).
	ArchX64
	// ArchARM32 is a 32-bit ARM machine.
	ArchARM32
	// ArchARM64 is a 64-bit ARM machine (aka aarch64).
	ArchARM64
	// ArchRISCV64 is a 64-bit RISC-V machine.
	ArchRISCV64
	// ArchLoongArch64 is a 64-bit LoongArch machine.
	ArchLoongArch64
)

// archNames are the words of the configuration language, in the order of the constants.
var archNames = [...]string{"ia32", "x64", "arm32", "arm64", "riscv64", "loongarch64"}

// String returns the original's spelling for its two architectures (IA32,
// X64) and the configuration's word for the others.
func (a Architecture) String() string {
	switch {
	case a == ArchIA32:
		return "IA32"
	case a == ArchX64:
		return "X64"
	case a >= 0 && int(a) < len(archNames):
		return archNames[a]
	default:
		return "Unknown architecture"
	}
}

// Name is the word of the configuration language: "ia32", "x64", "arm32",
// "arm64", "riscv64" or "loongarch64"; "unknown" for anything else.
func (a Architecture) Name() string {
	if a < 0 || int(a) >= len(archNames) {
		return "unknown"
	}
	return archNames[a]
}

// ArchitectureNames lists the configuration's words for architectures.
func ArchitectureNames() []string { return slices.Clone(archNames[:]) }

// ParseArchitecture reads one of ArchitectureNames.
func ParseArchitecture(name string) (Architecture, error) {
	if i := slices.Index(archNames[:], name); i >= 0 {
		return Architecture(i), nil
	}
	return 0, fmt.Errorf("architecture %q: not one of %v", name, archNames)
}

// Firmware describes a kind of firmware attempting to boot.
//
// It selects the boot loader; kernel selection should key off the more generic
// Architecture.
type Firmware int

// The firmware that Pixiecore knows how to handle. The first six have the
// numbers of the original.
const (
	FirmwareX86PC          Firmware = iota // "Classic" x86 BIOS with PXE/UNDI support
	FirmwareEFI32                          // 32-bit x86 processor running EFI
	FirmwareEFI64                          // 64-bit x86 processor running EFI
	FirmwareEFIBC                          // 64-bit x86 processor running EFI, announced as EFI byte code
	FirmwareX86Ipxe                        // "Classic" x86 BIOS running iPXE (no UNDI support); names a loader only, see Snapshot.Loader
	FirmwarePixiecoreIpxe                  // Pixiecore's iPXE, which has replaced the underlying firmware; only in Server.Ipxe of the original
	FirmwareEFIARM32                       // 32-bit ARM processor running EFI
	FirmwareEFIARM64                       // 64-bit ARM processor running EFI
	FirmwareEFIRISCV64                     // 64-bit RISC-V processor running EFI
	FirmwareEFILoongArch64                 // 64-bit LoongArch processor running EFI
	FirmwareRPi                            // Raspberry Pi's boot ROM, announced as such
	FirmwareUBoot                          // U-Boot
)

// firmwareNames are the words of the configuration language.
var firmwareNames = map[Firmware]string{
	FirmwareX86PC:          "bios",
	FirmwareEFI32:          "efi32",
	FirmwareEFI64:          "efi64",
	FirmwareEFIBC:          "efibc",
	FirmwareEFIARM32:       "efi-arm32",
	FirmwareEFIARM64:       "efi-arm64",
	FirmwareEFIRISCV64:     "efi-riscv64",
	FirmwareEFILoongArch64: "efi-loongarch64",
	FirmwareRPi:            "rpi",
	FirmwareUBoot:          "uboot",
	FirmwareX86Ipxe:        "bios-ipxe",
	FirmwarePixiecoreIpxe:  "pixiecore-ipxe",
}

// platforms are the firmwares that a Machine can have, in the order in which
// they are listed to people.
var platforms = []Firmware{
	FirmwareX86PC, FirmwareEFI32, FirmwareEFI64, FirmwareEFIBC, FirmwareEFIARM32, FirmwareEFIARM64,
	FirmwareEFIRISCV64, FirmwareEFILoongArch64, FirmwareRPi, FirmwareUBoot,
}

// Platforms lists the firmwares that a Machine can have.
func Platforms() []Firmware { return slices.Clone(platforms) }

// String is the word of the configuration language ("bios", "efi64", …).
func (f Firmware) String() string {
	if s, ok := firmwareNames[f]; ok {
		return s
	}
	return fmt.Sprintf("firmware %d", int(f))
}

// UEFI reports whether the firmware is a UEFI of any processor.
func (f Firmware) UEFI() bool {
	switch f {
	case FirmwareEFI32, FirmwareEFI64, FirmwareEFIBC, FirmwareEFIARM32, FirmwareEFIARM64, FirmwareEFIRISCV64, FirmwareEFILoongArch64:
		return true
	}
	return false
}

// Board reports whether the firmware boots by files of its own kind, and runs no
// network boot program: Raspberry Pi's, and U-Boot's.
func (f Firmware) Board() bool { return f == FirmwareRPi || f == FirmwareUBoot }

// ParseFirmware reads a word of the configuration language. "uefi" stands for
// every UEFI firmware, so one word may name several.
func ParseFirmware(name string) ([]Firmware, error) {
	var all []Firmware
	for _, f := range platforms {
		if firmwareNames[f] == name || name == "uefi" && f.UEFI() {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("firmware %q: not one of %v", name, FirmwareWords())
	}
	return all, nil
}

// FirmwareWords lists what ParseFirmware accepts.
func FirmwareWords() []string {
	words := []string{"bios", "uefi"}
	for _, f := range platforms[1:] {
		words = append(words, firmwareNames[f])
	}
	return words
}

// ArchType is a value of the IANA registry "Processor Architecture Types",
// which a client sends in DHCPv4 option 93 (RFC 4578 §2.1) and DHCPv6 option
// 61 (RFC 5970 §3.3).
type ArchType uint16

// Platform is what an ArchType says of a machine.
type Platform struct {
	Arch     Architecture
	Firmware Firmware
	HTTP     bool // the client boots by HTTP, not by TFTP ("HTTPClient")
}

// archTypes is the registry, as far as machines of today send it.
var archTypes = map[ArchType]Platform{
	0x00: {ArchIA32, FirmwareX86PC, false}, // says nothing about 64 bits
	0x06: {ArchIA32, FirmwareEFI32, false},
	0x07: {ArchX64, FirmwareEFI64, false},
	0x09: {ArchX64, FirmwareEFIBC, false},
	0x0a: {ArchARM32, FirmwareEFIARM32, false},
	0x0b: {ArchARM64, FirmwareEFIARM64, false},
	0x0f: {ArchIA32, FirmwareEFI32, true},
	0x10: {ArchX64, FirmwareEFI64, true},
	0x11: {ArchX64, FirmwareEFIBC, true},
	0x12: {ArchARM32, FirmwareEFIARM32, true},
	0x13: {ArchARM64, FirmwareEFIARM64, true},
	0x14: {ArchIA32, FirmwareX86PC, true},
	0x15: {ArchARM32, FirmwareUBoot, false},
	0x16: {ArchARM64, FirmwareUBoot, false},
	0x17: {ArchARM32, FirmwareUBoot, true},
	0x18: {ArchARM64, FirmwareUBoot, true},
	0x1b: {ArchRISCV64, FirmwareEFIRISCV64, false},
	0x1c: {ArchRISCV64, FirmwareEFIRISCV64, true},
	0x27: {ArchLoongArch64, FirmwareEFILoongArch64, false},
	0x28: {ArchLoongArch64, FirmwareEFILoongArch64, true},
	0x29: {ArchARM64, FirmwareRPi, false},
}

// Platform looks the type up; ok is false for a type that nothing here boots.
func (t ArchType) Platform() (p Platform, ok bool) {
	p, ok = archTypes[t]
	return p, ok
}

// Possible reports whether some ArchType announces firmware f on a machine
// that may turn out to be of architecture a. A BIOS may be either x86.
func Possible(a Architecture, f Firmware) bool {
	if f == FirmwareX86PC {
		return a == ArchIA32 || a == ArchX64
	}
	for _, p := range archTypes {
		if p.Arch == a && p.Firmware == f {
			return true
		}
	}
	return false
}

// EFISuffix is what UEFI puts behind the names of programs for an architecture, as
// in BOOTX64.EFI, in lower case (UEFI 2.10 §3.5.1.1, table 3.2).
func (a Architecture) EFISuffix() string {
	switch a {
	case ArchIA32:
		return "ia32"
	case ArchARM32:
		return "arm"
	case ArchARM64:
		return "aa64"
	default:
		return a.Name()
	}
}
