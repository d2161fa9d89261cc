listener "http" {}
locals {
  motd = { "/etc/motd" = "Welcome", "etc/issue" = "Linux" }
}
boot "base" {
  kernel = "../srv/vmlinuz"
  initrd = ["../srv/initrd", cpio({
    "/etc/hostname"   = machine.name
    "/usr/bin/greet"  = { content = "#!/bin/sh\necho ${machine.serial} ${url(file.preseed)}\n", mode = "0755" }
    "/preseed.cfg"    = file.preseed
    "/etc/late.sh"    = { content = (file.late), mode = "700" }
  }), "../srv/initrd", cpio(local.motd)]
  file "preseed" {
    content = "hunter2 of the base, ${phone_home()}"
    secret  = true
  }
  file "late" { content = "true" }
}
boot "debian" {
  for_each = toset(["trixie"])
  extends  = boot.base
  file "preseed" { content = "${each.key} on ${machine.labels.role}" }
}
boot "alone" {
  kernel = "../srv/vmlinuz"
  initrd = cpio({ "/x" = "y" })
}
rule "bios" {
  match { firmware = "bios" }
  boot = boot.base
}
rule "one" {
  match { mac = "52:54:00:*" }
  boot = boot.alone
}
rule "all" { boot = boot.debian["trixie"] }
machine "db1" {
  mac    = "52:54:00:aa:00:01"
  labels = { role = "db" }
}
test "an archive is told by its files" {
  machine = { mac = "02:00:00:00:00:01", arch = "x64", firmware = "bios", serial = "X7" }
  expect = { boot = "base", files = {
    "initrd[1]/etc/hostname"  = "02-00-00-00-00-01"
    "initrd[1]/usr/bin/greet" = "echo X7 http://SERVER/file.preseed"
    "initrd[1]/preseed.cfg"   = "of the base"
    "initrd[3]/etc/motd"      = "Welcome"
  } }
}
