# Four VLANs, whose routers relay DHCP to this host, each with a boot of its own.
# Name this host to each router, beside the server that leases addresses:
# "ip helper-address 192.0.2.10" in IOS, a second DHCP relay server elsewhere.

# The address of this host to which every VLAN has a route. Without it, machines
# are told that of the interface by which a router's packets happen to come in.
listener "dhcp" {
  advertise = "192.0.2.10"
  relays    = ["198.51.100.0/24", "203.0.113.1"] # the routers, and no others
  broadcast = false                              # nothing for this host's own network
}
listener "pxe" { advertise = "192.0.2.10" }
listener "tftp" { advertise = "192.0.2.10" }
listener "http" { advertise = "192.0.2.10" }

boot "vlan" {
  for_each = toset(["servers", "office", "lab", "kiosks"])
  kernel   = "http://192.0.2.20/${each.key}/vmlinuz"
  initrd   = "http://192.0.2.20/${each.key}/initrd.img"
  cmdline  = "ip=dhcp"
}

# VLAN 10, by network: that of the relay, or the one that it names in option 82.
rule "servers" {
  match { subnet = "198.51.100.0/25" }
  boot = boot.vlan["servers"]
}

# VLAN 20, by the routers that relay it, which are a pair.
rule "office" {
  match { relay = ["198.51.100.130", "198.51.100.131"] }
  boot = boot.vlan["office"]
}

# VLANs 30 and 40 share one network. What tells them apart is the port, which the
# switch writes into option 82. This is how Cisco's do: 00 04, the VLAN in two
# octets, module and port.
rule "lab" {
  match { circuit_id = "0x0004001e*" }
  boot = boot.vlan["lab"]
}

rule "kiosks" {
  match { circuit_id = ["0x00040028*", "vlan40:*"] } # a switch that writes text
  boot = boot.vlan["kiosks"]
}

# Whoever comes from elsewhere is in no rule, and gets no answer.

test "a server, relayed by a router elsewhere" {
  machine = { mac = "52:54:00:aa:00:01", subnet = "198.51.100.0/25", relay = "203.0.113.1" }
  expect  = { rule = "servers", kernel = "http://192.0.2.20/servers/vmlinuz" }
}

test "port 3 in VLAN 30" {
  machine = { mac = "52:54:00:aa:00:03", relay = "198.51.100.193", circuit_id = "0x0004001e0103" }
  expect  = { rule = "lab" }
}

test "VLAN 50 has nothing to boot here" {
  machine = { mac = "52:54:00:aa:00:05", relay = "198.51.100.193", circuit_id = "0x000400320101" }
  expect  = { action = "ignore" }
}
