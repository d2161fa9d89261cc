// Package loaders finds the network boot program, stock iPXE, that each kind
// of firmware is given first.
//
//	ipxe { efi64 = "/srv/x.efi" } ──▶ embedded (tag embed_ipxe) ──▶ /usr/lib/ipxe, /boot, /usr/share/ipxe
//	        configured                    booters/loaders/firmware          what the distribution installed
//	                     first hit wins, per firmware
//	                                  │
//	                  check: machine type, size, digest
//	                                  │
//	           Set: one Loader per firmware      Missing: where it was looked for, what mends it
//
// # Decisions
//
// The binaries are the distribution's, unmodified. What a machine boots is
// said by a script that the daemon serves, so nothing has to be built or
// signed here, and a signed loader can take the place of a stock one.
//
// Nothing outside the table in names.go and the configured paths is opened. In
// a directory the first name that fits wins; of two programs for one firmware,
// snponly comes before ipxe. It drives the network card through the firmware's
// own driver, the one that has just fetched it, while ipxe.efi brings drivers
// of its own and leaves the USB, Broadcom and vendor cards that they do not
// know without a network. A card that only ipxe.efi can drive is one line of
// configuration: loader = "ipxe" in the boot, for which the other build is kept too if
// there is one. A configured path is for both.
//
// A program that a directory holds for another processor is passed over:
// "ipxe.efi" is what distributions of any architecture call theirs. Everything
// else that looks odd is a Warning and is served all the same, because whoever
// configures a path may know better than this package. A configured path that
// cannot be read is an error and never falls back to the next place: the
// operator would believe in a file that is not served.
//
// The binary carries loaders only when it was built with the tag embed_ipxe,
// after `make firmware` had staged them. They are served as they lie in it: pages
// of the binary's file, which the system drops and reads again as it likes, and no
// copies of the daemon's own. Distribution packages are built without them and
// recommend the distribution's ipxe package.
//
// EFI byte code (efibc) is how some x64 firmware announces itself. It is given
// what x64 is given, a configured efi64 path included.
package loaders
