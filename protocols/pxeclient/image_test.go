package pxeclient

import (
	"encoding/binary"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// pe is the beginning of an EFI program for a machine type.
func pe(machine uint16) []byte {
	b := make([]byte, 0x400)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return b
}

// linux is the beginning of a bzImage, on one of an EFI program or of zeros.
func linux(b []byte, xloadflags byte) []byte {
	copy(b[bzMagic:], "HdrS\x0f\x02")
	b[bzXLoadFlags] = xloadflags
	return b
}

func TestWhatAFileIs(t *testing.T) {
	at := func(place int, magic string, b []byte) []byte { copy(b[place:], magic); return b }
	const bios, efi32, efi64, arm64 = boot.ArchType(0), boot.ArchType(6), boot.ArchType(7), boot.ArchType(11)
	for _, tc := range []struct {
		name   string
		head   []byte
		is     string
		starts string // as a kernel: the types on which nothing is wrong, with - for a BIOS of 32 bits
	}{
		{"a kernel of a distribution", linux(pe(peX64), 1), "bzImage 2.15 for x64, with EFI stub", "bios efi64"},
		{"a kernel for 32 bits", linux(make([]byte, 0x400), 0), "bzImage 2.15 for ia32", "bios bios32"},
		{"a kernel for 64 bits without EFI", linux(make([]byte, 0x400), 1), "bzImage 2.15 for x64", "bios"},
		{"a kernel for arm64", at(56, "ARM\x64", pe(peARM64)), "Linux image for arm64", "arm64"},
		{"a compressed one", at(4, "zimg", pe(peARM64)), "compressed Linux image for arm64", "arm64"},
		{"a kernel for riscv64", at(56, "RSC\x05", pe(peRISCV64)), "Linux image for riscv64", ""},
		{"an EFI program", pe(peIA32), "EFI program for ia32", "efi32"},
		{"of a processor that is not known", pe(0x1234), "EFI program for machine type 0x1234", ""},
		{"a RAM disk", []byte("\x1f\x8b\x08"), "gzip", "bios bios32"}, // iPXE unpacks it
		{"an archive", []byte("070701"), "cpio", ""},
		{"a page that says no", []byte("\n <!DOCTYPE html><p>404"), "HTML page", ""},
		{"nothing", nil, "empty file", ""},
		{"noise", []byte("noise"), "", ""},
		{"cut short in the header", linux(pe(peX64), 1)[:bzXLoadFlags], "EFI program for x64", "efi64"},
		{"with a header beyond its end", at(0x3c, "\xff\xff\xff\xff", pe(peX64)), "", ""},
	} {
		f := inspect(tc.head)
		var starts []string
		for _, on := range []struct {
			name     string
			t        boot.ArchType
			longMode bool
		}{{"bios", bios, true}, {"bios32", bios, false}, {"efi32", efi32, true}, {"efi64", efi64, true}, {"arm64", arm64, true}} {
			if f.kernel(on.t, on.longMode, false) == nil {
				starts = append(starts, on.name)
			}
		}
		if got := strings.Join(starts, " "); f.String() != tc.is || got != tc.starts {
			t.Errorf("%s: got %q on %q, want %q on %q", tc.name, f, got, tc.is, tc.starts)
		}
	}
}

func TestWhatAFirmwareStarts(t *testing.T) {
	for _, tc := range []struct {
		name string
		head []byte
		on   boot.ArchType
		want string // a part of the sentence; empty: it is right
	}{
		{"iPXE for BIOS", []byte("undionly"), 0, ""},
		{"an EFI program on a BIOS", pe(peX64), 0, "firmware is a BIOS"},
		{"an EFI program", pe(peX64), 7, ""},
		{"by HTTP Boot", pe(peARM64), 19, ""},
		{"of another processor", pe(peX64), 11, "it is an EFI program for x64, and the firmware is arm64"},
		{"a BIOS program on UEFI", []byte("undionly"), 7, "not that of anything"},
		{"a page", []byte("<html>"), 7, "HTML page"},
		{"a kernel by mistake", linux(make([]byte, 0x400), 1), 7, "UEFI starts EFI programs only"},
	} {
		switch err := inspect(tc.head).program(tc.on); {
		case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestLinksOfACommandLine(t *testing.T) {
	base, _ := url.Parse("http://192.0.2.1:80/_/ipxe?token=x")
	for cmdline, want := range map[string][]string{
		"auto=true url=http://192.0.2.1:80/_/f/ID/preseed quiet":    {"http://192.0.2.1:80/_/f/ID/preseed"},
		"ds=nocloud;s=http://192.0.2.1:80/_/f/ID/seed/ autoinstall": {"http://192.0.2.1:80/_/f/ID/seed/user-data", "http://192.0.2.1:80/_/f/ID/seed/meta-data"},
		"a=http://192.0.2.1:80/_/f/I/a,http://192.0.2.1:80/_/f/I/b": {"http://192.0.2.1:80/_/f/I/a", "http://192.0.2.1:80/_/f/I/b"},
		"done=http://192.0.2.1:80/_/f/ID/phone-home":                nil,
		"elsewhere=http://example.net/_/f/ID/x":                     nil,
		"also=http://192.0.2.1:80/_/booting?mac=1":                  nil, // it would say what is not so
		strings.Repeat("u=http://192.0.2.1:80/_/f/I/x ", 100):       nil,
	} {
		var got []string
		for _, u := range links(cmdline, base) {
			got = append(got, u.String())
		}
		if len(want) == 0 && len(got) == maxLinks {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cmdline, diff)
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(linux(pe(peX64), 1))
	f.Add([]byte("<html>"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, head []byte) {
		is := inspect(head)
		for _, on := range []boot.ArchType{0, 6, 7, 11} {
			_, _, _ = is.program(on), is.kernel(on, true, false), is.initrd()
		}
		_ = is.String()
	})
}
