// Package bench loads the daemon beside other servers, and prints one table of
// ratios:
//
//	make bench
//
//	 segment "pixiecore"      segment "dnsmasq"       segment "echo" …
//	┌───────────────────┐    ┌───────────────────┐
//	│ server 192.0.2.1  │    │ server 192.0.2.1  │    processor 0
//	└─────────┬─────────┘    └─────────┬─────────┘
//	   bridge │                 bridge │
//	┌─────────┴─────────┐    ┌─────────┴─────────┐
//	│ client 192.0.2.50 │    │ client 192.0.2.50 │    processor 1: the load
//	└───────────────────┘    └───────────────────┘
//
// Each server has a network of its own, so all of them run for the whole time
// and are loaded in turns: a round is one turn of each, and a figure is the
// median of the rounds. Whatever else the machine does meanwhile meets all of
// them alike, and what is printed is their ratio.
//
// The ceilings are a UDP echo of two system calls for each batch, and a
// net/http handler that writes a fixed text. Servers that are not installed are
// left out, with their rows.
//
// `make soak` does to a daemon of that kind what a hostile or broken network does:
// a flood of MAC addresses, TFTP requests that nobody acknowledges, headers that
// never end. It fails if memory is not bounded, or if a machine that means well
// has to wait. CI does a small part of each. Package upstream does the same with the
// servers of files, and with kill -9.
//
// A row is measured alone by its name, `make load ROW=offers,pxe`, with the servers
// that it needs. `make profile ROW=offers` loads the daemon of ./profiled in the same
// way, and prints where its time went. A figure that falls short says why, in the
// sentence that its row gives to because.
//
// PIXIECORE_BIN names the daemon to load, in place of one built from this tree;
// PIXIECORE_BENCH_ROW the rows (all), PIXIECORE_BENCH_ROUNDS the rounds (5),
// PIXIECORE_BENCH_TURN the length of a turn (2s), PIXIECORE_BENCH_PROFILE the folder
// for profiles, and PIXIECORE_BENCH_UNPINNED=1 gives server and load all processors.
// PIXIECORE_SOAK_PART=n does the n-th part of each fault.
//
// # Decisions
//
// The daemon runs with 10,000 rules, a status listener and all that it records,
// since that is how it is run; and without CAP_NET_ADMIN, as the packaged unit
// runs it; its sockets of DHCP and PXE are opened for it as the socket units do.
//
// The load has one processor, the server the other. With fewer than two there
// is no figure.
package bench
