// Package booters decides who boots what: it holds the implementations of
// boot.Booter, and first of all the Table of rules.
//
//	Machine ──▶ Table ── first rule that matches ──▶ Verdict, whose Spec is made of IDs
//	                                                        │
//	                                  GET …?name=ID  ◀──────┘
//	                                        │
//	                         Sealer.Open(ID) ──▶ source ──▶ Sources.Open ──▶ bytes
//
// A source is an absolute path or an http(s) URL, or a file in the image there, and may
// have the digest that the file must have (Source): what the operator writes. An ID is the source, encrypted: what machines see. Swapper holds the Table that
// is served at the moment.
//
// # Decisions
//
// An ID contains its source. A server that kept a list of the IDs it gave out
// would have to keep it over reloads and restarts, and to share it with its
// neighbours; so only the key is kept (LoadKey). It is encrypted, not only
// signed, since a URL may hold a password; and always to the same ID, so that a
// machine's script is the same each time and a cache can go by it. The price is
// that an ID stays good until the key is replaced, also when no rule leads to it
// any more: a boot that has begun ends as it began.
//
// Everything that can be refused is refused by NewTable: sources are checked
// and sealed, command lines executed as far as they can be. What is left to do
// for a machine cannot fail, unless its Spec depends on the machine
// (Action.Render): then it is made, checked and sealed when the machine's script
// is, and a decision stays a lookup.
//
// What has a digest is verified before its first byte goes out. A local file is
// hashed by way of the descriptor that it is served from, once for each (device,
// inode, size, times), and looked at again with each read: whoever changes it in
// place cuts the transfer, and a rename over its name does not. A copy would have
// been simpler, and twice the disk. Remote files go through package cache, or a
// spool that is one; those without a digest stream through where there is no
// cache. A cache in trouble is passed by, since a full disk must not keep machines
// from booting; what is wrong is in the boot.Noted that is opened. Only local
// files are looked at before a machine's script goes out (Table.CheckSpec): a
// remote one would have to be fetched.
//
// A file in an ISO image is a source like another (InImage), so that digests, the cache
// and addresses know of nothing new. A remote image is read in parts, each of which must
// be of the same image by its validators, and what is fetched and kept is the file: an
// image has gigabytes, of which an installer boots forty megabytes. What was read to find
// it is kept while the image is the same, so that a tree costs one request a file. A server
// that knows no Range is refused rather than made to send all of it for each file. Checksums
// are those of whole images, as they are published: with them an image is what is fetched,
// kept and locked (Source.Fetched), since nothing less can be verified.
//
// An address that the configuration asks for (url) holds what it leads to in the
// same way: a source, a path in a directory, or a file of a boot with the machine
// that it was made for. Only a file of a boot needs the table that knows how to make
// it, and the machine's facts; both are looked for when the machine asks, so that a
// template is rendered for what the machine is then. A name stands behind the ID
// only for whoever goes by names: it is compared, and opens nothing, but below a
// directory, where os.Root keeps it in. A link that leads out is the operator's to
// see in the log, so it is no "not found".
//
// A MAC glob is a value under a mask, so a table of rules is searched like a
// routing table: one hash lookup for each distinct mask, of which real files
// have a handful. A trie was refused (it wants prefixes, and "52:*:00:*" is
// none), and so was an index over architecture and firmware: they have so few
// values that a bit for each combination does (see class). Explain is the walk
// that the index stands for, and a test holds the two equal.
//
// Machines that the operator has named stand in an Inventory, and rules for
// their names and labels are found from there. Whatever else a rule can ask
// (relay, circuit, serial number, any expression) is evaluated rule by rule, at
// 50 ns each, but only for rules that stand under no MAC, name or label, or under
// one that is the machine's. A key for each kind was refused: it would cost
// every lookup something, and what a file names by the thousand are machines.
//
// What only iPXE can tell is Unknown, a third truth value, and not a guess: an
// x86 BIOS does not say whether its CPU has 64 bits. Unknown goes through AND,
// OR and NOT as in Kleene's logic. A fact that iPXE could not report is neither
// true nor false under NOT, and in the end does not hold: a rule for all but
// the machines of one asset tag is not for those without a tag. See span, and
// Table.Decide for what becomes of a rule that is unknown.
//
// An API has the last word where a rule says so, and its refusal is the rule's
// outcome: the next rule is not for machines that an inventory has left out.
// Asking takes time that a decision has not, so it is left to boot.Verdict.Ask.
// A request belongs to the process, not to who waits for it (answers): DHCP gives
// up before iPXE does, and what comes then serves the machine's next packet. An
// answer is given once, and kept for the boot by whoever keeps boots: the next
// boot may be the one for which the inventory has changed its mind, and a
// machine that has just been installed would be installed again. What an API
// names may be a file of this host, as in the original: whoever runs it is
// trusted like whoever writes the configuration.
//
// Checksums that a distributor publishes are asked when a machine's script is made,
// since the ID has the digest in it: so a boot is of one release, whatever is published
// while it goes on, and GRUB and boards, for which what they boot is made at each of
// their files, are held to the same by their Verdict. Whoever signs may publish a file
// and its signature one after the other, so that one which does not fit is asked for
// once more, without the cache.
//
// Static keeps the IDs of the original pixiecore ("kernel", "initrd-0"), which
// programs may have come to know.
package booters
