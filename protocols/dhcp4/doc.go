// Package dhcp4 answers machines that look for a network boot over IPv4: as a
// ProxyDHCP server beside the network's own DHCP server, or as one that leases
// addresses itself (Addresses), and as the PXE boot server on port 4011.
//
//	datagram ─▶ gate ─▶ Classify ─▶ Client ─┐
//	                                        ├─▶ strategy.For ─▶ Offer | Ack ─▶ destination ─▶ datagram
//	       Memory.Decide ─▶ Verdict ────────┘
//
// Everything between the two datagrams is pure but for the Booter's verdict,
// and tested as a table: Classify says who asks, strategy.For what kind of answer
// that machine can use, Offer and Ack write it, destination addresses it.
//
// What the request tells of the machine beside (relay, circuit, classes, UUID:
// boot.Facts) goes to package boots, which knows the boot that it belongs to, and
// from which all servers of the daemon take it for the rest of that boot.
//
// # Decisions
//
// Only machines that announce themselves as PXEClient or HTTPClient and name
// their architecture are answered: a phone's or a printer's DISCOVER is none
// of our business, and an ignored machine gets not one byte.
//
// The PXE of firmware is told of its file in one of the styles of the PXE
// specification 2.1 (boot.Style, reply.go): UEFI begins with an offer without option
// 43, as from the original, upon which it asks on port 4011; a BIOS and iPXE with
// discovery control 8, which names the file at once. Firmware that asks again without
// going on is offered the next style, within that boot and in its next attempt: what
// goes on is seen by package boots, and the log has the line that pins it.
//
// An iPXE that can load by HTTP is given its script, whatever build it is; one
// that cannot is given our loader, and where that comes back the same, a screen that
// says why, by TFTP (Chains): no boot is a loop. Its announced
// version (option 175.235) is not looked at: builds of 2021 announce 1.0.0, and
// who chains by it loops for ever.
//
// "local" on UEFI is a boot menu whose only entry is type 0, which the
// firmware takes as "go on to the next boot option": no loader is sent, so it
// works under Secure Boot too. Everywhere else iPXE does it.
//
// A Raspberry Pi announces itself as a BIOS and is known by its option 97 or MAC
// address. It takes an offer only for the menu text "Raspberry Pi Boot", and asks by
// TFTP for names of its own choice. A board (boot.Firmware.Board) runs no iPXE, so
// that what only iPXE knows is not there, and never unknown.
//
// U-Boot takes the first OFFER for one of an address, unless it is built with
// CONFIG_SERVERIP_FROM_PROXYDHCP. One that does not call itself a PXEClient is
// answered together with an address only.
//
// Where a machine is, is told by its relay: option 82's link selection, else
// giaddr. Without a relay it is the link of the interface that the request came
// in by. The address that the machine is leased is not waited for.
//
// Settings.Relays and Settings.Relayed look at giaddr before anything else is
// read of the request, so that what they refuse leaves no trace but a count (package
// drops) and a line of the debug log. giaddr proves nothing: who forges it gets no answer, since that
// goes to the relay, but makes us send one there; a filter in front of the server
// is what keeps strangers off.
//
// Most requests differ from one that was answered before in nothing but who sends them. Of
// these, only that is read, and written into the answer that was made for the first
// (fast.go): a tenth of the time, and no memory. What the table of forms does not hold
// is read as a whole. To build a parser for everything that is as quick was
// refused: it would be a second opinion of every option.
//
// The loop that reads never waits for a verdict. Where somebody has to be asked
// (boot.Verdict.Ask: an API), the rest of the request goes on beside it, for a
// part of iPXE's two seconds and for maxAsking requests at most. Who is answered
// too late asks again: a client repeats its request by itself.
//
// One loop reads each socket. Two of them on that of port 4011, which is unicast only,
// were tried and refused: on a host of two processors with the load beside it (`make
// load ROW=pxe UNPINNED=1`, three runs of each in turns), they answered 85,000 a second
// in place of 107,000, for 8.1 µs of processor time each in place of 6.2. What they
// share (the socket, events, boots) is locked against each other, and batches are the
// smaller. A host with more processors was not measured.
// SO_REUSEPORT was refused for more: what waits at a socket that a reload closes is
// lost, and package netio says what it does beside another server.
//
// Judge answers without a socket, at the time of Clock: what a configuration would
// have said to a packet of yesterday is decided by the code that will say it.
//
// With Addresses, what a machine boots goes into the same OFFER and ACK, by the same
// rules and in the same forms: EDK2 takes an offer with both before any other's, and
// GRUB finds its server in the ACK alone. The rules say what somebody boots, and not
// whether he gets an address. Where the verdict fails (an API that is down, no loader)
// a machine that asks to boot gets no answer, so that it asks again; one that is
// ignored is told its address and nothing else.
//
// A client is refused an address (NAK) by a server with a pool, which is its network's
// only one, if the address is of another network or another's; one that it knows
// nothing of may be from elsewhere, and is passed over (RFC 2131 §4.3.2). Without a
// pool, it refuses what it was asked for itself and cannot give, and nothing else.
//
// A reservation is known by the MAC address and held under the machine's name: the
// firmware, iPXE and the system send three client identifiers and are to have one
// address. In a pool it is the identifier that counts (§4.2), unless it is the MAC.
//
// An address that was nobody's, or another's, is looked for beside the loop that reads
// (Addresses.InUse) while it is held for the client, whose repeated request waits
// for that.
//
// The file name stands in the BOOTP field, because U-Boot and old ROMs read
// nothing else, and some read option 67 without its length. Only what is longer
// than 127 bytes goes to option 67.
package dhcp4
