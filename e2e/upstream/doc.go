// Package upstream puts the daemon between machines and a real web server, and breaks
// what can break there: the server, the file, the disk, the daemon.
//
//	 machines 192.0.2.50       server 192.0.2.1              mirrors 192.0.2.2, …
//	┌──────────────────┐      ┌────────────────────────┐    ┌───────────────────┐
//	│ this test, and   │ ───▶ │ pixiecore serve        │ ──▶│ nginx, its access │
//	│ PXE clients      │      │ with a cache           │    │ log, and files    │
//	└──────────────────┘      └────────────────────────┘    └───────────────────┘
//
// To run it, as root on Debian, at full size and as CI does:
//
//	make soak
//	make soak PART=100
//
// PIXIECORE_SOAK_PART=n does the n-th part of the kills, and at least ten;
// PIXIECORE_BIN names the daemon, in place of one built from this tree.
//
// # Decisions
//
// What nginx sent is read from its access log, which it writes at the end of a
// request: a byte that a machine has before there is a line has come while the
// transfer went on. So nothing here goes by time, but by how long a transfer is made
// to take.
//
// A mirror that dies is an nginx that is killed. What no nginx does, to announce
// more than there is, comes from behind it.
//
// The daemon is killed in the middle of a boot, from the DISCOVER to the last byte of
// the kernel, at moments that move on from one kill to the next. What is counted is
// what the machines have: how many were told to install, and each file to the byte.
package upstream
