# Values that are sensitive(), where they are kept.
listener "http" {}
listener "status" { token = local.token }
locals {
  token = sensitive("0123456789abcdef0123456789abcdef")
  pw    = sensitive("hunter2")
  hosts = { a = { mac = "52:54:00:00:00:01", pw = sensitive("hunter3") } }
  line  = join(" ", ["rootpw", local.pw])
}
machine "db1" {
  for_each = local.hosts
  mac      = each.value.mac
}
boot "kept" {
  for_each = local.hosts
  kernel   = "https://192.0.2.1/linux"
  initrd   = [cpio({ "/etc/preseed" = file.preseed })]
  cmdline  = "${url(file.preseed)} ${url(file.seed)}"
  file "preseed" {
    content = "${local.line} on ${machine.name}, ${try(machine.labels.role == "db" ? each.value.pw : "none", "none")}"
    secret  = true
  }
  file "seed" {
    tree   = { "user-data" = jsonencode({ pw = each.value.pw }), "meta-data" = "instance-id: ${machine.name}" }
    secret = each.key == "a"
  }
}
rule "all" { boot = boot.kept["a"] }
test "what is in them" {
  machine = { mac = "52:54:00:00:00:01" }
  expect = {
    files = { preseed = "rootpw hunter2 on", "seed/user-data" = "hunter3" }
  }
}
