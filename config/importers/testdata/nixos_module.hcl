# Made of nixos_module.in (nixos). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   services.pixiecore.statusPort: only texts, numbers, true, false and lists of texts are understood, not "config.ports.status".
#   openFirewall: open 67, 69 and 4011 for UDP, and the port of listener http for TCP.

listener "dhcp" {
  share = true
}
listener "pxe" {}
listener "tftp" {}
listener "http" {
  address = "[::]:8081"
}
listener "status" {} # this host only

log { level = "debug" }

boot "imported" {
  kernel  = "https://mirror.lan/bzImage"
  initrd  = ["https://mirror.lan/initrd"]
  cmdline = "init=/nix/store/x loglevel=4"
  message = "from NixOS"
}

rule "everybody" {
  boot = boot.imported
}
