listener "http" {}
locals "named" { a = 1 }
locals {
  debian = "https://example.org"
  me     = "${local.me}/x"
  one    = local.two
  two    = [local.three]
  three  = "${local.one}"
  twice  = 1
  inner { x = 1 }
}
locals {
  twice = 2
  all   = length(local)
  typo  = local.debain
  early = each.key
  maybe = boot.a
  bad   = upper(true ? ["x"] : ["y"])
  after = "${local.bad}-is not looked at"
}
boot "a" { kernel = "${local.debain}/linux" }
boot "b" { kernel = "${loacl.debian}/linux" }
boot "c" { kernel = local.after }
boot "d" { kernel = local }
# want: 2:8 error: wrong number of labels | A locals block has no label: write locals { … }.
# want: 5:3 error: reference to itself | local.me needs itself: local.me → local.me. Take one of the references out.
# want: 6:3 error: reference to itself | local.one needs itself: local.one → local.two → local.three → local.one. Take one of the references out.
# want: 10:3 error: a setting, written as a block | A local value is a setting: write inner = { … } with an equals sign.
# want: 13:3 error: name used twice | There are two local values "twice". Rename one of them. The first one stands at locals.hcl:9.
# want: 14:18 error: unknown variable | Name one of the local values: local.NAME.
# want: 16:11 error: unknown variable | each.key and each.value are those of one instance. Write for_each = … into the block, and use them there.
# want: 17:11 error: unknown variable | A reference to a boot can stand only in a rule, as boot = boot.NAME, or as extends = boot.NAME in a boot.
# want: 18:17 error: invalid function argument | Invalid value for "str" parameter: string required, but have tuple.
# want: 22:24 error: unknown variable | There is no variable "loacl". Did you mean "local"?
# want: 24:21 error: unknown variable | Name one of the local values: local.NAME.
