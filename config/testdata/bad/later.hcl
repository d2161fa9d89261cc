# Names that the language has and this version has not.
listener "http" {}
boot "a" {
  installs = true
  kernel = "a"
  initrd = ["a"]
  efi    = "/srv/uki.efi"
}
boot "e" { kernel = "/srv/linux" }
rule "r" {
  match { lables = { role = "db" } }
  once { spent = "local" }
  boot = boot.e
}
# want: 4:3 error: not in this version | "installs" in a boot block is part of the language, but this version does not have it yet. Leave it out for
# want: 7:3 error: not in this version | "efi" in a boot block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 11:11 error: unknown setting | There is no setting "lables" in a match block. Did you mean "labels"?
# want: 12:3 error: not in this version | "once" in a rule block is part of the language, but this version does not have it yet. Leave it out for now.
