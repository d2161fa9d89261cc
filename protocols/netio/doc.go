// Package netio moves UDP datagrams together with what boot protocols must know
// of their way: the interface that each came in by and the address of ours that
// it was sent to.
//
// A machine without an address asks by broadcast, and the answer must leave by
// the wire on which the question came, with our address on that wire in it. A
// plain net.PacketConn says neither. Here every Datagram carries both, in and
// out, and Interfaces turns the index into addresses:
//
//	wire ──▶ ListenUDP ─┐                                      ┌─▶ WriteBatch ──▶ wire
//	         (bound)    ├─▶ Serve ──▶ []Datagram ──▶ handler ──┤
//	wire ──▶ Snoop ─────┘   (until   {Data, Peer,      │       └─▶ drop
//	         (a copy)        ctx)     Local, Interface}│
//	                                                   ▼
//	                              Interfaces.ByIndex(…).AddrFor(peer)
//
// # Decisions
//
// ListenUDP owns its port: neither SO_REUSEADDR nor SO_REUSEPORT is set. With
// both daemons setting them, Linux gives broadcasts to both, but each unicast to
// the one bound last: a PXE server started after the DHCP server would take the
// renewals away from it, and leases would die hours later. A second daemon shall
// get "address already in use" instead, at once.
//
// Snoop is how to live beside a DHCP server on the same host (`share = true`). It
// is an AF_INET raw socket and not an AF_PACKET one: it stands behind the
// firewall as a bound socket does, the kernel has put fragments together and
// finds the route and the neighbour for our replies, and RestrictAddressFamilies
// of the unit needs no further family. Nothing is bound, so a host on which
// nobody else listens answers unicasts with an ICMP port unreachable: snoop only
// where another server holds the port.
//
// Batches are recvmmsg and sendmmsg on Linux: a quarter less time per datagram than
// one call each. They are called here, since golang.org/x/net makes a net.Addr for each
// datagram, and a control message is one more: five allocations there and back, of
// which none is left (BenchmarkEcho). The memory of a batch is a mailbox, linked once
// and used again. Other systems move one datagram per call with the standard library's
// methods. They have no snooper and, for IPv4 over a socket of both families, leave the
// interface and the source address of a reply to their routes.
//
// Interfaces is a table that is read as a whole: a lookup is a pointer load. It is read
// again after the host has told of a change (Watch, by rtnetlink), whatever that was,
// and where nobody watches or the host does not tell, once it is older than a second:
// for commands, other systems and sandboxes. To keep the table by what the messages say
// was refused: some get lost in a storm, and then it is read as a whole anyway. Routes
// are remembered for a second: on a router, who watches them reads all day.
package netio
