// Command init is the first and only process of a machine that a test of package
// e2e has booted: it prints the kernel's command line on the console, behind a
// mark by which the test finds it, and switches the machine off. It is built
// static, for each architecture, and needs nothing beside it.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Println("mount /proc:", err)
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
