# An inventory decides, and pixiecore hands over to it: what this file does not
# say of a machine, an HTTP API does. examples/api-server is a small one.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

# The API is asked for http://inventory.lan:4242/v1/boot/MAC?arch=…&serial=…, and
# its 404 means that the machine is left alone. While it cannot be asked, a machine
# that it knew less than a day ago boots what it booted then.
boot "inventory" {
  api   = "http://inventory.lan:4242"
  stale = "24h"
}

# What may not hang on an inventory stands here, before it.
rule "gateways" {
  match { mac = ["52:54:00:00:00:01", "52:54:00:00:00:02"] }
  local = true
}

rule "lab" {
  match { mac = ["52:54:00:*", "b8:27:eb:*"] }
  boot = boot.inventory
}

test "a gateway boots its disk, whatever the inventory says" {
  machine = { mac = "52:54:00:00:00:01" }
  expect  = { rule = "gateways", action = "local" }
}

test "the inventory decides about the others" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { boot = "inventory" }
}

test "nobody asks it about machines of other people" {
  machine = { mac = "00:80:77:00:00:01" }
  expect  = { action = "ignore" }
}
