// Package events remembers what each machine did, so that the operator can be
// shown how far a boot went and what it waits for.
//
// The servers add to one Log, the status listener reads it:
//
//	dhcp4 ─┐                       ┌ 52:54:00:12:34:56  facts, [offered ×3, loader, script, …]
//	tftp  ─┼─▶ Log.Add, SetFacts ─▶┤ 52:54:00:12:34:57  facts, [ignored ×40]
//	http  ─┘                       └ …                  ─▶ Log.Machines ─▶ JSON
//
// # Decisions
//
// Nothing here is written to disk and no boot is decided by it: a Log that is
// lost costs a history. The daemon keeps the last event of each machine, and
// gives it back by Restore after a restart. A nil *Log takes everything and remembers
// nothing, so that a server needs no test for it.
//
// Everything is bounded, for a MAC address costs its sender nothing:
// MaxMachines machines, of which the one that was silent longest is forgotten
// first, and MaxEvents events of each. A stranger who floods the network with
// invented addresses can push real machines out of the Log; a Log that would
// refuse new machines instead could be closed for good by the same flood.
//
// An event that repeats the machine's latest one within FoldWithin is counted
// there instead of stored. A machine that sends DISCOVER for hours, which is
// what a failing one does, would else wash out how it began.
//
// What clients say (names, serial numbers) is cut to MaxText bytes and stripped
// of everything that does not print, direction overrides included, because it
// ends on a terminal or a page.
package events
