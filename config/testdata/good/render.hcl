listener "http" {}
locals {
  port = { x64 = "amd64", arm64 = "arm64" }
}
boot "debian" {
  kernel         = "http://192.0.2.1/${local.port[machine.arch]}/linux"
  initrd         = ["../srv/initrd", "http://192.0.2.1/${machine.labels.role}/initrd"]
  cmdline        = "hostname=${machine.name} serial=${machine.serial} seed={{ URL \"seed/${machine.name}\" }} $${net0/mac}"
  cmdline_append = "quiet"
  message        = true ? "Installing" : machine.name
}
boot "shell" {
  script = <<-EOT
    #!ipxe
    echo ${machine.name} is ${try(machine.serial, "of no serial number")}
  EOT
}
rule "shells" {
  match { firmware = "bios" }
  boot = boot.shell
}
rule "all" { boot = boot.debian }
