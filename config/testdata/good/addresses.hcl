# Alone on a lab network, and beside another server behind its relay.
listener "dhcp" {
  interfaces = "eth0"
  mode       = "server"
  router     = "192.0.2.254"
  dns        = ["192.0.2.53", "198.51.100.53"]
  domain     = "lab.example.org"

  pool {
    start    = "192.0.2.100"
    end      = "192.0.2.199"
    lifetime = "2h"
  }
}
listener "dhcp" {
  address   = "0.0.0.0:1067"
  mode      = "server"
  broadcast = false
  relays    = "10.1.0.1"
  mask      = "255.255.0.0"
}
listener "dhcp" {
  address = "0.0.0.0:2067"
  mode    = "proxy"
}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

machine "db1" {
  mac = "52:54:00:aa:00:01"
  ip  = "192.0.2.10"
}
machine "row" {
  for_each = { web1 = "52:54:00:aa:00:02", web2 = "52:54:00:aa:00:03" }
  mac      = each.value
  ip       = cidrhost("192.0.2.0/24", each.key == "web1" ? 21 : 22)
}
rule "all" { local = true }
