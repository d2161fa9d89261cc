// Package config is the language of /etc/pixiecore.hcl: it turns a file into
// values that the daemon can serve, or into a report of everything that is
// wrong with it.
//
//	file ──▶ syntax ──▶ names ──▶ values ──▶ references ──▶ Config
//	           │          │         │            │             │
//	           └──────────┴─── problems, all ────┴──▶ Report ◀─┘ warnings
//
// Load reads a file and looks whether the files that it names exist. Parse does
// all the rest and touches nothing outside of its arguments. There is always a
// Report; there is a Config only if Report.Err is nil.
//
// # Decisions
//
// The report is the product. Every problem has a summary of at most six words,
// the place, and a full sentence with the way out. The summaries are constants
// of one type (summaries.go) so that a test can hold the language to having
// been seen to emit each of them. All problems of a file are reported at once;
// what merely follows from another problem is not: a top-level block that
// contains a syntax error is left out, and then nothing is called missing that
// may have stood in it.
//
// Warnings about the meaning of the whole (a rule that is never reached, a boot
// that nobody uses) are made of a file without errors only. A file with an
// error has no meaning yet.
//
// Two vocabularies decide about a name (schema.go): what this version has, and
// what the language has but this version has not. The latter is refused with a
// sentence that says so: a setting is never accepted and inert.
//
// Blocks are decoded by hand from hclsyntax, not by hcl's schemas or struct
// tags. A schema reports a wrong label or an unknown name in its own words and
// cannot list what it did not expect, and the words are the point here.
//
// Expressions are constants, except for references to a boot. vet refuses every
// other kind of expression by its type before it is evaluated, so that nothing
// in a file can compute, and a file's cost grows with its size only. hcl's
// parser recurses into what it reads and a stack overflow cannot be recovered
// from, so that nesting is counted on the tokens first.
//
// Raw values, their ranges and hcl's types stay in this package. A Config holds
// plain values that have been checked and are never modified afterwards.
package config
