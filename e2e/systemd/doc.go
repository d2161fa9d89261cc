// Package systemd installs the Debian package on hosts whose PID 1 is a real
// systemd, and does there what an administrator does.
//
//	 client                          namespace server
//	┌──────────────┐   ┌──────────────────────────────────────────┐
//	│ this test's  │   │ systemd-nspawn --boot: bookworm or trixie │
//	│ binary, as a │   │   systemd 252 or 257 ── pixiecore.service │
//	│ machine, or  │   │   apt, the package     ── pixiecore-*.socket │
//	│ as load      │   │                                          │
//	└──────┬───────┘   └──────────────────┬───────────────────────┘
//	   192.0.2.2                      192.0.2.1
//	═══════╧══════════ bridge ═════════════╧═══════  netlab's Switch
//
// To run it, as root on Debian:
//
//	make test-systemd
//
// # Decisions
//
// A host is a tree that mmdebstrap made once (e2e/systemd/setup), under an
// overlay in memory: each test begins with a fresh installation of Debian, in a
// second, and leaves nothing. Commands run in its namespaces by nsenter, and
// need no login, D-Bus or machined.
//
// The packages are those in dist/: what is tested is what is released. The
// second version of the upgrade is the first with another number.
//
// What such a host does not have is the kernel's: AppArmor, and limits of
// memory.
package systemd
