//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unifiedImage makes an EFI program of a kernel, an initial RAM disk and a command
// line, as systemd-stub(7) has it, and returns its path.
func unifiedImage(t *testing.T, linux, initrd, cmdline string) string {
	t.Helper()
	stub := need(t, "the stub of systemd-boot", cached("systemd-boot", "linuxx64.efi.stub"))
	dir := t.TempDir()
	text := filepath.Join(dir, "cmdline")
	if err := os.WriteFile(text, []byte(cmdline), 0o644); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "linux.efi")
	var args []string
	// Behind the stub's own sections, and so far apart that they do not overlap.
	for _, s := range []struct {
		name, file string
		at         int
	}{{".cmdline", text, 0x30000}, {".linux", linux, 0x2000000}, {".initrd", initrd, 0x4000000}} {
		args = append(args, "--add-section", s.name+"="+s.file, "--change-section-vma", fmt.Sprintf("%s=%#x", s.name, s.at))
	}
	if out, err := exec.CommandContext(t.Context(), "objcopy", append(args, stub, image)...).CombinedOutput(); err != nil {
		t.Fatalf("objcopy: %v\n%s", err, out)
	}
	return image
}

// madeGRUB is a GRUB for UEFI on ia32 that takes its configuration from this server,
// whatever DHCP server there is besides; none is signed.
func madeGRUB(t *testing.T) string {
	t.Helper()
	modules := filepath.Dir(need(t, "GRUB's modules", cached("grub", "i386-efi", "moddep.lst")))
	image := filepath.Join(t.TempDir(), "grubia32.efi")
	if out, err := exec.CommandContext(t.Context(), "grub-mkimage", "-O", "i386-efi", "-d", modules, "-p", "(tftp,192.0.2.1)/grub", "-o", image,
		"efinet", "tftp", "normal", "configfile", "linux", "echo", "test", "sleep", "reboot").CombinedOutput(); err != nil {
		t.Fatalf("grub-mkimage: %v\n%s", err, out)
	}
	return image
}

// onCD is where cdImage has the files of an architecture: names that ISO 9660 alone
// does not have, so that they are found by Rock Ridge.
const onCD = "Install.Disc/machines-of-${machine.arch}/a.directory.with-a-long-name"

// cdImage makes the image of a CD as distributions publish theirs, with Rock Ridge and
// Joliet, and the kernel and initrd for each architecture in it.
func cdImage(t *testing.T, files string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "cd.iso")
	args := []string{"-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long", "-graft-points", "-o", image}
	for arch := range goarchs {
		dir := strings.ReplaceAll(onCD, "${machine.arch}", arch)
		for _, name := range []string{"linux", "initrd"} {
			file, err := filepath.EvalSymlinks(filepath.Join(files, arch, name))
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, dir+"/"+name+"="+file)
		}
	}
	xorriso(t, args...)
	return image
}
