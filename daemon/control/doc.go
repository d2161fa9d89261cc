// Package control is how an operator speaks to a running daemon: HTTP and JSON
// over a unix socket, with a Server in the daemon and a Client in the commands.
//
//	pixiecore reload ──▶ Client ──▶ control.sock (0600) ──▶ Server ──▶ Daemon
//	pixiecore status        ▲                                  │
//	                        └───── Verdict, status.Report ◀────┘
//
//	POST /v1/reload   read the configuration again, and say how that went
//	GET  /v1/status   the document of the status listener
//	POST /v1/hold     answer nobody, or not the machines of one rule
//	POST /v1/resume   answer them again
//	POST /v1/arm      machines boot once what they do only when armed (an Arming)
//	POST /v1/disarm   take that back
//	POST /v1/next     a machine boots one time something else than its rule says (a Next)
//	POST /v1/explain  what becomes of one machine (a Question), and why
//	GET  /v1/events   what machines do from now on, a JSON document in each line
//	GET  /v1/seen     the machines that asked, with their names of the inventory
//	POST /v1/picture  what is served, to be compared with a file (a Picture)
//	GET  /v1/capture  the packets of one machine, as pcapng
//
// # Decisions
//
// What a caller may do is decided by who it is, not by what it knows: the
// kernel says which user is at the other end (SO_PEERCRED), and only root and
// the daemon's own user are heard. The mode of the socket keeps others out as
// well, and alone does so where the kernel cannot be asked; the second lock is
// there because a socket has the umask's mode for the moment between bind and
// chmod. So there is no password, and nothing that an operator could lose.
//
// A socket that is left over from a process that died is replaced: a daemon
// that cannot start after a power cut would be worse. One at which somebody
// answers is an error, for two daemons that share a socket are one of which
// the operator does not know.
//
// The report of a reload is rendered by the daemon, for the width of the
// caller's terminal: the lines of source that it shows are those that the
// daemon has read, which may be no longer those of the file.
//
// A file that is not served is explained and compared by the command, not by
// the daemon, which may not see what the operator sees: a service manager can
// hide /home and /tmp from it. So Explain, Draw and Compare are functions of a
// Configuration, and both sides call them.
//
// Pictures are compared by what machines get, not by what is written: a boot is
// rendered for each machine, by the painter, since a local value, a template or
// a label may change what its text does not show. That comes after a reload's
// commit, or in the command, never on the way of a packet, and for MaxCompared
// machines of the inventory at most. A machine of which the deciding fact is
// not known is compared by all that may come of it. One that was never seen may
// have any of three platforms. A when is compared by what is written, with the
// values of what does not hang on the machine.
//
// HTTP, because its bounds and time limits are known and tested, and because
// curl --unix-socket is at hand when nothing else is.
package control
