# Names that the language has and this version has not.
listener "http" {}
locals { a = 1 }
include = ["conf.d/*.hcl"]
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "a" {
  installs = true
  kernel = { url = "/srv/linux", sha256 = "0" }
  file "preseed" {}
}
boot "b" { kernel = format("%s", "x") }
boot "c" { kernel = "${local.debian}/linux" }
boot "d" { kernel = "x-${lower("A")}" }
boot "e" { kernel = machine.name }
boot "f" { kernel = true ? "a" : "b" }
boot "g" { kernel = "%{ if true }a%{ else }b%{ endif }" }
boot "h" { kernel = -1 }
boot "i" {
  kernel = "a"
  initrd = [for x in ["a"] : x]
}
rule "r" {
  for_each = []
  match {
    uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
    not { mac = "52:*" }
    lables = { role = "db" }
  }
  once { spent = "local" }
  boot = boot[each.value]
}
# want: 3:1 error: not in this version | "locals" at the top of a file is part of the language
# want: 4:1 error: not in this version | "include"
# want: 5:1 error: not in this version | "machine"
# want: 7:3 error: not in this version | "installs" in a boot block
# want: 8:12 error: not in this version | An object as a value
# want: 9:3 error: not in this version | "file" in a boot block
# want: 11:21 error: not in this version | The call of a function, format,
# want: 12:24 error: not in this version | A reference to local.*
# want: 13:26 error: not in this version | lower
# want: 14:21 error: not in this version | A reference to machine.*
# want: 15:21 error: not in this version | operators, conditions or loops
# want: 16:22 error: not in this version | operators, conditions or loops
# want: 17:21 error: not in this version | operators, conditions or loops
# want: 20:12 error: not in this version | operators, conditions or loops
# want: 23:3 error: not in this version | "for_each" in a rule block
# want: 25:5 error: not in this version | "uuid" in a match block
# want: 26:5 error: not in this version | "not" in a match block
# want: 27:5 error: unknown setting | Did you mean "labels"?
# want: 29:3 error: not in this version | "once"
# want: 30:15 error: not in this version | A reference to each.*
