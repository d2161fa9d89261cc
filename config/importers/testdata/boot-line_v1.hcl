# Made of boot-line_v1.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {
  address = "[::]:70"
}
listener "status" {} # this host only

boot "imported" {
  kernel  = "/srv/vmlinuz"
  initrd  = ["/srv/a", "/srv/b"]
  cmdline = "quiet"
}

rule "everybody" {
  boot = boot.imported
}
