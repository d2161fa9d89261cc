listener "http" {}
assets "images" { dir = "../srv" }
locals {
  seeds = { "a" = "constant", "b/c" = "as well" }
}
boot "base" {
  kernel  = "../srv/vmlinuz"
  cmdline = "ds=nocloud;s=${url(file.seed)} url=${url(file.preseed)} ${url(file.plain)}"
  file "seed" {
    tree = {
      "user-data" = templatefile("data/user-data.tmpl", { machine = machine, next = url(file.preseed) })
      meta-data   = "instance-id: ${machine.name}"
    }
  }
  file "preseed" { content = "of the base" }
  file "plain" { tree = local.seeds }
}
boot "debian" {
  for_each       = toset(["trixie"])
  extends        = boot.base
  cmdline_append = "image=${url(assets.images, "vmlinuz")} ${join(" ", [for f in ["initrd", "vmlinuz"] : url("../srv/${f}")])}"
  file "preseed" {
    content = "hunter2 ${each.key} on ${machine.labels.role}, ${machine.serial}"
    secret  = true
    expires = "24h"

    any_address = true
  }
}
boot "live" {
  script = <<-EOT
    #!ipxe
    chain ${url(file.next)} || shell
    initrd ${url(assets.images)}initrd
  EOT
  file "next" { source = "../srv/${machine.arch == "x64" ? "vmlinuz" : "initrd"}" }
}
rule "live" {
  match { firmware = "bios" }
  boot = boot.live
}
rule "all" { boot = boot.debian["trixie"] }
