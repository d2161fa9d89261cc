# A rack in which the role of a machine decides what it boots. To give a machine
# another role, change its label; the rules stay as they are.

listener "dhcp" { interfaces = "eth1" } # the rack's network, and no other
listener "pxe" { interfaces = "eth1" }
listener "tftp" { interfaces = "eth1" }
listener "http" {}
listener "status" {}

machine "db1" {
  mac    = ["52:54:00:aa:01:01", "52:54:00:aa:01:02"] # both of its ports
  labels = { role = "database", console = "ttyS0" }
}

machine "web1" {
  mac    = "52:54:00:aa:01:11"
  labels = { role = "web", console = "ttyS1" }
}

# A board that changes its network card keeps its UUID (dmidecode -s system-uuid).
machine "web2" {
  uuid   = "4c4c4544-0042-3510-8053-b4c04f463433"
  labels = { role = "web", console = "ttyS1" }
}

# What all roles have in common. No rule names it, so it needs no kernel.
boot "base" {
  initrd  = "http://192.0.2.10/images/initrd.img"
  cmdline = "ip=dhcp hostname=${machine.name} console=${machine.labels.console},115200n8"
  message = "${machine.name} boots as ${machine.labels.role}"
}

boot "database" {
  extends        = boot.base
  kernel         = "http://192.0.2.10/images/vmlinuz-lts"
  cmdline_append = "transparent_hugepage=never"
}

boot "web" {
  extends = boot.base
  kernel  = "http://192.0.2.10/images/vmlinuz"
}

# One rule for each role: boot["web"] is boot.web.
rule "role" {
  for_each = toset(["database", "web"])
  match { labels = { role = each.key } }
  boot = boot[each.key]
}

test "a database boots its kernel, by either port" {
  machine = { mac = "52:54:00:aa:01:02" }
  expect  = { rule = "role[\"database\"]", cmdline_contains = ["hostname=db1", "transparent_hugepage=never"] }
}

test "a new network card changes nothing" {
  machine = { mac = "52:54:00:ff:ff:ff", uuid = "4c4c4544-0042-3510-8053-b4c04f463433" }
  expect  = { boot = "web", cmdline_contains = "hostname=web2 console=ttyS1" }
}
