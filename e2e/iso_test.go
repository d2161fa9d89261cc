//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixiecore/pixiecore/booters/iso9660"
)

// Every file in the images that Debian publishes, and in one as its installer's are made,
// is what another reader takes out of it. They are images for CDs and disks at once, with
// boot records of BIOS and UEFI, made by GRUB, by isohybrid and by xorriso.
func TestPublishedImages(t *testing.T) {
	images := []string{installerImage(t)}
	for _, name := range []string{"grub.iso", "ipxe.iso", "memtest-ia32.iso", "memtest-x64.iso"} {
		images = append(images, need(t, "an image of a CD", cached("iso", name)))
	}
	for _, image := range images {
		t.Run(filepath.Base(image), func(t *testing.T) {
			t.Parallel()
			m, out := openImage(t, image), filepath.Join(t.TempDir(), "out")
			xorriso(t, "-osirrox", "on", "-indev", image, "-extract", "/", out)
			files := 0
			if err := filepath.WalkDir(out, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				name, _ := strings.CutPrefix(path, out)
				want, err := os.ReadFile(path) // follows links, as the reader does
				if err != nil {
					return err
				}
				files++
				if got, err := member(m, name); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
				}
				return nil
			}); err != nil || files == 0 {
				t.Errorf("%d files, %v", files, err)
			}
			t.Logf("%d files", files)
		})
	}
}

// A file that xorriso has compressed is refused, and not served as it lies there.
func TestACompressedImage(t *testing.T) {
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "z.iso")
	for name, text := range map[string]string{"large": strings.Repeat("large ", 100_000), "small": "small"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	xorriso(t, "-outdev", image, "-map", dir, "/", "-set_filter_r", "--zisofs", "/", "--")
	m := openImage(t, image)
	if got, err := member(m, "large"); err == nil || !strings.Contains(err.Error(), "zisofs") {
		t.Errorf("%.20q, %v", got, err)
	}
	if got, err := member(m, "small"); string(got) != "small" || err != nil {
		t.Errorf("one that is not worth it: %q, %v", got, err)
	}
}

// installerImage is made of Debian's installer as its own images are (debian-cd): with
// Rock Ridge and Joliet, for BIOS and UEFI, with a GPT and a partition behind the files,
// and a link.
func installerImage(t *testing.T) string {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "installer.iso")
	link := func(from, to string) error {
		to = filepath.Join(dir, to)
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Symlink(from, to))
	}
	// A loader is none that is run here, but one of the size that a record of El Torito takes.
	if err := errors.Join(
		link(need(t, "Debian's installer", cached("installer", "linux")), "install.amd/vmlinuz"),
		link(need(t, "Debian's installer", cached("installer", "initrd.gz")), "install.amd/gtk/initrd.gz"),
		os.MkdirAll(filepath.Join(dir, "dists/bookworm"), 0o755),
		os.WriteFile(filepath.Join(dir, "dists/bookworm/Release"), []byte("Suite: stable\n"), 0o644),
		os.MkdirAll(filepath.Join(dir, "isolinux"), 0o755),
		os.WriteFile(filepath.Join(dir, "isolinux/isolinux.bin"), bytes.Repeat([]byte("boot"), 2048), 0o644),
		os.WriteFile(filepath.Join(dir, "efi.img"), bytes.Repeat([]byte("efi "), 64<<10), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	xorriso(t, "-outdev", image, "-joliet", "on", "-follow", "link", "-map", dir, "/", "-lns", "dists/bookworm/Release", "/release",
		"-boot_image", "any", "bin_path=/isolinux/isolinux.bin", "-boot_image", "any", "load_size=2048", "-boot_image", "any", "next",
		"-append_partition", "2", "0xef", filepath.Join(dir, "efi.img"), "-boot_image", "any", "efi_path=--interval:appended_partition_2:all::",
		"-boot_image", "any", "appended_part_as=gpt", "-boot_image", "any", "partition_offset=16")
	return image
}

func xorriso(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "xorriso", args...).CombinedOutput(); err != nil {
		t.Fatalf("xorriso %q: %v\n%s", args, err, out)
	}
}

func openImage(t *testing.T, path string) *iso9660.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := iso9660.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func member(m *iso9660.Image, name string) ([]byte, error) {
	f, err := m.Lookup(name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, 0, f.Size))
}
