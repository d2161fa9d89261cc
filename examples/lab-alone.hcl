# A lab network without a DHCP server: pixiecore leases the addresses, too. Put no
# other DHCP server on this network, and no such listener on a network that has one.

listener "dhcp" {
  interfaces = "eth1" # the lab's; this host has an address on it: 192.0.2.1/24
  mode       = "server"
  router     = "192.0.2.1"
  dns        = "192.0.2.1"
  domain     = "lab.example.org"

  pool {
    start = "192.0.2.100"
    end   = "192.0.2.199"
  }
}
listener "pxe" { interfaces = "eth1" }
listener "tftp" { interfaces = "eth1" }
listener "http" { address = "192.0.2.1:80" }

# Named machines have addresses of their own, in the firmware and in the system that
# they boot. The pool leaves them out. (Beside a DHCP server of others: without the
# pool, these machines are answered and nobody else.)
machine "node1" {
  mac = "52:54:00:aa:00:01"
  ip  = "192.0.2.11"
}
machine "node2" {
  mac = "52:54:00:aa:00:02"
  ip  = "192.0.2.12"
}

boot "debian" {
  kernel  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux"
  initrd  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz"
  cmdline = "priority=low hostname=${machine.name}"
}

# All others get an address, and nothing to boot.
rule "nodes" {
  match { machine = ["node1", "node2"] }
  boot = boot.debian
}

test "a node gets the installer" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { rule = "nodes", cmdline_contains = "hostname=node1" }
}

test "a stranger boots nothing" {
  machine = { mac = "52:54:00:aa:00:99" }
  expect  = { action = "ignore" }
}
