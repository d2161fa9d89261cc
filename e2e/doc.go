// Package e2e boots whole machines from the daemon: the firmware is real, so
// is the kernel, and nothing in between is a mock.
//
//	 namespace dhcp        namespace server
//	┌──────────────┐      ┌────────────────────────┐
//	│ dnsmasq:     │      │ pixiecore serve        │
//	│ addresses,   │      │ 67 4011 69 80          │
//	│ no boot file │      │                        │
//	└──────┬───────┘      └───────────┬────────────┘
//	   192.0.2.2                  192.0.2.1
//	═══════╧══════════ bridge ════════╧═══════╤═══════════╤══  netlab's Switch
//	                                        tap 1       tap 2 …   each captured
//	                                      QEMU with its firmware,
//	                                      serial console to the test
//
// Every machine's command line carries a nonce. The initial RAM disk prints
// /proc/cmdline on the serial console, so a nonce read there proves that this
// machine booted by its rule and by nothing else.
//
// What machines boot on what networks is one list, cases_test.go. TestMatrix boots
// all of it, by one rule and one boot block, and prints case, verdict and seconds;
// the README's table of what boots is made of the same list. A new kind of firmware
// is a row there, a board in machine_test.go and its parts in the script setup.
//
// To run it, as root on Debian, and one case of it (-run takes the names of network
// and machine with _ for a blank):
//
//	e2e/setup && go test -count=1 -timeout 30m -tags e2e -v ./e2e
//	go test -count=1 -tags e2e -v -run 'TestMatrix/beside_a_DHCP_server/UEFI_arm64,_PXE$' ./e2e
//
// With -record behind the folder's name, it writes what each firmware asks by DHCP
// into the folders of requests that the tests of packages dhcp4 and dhcp6 answer.
//
// A case that cannot run here is skipped and says why; with
// PIXIECORE_NO_SKIP=1 it fails. PIXIECORE_BIN names a daemon to test in place
// of one built from this tree.
//
// With the tag browser there is a test more, which looks at the status page by a real
// Chromium while machines boot, simulated ones and one of QEMU's, and writes the
// images in docs/images if -screenshots says so:
//
//	make test-browser
//	go test -count=1 -tags e2e,browser -run '^TestBrowser' ./e2e -screenshots
//
// # Decisions
//
// The machines run without KVM, so that a test takes the same path wherever it
// runs; a boot takes 10 to 100 seconds, and no more than two are on at once, beside
// three whose firmware waits for what does not come. What is
// tested here is what only real firmware can tell. All else has tests of its own
// beside the code.
//
// A kernel that printed its nonce has not come by the way that its case means, if the
// firmware tried another one after that had failed. So the requests on the machine's
// cable count as well: by which protocol it fetched its loader, and how often.
//
// QEMU has no PXE ROM for a BIOS but iPXE's. A filter between such a machine and its
// cable takes out of its requests what shows it to be iPXE, until it fetches a file
// (plain_test.go).
//
// What installs a machine is a Linux (command installer), which takes its image and says
// that it is done over the network, as any installer does: a script of iPXE could not
// have written a disk.
//
// The daemon is told to start and to reload as a service manager and an editor
// would do it: readiness and the verdict on a saved file are read from its
// notification socket, the file is what it watches. Nothing else of it is
// relied upon.
//
// The disks are made by the tests: a boot sector of 34 bytes of code, and an
// EFI program that knows two firmware calls. Each prints a nonce of its own,
// so "booted from disk" is as certain as "booted by that rule".
package e2e
