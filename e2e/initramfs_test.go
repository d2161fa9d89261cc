//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// What the lines of the initial RAM disk begin with.
const (
	cmdlineMark  = "PIXIECORE-CMDLINE "
	lockdownMark = "PIXIECORE-LOCKDOWN "
)

// goarchs are the architectures of machines, as the configuration and as Go call
// them.
var goarchs = map[string]string{"x64": "amd64", "arm64": "arm64", "riscv64": "riscv64"}

// makeFiles puts a kernel and an initial RAM disk of each architecture into dir, as
// ARCH/linux and ARCH/initrd, and x64/installer.
func makeFiles(dir string) error {
	for arch, goarch := range goarchs {
		if err := os.Mkdir(filepath.Join(dir, arch), 0o755); err != nil {
			return err
		}
		program := filepath.Join(dir, arch, "init")
		if err := goBuild(program, "./init", "-trimpath", "-ldflags", "-s -w", "GOARCH="+goarch); err != nil {
			return err
		}
		archive, err := initramfs(program, "")
		if err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, arch, "initrd"), archive, 0o644),
			os.Symlink(cached(arch, "linux"), filepath.Join(dir, arch, "linux"))); err != nil {
			return err
		}
	}
	program := filepath.Join(dir, "installer")
	if err := goBuild(program, "./installer", "-trimpath", "-ldflags", "-s -w", "GOARCH=amd64"); err != nil {
		return err
	}
	archive, err := initramfs(program, cached("x64", "modules"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "x64", "installer"), archive, 0o644); err != nil {
		return err
	}
	// A kernel of 64 bits runs on firmware of 32 (its option EFI_MIXED).
	return os.Symlink("x64", filepath.Join(dir, "ia32"))
}

// initramfs makes an archive whose only program is the one at path, with the modules of
// a folder; empty: it has none.
func initramfs(path, modules string) ([]byte, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var c cpio
	for _, dir := range []string{"proc", "dev", "security", "modules"} {
		c.add(dir, dirMode, nil)
	}
	c.add("init", execMode, program)
	all, err := filepath.Glob(filepath.Join(modules, "*.ko"))
	if err != nil || modules == "" {
		return c.close(), err
	}
	for _, m := range all {
		data, err := os.ReadFile(m)
		if err != nil {
			return nil, err
		}
		c.add("modules/"+filepath.Base(m), execMode, data)
	}
	return c.close(), nil
}

// Modes of an entry, as stat(2) has them.
const (
	dirMode  = 0o040755
	execMode = 0o100755
)

// A cpio is an archive of the format "newc", which the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	buf   bytes.Buffer
	inode int
}

func (c *cpio) add(name string, mode int, data []byte) {
	c.inode++
	fmt.Fprintf(&c.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(data), // inode, mode, owner, group, links, time, size
		0, 0, 0, 0, // device and special device
		len(name)+1, 0) // and no checksum
	c.buf.WriteString(name)
	c.buf.WriteByte(0)
	c.pad()
	c.buf.Write(data)
	c.pad()
}

func (c *cpio) pad() {
	for c.buf.Len()%4 != 0 {
		c.buf.WriteByte(0)
	}
}

func (c *cpio) close() []byte {
	c.add("TRAILER!!!", 0, nil)
	return c.buf.Bytes()
}
