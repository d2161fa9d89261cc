// Package boots remembers the boot that each machine is in: what it said in DHCP,
// what was decided for it, and what iPXE reported. All servers ask it, so that a
// boot has one verdict from the first DISCOVER to the last file.
//
//	           ROM's DISCOVER      4011, TFTP, iPXE's DHCP, scripts, files     next DISCOVER, or MaxBoot
//	               │                          │                                     │
//	               ▼                          ▼                                     ▼
//	dhcp4 ── Heard: a boot begins ──▶ Decide, Decide, … ─────────────────────▶ it is over
//	                                     │
//	   first without an unknown: rule, boot and generation are fixed, and every later one gets them;
//	   each is asked of the current table and of the holds too, which can refuse it, and nothing else
//
// # Decisions
//
// A boot begins with its firmware's DISCOVER. It is told from a retransmit by the
// transaction (RFC 2131 §4.1), as far as that goes: there are ROMs that make it of
// their MAC address, so that a DISCOVER after iPXE's, or long after the last one,
// begins a boot whatever its transaction is. iPXE's request within SameBoot belongs
// to the boot, and brings other classes from the same machine; it changes nothing,
// so that a rule on them means the same at each stage. Where the firmware is an
// iPXE, its first request begins the boot, and another iPXE's with more abilities,
// or our user class, belong to it. A machine whose DHCP requests do not come here
// begins its boot with its script (Script). It asks for that again in the same boot, for
// SameBoot, unless it has gone on to a kernel or its own disk: a second boot would use
// up what was armed for the first, and make its addresses bad. But nothing tells a
// machine that asks again from one that was switched off and on, so that each time the
// current table decides: an operator who has mended it is not to wait.
//
// The boot of each MAC address is its own: two interfaces of one machine, with
// one UUID, are two boots.
//
// What decides is a Verdict, whose Render may hang on the configuration that it
// came from. So a boot keeps its Snapshot: the whole table of a generation stays in
// memory while a boot of it goes on. To hold only a rendered Spec was refused,
// since scripts and files are rendered for facts that only iPXE tells, after the
// verdict. The cost is bounded by MaxGenerations: with more, the boots of the
// oldest go on with the current table, and an event says so to whom it concerns.
// A table of 10,000 rules has 8 MB, beside the bytes of its loaders, and each
// machine that is remembered 500 bytes while it has only asked, 1.2 kB later, or 3.6 if
// all of its texts are as long as they may be (BenchmarkMemory).
//
// What machines of one model on one network have told in DHCP is the same but for their
// UUID, so that all but those heard of lately share it (pack): 200 bytes are left of 500,
// and 4 MB are what MaxMachines invented ones take. Who invents texts, too, gets no
// share: 60 MB are the worst.
//
// "Ignore" is not fixed, nor is "ask iPXE". A machine that is ignored and asks
// again gets what the table says by then: that is what the operator waits for who
// has just added its rule. A boot that is refused keeps its verdict too, and goes on
// with it after `resume`.
//
// What an operator has chosen for a boot (Next) takes the place of the verdict before
// that is fixed, so that it is one verdict as well: see choose. It may be taken back
// until the machine has its script.
//
// An error of the current table (an inventory that is down) refuses nothing: what
// is fixed was decided without it.
//
// Firmware that repeats its DISCOVER and asks for nothing else has not taken what it
// was offered, or has no address yet: the two cannot be told apart here, and to be
// offered the same in another style harms neither. So each repetition counts
// (Repeats), until the machine goes on (WentOn).
//
// Beside the token in a boot file's name, which carries what cannot be done without
// (MAC and architecture type), this is all that servers remember. What is lost with
// it, by a restart or by eviction, the machine tells again: its loader is served all
// the same, by the current table, and iPXE's own DHCP request brings its facts back.
// So nothing is written to disk.
//
// A MAC address costs its sender nothing, so the memory has a bound, MaxMachines,
// and forgets the machine that was silent longest. A flood of invented addresses
// costs real machines no more than what a restart does.
package boots
