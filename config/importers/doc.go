// Package importers writes configurations for those who come from elsewhere: from
// the command line of the original pixiecore, from NixOS's module for it, from
// dnsmasq and from matchbox.
//
//	text ──▶ reader of the kind ──▶ draft ──▶ HCL
//	                                  └─ what could not be carried over, as comments
//
// # Decisions
//
// What comes out can be served as it is: the tests hold all of it to a load
// without a problem. What has no counterpart, or would mean something else, is a
// comment that names its line and says what becomes of it. A condition that is not
// understood takes its rule with it: a rule with one condition less would boot
// machines that it was not meant for.
//
// The readers know as much of each syntax as is found in such files, not all of
// Nix or of a shell.
package importers
