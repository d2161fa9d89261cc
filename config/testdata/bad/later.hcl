# Names that the language has and this version has not.
listener "http" {}
include = ["conf.d/*.hcl"]
boot "a" {
  installs = true
  kernel = { url = "/srv/linux", sha256 = "0" }
  initrd = ["a", { url = "/srv/initrd", sha256 = "0" }]
  file "preseed" {}
}
boot "e" { kernel = assets.images }
rule "r" {
  match { lables = { role = "db" } }
  once { spent = "local" }
  boot = boot.e
}
# want: 3:1 error: not in this version | "include" at the top of a file is part of the language, but this version does not have it yet. Leave it out
# want: 5:3 error: not in this version | "installs" in a boot block is part of the language, but this version does not have it yet. Leave it out for
# want: 6:12 error: not in this version | A file with the digest that it must have is part of the language, but this version does not have it yet.
# want: 7:18 error: not in this version | A file with the digest that it must have is part of the language, but this version does not have it yet.
# want: 8:3 error: not in this version | "file" in a boot block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 10:21 error: not in this version | A reference to assets.* is part of the language, but this version does not have it yet. Leave it out for now.
# want: 12:11 error: unknown setting | There is no setting "lables" in a match block. Did you mean "labels"?
# want: 13:3 error: not in this version | "once" in a rule block is part of the language, but this version does not have it yet. Leave it out for now.
