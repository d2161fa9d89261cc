// Package boot is the vocabulary of a network boot: who asks (Machine), what it
// is given (Spec), who decides (Booter) and what one generation of the
// configuration holds (Snapshot).
//
// Every other package speaks these words, so this one imports nothing but the
// standard library:
//
//	a packet ──▶ Machine ──▶ Booter ──▶ Verdict{ignore | boot | local | probe}
//	                           ▲                        │
//	             Source.Current() *Snapshot             └──▶ Spec, made of IDs that the
//	                                                         Booter can open again
//
// # Decisions
//
// The Booter interface is the one of the original pixiecore, to the letter, so
// that programs which implement it go on compiling. What it cannot say (local
// disk, "ask iPXE first", the rule's name) is said by Verdict, which a Booter
// may offer by implementing Decider. DecideNow, SpecFor, OpenFile and PutFile are
// the only places that look for the optional interfaces.
//
// A decision is a lookup, and who serves packets makes it between two of them.
// What takes longer is not hidden in it but named: Verdict.Ask is called where
// waiting harms nobody. DecideNow is the lookup, and Decide is both.
//
// Firmware names the platform and never changes during a boot: a BIOS machine
// that has come as far as iPXE is still FirmwareX86PC here. Which program is
// asking at the moment (the ROM, some iPXE, our iPXE) is a matter of the wire
// and lives in protocols/dhcp4.
//
// Architecture and firmware both derive from one table, archTypes, of the IANA
// registry "Processor Architecture Types": a new type is one line there.
package boot
