# One block for each element of a map or a set.
listener "http" {}
locals {
  hosts = { for m in csvdecode(file("data/hosts.csv")) : m.name => m }
}
boot "base" {
  message        = "Starting ${"it"}"
  cmdline        = "quiet"
  cmdline_append = "console=ttyS0"
}
boot "debian" {
  for_each = toset(["bookworm", "trixie"])
  extends  = boot.base
  kernel   = "http://192.0.2.1/${each.key}/linux"
  cmdline_append = "suite=${each.value}"
}
boot "live" {
  extends = boot.debian["trixie"]
  kernel  = "../srv/vmlinuz"
  cmdline = "live"
}
rule "hosts" {
  for_each = local.hosts
  match { mac = each.value.mac }
  boot = each.value.boot == "live" ? boot.live : boot.debian["trixie"]
}
rule "by name" {
  for_each = { live = "53:*" }
  match { mac = each.value }
  boot = boot[each.key]
}
rule "others" { boot = boot.debian["bookworm"] }
