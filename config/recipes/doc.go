// Package recipes knows where the kernels of distributions lie, so that nobody
// has to look for them to boot an installer once.
//
//	recipes.hcl ─┐
//	             ├▶ Catalogue ─▶ Recipe ─▶ Resolve(version, arch, mirror) ─▶ Boot ─▶ HCL
//	user's file ─┘
//
// # Decisions
//
// The catalogue is data, in HCL, since URLs rot faster than programs are
// released: a user's file of the same form adds recipes, and replaces single
// settings of those that there are. Neither needs a new pixiecore.
//
// A Boot is given out as the text of a boot block. What `pixiecore quick` serves
// is read from that text by package config, as any file is; so what it prints,
// to be put into a file, boots the same.
//
// A version may be a pattern, such as "v3.[0-9]*", where a distribution's next
// releases will lie where the last ones do.
//
// A mirror may give out a part of a distribution only, as many a cache of packages
// does. The list that the distribution makes of its files, sums, tells a file that is
// not given out from one that is gone.
//
// Where the name of a kernel changes with each build, a recipe names an index, a
// JSON document that has it. That is the only thing that is fetched here.
package recipes
