// Package tftp serves files to boot loaders by TFTP: reads only, of virtual
// files, with the options that firmware asks for (RFC 1350, 2347, 2348, 2349 and
// 7440).
//
//	client                       server's port 69          the transfer's own port
//	RRQ "…/ipxe.efi" octet ─────▶ ParseRequest
//	    tsize 0, blksize 1468     bounds ─▶ Files.Open
//	    windowsize 4              negotiate ───────────────▶╮
//	◀────────────────────────── OACK tsize 1048576, blksize 1468, windowsize 4
//	ACK 0 ─────────────────────────────────────────────────▶│ only now is the client
//	◀────────────────────────────────── DATA 1, 2, 3, 4     │ known to be there
//	ACK 4 ─────────────────────────────────────────────────▶│
//	                             …
//	ACK of the last block ─────────────────────────────────▶╯ Done(Transfer)
//
// What to say is decided by pure functions and one small machine: ParseRequest
// (request.go), negotiate (options.go) and window (window.go). transfer.go puts it
// on the wire, with segment_linux.go, and server.go keeps the bounds.
//
// # Decisions
//
// The answer comes from the address that was asked, on a connected socket of its
// own: EDK2 drops what comes from another address, and the kernel keeps strangers
// out of a transfer. Refusals are one datagram, so they go out of port 69 and cost
// no socket.
//
// Nothing but one datagram goes out before the client's first ACK, since the source
// of a request can be forged. An OACK, which is about as long as its request, is
// repeated at most three times. The 516 bytes that a request without options asks
// for are repeated only when the request is. Who never answers is counted (package drops),
// and written down once a second: the log is not to grow as fast as somebody can
// forge requests. A client that has answered once has a line of its own.
//
// Blocks are sent again when time is up, never because an ACK came twice: two
// machines that answer each duplicate with a duplicate go on so to the end of the
// file (the "Sorcerer's Apprentice", RFC 1123 §4.2.3.1). The time follows the
// client's pace, so that a loss does not cost a whole second each.
//
// In a window, an ACK of less than the window reports a gap, and the window begins
// anew behind it (RFC 7440 §4). Only once, until the client has everything that was
// on its way then: clients (EDK2) also answer blocks that they have already, and to
// begin anew for those would send every block twice from there on.
//
// After a loss a window goes out in smaller bursts with pauses between. It stays as
// long as negotiated: EDK2 counts blocks and does not acknowledge a shorter one. A
// window that shrinks was refused for that.
//
// A window goes out as one packet, or two, that the kernel cuts into blocks at the
// end of its way (UDP_SEGMENT): a third of the time of the server for each byte, of
// which most was the way of each packet through the kernel. It is the same call as
// that for a message of each block, with more blocks in a message, so where kernel,
// interface or path refuse to cut, one number changes and the transfer goes on. An
// interface that refused is not asked again.
//
// Without a window, a block is one write, and its ACK one read once the poller has
// told of it. Before, a read that found nothing came first, as it does in Read of
// package net, and the write was a batch of one: a tenth more of the processor for
// each block.
//
// Where a client is alone, or a window is short, the way there and back is what takes
// time. Our part of it is to be woken, and on one processor it is dearer than it looks:
// the first system call after each wait wakes a thread of Go's runtime, too, which
// watches over the scheduler and sleeps when all do. With a window of 16 it has a sixth
// of the processor's time, with 128 clients a twentieth. System calls that the runtime
// is not told of (RawSyscall) leave it asleep: a round trip of one client was a twelfth
// shorter, at a sixth less of the processor. They were refused: a transfer that other
// programs interrupt in such a call holds all others up, and on a busy machine 128 took
// more than twice as long. So was a spin in place of the wait, for it takes from the
// others what it gives to one; and to move the deadline only when it is due, for a
// thirtieth.
//
// A read of the next window while the client still has to acknowledge this one was
// refused: twice the memory of each transfer, to win a tenth.
//
// A request repeated from the same port belongs to the transfer that runs. A
// different one says that the client has given that transfer up: ROMs which ask for
// the size first do so without a word.
//
// An ERROR before the first DATA is how firmware ends a question for the size. It is
// a probe and no failure.
//
// Not here: writing, since no boot loader needs it; the multicast option (RFC 2090);
// "mail". Nothing is ever opened by path: Files is a virtual tree of the caller's.
package tftp
