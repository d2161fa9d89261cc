// Package daemon assembles the protocol servers from a configuration and runs
// them: New loads, compiles and binds; Run serves; Reload swaps.
//
//	config.Load ─▶ compile ─▶ booters.Table + loaders ─▶ Swapper.Publish ─▶ every server sees generation n+1
//	   ▲              │
//	   │              └─ any error: the running generation stays, and the report says where and why
//	   └── SIGHUP, a change of a file (debounced), Reload
//
// Everything that starts a server goes through New: the command `serve` with a
// file, the command `boot` with a configuration made in memory.
//
// # Decisions
//
// Sockets are bound in New and served in Run, so that "ready" is a fact when
// Run begins, and a taken port is known before anything is answered.
//
// A reload has one line: above it everything may fail and nothing has changed,
// below it nothing may fail. What crosses it is one atomic pointer.
//
// Listeners and the log's format belong to the process: a file that changes
// them is refused with the sentence that a restart applies it. It is refused as
// a whole, since half of an edit is what nobody wrote.
//
// Directories are watched, not files, since editors and configuration tools
// replace files. Names of events are not looked at: the digest of what took
// part decides whether anything changed.
package daemon
