# Made of boot-line_ipv6api.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   The API was asked by GET …/v1/boot/ID/ARCH, and answered a URL as text. Here it is asked by GET …/v1/boot/MAC, and answers JSON: docs/configuration.md has it.
#   --listen-addr 2001:db8:f00f:cafe::4: name its interface, by interfaces = "…" in the listener dhcp6; without that, all interfaces are served.

listener "dhcp6" {
  pool {
    start    = "2001:db8:f00f:cafe:ffff::100"
    size     = 50
    lifetime = "1850s"
  }
}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

log {
  level  = "debug"
  format = "json"
}

boot "imported" {
  api = "http://[2001:db8::5]:4242/netboot"
}

rule "everybody" {
  boot = boot.imported
}
