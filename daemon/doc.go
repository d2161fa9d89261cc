// Package daemon assembles the protocol servers from a configuration and runs
// them: New loads, compiles and binds; Run serves; Reload swaps.
//
//	config.LoadFrom ─▶ compile ─▶ booters.Table + loaders ─▶ Swapper.Publish ─▶ every server sees generation n+1
//	   ▲                  │
//	   │                  └─ any error: the running generation stays, and the report says where and why
//	   └── SIGHUP, a change of a file (debounced), Reload
//
// Everything that starts a server goes through New: the command `serve` with a
// file; the commands `boot`, `api` and `quick`, and the library, with a configuration
// made in memory.
//
// # Decisions
//
// Sockets are bound in New and served in Run, so that "ready" is a fact when
// Run begins, and a taken port is known before anything is answered.
//
// A reload has one line: above it everything may fail and nothing has changed,
// below it nothing may fail. Sockets are opened above it and closed below it,
// so a taken port refuses the edit as a whole; half of an edit is what nobody
// wrote. What a machine is told crosses the line before the rules, which are
// one atomic pointer, and the listeners that go are closed behind both:
// whichever of the two a request has seen, each address in its answer is open.
//
// A listener is the same one as long as its kind and the address of its socket
// are: then it keeps the socket, with all that waits in it, and takes over the
// other settings. One that goes stops listening at once; its transfers have ten
// seconds.
//
// An address that overlaps one in use (0.0.0.0:80 → 192.0.2.1:80) cannot be
// bound beside it. To close first and bind then could fail when nothing may, so
// that edit is refused with the sentence that a restart applies it.
//
// A socket that the service manager passes is never closed, since its unit goes on
// listening: while no listener has it, what comes is dropped, so that nothing stale
// is answered when one comes back, and a client of HTTP is told at once. The unit's
// address wins over the file's, since somebody has opened that port, and a warning
// says so. Our own sockets are given to the service manager to keep as soon as they
// are served, and are taken up by the next process if its configuration has the same
// address. So a restart, a crash too, loses nothing that is on its way.
//
// The watchdog is fed while every listener's loop waits for its socket or has not
// been away from it for long: one that nobody asks is well, one that hangs is not.
//
// Directories are watched, not files, since editors and configuration tools
// replace files: the directory of the file, that of every symbolic link on the
// way to it, and while something is missing, the one in which it will appear.
// Names of events are not looked at: the digest of what took part decides
// whether anything changed.
//
// Certificates and keys that the configuration names are watched with it, since they
// are renewed by programs. They are no part of it otherwise: a renewal is no edit
// that could be held, and no copy of a key is kept.
//
// A change counts when the file system has been quiet for a moment and the
// files have the same size and time at both ends of it, and still have when all
// is read. A file that is written slowly is waited for, however long that takes;
// a writer that pauses for longer than the moment where its part is a valid
// configuration cannot be told from one that is done.
//
// What is read of a configuration is kept (reading), so that three things agree
// about which files took part: what is watched, the digest, and the last good
// configuration in the state directory. That is an archive of the files under
// their own paths, from which package config loads as from the disk; so it is
// checked like any file, and a relative path in it leads to the same place.
//
// At the start, the last good configuration takes the place of a file with
// errors, since a power cut after a refused edit must not end the service. It
// does not take the place of a file that is missing, which may be how somebody
// ended it. Where there is nothing to serve, a terminal gets an exit status and
// the report; a service manager gets a service that waits for the file, since
// one that exits again and again is given up, with its sockets.
//
// An edit that concerns more machines than the reload block allows is held: that
// is decided above the line, by comparing what each machine gets, with the limits
// of the running configuration, so that no edit lifts its own. Only an edit that
// nobody asked for is judged; whoever sends SIGHUP or calls reload has decided. A
// held edit is noted in the state directory, since a power cut asks for nothing
// either: a start then takes the last good configuration, and where that is gone,
// nothing, because the file is what the operator did not want served by itself.
// The machines that were seen are stored for the same reason, with their boots. That is
// written behind, and only compared by: what a machine said before a restart
// decides no boot.
//
// A reload that fails for nothing but a taken port is tried again with what was
// compiled, so that nobody has to notice when the port is free. The edit is still
// applied as a whole or not at all.
//
// What changed is said after the fact, in the words of `pixiecore plan`, so that
// asking a table about every machine costs no machine its answer.
//
// Events can be lost or not sent at all. A look every half minute makes up for
// it.
package daemon
