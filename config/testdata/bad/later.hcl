# Names that the language has and this version has not.
listener "http" {}
include = ["conf.d/*.hcl"]
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "a" {
  installs = true
  kernel = { url = "/srv/linux", sha256 = "0" }
  initrd = ["a", { url = "/srv/initrd", sha256 = "0" }]
  file "preseed" {}
}
boot "e" { kernel = machine.name }
rule "r" {
  match {
    uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
    not { mac = "52:*" }
    lables = { role = "db" }
  }
  once { spent = "local" }
  boot = boot.e
}
# want: 3:1 error: not in this version | "include" at the top of a file is part of the language, but this version does not have it yet. Leave it out
# want: 4:1 error: not in this version | "machine" at the top of a file is part of the language, but this version does not have it yet. Leave it out
# want: 6:3 error: not in this version | "installs" in a boot block is part of the language, but this version does not have it yet. Leave it out for
# want: 7:12 error: not in this version | A file with the digest that it must have is part of the language, but this version does not have it yet.
# want: 8:18 error: not in this version | A file with the digest that it must have is part of the language, but this version does not have it yet.
# want: 9:3 error: not in this version | "file" in a boot block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 11:21 error: not in this version | A reference to machine.* is part of the language, but this version does not have it yet. Leave it out for now.
# want: 14:5 error: not in this version | "uuid" in a match block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 15:5 error: not in this version | "not" in a match block is part of the language, but this version does not have it yet. Leave it out for now.
# want: 16:5 error: unknown setting | There is no setting "lables" in a match block. Did you mean "labels"?
# want: 18:3 error: not in this version | "once" in a rule block is part of the language, but this version does not have it yet. Leave it out for now.
