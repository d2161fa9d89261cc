# Values that are sensitive(), by way of locals, for_each and functions.
listener "http" {}
locals {
  pw     = sensitive(file("data/machine.tmpl"))
  line   = "rootpw ${local.pw}"
  hosts  = { a = { mac = "52:54:00:00:00:01", pw = sensitive("hunter2") } }
  number = parseint(local.line, 10)
  whole  = sensitive({ a = 1 })
}
boot "shown" {
  for_each = local.hosts
  kernel   = "/srv/${local.pw}"
  initrd   = ["/srv/initrd", each.value.pw]
  cmdline  = "pw=${each.value.pw} on ${machine.name}"
  message  = local.line
  file "open" { content = "${local.line} on ${machine.name}" }
  file "late" { content = machine.arch == "x64" ? local.pw : "none" }
  file "maybe" {
    content = local.pw
    secret  = each.key == "b"
  }
  file "tree" { tree = { "a" = upper(local.pw) } }
  file "source" { source = "/srv/${local.pw}" }
  file "hidden" {
    content = "${local.line} ${each.value.pw} on ${machine.name}"
    secret  = true
  }
}
boot "all" {
  for_each = local.whole
  kernel   = "/srv/linux"
}
boot "scripted" { script = "#!ipxe\n# ${local.pw}\n" }
machine "db1" {
  mac    = "52:54:00:00:00:01"
  labels = { pw = local.pw }
}
rule "r" {
  match { when = machine.serial == local.pw }
  boot = boot.shown[local.pw]
}
rule "s" { boot = boot.scripted }
test "t" {
  machine = { mac = "52:54:00:00:00:01" }
  expect  = { cmdline_contains = local.pw }
}
# want: 7:21 error: invalid function argument | It is made of a value that is sensitive(), so no more is said of it. Look for it with a value that is none.
# want: 12:14 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 13:30 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 14:14 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 15:14 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 16:27 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 17:27 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 19:15 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 22:32 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 23:28 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true. This is so where each.key is "a".
# want: 30:14 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.
# want: 33:28 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.
# want: 36:12 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.
# want: 39:18 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.
# want: 40:20 error: invalid index | It is made of a value that is sensitive(), so no more is said of it. Look for it with a value that is none.
# want: 45:13 error: a secret would be shown | This is made of a value that is sensitive(), and it would be shown: by `pixiecore explain`, on the status page, or to whoever asks. Put it into a file block with secret = true.
