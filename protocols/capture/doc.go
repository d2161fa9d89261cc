// Package capture remembers the packets by which each machine asked for its boot,
// and what it was answered, for who wants to see what a daemon saw.
//
//	wire ──▶ netio.Conn ──▶ Tap ──▶ dhcp4, dhcp6, tftp
//	                         │ a copy, under the machine's MAC
//	                         ▼
//	                        Ring ──▶ Of, Follow ──▶ pcapng
//
// # Decisions
//
// It is on always: what one wants to see has happened already. A packet costs a
// copy and a lock; nothing is parsed but for the MAC, and what is dropped later by a
// server is in here too.
//
// The copies of all machines stand one behind the other, in chunks that are used again
// when the last is full. To keep those of each machine by themselves, and to forget the
// machine that was silent longest, cost twelve times as much for each packet
// (BenchmarkAdd), a quarter of what an offer may cost; a flood of invented addresses
// pushes out everything older either way. Who asks for a machine's pays for the search.
//
// Requests and answers of DHCP are kept, on port 67 and 4011, and requests of TFTP
// for a machine's own directory, whose name says whose it is. The blocks of a file are
// not: they are large, and not ours alone to know. A file under a fixed name is nobody's.
//
// Everything is bounded, for a MAC address costs its sender nothing: MaxBytes in all,
// the oldest of which are forgotten first, and MaxMachine for who asks for one machine.
package capture
