//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unicode/utf16"
)

// diskSize is that of an installed disk, in bytes.
const diskSize = 8 << 20

// diskImage makes what an installer writes: a disk that a BIOS boots by its boot sector,
// and UEFI by the program in its EFI system partition (UEFI 2.10 §13.3.1). Both print the
// text.
func diskImage(t *testing.T, platform platform, text string) []byte {
	t.Helper()
	if platform == seabios {
		return append(bootSector(text), make([]byte, diskSize-512)...)
	}
	dir := t.TempDir()
	image, program := filepath.Join(dir, "disk"), filepath.Join(dir, "BOOTX64.EFI")
	const first = 2048 // sector of the partition
	mbr := make([]byte, diskSize)
	entry := mbr[446:]
	entry[4] = 0xef // UEFI 2.10 §5.2.2: an EFI system partition
	binary.LittleEndian.PutUint32(entry[8:], first)
	binary.LittleEndian.PutUint32(entry[12:], diskSize/512-first)
	mbr[510], mbr[511] = 0x55, 0xaa
	for path, data := range map[string][]byte{image: mbr, program: efiProgram(text)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	partition := image + "@@1M"
	for _, args := range [][]string{
		{"mformat", "-i", partition, "-T", "14336", "-h", "16", "-s", "32", "::"},
		{"mmd", "-i", partition, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", partition, program, "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(b, "\x00") // the rest of an empty disk is that already
}

// bootSector makes the first sector of a disk that writes text to the first
// serial port and stops.
func bootSector(text string) []byte {
	code := []byte{
		0x31, 0xc0, //       xor ax, ax
		0x8e, 0xd8, //       mov ds, ax
		0xfc,             // cld
		0xbe, 0x22, 0x7c, // mov si, 0x7c00+34: the text
		0xac,       // next: lodsb
		0x84, 0xc0, //       test al, al
		0x74, 0x12, //       jz done
		0x88, 0xc4, //       mov ah, al
		0xba, 0xfd, 0x03, // mov dx, 0x3fd: line status
		0xec,       // wait: in al, dx
		0xa8, 0x20, //       test al, 0x20: may the next byte be written?
		0x74, 0xfb, //       jz wait
		0xba, 0xf8, 0x03, // mov dx, 0x3f8: data
		0x88, 0xe0, //       mov al, ah
		0xee,       //       out dx, al
		0xeb, 0xe9, //       jmp next
		0xf4,       // done: hlt
		0xeb, 0xfd, //       jmp done
	}
	sector := make([]byte, 512)
	copy(sector[copy(sector, code):510-1], "\r\n"+text+"\r\n")
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// efiProgram makes an EFI application for x64 that writes text to the console
// and turns the machine off (UEFI 2.10 §12.4.3 OutputString, §8.5.1
// ResetSystem; the offsets are those of §4.3 and §4.5).
func efiProgram(text string) []byte {
	code := []byte{
		0x53,                   // push rbx
		0x48, 0x83, 0xec, 0x20, // sub rsp, 32
		0x48, 0x89, 0xd3, //       mov rbx, rdx: the system table
		0x48, 0x8b, 0x4b, 0x40, // mov rcx, [rbx+0x40]: ConOut
		0x48, 0x8d, 0x15, 0x1b, 0, 0, 0, // lea rdx, [rip+27]: the text
		0xff, 0x51, 0x08, //       call [rcx+8]: OutputString
		0x48, 0x8b, 0x43, 0x58, // mov rax, [rbx+0x58]: RuntimeServices
		0xb9, 0x02, 0, 0, 0, //    mov ecx, 2: EfiResetShutdown
		0x31, 0xd2, //             xor edx, edx
		0x45, 0x31, 0xc0, //       xor r8d, r8d
		0x45, 0x31, 0xc9, //       xor r9d, r9d
		0xff, 0x50, 0x68, //       call [rax+0x68]: ResetSystem
		0xeb, 0xfe, //             jmp $
		0x90, 0x90, //             up to the text
	}
	for _, u := range utf16.Encode([]rune("\r\n" + text + "\r\n\x00")) {
		code = binary.LittleEndian.AppendUint16(code, u)
	}

	const (
		page    = 0x1000 // where the one section is loaded, and its alignment
		headers = 0x200  // bytes of the file in front of it
		pe      = 0x40
	)
	b := make([]byte, headers+page)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], pe)
	copy(b[pe:], "PE\x00\x00")
	coff := b[pe+4:]
	le.PutUint16(coff[0:], 0x8664)    // x64
	le.PutUint16(coff[2:], 1)         // sections
	le.PutUint16(coff[16:], 112+16*8) // size of the optional header
	le.PutUint16(coff[18:], 0x0022)   // executable, large addresses
	opt := coff[20:]
	le.PutUint16(opt[0:], 0x020b) // PE32+
	le.PutUint32(opt[4:], page)   // size of code
	le.PutUint32(opt[16:], page)  // entry point
	le.PutUint32(opt[20:], page)  // base of code
	le.PutUint32(opt[32:], page)  // section alignment
	le.PutUint32(opt[36:], headers)
	le.PutUint32(opt[56:], 2*page) // size of the image
	le.PutUint32(opt[60:], headers)
	le.PutUint16(opt[68:], 10)  // EFI application
	le.PutUint32(opt[108:], 16) // data directories, all empty
	section := opt[112+16*8:]
	copy(section, ".text")
	le.PutUint32(section[8:], page)
	le.PutUint32(section[12:], page)
	le.PutUint32(section[16:], page)
	le.PutUint32(section[20:], headers)
	le.PutUint32(section[36:], 0x60000020) // code, readable, executable
	copy(b[headers:], code)
	return b
}
