# Made of boot-line_bootipv6.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   --httpboot-url http://[2001:db8:f00f:cafe::4]/bootx64.efi: UEFI HTTP Boot gets this server's own iPXE, and then what --ipxe-url says, as all others do.
#   --listen-addr 2001:db8:f00f:cafe::4/64: name its interface, by interfaces = "…" in the listener dhcp6; without that, all interfaces are served.
#   --log-format classic: a configuration has no such lines; systemd's journal has MAC=, RULE= and the like.

listener "dhcp6" {
  preference = 12
  dns        = ["2001:db8::1", "2001:db8::2"]
  pool {
    start    = "2001:db8:f00f:cafe:ffff::100"
    size     = 50
    lifetime = "600s"
  }
}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

log { level = "debug" }

boot "imported" {
  script = "#!ipxe\nchain http://[2001:db8:f00f:cafe::4]/script.ipxe\n"
}

rule "everybody" {
  boot = boot.imported
}
