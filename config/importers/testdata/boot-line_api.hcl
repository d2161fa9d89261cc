# Made of boot-line_api.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   The time limit of 3s for the API: DHCP waits for it as long as the boot's timeout says, and its answer may take five seconds.
#   The API is also told what is known of a machine, by a query that the original did not send.

listener "dhcp" {
  address = "192.0.2.1:67"
}
listener "pxe" {
  address = "192.0.2.1:4011"
}
listener "tftp" {
  address = "192.0.2.1:69"
}
listener "http" {
  address = "192.0.2.1:8080"
}
listener "status" {} # this host only

boot "imported" {
  api = "http://inventory.lan:4242/boot"
}

rule "everybody" {
  boot = boot.imported
}
