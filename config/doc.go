// Package config is the language of /etc/pixiecore.hcl: it turns a file into
// values that the daemon can serve, or into a report of everything that is
// wrong with it.
//
//	file ──▶ syntax ──▶ names ──▶ locals ──▶ instances ──▶ values ──▶ Config
//	           │          │         │            │           │          │
//	           └──────────┴──── problems, all ───┴───────────┴▶ Report ◀┘ warnings
//
// Load reads a file, and those that its functions name, and looks whether the
// files to serve exist. Parse does all the rest and touches nothing outside of
// its arguments. There is always a Report; there is a Config only if Report.Err
// is nil.
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
// One table has every name with what there is to say of it (language.go): what
// this version has, and what the language has but this version has not. The
// latter is refused with a sentence that says so: a setting is never accepted
// and inert. The reference is made of the same table, and tests hold the decoder
// to it, so that neither can say what the other does not do.
//
// Blocks are decoded by hand from hclsyntax, not by hcl's schemas or struct
// tags. A schema reports a wrong label or an unknown name in its own words and
// cannot list what it did not expect, and the words are the point here.
//
// The JSON syntax is translated into what hcl's parser makes of the native one,
// with the places of the JSON text, by the same table (json.go). HCL's own reader
// of it has expressions of another kind, of which nothing could be asked but their
// value; so nothing else here knows of two syntaxes. Of a JSON text that is none,
// only the first mistake is told: what is behind it has no meaning.
//
// An expression is evaluated in a scope, which knows what local and each mean
// where it stands, and from which folder paths count. All of its names are
// looked at first (vet), since an evaluation ends at the first that means
// nothing; and a ${…} that means nothing is most likely one of iPXE.
//
// A block with for_each is decoded once for each element, with the same code as
// one without, under a name like NAME["KEY"]. A problem that many instances have
// is told of the first few, with their keys.
//
// extends copies settings, not values: a setting keeps the scope that it was
// written in, and its paths count from its own file.
//
// What functions read is read once (disk), so that a file means the same in all
// of a configuration, and is listed in Config.Files, so that a change of it is
// seen. The file is its operator's program: it may compute as long as it
// likes, but it cannot end the process. hcl's parser recurses into what it reads
// and a stack overflow cannot be recovered from, so nesting is counted on the
// tokens first; and since its lexer takes a hundred bytes for each byte of
// punctuation, that is counted before the tokens are made.
//
// What hangs on the machine stays an expression in its scope (recipe), and is
// checked twice: when the file is loaded, with facts of which only the type is
// known, and for each machine, by the same checks that a constant goes through.
// A machine's own words choose no file, and in a command line they are kept
// apart from the file's, so that no {{ … }} of theirs has a meaning.
//
// url() is a function of a boot's expressions only. It is known when a machine asks,
// like the machine, because the address begins with the server's as that machine
// reaches it: it must be a whole text by then, for it may go through other
// functions. What it names is looked at when the file is loaded, as far as no loop is
// around it. What machines say of themselves is kept out of its arguments by looking
// at the expression, loops included, and not at the values. file.NAME is the file of
// the boot that is evaluated, not of the one that the expression is written in: so a
// boot that extends another can replace a file of its command line.
//
// Which files of other servers a configuration can come to need is asked of the same
// expressions before any machine boots (Config.Remotes): each is evaluated for all
// values of the facts that may choose a file, which is why a path may hang on those few
// only. Whom a rule may be for is asked in three values there, too, so that a platform
// which no rule lets through needs no file.
//
// iso() makes a value of a type of its own, and not a text: no text that stands in a file,
// or that a machine says, can be taken for a file in an image.
//
// cpio() is none of the functions that are evaluated: which files an archive has is
// known when the file is loaded, and what is in them when the machine asks, so that it is
// one more file of the boot, with phrases for members like a tree's (archive).
//
// A lock file is read with the configuration, and is none: what it says is put into the
// sources where these are checked, so that the rest of the program knows of digests only.
// What is not in it is looked for when the file is loaded, since a machine at night is a
// bad place to learn of it, and again for each machine, since a stranger's name may stand
// in a path.
//
// Several files are one configuration, read by one function of a path. A pattern
// is read as the list of what it matches, so that whoever watches, compares or
// keeps the files needs to know nothing of patterns.
//
// Raw values, their ranges and hcl's types stay in this package. A Config holds
// plain values that have been checked and are never modified afterwards.
package config
