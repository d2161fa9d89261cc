package pxeclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// content is what a file is, as far as its beginning tells. A nil *content is
// unknown.
type content struct {
	name    string // "bzImage", "EFI program", "gzip", …; empty: unknown
	version string // of a bzImage's boot protocol
	machine uint16 // of an EFI program (PE/COFF §3.3.1); 0: it is none
	bits64  bool   // a bzImage for 64 bits
	efi     bool   // UEFI can start it
	signed  bool   // it has a table of certificates (PE/COFF §4.7)
}

// PE/COFF §3.3.1: machine types.
const (
	peIA32      = 0x014c
	peX64       = 0x8664
	peARM32     = 0x01c2
	peARM64     = 0xaa64
	peRISCV64   = 0x5064
	peLoongArch = 0x6264
)

// peNames are the architectures of the configuration language.
var peNames = map[uint16]string{
	peIA32: "ia32", peX64: "x64", peARM32: "arm32", peARM64: "arm64", peRISCV64: "riscv64", peLoongArch: "loongarch64",
}

// String says it in a few words; empty where it is not known.
func (f *content) String() string {
	switch {
	case f == nil:
		return ""
	case f.name == bzImage && f.bits64:
		return f.name + " " + f.version + " for x64" + f.stub()
	case f.name == bzImage:
		return f.name + " " + f.version + " for ia32" + f.stub()
	case f.machine != 0 && peNames[f.machine] != "":
		return f.name + " for " + peNames[f.machine]
	case f.machine != 0:
		return fmt.Sprintf("%s for machine type %#x", f.name, f.machine)
	}
	return f.name
}

func (f *content) stub() string {
	if f.efi {
		return ", with EFI stub"
	}
	return ""
}

const bzImage = "bzImage"

// Fields of a bzImage's header (Linux, Documentation/arch/x86/boot.rst).
const (
	bzMagic      = 0x202 // "HdrS"
	bzVersion    = 0x206
	bzXLoadFlags = 0x236
	bzKernel64   = 1 // of xloadflags, since protocol 2.12
	bzWhole      = 0x238
)

// inspect looks at a file's beginning.
func inspect(head []byte) *content {
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	f := &content{machine: peMachine(head)}
	f.efi = f.machine != 0
	f.signed = f.efi && peSigned(head)
	switch {
	case has(bzMagic, "HdrS") && len(head) >= bzWhole:
		f.name = bzImage
		f.version = fmt.Sprintf("%d.%02d", head[bzVersion+1], head[bzVersion])
		f.bits64 = binary.LittleEndian.Uint16(head[bzXLoadFlags:])&bzKernel64 != 0
	case has(56, "ARM\x64"): // Linux, Documentation/arch/arm64/booting.rst
		f.name = "Linux image"
		f.machine = peARM64
	case has(56, "RSC\x05"): // likewise, arch/riscv/boot-image-header.rst
		f.name = "Linux image"
		f.machine = peRISCV64
	case f.machine != 0 && has(4, "zimg"): // include/linux/pe.h: the EFI program that unpacks the kernel
		f.name = "compressed Linux image"
	case f.machine != 0:
		f.name = "EFI program"
	case has(0, "#!ipxe"), has(0, "#!gpxe"):
		f.name = "iPXE script"
	case has(0, "\x7fELF"):
		f.name = "ELF program"
	case has(0, "\x1f\x8b"):
		f.name = "gzip"
	case has(0, "\xfd7zXZ\x00"):
		f.name = "xz"
	case has(0, "\x28\xb5\x2f\xfd"):
		f.name = "zstd"
	case has(0, "BZh"):
		f.name = "bzip2"
	case has(0, "\x5d\x00\x00"):
		f.name = "lzma"
	case has(0, "\x02\x21\x4c\x18"), has(0, "\x04\x22\x4d\x18"):
		f.name = "lz4"
	case has(0, "070701"), has(0, "070702"), has(0, "\xc7\x71"):
		f.name = "cpio"
	case has(0, "hsqs"):
		f.name = "squashfs"
	case isHTML(head):
		f.name = htmlPage
	case len(head) == 0:
		f.name = emptyFile
	}
	if f.name == "" {
		return nil
	}
	return f
}

const (
	htmlPage  = "HTML page"
	emptyFile = "empty file"
)

// isHTML reports whether a server's page came in place of a file: one that says
// that there is no such file, as a rule.
func isHTML(head []byte) bool {
	start := strings.ToLower(string(bytes.TrimSpace(head[:min(len(head), 256)])))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}

// peMachine is the machine type of an EFI program; 0: it is none.
func peMachine(head []byte) uint16 {
	const at = 0x3c // of the PE header's place (PE/COFF §2.1)
	if len(head) < at+4 || head[0] != 'M' || head[1] != 'Z' {
		return 0
	}
	pe := uint64(binary.LittleEndian.Uint32(head[at:]))
	if pe+6 > uint64(len(head)) || string(head[pe:pe+4]) != "PE\x00\x00" {
		return 0
	}
	return binary.LittleEndian.Uint16(head[pe+4:])
}

// peSigned reports whether an EFI program has a table of certificates: whether the
// fifth of the data directories behind its optional header has a size (PE/COFF §3.4).
func peSigned(head []byte) bool {
	optional := uint64(binary.LittleEndian.Uint32(head[0x3c:])) + 24
	if optional+2 > uint64(len(head)) {
		return false
	}
	directories := uint64(96)
	if binary.LittleEndian.Uint16(head[optional:]) == 0x20b { // PE32+
		directories = 112
	}
	size := optional + directories + 4*8 + 4
	return size+4 <= uint64(len(head)) && binary.LittleEndian.Uint32(head[size:]) != 0
}

var errStrange = errors.New("its beginning is not that of anything that a machine starts")

// nothing says why a file is not what it should be, whatever that is.
func (f *content) nothing() error {
	switch {
	case f == nil:
		return nil
	case f.name == htmlPage:
		return errors.New("it is an HTML page: the server behind it does not have the file, and says so with status 200")
	case f.name == emptyFile:
		return errors.New("it is empty")
	}
	return nil
}

// program says why a firmware of the type would not start a network boot program.
func (f *content) program(t boot.ArchType) error {
	if err := f.nothing(); err != nil {
		return err
	}
	p, _ := t.Platform()
	switch {
	case !p.Firmware.UEFI():
		if f != nil && f.efi {
			return fmt.Errorf("it is an %s, and the firmware is a BIOS", f)
		}
		return nil // undionly.kpxe and the like have no mark of their own
	case f == nil:
		return errStrange
	case f.machine == 0:
		return fmt.Errorf("it is %s, and UEFI starts EFI programs only", article(f.String()))
	}
	return f.runsOn(p.Arch)
}

// kernel says why iPXE on a firmware of the type would not start a kernel.
// chained is whether it was to be any program.
func (f *content) kernel(t boot.ArchType, longMode, chained bool) error {
	if err := f.nothing(); err != nil {
		return err
	}
	p, _ := t.Platform()
	switch {
	case f == nil && chained:
		return nil // a network boot program for BIOS, say
	case f == nil:
		return errStrange
	case p.Firmware.UEFI() && f.name == bzImage && !f.efi:
		return errors.New("it has no EFI stub (CONFIG_EFI_STUB), and the firmware is UEFI")
	case p.Firmware.UEFI() && f.machine == 0:
		return fmt.Errorf("it is %s, and UEFI starts EFI programs only", article(f.String()))
	case p.Firmware.UEFI():
		return f.runsOn(p.Arch)
	case f.name == bzImage && f.bits64 && !longMode:
		return errors.New("it is for 64 bits, and the machine has 32")
	case f.name != bzImage && f.efi:
		return fmt.Errorf("it is an %s, and the firmware is a BIOS", f)
	case f.name == "cpio", f.name == "squashfs":
		return fmt.Errorf("it is %s and no kernel", article(f.name))
	}
	return nil
}

func (f *content) runsOn(a boot.Architecture) error {
	if name := peNames[f.machine]; name != a.Name() {
		return fmt.Errorf("it is %s, and the firmware is %s", article(f.String()), a.Name())
	}
	return nil
}

// initrd says why the kernel would not take an initrd. What is not known may be
// for a program that is no Linux.
func (f *content) initrd() error { return f.nothing() }

// article puts one before what begins with a name.
func article(what string) string {
	if strings.ContainsAny(what[:1], "AEIOUaeiou") {
		return "an " + what
	}
	return "a " + what
}

// home ends the address by which a machine says that it is done: one that is none is
// not.
const home = "/phone-home"

// maxLinks bounds the addresses of one command line.
const maxLinks = 16

// links are the addresses on the server of base that a system would fetch which is
// started with the command line: those of the server's own files. What ends in a
// slash is where cloud-init looks for two files.
func links(cmdline string, base *url.URL) (all []*url.URL) {
	for word := range strings.FieldsSeq(cmdline) {
		for {
			at := strings.Index(word, "http://")
			if at < 0 || len(all) >= maxLinks {
				break
			}
			word = word[at:]
			end := strings.IndexAny(word, ";,\"'")
			if end < 0 {
				end = len(word)
			}
			u, err := url.Parse(word[:end])
			word = word[end:]
			switch {
			case err != nil, u.Hostname() != base.Hostname(), base.Scheme == "http" && u.Host != base.Host, !strings.HasPrefix(u.Path, boot.LinkPath), strings.HasSuffix(u.Path, home):
			case strings.HasSuffix(u.Path, "/"):
				all = append(all, u.JoinPath("user-data"), u.JoinPath("meta-data"))
			default:
				all = append(all, u)
			}
		}
	}
	return all
}
