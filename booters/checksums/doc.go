// Package checksums says what digest a file must have, by what its distributor
// publishes: a SHA256SUMS, which an OpenPGP signature may vouch for.
//
//	SHA256SUMS ──┐
//	signature ───┼─▶ Verify ─▶ Sums ─▶ Find(place of the file) ─▶ boot.Digest
//	public keys ─┘
//
// It fetches and remembers nothing: package booters does.
//
// # Decisions
//
// Lines of GNU coreutils and of BSD are read, in one file too, and those of other
// digests are passed over. What is no such line is passed over as well, since
// distributors write headings into these files; a file without a single SHA-256 is an
// error.
//
// Which line is meant is said by the place of the file relative to that of the
// SHA256SUMS, and where that is not in it, by the base name if it stands for one
// digest only. Anything else would be a guess: two architectures have a "linux" each.
//
// One good signature of one of the keys is enough, as gpgv has it for a keyring: files
// are signed by the old and the new key of a distribution for years. A signature over
// MD5, SHA-1 or RIPEMD-160 counts as none (RFC 9580 §9.5). A key that has expired
// vouches for nothing, although gpgv would only warn: whoever replaced it may have had
// a reason.
package checksums
