// Package events remembers the boots of each machine, step by step, so that the
// operator can be shown how far one went and what it waits for.
//
// The servers add steps to one Log; everything that shows them reads it:
//
//	boots ── Begin ──────┐   ┌ 52:54:00:12:34:56  facts  boot 11:02 booted   [asked ×2, offered ×2, …, booting]
//	dhcp4 ── Add ────────┤   │                           boot 14:30 running  [asked, offered, boot-server,
//	tftp  ── Add, Start ─┼─▶ │                                               loader, script, kernel 40 %]
//	httpboot ── likewise ┘   └ 52:54:00:12:34:57  facts  boot 09:12 ignored  [asked ×40, ignored ×40]
//	                                │
//	stalls ── Stall ────────────────┤
//	                                ├─▶ Machines, Machine, Servers ─▶ JSON, CLI, page
//	                                ├─▶ Subscribe ─▶ live views, which may lose something and are told
//	                                └─▶ Observe ─▶ metrics, which lose nothing
//
// # Decisions
//
// What a boot is, package boots says: it calls Begin. A machine that begins again
// without having got further than DHCP within RetryWithin makes no new Boot here,
// but one more of its Attempts: one that fails sends DISCOVER for hours, and would
// else wash out how it began.
//
// A step that repeats one of the last few of its boot within FoldWithin is counted
// there instead of stored, for the same reason. A transfer is a step of its own
// each time.
//
// Who sends a file is not asked to report how far it is: Start takes a function
// that tells, and it is called when somebody looks (Machines, Tick). The way of a
// packet has one Add under one lock, which allocates nothing when the step is a
// repetition, and nothing for a new machine once there are as many as there may be:
// it gets the memory of the one that is forgotten for it.
//
// What is stored is no Event, but what tells one from others, and a pointer to what
// many have in common (compact.go): rule, boot, protocol, detail, file. A machine that
// was offered something has 340 bytes, and the fullest Log of the longest texts 11 MiB
// (BenchmarkMemory, TestAMillionInventedMachines).
//
// No boot is decided by what is here: a Log that is lost costs a history. The
// daemon stores it, by Changed, and gives it back by Restore. A nil *Log takes
// everything and remembers nothing, so that a server needs no test for it.
//
// Everything is bounded, for a MAC address costs its sender nothing: MaxMachines
// machines and MaxAll steps, long texts counting as more, of which those of the machine that was silent longest
// are forgotten first; MaxBoots boots of each and MaxSteps steps of a boot. A
// stranger who floods the network with invented addresses can push real machines
// out of the Log; a Log that would refuse new machines instead could be closed for
// good by the same flood.
//
// A boot with more steps than MaxSteps loses files from its middle: how it began
// and how it stands is what is asked for.
//
// What clients say (names, serial numbers) is cut to MaxText bytes and stripped
// of everything that does not print, direction overrides included, because it
// ends on a terminal or a page.
package events
