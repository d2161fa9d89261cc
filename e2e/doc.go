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
//	                                      QEMU: SeaBIOS or OVMF,
//	                                      serial console to the test
//
// Each rule's command line carries a nonce. The initial RAM disk prints
// /proc/cmdline on the serial console, so a nonce read there proves that this
// machine booted by that rule and by nothing else.
//
// To run it, as root on Debian:
//
//	e2e/setup && go test -count=1 -timeout 30m -tags e2e -v ./e2e
//
// A case that cannot run here is skipped and says why; with
// PIXIECORE_NO_SKIP=1 it fails. PIXIECORE_BIN names a daemon to test in place
// of one built from this tree.
//
// # Decisions
//
// The machines run without KVM, so that a test takes the same path wherever it
// runs; a boot takes 10 to 60 seconds. What is tested here is what only real
// firmware can tell. All else has tests of its own beside the code.
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
