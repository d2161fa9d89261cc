# Boot information alone, beside the network's own DHCPv6 server.
listener "dhcp6" {
  interfaces = "eth0"
  advertise  = "2001:db8::1"
}

# Addresses, too.
listener "dhcp6" {
  address    = "[::]:1547"
  interfaces = "eth1"
  preference = 255
  dns        = ["2001:db8::53"]

  pool {
    start    = "2001:db8:1::100"
    size     = 50
    lifetime = "1h"
  }
}
listener "tftp" {}
listener "http" {}
rule "all" { local = true }
