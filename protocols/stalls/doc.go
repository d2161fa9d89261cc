// Package stalls says why a boot does not go on: which step is due, how long it may
// take, and, when it is missing, what is likely wrong and the way out.
//
//	asked ─▶ offered ─▶ address ─▶ boot-server ─▶ loader ─▶ ipxe, autoexec ─▶ reporting ─▶ script ─▶ kernel ─▶ initrd ─▶ booting
//	      10 s      30 s       30 s           20 s       60 s              45 s        30 s       30 s      60 s      60 s
//
// Diagnose is the state machine, and pure: a boot as package events has it, what is
// known of the network, and the time. A Watch asks it about every boot that has not
// come to an end, tells the Log, from which the status and the machine's screen have
// it, and logs each diagnosis once.
//
// # Decisions
//
// A boot is judged by the furthest step that it has come to. The steps of DHCP are
// repeated by a machine that hears nothing, so the time since the first of them
// counts there, and elsewhere the time since anything happened last.
//
// A server that fails says itself what is wrong (events.Fault and the detail); what
// is added here is what only the run of the boot tells. A failure is told after
// Grace, because firmware and iPXE try again by themselves.
//
// A machine that has begun its next boot did not finish the one before: that is
// judged at once.
//
// The limits are longer than what real firmware needs (EDK2 gives up DHCP after a
// minute; a kernel starts in seconds), and a boot that goes on after all is running
// again: a diagnosis that comes half a minute late is worth more than a false one.
//
// "Likely" is meant: a ProxyDHCP server never sees what another server answers. The
// causes are those that the field reports most, in that order.
package stalls
