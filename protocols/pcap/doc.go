// Package pcap writes UDP datagrams into a capture that tcpdump and Wireshark open,
// and reads them out of one that these have made.
//
//	Datagram ─▶ Writer ─▶ pcapng: Ethernet, IP and UDP headers made up
//	Datagram ◀─ Reader ◀─ pcapng or pcap: Ethernet, "any", raw IP, loopback
//
// # Decisions
//
// What the daemon has seen of a packet is the datagram and its addresses: sockets
// tell no more. The headers around it are made of these, with correct lengths and
// checksums. A hardware address that is not known is zero.
//
// The format is pcapng (draft-ietf-opsawg-pcapng), with three kinds of blocks of
// some dozen bytes. A library for that would bring the dissectors of a hundred
// protocols with it.
//
// A Reader passes over what is no whole UDP datagram, and over blocks that it does
// not know, since a capture holds what went by. It stops at what is no capture. All
// that it holds at a time is one block, of at most MaxBlock bytes.
package pcap
