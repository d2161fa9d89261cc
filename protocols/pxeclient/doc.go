// Package pxeclient is a PXE client as each kind of firmware behaves: the
// counterpart that the servers are tested with, and what simulates a machine
// for an operator who wants to know what it would be given.
//
// A Profile is one firmware: what it sends and what it accepts, as pure
// functions. A Client drives a Profile over real sockets, from the first
// DISCOVER to the kernel:
//
//	firmware (Profile)                             server
//	  Discover ───────── broadcast, 67 ──────────▶ ProxyDHCP
//	  Accept, Choose ◀───────── OFFER ────────────
//	  BootServerRequest ───── unicast, 4011 ─────▶ (EDK2 always, a BIOS mostly)
//	  network boot program ◀── TFTP or HTTP ──────
//	iPXE (the Profile that the firmware's Becomes)
//	  autoexec.ipxe, from beside the program, or once more DISCOVER
//	  script ◀──────────────── HTTP ──────────────
//	  kernel, initrds ◀─────── HTTP ──────────────
//	Outcome{boot | sanboot | exit | …, kernel, initrds, command line}
//
// # Decisions
//
// The profiles are what real firmware was seen to do, not what the standard
// wants of it: a client that is more tolerant than a ROM proves nothing about
// the server. Where a firmware refuses an answer, the error says why, in the
// words that help to mend the server.
//
// The network boot program is downloaded and hashed but not run: unless its name
// says that it is a shim, GRUB, or an EFI program that is the end of the boot, the
// Client goes on as iPXE. A shim looks beside itself for what it was seen to look for,
// and GRUB for the configuration where Debian's signed one does, on the server that it
// came from: as if the ordinary DHCP server had named that in siaddr. Under Secure Boot
// only what has a signature is started; whose it is, is not looked at. The iPXE that it goes on as interprets the
// commands that a server's scripts consist of. Sleeping takes no time and
// nobody is at the keyboard, so a prompt or a menu ends by its timeout.
//
// The Client never takes a lease. It is given an address that is already
// configured on this host, and plays the part of a machine that an ordinary
// DHCP server has served. A simulation must not use up the addresses of a
// production network, nor reconfigure an interface.
//
// Over IPv6 it goes by the ADVERTISE, for the same reason, and requests nothing: what
// a firmware asks of an address only (a second SOLICIT, RELEASE) is not sent.
//
// It waits as long as the firmware does and repeats its requests when that does,
// unless Wait says otherwise: what comes too late for a real machine is too late
// here. What it has loaded is looked at by its first bytes only, where kernels and
// programs say what they are for: a Doubt is told beside the outcome, since a server
// has done its part when the bytes have come.
//
// All that a server sends is bounded in size, number and time; a server that
// sends a machine in circles is told so by ErrLoop.
package pxeclient
