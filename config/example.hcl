# /etc/pixiecore.hcl: what this host serves to booting machines, and what they
# boot. `pixiecore check` says whether it is right; a saved edit is served at once.

# The network's own DHCP server goes on giving out addresses. To answer on some
# networks only, write interfaces = ["eth0"] into the first three.
listener "dhcp" { address = "0.0.0.0:67" }
listener "pxe" { address = "0.0.0.0:4011" } # much UEFI firmware asks here once more
listener "tftp" { address = "[::]:69" }     # the loader; [::] serves IPv4 as well
listener "http" { address = "[::]:80" }     # scripts, kernels and initrds
listener "status" {}                        # health and what each machine did, for this host only

locals {
  port   = { x64 = "amd64", arm64 = "arm64" } # Debian's words for architectures
  debian = "https://deb.debian.org/debian/dists/trixie/main/installer-%s/current/images/netboot/debian-installer/%s"
}

# A machine with a name and labels, for rules to choose it by.
machine "db1" {
  mac    = "52:54:00:aa:00:01"
  labels = { role = "database" }
}

# What can be booted: paths, counted from the folder of this file, or URLs.
boot "debian" {
  kernel  = "${format(local.debian, local.port[machine.arch], local.port[machine.arch])}/linux"
  initrd  = "${format(local.debian, local.port[machine.arch], local.port[machine.arch])}/initrd.gz"
  cmdline = "priority=low hostname=${machine.name}"
  message = "Starting the Debian installer, which asks before it writes to a disk."
}

# Who boots what: the first rule that matches decides. A machine that no rule
# matches gets no answer; a last rule with local = true boots it from its disk.
rule "databases" {
  match {
    labels = { role = "database" }
    arch   = keys(local.port)
  }
  boot = boot.debian
}

# What must be so after every edit: a file that fails its tests is not served.
test "db1 gets the installer" {
  machine = { mac = "52:54:00:aa:00:01", arch = "arm64", firmware = "efi-arm64" }
  expect  = { boot = "debian", cmdline_contains = "hostname=db1" }
}
