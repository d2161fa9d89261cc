// Package dhcp6 answers machines that look for a network boot over IPv6
// (RFC 8415, RFC 5970): with boot information alone, beside the network's own
// DHCPv6 server, or with addresses of a pool too.
//
//	datagram ─▶ open ─▶ Classify ─▶ Client ──┐
//	           relays                        ├─▶ boot URL ──┐
//	   Memory.Decide ─▶ Verdict ─────────────┘              ├─▶ respond ─▶ relays ─▶ datagram
//	                                    Leases ─▶ IA_NA ────┘
//
// Everything between the two datagrams is pure but for the verdict and the leases,
// and tested as a table.
//
// # Decisions
//
// Without a pool only machines that say their architecture (option 61) are
// answered, and no address is ever offered or refused: EDK2 takes such an
// advertisement as that of a proxy, if it has the vendor class PXEClient or
// HTTPClient, and the address from the ordinary server. (Without the class, the PXE
// of EDK2 2022.11 waits for ever when both have advertised.) With a pool everybody on
// the link gets an address who asks, since the firmware asks a second time without
// saying that it boots.
//
// What EDK2's PXE takes for a proxy's it asks about once more, on port 4011, which
// nothing specifies over IPv6. That is left unanswered, and the firmware goes on to its
// HTTP Boot at once. An iPXE that it loads by PXE has no autoexec.ipxe over IPv6 and
// takes the first advertisement with an address, so it would never see our script.
//
// A machine that the rules ignore gets no answer to a request that says its
// architecture. One that boots its own disk gets an address and no boot file, on
// which firmware goes on to its next boot option: nothing is loaded, so it works
// under Secure Boot too. Its iPXE is given the script that does it.
//
// The MAC of a machine is what a relay says (option 79, RFC 6939), else it is in
// the DUID (of types LLT and LL), else in a link-local source address made of it
// (RFC 4291, appendix A). If it is nowhere, rules that ask for a MAC do not match,
// and the machine is sent to the loader's fixed name, whose script tells the
// server the rest.
//
// An address belongs to one identity association of one client (package leases). A
// batch of requests is stored at once, before its answers go out (RFC 8415 §18.3: a
// binding is recorded before it is told).
//
// A client that does not say that it can be told otherwise is answered on port 546
// (RFC 8415 §7.2), also where it sent from another. A relay is answered on port
// 547, or where it asked from if it says so (RFC 8357).
//
// A request by unicast is answered like one by multicast. RFC 8415 §18.4 wants it
// refused with UseMulticast; the firmware that does it has no other way, and the
// revision of that RFC has taken the status code out.
package dhcp6
