// Command init is the first and only process of a machine that a test of package
// e2e has booted: it prints on the console what the kernel allows, which hangs on
// Secure Boot, a file that was packed for this machine, and the kernel's command line,
// each behind a mark by which the test finds it, and switches the machine off. It is built static, for each architecture,
// and needs nothing beside it.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	for _, fs := range []struct{ kind, on string }{{"proc", "/proc"}, {"securityfs", "/security"}} {
		if err := unix.Mount(fs.kind, fs.on, fs.kind, 0, ""); err != nil {
			fmt.Println("mount", fs.on, err)
		}
	}
	// kernel_lockdown(7): "none [integrity] confidentiality". Debian's kernels lock
	// themselves down when the firmware says that Secure Boot is on.
	if lockdown, err := os.ReadFile("/security/lockdown"); err == nil {
		fmt.Printf("PIXIECORE-LOCKDOWN %s", lockdown)
	}
	// A file that is not in the archive of this program.
	if file, err := os.ReadFile("/etc/pixiecore/file"); err == nil {
		fmt.Printf("PIXIECORE-FILE %s\n", file)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("PIXIECORE-CMDLINE %s\n", cmdline) // which ends with a line feed; another does no harm
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("power off:", err)
	}
	select {} // an init that ends is a panic of the kernel
}
