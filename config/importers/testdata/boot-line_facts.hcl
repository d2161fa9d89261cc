# Made of boot-line_facts.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   --ui-assets-dir is for those who work on the status page.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" { address = "127.0.0.1:8080" } # this host only

log { format = "console" }

boot "imported" {
  api = "http://inventory.lan"
}

rule "everybody" {
  boot = boot.imported
}
