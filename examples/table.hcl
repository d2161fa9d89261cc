# A rack of servers, listed in a table. Each boots what its row says; the table
# is watched like this file, so a saved edit of it is served at once.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {}

locals {
  hosts  = { for row in csvdecode(file("hosts.csv")) : row.name => row }
  mirror = "https://deb.debian.org/debian/dists/%s/main/installer-%s/current/images/netboot/debian-installer/%s"
  port   = { x64 = "amd64", arm64 = "arm64" } # Debian's words for architectures
}

machine "hosts" {
  for_each = local.hosts
  mac      = each.value.mac
  labels   = { role = each.value.role, rack = each.value.rack }
}

# One boot for each release that a row names.
boot "debian" {
  for_each = toset([for row in values(local.hosts) : row.release])

  kernel  = "${format(local.mirror, each.key, local.port[machine.arch], local.port[machine.arch])}/linux"
  initrd  = "${format(local.mirror, each.key, local.port[machine.arch], local.port[machine.arch])}/initrd.gz"
  cmdline = "hostname=${machine.name} priority=low"
  message = "Debian ${each.key} on ${machine.name}, a ${machine.labels.role} in rack ${machine.labels.rack}"
}

rule "hosts" {
  for_each = local.hosts
  match {
    machine = each.key
    arch    = keys(local.port)
  }
  boot = boot.debian[each.value.release]
}

# Whoever is not in the table boots its own disk.
rule "strangers" { local = true }

test "a machine boots what its row says" {
  machine = { mac = "52:54:00:aa:00:03", arch = "arm64", firmware = "efi-arm64" }
  expect  = { boot = "debian[\"bookworm\"]", cmdline_contains = ["hostname=web1"] }
}
