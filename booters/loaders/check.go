package loaders

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// Offsets in a PE image: Microsoft PE/COFF specification, "Overview", "COFF
// File Header" and "Optional Header Windows-Specific Fields".
const (
	peOffset        = 0x3c // in the DOS header: where the signature stands
	coffMachine     = 4    // behind the signature
	coffSize        = 20
	peSubsystem     = 4 + coffSize + 68 // the same in PE32 and PE32+
	efiApplication  = 10
	linuxMagic      = 0x202   // "HdrS", in the header of a bzImage
	bootSectorMagic = 0x1fe   // 55 AA, in a disk's first sector
	maxBIOS         = 0x98400 // bytes from 0000:7C00, where the ROM puts the program, to the end of base memory
	minSize         = 4 << 10 // bytes; stock loaders have 70 kB and more
)

// peImage reads the machine type and subsystem of a PE image.
func peImage(b []byte) (machine, subsystem uint16, ok bool) {
	if len(b) < peOffset+4 || b[0] != 'M' || b[1] != 'Z' {
		return 0, 0, false
	}
	at := uint64(binary.LittleEndian.Uint32(b[peOffset:]))
	if at+peSubsystem+2 > uint64(len(b)) || string(b[at:at+4]) != "PE\x00\x00" {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint16(b[at+coffMachine:]), binary.LittleEndian.Uint16(b[at+peSubsystem:]), true
}

// otherMachine says for what else than k an EFI program is; empty if it is
// for k, or no EFI program.
func otherMachine(k kind, b []byte) string {
	machine, _, ok := peImage(b)
	switch {
	case !ok || machine == k.machine:
		return ""
	case k.machine == 0:
		return "an EFI program for " + machineName(machine) + ", not a program of the BIOS"
	default:
		return "an EFI program for " + machineName(machine) + ", not for " + machineName(k.machine)
	}
}

// machineName is the architecture that PE machine type m belongs to, as the
// configuration names it.
func machineName(m uint16) string {
	switch m {
	case peI386:
		return boot.ArchIA32.Name()
	case peX64:
		return boot.ArchX64.Name()
	case peThumb:
		return boot.ArchARM32.Name()
	case peARM64:
		return boot.ArchARM64.Name()
	case peRISCV64:
		return boot.ArchRISCV64.Name()
	case peLoongArch64:
		return boot.ArchLoongArch64.Name()
	}
	return fmt.Sprintf("machine type %#04x", m)
}

// doubt says what is odd about a loader, as a clause that can follow its path.
func doubt(k kind, b []byte) string {
	if len(b) < minSize {
		return fmt.Sprintf("only %d bytes: cut short?", len(b))
	}
	if _, known := kindOf(k.firmware); !known {
		return ""
	}
	if other := otherMachine(k, b); other != "" {
		return other
	}
	if k.machine == 0 {
		return doubtBIOS(b)
	}
	_, subsystem, ok := peImage(b)
	switch {
	case !ok:
		return "not an EFI program (no PE header)"
	case subsystem != efiApplication:
		return fmt.Sprintf("not an EFI application but of subsystem %d: an .efidrv or .efirom?", subsystem)
	}
	return ""
}

// doubtBIOS tells the programs of the BIOS (PXE 2.1 §4.4.5 loads them to
// 0000:7C00 and jumps to the first byte) from what lies beside them under
// similar names. They have no header, so that is all that can be said.
func doubtBIOS(b []byte) string {
	switch {
	case len(b) >= linuxMagic+4 && string(b[linuxMagic:linuxMagic+4]) == "HdrS":
		return "a Linux kernel image (ipxe.lkrn?), not a program of the BIOS"
	case bytes.HasPrefix(b, []byte("\x7fELF")):
		return "an ELF file, not a program of the BIOS"
	case bytes.HasPrefix(b, []byte("#!")):
		return "a script, not a program of the BIOS"
	case b[0] == 0x55 && b[1] == 0xaa:
		return "an option ROM (ipxe.rom?), not a program of the BIOS"
	case len(b) > maxBIOS:
		return fmt.Sprintf("%d bytes do not fit into base memory: a disk or ISO image?", len(b))
	case b[bootSectorMagic] == 0x55 && b[bootSectorMagic+1] == 0xaa:
		return "a disk image (ipxe.usb?), not a program of the BIOS"
	case b[0] == 0 && b[1] == 0:
		return "does not begin with code: not a program of the BIOS"
	}
	return ""
}

// ipxeVersion finds what an EFI build of iPXE says of itself: in the section
// .sbat (since 2023), else in its product name and version strings. The BIOS
// builds are compressed and say nothing.
var ipxeVersion = regexp.MustCompile(`iPXE(?:,[^,\n]{1,64},|\x00{1,32})([0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+~-]{0,95})[,\x00]`)

// version reads iPXE's version out of an EFI build; empty if it says none.
func version(b []byte) string {
	if m := ipxeVersion.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return ""
}
