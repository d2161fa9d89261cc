# The smallest useful file: one machine boots an installer, everything else is
# as if this host were not there.

# Your DHCP server goes on giving out addresses; pixiecore stands beside it.
listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

# Debian's installer, which asks before it writes to a disk. Paths
# of files on this host do as well.
boot "debian" {
  kernel  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux"
  initrd  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz"
  cmdline = "priority=low"
}

# Put your machine's address here: it stands on its sticker, in its firmware's
# setup, and in `pixiecore seen` once it has tried to boot.
rule "my machine" {
  match { mac = "52:54:00:12:34:56" }
  boot = boot.debian
}

test "my machine gets the installer" {
  machine = { mac = "52:54:00:12:34:56" }
  expect  = { boot = "debian", cmdline_contains = "priority=low" }
}

test "another one is not answered" {
  machine = { mac = "52:54:00:12:34:57" }
  expect  = { action = "ignore" }
}
