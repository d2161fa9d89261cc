// Package cache keeps on disk what boot files were fetched by HTTP, so that a
// rack costs the upstream server one transfer, and boots also when that server is
// down.
//
//	Open(URL) ──▶ urls/HASH-OF-URL ──▶ blobs/DIGEST ──▶ *os.File: Range, sendfile
//	    │            fresh?  │
//	    │                    └─ no: ask upstream once, however many wait ─▶ 304, or down: the blob
//	    └─ nothing yet ─▶ part/… ◀── one transfer, resumed where it breaks
//	                        └─▶ every reader, while it fills;  then fsync, rename to blobs/DIGEST
//
// # Decisions
//
// Whole files are named by the SHA-256 of their content. So one that is served
// under several URLs is kept once, one whose digest is demanded is found without
// asking anybody, and a name is a promise that can be checked.
//
// A file gets its name when it is whole and on disk (fsync, then rename): what a
// kill -9 or a power cut leaves behind is in part/ and has no name. Disks and
// file systems lie, so each blob is hashed once more at its first use after a
// start, at some gigabyte a second; one that is damaged is fetched again.
//
// The disk is the only state. An index in memory would be faster by microseconds,
// and wrong once a second process fills the same directory.
// Parts are locked (flock), so that each process sweeps up only after dead ones.
//
// What upstream sent is fresh for a minute (FreshFor), whatever its Cache-Control
// says: mirrors say nothing useful, and a minute is long enough that a rack asks
// once and short enough that an operator who replaces a file does not wait. What
// has a digest is never asked for again.
//
// Where upstream cannot be asked (no connection, 5xx, 429), what is there is
// served, with a Note that says so, and asked again after RetryAfter. A 404 is an
// answer: then the file is not served.
//
// A transfer that breaks is resumed with Range and If-Range. Where that gives the
// whole again, what is there already must be its beginning, since readers have it;
// else the file has changed and the transfer fails, for all of its readers with
// one sentence. Without any validator the same comparison stands alone.
//
// What is fetched beforehand (Keep) goes the way of what a machine asks for, so that
// each profits by the transfer of the other.
//
// A transfer goes on when its readers have gone: a machine that is reset asks
// again, and so do its neighbours.
//
// What is evicted is the blob that was opened longest ago, by the access time that
// Open sets. A file that is being read is unlinked but not cut: POSIX keeps it
// until it is closed, so that the directory may take more than the bound for as
// long. What does not fit, into the bound or onto the disk, is refused by a
// *TooLargeError or a *DiskError, before a byte is fetched where its length is known;
// the caller may do without the cache. Where the length is not known, whoever reads
// is cut, and those who come after are refused at once.
package cache
