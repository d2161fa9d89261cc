package loaders

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pixiecore/pixiecore/booters/boot"
)

// efi makes an EFI application of a plausible size for a machine type.
func efi(machine uint16) []byte {
	b := make([]byte, 2*minSize)
	copy(b, "MZ")
	const at = 0x80
	binary.LittleEndian.PutUint32(b[peOffset:], at)
	copy(b[at:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[at+coffMachine:], machine)
	binary.LittleEndian.PutUint16(b[at+peSubsystem:], efiApplication)
	return b
}

// bios makes what passes for a program of the BIOS: a far jump, then anything.
func bios() []byte {
	b := make([]byte, 2*minSize)
	copy(b, "\xea\x05\x00\xc0\x07")
	return b
}

// with returns a copy of b with text at an offset.
func with(b []byte, at int, text string) []byte {
	b = append([]byte(nil), b...)
	copy(b[at:], text)
	return b
}

// dir makes a directory of files.
func dir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	d := t.TempDir()
	for name, data := range files {
		p := filepath.Join(d, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// paths are the loaders of a set, without the prefix.
func paths(s *Set, prefix string) map[string]string {
	got := make(map[string]string)
	for _, l := range s.All() {
		got[l.Firmware.String()] = strings.TrimPrefix(l.Path, prefix)
	}
	return got
}

func TestLoadFindsTheFirstNameThatFits(t *testing.T) {
	x64, arm64 := efi(peX64), efi(peARM64)
	tests := []struct {
		name  string
		files map[string][]byte
		want  map[string]string
	}{
		{
			"Debian trixie",
			map[string][]byte{
				"undionly.kpxe": bios(), "snponly.efi": x64, "ipxe.efi": x64, "ipxe-amd64.efi": x64,
				"ipxe-arm64.efi": arm64, "ipxe-riscv64.efi": efi(peRISCV64), "ipxe-loong64.efi": efi(peLoongArch64),
			},
			map[string]string{
				"bios": "undionly.kpxe", "efi64": "snponly.efi", "efibc": "snponly.efi", "efi-arm64": "ipxe-arm64.efi",
				"efi-riscv64": "ipxe-riscv64.efi", "efi-loongarch64": "ipxe-loong64.efi",
			},
		},
		{
			"Fedora",
			map[string][]byte{
				"undionly.kpxe": bios(), "ipxe-x86_64.efi": x64, "ipxe-snponly-x86_64.efi": x64, "ipxe-i386.efi": efi(peI386),
				"arm64-efi/snponly.efi": arm64, "arm64-efi/ipxe.efi": arm64,
			},
			map[string]string{
				"bios": "undionly.kpxe", "efi32": "ipxe-i386.efi", "efi64": "ipxe-snponly-x86_64.efi", "efibc": "ipxe-snponly-x86_64.efi",
				"efi-arm64": "arm64-efi/snponly.efi",
			},
		},
		{
			"a file for another processor is passed over",
			map[string][]byte{"snponly.efi": arm64, "ipxe.efi": x64},
			map[string]string{"efi64": "ipxe.efi", "efibc": "ipxe.efi"},
		},
		{
			"an empty file is passed over",
			map[string][]byte{"snponly.efi": nil, "ipxe.efi": x64},
			map[string]string{"efi64": "ipxe.efi", "efibc": "ipxe.efi"},
		},
		{
			"other files are not opened",
			map[string][]byte{"ipxe.pxe": bios(), "ipxe.iso": bios(), "shimx64.efi": x64},
			map[string]string{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := dir(t, tt.files)
			set, missing, err := load(nil, nil, []string{d})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, paths(set, d+"/")); diff != "" {
				t.Errorf("loaders (-want +got):\n%s", diff)
			}
			if got, want := len(set.All())+len(missing), len(kinds()); got != want {
				t.Errorf("loaders and missing ones: got %d, want %d", got, want)
			}
			for _, l := range set.All() {
				if l.Warning != "" {
					t.Errorf("%s: unexpected warning %q", l.Path, l.Warning)
				}
			}
		})
	}
}

func TestLoadPrefersConfiguredThenEmbeddedThenTheFirstDirectory(t *testing.T) {
	x64 := efi(peX64)
	first := dir(t, map[string][]byte{"undionly.kpxe": bios(), "ipxe.efi": x64})
	second := dir(t, map[string][]byte{"undionly.kpxe": bios(), "snponly.efi": x64, "ipxe-arm64.efi": efi(peARM64)})
	own := filepath.Join(dir(t, map[string][]byte{"my.efi": x64}), "my.efi")
	binary := map[string][]byte{"undionly.kpxe": bios(), "copyright": []byte("x")}

	set, _, err := load(map[boot.Firmware]string{boot.FirmwareEFI64: own}, binary, []string{first, second})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"bios":      "embedded:undionly.kpxe",
		"efi64":     own,
		"efibc":     own, // follows efi64
		"efi-arm64": filepath.Join(second, "ipxe-arm64.efi"),
	}
	if diff := cmp.Diff(want, paths(set, "")); diff != "" {
		t.Errorf("loaders (-want +got):\n%s", diff)
	}

	set, _, err = load(nil, nil, []string{first, second})
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := set.Get(boot.FirmwareEFI64); l.Path != filepath.Join(first, "ipxe.efi") {
		t.Errorf("efi64: got %s, want the one of the first directory", l.Path)
	}
}

// What the binary holds is served as it lies there: a copy of it would be memory of the
// daemon's own that the system could not drop.
func TestEmbeddedLoadersAreNotCopied(t *testing.T) {
	binary := map[string][]byte{"undionly.kpxe": bios(), "snponly.efi": nil}
	set, missing, err := load(nil, binary, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := set.Get(boot.FirmwareX86PC); !ok || &l.Data[0] != &binary["undionly.kpxe"][0] {
		t.Errorf("bios: got %t, and a copy", ok)
	}
	for _, m := range missing {
		if m.Firmware == boot.FirmwareEFI64 && cmp.Equal(m.Looked, []string{"embedded:snponly.efi: empty"}) {
			return
		}
	}
	t.Errorf("an empty one: got %v missing", missing)
}

// A build with loaders names each file that is staged.
func TestWhatIsStagedIsEmbedded(t *testing.T) {
	manifest, err := os.ReadFile("../../packaging/firmware/manifest")
	if err != nil {
		t.Fatal(err)
	}
	embed, err := os.ReadFile("embed.go")
	if err != nil {
		t.Fatal(err)
	}
	staged := regexp.MustCompile(`(?m)^[0-9a-f]{64}  (.+)$`).FindAllStringSubmatch(string(manifest), -1)
	if len(staged) == 0 {
		t.Fatal("the manifest names no file")
	}
	for _, m := range staged {
		if !strings.Contains(string(embed), "//go:embed firmware/"+m[1]+"\n") || !strings.Contains(string(embed), strconv.Quote(m[1])+":") {
			t.Errorf("embed.go does not have %s", m[1])
		}
	}
}

func TestLoadOfAConfiguredFirmwareWithoutNames(t *testing.T) {
	own := filepath.Join(dir(t, map[string][]byte{"boot.scr": bios()}), "boot.scr")
	set, _, err := load(map[boot.Firmware]string{boot.FirmwareUBoot: own}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := set.Get(boot.FirmwareUBoot); !ok || l.Warning != "" {
		t.Errorf("uboot: got %t and warning %q", ok, l.Warning)
	}
}

func TestALoaderForABIOSThatIsAnIPXE(t *testing.T) {
	own := filepath.Join(dir(t, map[string][]byte{"ipxe.pxe": bios()}), "ipxe.pxe")
	set, missing, err := load(map[boot.Firmware]string{boot.FirmwareX86Ipxe: own}, nil, nil)
	if l, ok := set.Get(boot.FirmwareX86Ipxe); err != nil || !ok || l.Path != own {
		t.Errorf("configured: %+v, %v", l, err)
	}
	for _, m := range missing {
		if m.Firmware == boot.FirmwareX86Ipxe {
			t.Errorf("it need not be there: %v", m)
		}
	}
	given, _ := Given(map[boot.Firmware][]byte{boot.FirmwareX86PC: []byte("undionly"), boot.FirmwareX86Ipxe: []byte("ipxe.pxe")})
	if b := given.Bytes(); string(b[boot.FirmwareX86PC]) != "undionly" || string(b[boot.FirmwareX86Ipxe]) != "ipxe.pxe" {
		t.Errorf("given: %q", b)
	}
}

func TestLoadReportsEveryUnreadableConfiguredPath(t *testing.T) {
	d := dir(t, map[string][]byte{"empty": nil, "large": nil, "snponly.efi": efi(peX64)})
	if err := os.Truncate(filepath.Join(d, "large"), maxSize+1); err != nil {
		t.Fatal(err)
	}
	set, _, err := load(map[boot.Firmware]string{
		boot.FirmwareX86PC:    filepath.Join(d, "nowhere"),
		boot.FirmwareEFI32:    filepath.Join(d, "empty"),
		boot.FirmwareEFI64:    d,
		boot.FirmwareEFIARM64: filepath.Join(d, "large"),
	}, nil, []string{d})
	if set != nil || err == nil {
		t.Fatalf("got set %v, error %v; want an error alone", set, err)
	}
	want := []string{
		"loader for bios: " + d + "/nowhere: no such file or directory",
		"loader for efi32: " + d + "/empty: empty",
		"loader for efi64: " + d + ": not a regular file",
		"loader for efi-arm64: " + d + "/large: larger than 16777216 bytes",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestMissingNamesThePlacesAndTheWayOut(t *testing.T) {
	d := dir(t, map[string][]byte{"ipxe-arm64.efi": efi(peX64)})
	_, missing, err := load(nil, nil, []string{d})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[boot.Firmware]string)
	for _, m := range missing {
		got[m.Firmware] = strings.ReplaceAll(m.Error(), d, "DIR")
	}
	want := map[boot.Firmware]string{
		boot.FirmwareX86PC: "loader for bios: no undionly.kpxe in DIR; `apt install ipxe` brings it, or build pixiecore after `make firmware`",
		boot.FirmwareEFIARM64: "loader for efi-arm64: DIR/ipxe-arm64.efi (an EFI program for x64, not for arm64), " +
			"no snponly-arm64.efi, arm64-efi/snponly.efi, arm64-efi/ipxe.efi in DIR; " +
			"`apt install ipxe` brings it from Debian 13 on, or build pixiecore after `make firmware`",
		boot.FirmwareEFI32: "loader for efi32: no snponly-ia32.efi, ipxe-ia32.efi, ipxe-i386.efi in DIR; " +
			"no Debian package has it: build bin-i386-efi/snponly.efi of iPXE and name the file in `ipxe { efi32 = \"…\" }`",
	}
	for f, text := range want {
		if diff := cmp.Diff(text, got[f]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
	if len(missing) != len(kinds()) {
		t.Errorf("got %d missing, want all %d", len(missing), len(kinds()))
	}
}

func TestDoubt(t *testing.T) {
	driver := efi(peX64)
	binary.LittleEndian.PutUint16(driver[0x80+peSubsystem:], 11)
	tests := []struct {
		name     string
		firmware boot.Firmware
		data     []byte
		want     string
	}{
		{"right", boot.FirmwareEFI64, efi(peX64), ""},
		{"other processor", boot.FirmwareEFI64, efi(peI386), "an EFI program for ia32, not for x64"},
		{"unknown processor", boot.FirmwareEFI64, efi(0x0200), "an EFI program for machine type 0x0200, not for x64"},
		{"BIOS program for UEFI", boot.FirmwareEFI64, bios(), "not an EFI program (no PE header)"},
		{"header behind the end", boot.FirmwareEFI64, with(efi(peX64), peOffset, "\xff\xff\xff\xff"), "not an EFI program (no PE header)"},
		{"driver", boot.FirmwareEFI64, driver, "not an EFI application but of subsystem 11: an .efidrv or .efirom?"},
		{"cut short", boot.FirmwareEFI64, efi(peX64)[:100], "only 100 bytes: cut short?"},
		{"undionly", boot.FirmwareX86PC, bios(), ""},
		{"EFI program for a BIOS", boot.FirmwareX86PC, efi(peX64), "an EFI program for x64, not a program of the BIOS"},
		{"lkrn", boot.FirmwareX86PC, with(bios(), linuxMagic, "HdrS"), "a Linux kernel image (ipxe.lkrn?), not a program of the BIOS"},
		{"ELF", boot.FirmwareX86PC, with(bios(), 0, "\x7fELF"), "an ELF file, not a program of the BIOS"},
		{"script", boot.FirmwareX86PC, with(bios(), 0, "#!ipxe"), "a script, not a program of the BIOS"},
		{"ROM", boot.FirmwareX86PC, with(bios(), 0, "\x55\xaa"), "an option ROM (ipxe.rom?), not a program of the BIOS"},
		{"disk", boot.FirmwareX86PC, with(bios(), bootSectorMagic, "\x55\xaa"), "a disk image (ipxe.usb?), not a program of the BIOS"},
		{"zeroes", boot.FirmwareX86PC, make([]byte, minSize), "does not begin with code: not a program of the BIOS"},
		{"ISO", boot.FirmwareX86PC, make([]byte, 2<<20), "2097152 bytes do not fit into base memory: a disk or ISO image?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, _ := kindOf(tt.firmware)
			if got := doubt(k, tt.data); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestADoubtOfAConfiguredLoaderIsAWarning(t *testing.T) {
	own := filepath.Join(dir(t, map[string][]byte{"x.efi": efi(peARM64)}), "x.efi")
	set, _, err := load(map[boot.Firmware]string{boot.FirmwareEFI64: own}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := set.Get(boot.FirmwareEFI64)
	if l.Warning != "an EFI program for arm64, not for x64" {
		t.Errorf("warning: got %q", l.Warning)
	}
	if diff := cmp.Diff(efi(peARM64), set.Bytes()[boot.FirmwareEFI64]); diff != "" {
		t.Error("the loader is not served as it is")
	}
}

func TestVersion(t *testing.T) {
	tests := []struct{ text, want string }{
		{"\x00sbat,1,SBAT Version,sbat,1,https://x\nipxe,1,iPXE,snponly.efi,1.21.1+git20250501.dad20602+dfsg-1,https://ipxe.org\n", "1.21.1+git20250501.dad20602+dfsg-1"},
		{"snponly.efi\x00iPXE\x00\x00\x00\x001.0.0+git-20190125.36a4c85-5.1\x00", "1.0.0+git-20190125.36a4c85-5.1"},
		{"iPXE\x00\x002.0.0\x00", "2.0.0"},
		{"iPXE/%s\x00", ""},
		{"iPXE\x001.2.3" + strings.Repeat("x", 4096), ""},
	}
	for _, tt := range tests {
		if got := version(with(efi(peX64), 0x400, tt.text)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text[:min(20, len(tt.text))], got, tt.want)
		}
	}
}

// Every platform that UEFI or a BIOS can be has names to look for, and none
// that the directories could not hold.
func TestKinds(t *testing.T) {
	for _, f := range boot.Platforms() {
		k, ok := kindOf(f)
		if want := f.UEFI() || f == boot.FirmwareX86PC; ok != want {
			t.Errorf("%s: has names: got %t, want %t", f, ok, want)
		}
		for _, name := range k.names {
			if !fs.ValidPath(name) {
				t.Errorf("%s: %q is no path below a directory", f, name)
			}
		}
	}
}

// What this machine has installed or embedded passes the checks.
func TestLoadOfTheInstalledLoaders(t *testing.T) {
	set, _, err := Load(nil, Dirs())
	if err != nil {
		t.Fatal(err)
	}
	if len(set.All()) == 0 {
		t.Skip("neither embedded nor installed here: `make firmware`, or `apt install ipxe`")
	}
	for _, l := range set.All() {
		t.Logf("%-16s %s %s %.12s…", l.Firmware, l.Path, l.Version(), l.SHA256())
		if l.Warning != "" {
			t.Errorf("%s: %s", l.Path, l.Warning)
		}
		if l.Firmware.UEFI() && l.Version() == "" {
			t.Errorf("%s: no version found", l.Path)
		}
	}
}

// A loader may be anything, so the checks must hold for anything.
func FuzzCheck(f *testing.F) {
	f.Add(efi(peX64))
	f.Add(bios())
	f.Add(with(efi(peARM64), peOffset, "\xff\xff\xff\xff"))
	f.Add([]byte("MZ"))
	f.Add([]byte("iPXE\x001.2.3\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return // readBounded refuses it
		}
		for _, k := range kinds() {
			if other := otherMachine(k, b); other != "" && doubt(k, b) == "" {
				t.Errorf("%s: %s, but no doubt", k.firmware, other)
			}
		}
		if v := version(b); len(v) > 128 {
			t.Errorf("version of %d bytes", len(v))
		}
	})
}

// Of iPXE's two builds the other one is kept too, for boots that ask for it.
func TestBothBuildsOfIPXEAreKept(t *testing.T) {
	lib := dir(t, map[string][]byte{"snponly.efi": efi(peX64), "ipxe.efi": append(efi(peX64), 1), "undionly.kpxe": bios(), "snponly-arm64.efi": efi(peARM64)})
	set, _, err := load(nil, nil, []string{lib})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		firmware boot.Firmware
		want     boot.Loader
		file     string
	}{
		{boot.FirmwareEFI64, boot.LoaderAuto, "snponly.efi"},
		{boot.FirmwareEFI64, boot.LoaderSNPOnly, "snponly.efi"},
		{boot.FirmwareEFI64, boot.LoaderIPXE, "ipxe.efi"},
		{boot.FirmwareEFIBC, boot.LoaderIPXE, "ipxe.efi"},
		{boot.FirmwareEFIARM64, boot.LoaderIPXE, "snponly-arm64.efi"}, // the only one
		{boot.FirmwareX86PC, boot.LoaderIPXE, "undionly.kpxe"},
	} {
		if l, ok := set.Build(tc.firmware, tc.want); !ok || filepath.Base(l.Path) != tc.file {
			t.Errorf("%s, %s: got %s, want %s", tc.firmware, tc.want, l.Path, tc.file)
		}
	}
	snap := boot.Snapshot{Loaders: set.Bytes(), Builds: set.Builds()}
	if got := snap.Loader(boot.Machine{Firmware: boot.FirmwareEFI64}, boot.LoaderIPXE); len(got) != len(efi(peX64))+1 {
		t.Errorf("a machine is given %d bytes, of another build", len(got))
	}

	own := filepath.Join(dir(t, map[string][]byte{"own.efi": efi(peX64)}), "own.efi")
	set, _, err = load(map[boot.Firmware]string{boot.FirmwareEFI64: own}, nil, []string{lib})
	if l, _ := set.Build(boot.FirmwareEFI64, boot.LoaderIPXE); err != nil || l.Path != own {
		t.Errorf("a configured path is for both: got %s, %v", l.Path, err)
	}
}
