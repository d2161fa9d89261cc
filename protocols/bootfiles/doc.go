// Package bootfiles is what a booting machine finds on this server before its
// kernel: the network boot programs and the iPXE scripts, as one virtual
// directory that TFTP and HTTP serve alike.
//
//	<token>/ipxe.efi        the loader of the machine that the token names
//	<token>/undionly.kpxe   the same for a BIOS
//	<token>/autoexec.ipxe   what an iPXE of 2021 or later fetches from beside itself
//	<token>/shimx64.efi     and what a shim asks for beside itself, grubx64.efi, with what
//	                        GRUB asks for: grub.cfg, kernel, initrd0, initrd1, …, booting
//	<token>/bootx64.efi     the EFI program that the boot is
//	<token>/nohttp.ipxe     what is shown by an iPXE that no loader here can help
//	ipxe-x64.efi, …         loaders under fixed names, for DHCP servers that somebody
//	undionly.kpxe           else runs and that set options 66 and 67
//	autoexec.ipxe           for a loader that was fetched under a fixed name
//	boot.ipxe               the same by HTTP: reports all facts, gets the machine's script
//	<board>/config.txt, …   what a Raspberry Pi asks for, in the directory of its serial
//	                        number or MAC address
//	<board>/extlinux.conf   U-Boot's configuration, also as <board>/pxelinux.cfg/01-<MAC>
//	                        and, for who knows no directory, pxelinux.cfg/01-<MAC>
//	<board>/boot.kernel, …  what these two load
//
//	grub/grub.cfg           where GRUB of a distribution looks, and leads to
//	grub/<MAC>/….cfg        the configuration of that machine
//
// Nothing here is a path on disk: names are looked up, never opened.
//
// The scripts of a boot follow one another:
//
//	autoexec.ipxe ──▶ /_/ipxe?token=…  Stub: reports the CPU and iPXE's other facts
//	   (or DHCP)              │
//	                          └──▶ /_/ipxe?token=…&facts=1&cpu=…  Boot, LocalDisk or Screen
//
// # Decisions
//
// The loader lies in a directory of the machine's own, because iPXE looks for
// autoexec.ipxe beside itself: so each machine gets a script that knows it,
// from an unmodified and possibly signed binary. The original embedded a
// script in a binary of its own instead, and depended on a second round of
// ProxyDHCP, which some machines miss.
//
// The first script is always Stub, also where every fact is known already. One
// more round trip of HTTP costs a millisecond, and there is one way instead of
// two.
//
// A script that cannot be made is answered by Screen, a script that says why on
// the machine's own screen and tries again, not by an HTTP status, which iPXE
// shows as a number.
//
// Boards (boot.Firmware.Board) run no network boot program, so there is no script to
// serve them, and no HTTP: their configuration is rendered from the same Spec, and
// kernel and initrds lie beside it under fixed names, by TFTP as by HTTP. What is
// told of a Raspberry Pi and of U-Boot is told by their documentation, and was tried
// on no board. A board's directory can also be named by a MAC address, which anybody
// may write there: what lies in it is no secret, and a PC's files are not to be had
// so.
//
// GRUB fetches kernel and initrds from the machine's own directory, by names relative
// to where it came from itself: so no address stands in its configuration, it is the
// same by TFTP and HTTP, and each file is asked about as a loader is. Sealed addresses, as in
// iPXE's scripts, were refused: one of a long URL has more bytes than a TFTP request may.
// GRUB tells that it is about to boot by looking whether the file "booting" is there.
//
// GRUB of distributions takes its server from the DHCP acknowledgement and a name that is
// built into it, which tells nothing of the machine. What it finds there leads on by the
// MAC address, and only for one that was heard by DHCP in this boot: who writes any
// other address into the name is shown a sentence. The kernel's command line goes out in
// words that nothing in GRUB expands; what GRUB cannot hand to a kernel (see grubWords) is
// refused with a sentence on its screen, which GRUB shows for a minute before it starts the
// machine again, for a configuration that leads to itself would fill its memory.
//
// iPXE splits a line into words at white space and looks for "||", "&&", ";"
// and a leading "#" before it expands settings (core/exec.c). So a word that
// would be taken for syntax is written by way of a setting: see script.putWords.
package bootfiles
