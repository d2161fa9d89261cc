//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// cmdlineMark begins the line that the initial RAM disk prints.
const cmdlineMark = "PIXIECORE-CMDLINE "

const initScript = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox echo "` + cmdlineMark + `$(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
`

// initramfs makes an archive with busybox and the script above.
func initramfs(t *testing.T, busybox string) []byte {
	t.Helper()
	shell, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	var c cpio
	c.add("bin", dirMode, nil)
	c.add("bin/busybox", execMode, shell)
	c.add("proc", dirMode, nil)
	c.add("init", execMode, []byte(initScript))
	return c.close()
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
