# Defaults, and everything that can be set.
listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {}

listener "dhcp" {
  address    = "192.0.2.1:67"
  interfaces = ["eth0", "eth1.5"]
  advertise  = "192.0.2.1"
  share      = true
}
listener "pxe" {
  address    = "192.0.2.1:5011"
  interfaces = "eth0"
  advertise  = "192.0.2.1"
}
listener "tftp" {
  address   = "[2001:db8::1]:1069"
  advertise = "2001:db8::1"
}
listener "tftp" { address = "[::ffff:192.0.2.1]:1069" } # an IPv4 address, after all
listener "http" {
  address   = "127.0.0.1:0" # any free port
  advertise = "127.0.0.1"
}
listener "http" { address = "127.0.0.1:0" }
listener "status" { address = "[::1]:8067" }
listener "dhcp" {
  address   = "192.0.2.2:1067"
  relays    = ["10.1.0.1", "10.2.0.0/16"]
  broadcast = false
}
listener "dhcp" {
  address   = "192.0.2.3:2067"
  relays    = "10.1.0.1" # one needs no list
  broadcast = true       # as unset
}
listener "tftp" {
  address     = "192.0.2.4:1069"
  single_port = true
}
listener "http" {
  address = "192.0.2.4:443"
  cert    = "../srv/vmlinuz" # any file will do, until it is read
  key     = "../srv/vmlinuz"
}
listener "status" {
  address   = "192.0.2.4:8443"
  cert      = "../srv/vmlinuz"
  key       = "../srv/vmlinuz"
  client_ca = "../srv/vmlinuz"
  token     = "-._~+/0123456789AZaz=="
}

log {
  level  = "debug"
  format = "json"
}
state { dir = "../srv/state" }
url_key { file = "../srv/vmlinuz" } # any file will do, until it is read
ipxe {
  bios        = "../srv/vmlinuz"
  bios_ipxe   = "../srv/snponly.efi"
  efi32       = "../srv/snponly.efi"
  efi64       = "../srv/snponly.efi"
  arm32       = "../srv/snponly.efi"
  arm64       = "../srv/snponly.efi"
  riscv64     = "../srv/snponly.efi"
  loongarch64 = "../srv/snponly.efi"
}
rule "all" { ignore = true }
