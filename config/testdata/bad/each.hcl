listener "http" {}
locals {
  hosts = { a = { mac = "52:54:00:00:00:01" }, b = { mac = "" }, c = { mac = "" }, d = { mac = "" }, e = { mac = "" } }
}
boot "list" {
  for_each = ["a", "b"]
  kernel   = "/srv/${each.key}"
}
boot "number" {
  for_each = 3
  kernel   = "/srv/linux"
}
boot "null" {
  for_each = null
  kernel   = "/srv/linux"
}
boot "unnamed" {
  for_each = { "" = 1 }
  kernel   = "/srv/linux"
}
boot "releases" {
  for_each = toset(["bookworm", "trixie"])
  kernel   = "/srv/${each.kye}/linux"
}
boot "outside" { kernel = "/srv/${each.key}" }
rule "r" {
  for_each = local.hosts
  match { mac = each.value.mac }
  boot = boot.releases["trixei"]
}
rule "whole" { boot = boot.releases }
rule "dots" { boot = boot.releases.trixie }
rule "deep" { boot = boot.releases.trixie.kernel }
rule "value" {
  for_each = { x = "none" }
  match { mac = "52:*" }
  boot = boot[each.value]
}
rule "member" {
  for_each = { x = { y = 1 } }
  match { mac = each.value.z }
  boot = boot[each.value.z]
}
rule "each" {
  for_each = { x = 1 }
  match { mac = each }
  boot = true ? boot.releases["trixie"] : boot.outside
}
# want: 6:14 error: wrong kind of value | for_each is a list, whose elements have no names. Write a map, { NAME = VALUE, … }, or a set of texts,
# want: 10:14 error: wrong kind of value | for_each is a number. Write a map, { NAME = VALUE, … }, or a set of texts, toset(["NAME", …]).
# want: 14:14 error: value is null | for_each is null. Write a map, { NAME = VALUE, … }, or a set of texts, toset(["NAME", …]).
# want: 18:14 error: empty value | A key of for_each is empty, and so would be the name of what it makes. Leave it out: if each.key != "".
# want: 23:27 error: unknown variable | There is no each.kye. Did you mean "key"?
# want: 25:35 error: unknown variable | each.key and each.value are those of one instance. Write for_each = … into the block, and use them there.
# want: 28:17 error: empty condition | mac is an empty text, which could mean every machine or none. Write MAC addresses in quotes, like
# want: 28:17 error: empty condition | mac is an empty text, which could mean every machine or none. Write MAC addresses in quotes, like
# want: 28:17 error: empty condition | mac is an empty text, which could mean every machine or none. Write MAC addresses in quotes, like
# want: 29:23 error: no such boot | The for_each of boot.releases has no key "trixei". Did you mean "trixie"? This is so where each.key is "a".
# want: 29:23 error: no such boot | The for_each of boot.releases has no key "trixei". Did you mean "trixie"? This is so where each.key is "b".
# want: 29:23 error: no such boot | The for_each of boot.releases has no key "trixei". Did you mean "trixie"? This is so where each.key is "c".
# want: 31:23 error: not a reference to a boot | A rule boots one of the boot blocks. Write boot = boot.releases["KEY"], with one of the keys of its for_each.
# want: 33:22 error: not a reference to a boot | A rule refers to a boot as a whole. Write boot = boot.releases.
# want: 41:27 error: unsupported attribute | This object does not have an attribute named "z". Did you mean "y"? This is so where each.key is "x".
# want: 42:25 error: unsupported attribute | This object does not have an attribute named "z". Did you mean "y"? This is so where each.key is "x".
# want: 46:17 error: unknown variable | Say which of its members is meant, like each.key.
