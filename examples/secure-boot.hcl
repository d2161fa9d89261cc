# Machines that have Secure Boot on, beside a DHCP server that stays as it is: the named
# ones are leased their addresses from here, since GRUB looks for its configuration where
# its address came from. Everybody else's address is the other server's. docs/secure-boot.md
# says why, and what else there is.

listener "dhcp" {
  interfaces = "eth0"
  mode       = "server"
  router     = "192.0.2.254"
  dns        = "192.0.2.53"
}
listener "pxe" { interfaces = "eth0" }
listener "tftp" { interfaces = "eth0" }
listener "http" {}

cache {}

locals {
  debian = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64"
}

# The shim, GRUB and kernel of one distribution, which trust each other. The kernel and
# its command line are the same for a BIOS, which loads them by iPXE.
boot "installer" {
  kernel  = "${local.debian}/linux"
  initrd  = ["${local.debian}/initrd.gz"]
  cmdline = "priority=low hostname=${machine.name}"
  message = "Debian's installer for ${machine.name}"

  secure_boot {
    shim = "${local.debian}/bootnetx64.efi"
    grub = "${local.debian}/grubx64.efi"
  }
}

# A unified kernel image that is signed with keys of your own needs no shim.
boot "appliance" { efi = "https://images.example.org/appliance-${machine.arch}.efi" }

machine "db1" {
  mac = "52:54:00:aa:00:01"
  ip  = "192.0.2.11"
}
machine "door1" {
  mac    = "52:54:00:aa:00:02"
  ip     = "192.0.2.12"
  labels = { role = "door" }
}

rule "doors" {
  match {
    labels   = { role = "door" }
    firmware = "uefi"
  }
  boot = boot.appliance
}
rule "installer" {
  match { machine = ["db1"] }
  boot = boot.installer
}

test "db1 is given the installer, by whatever firmware" {
  machine = { mac = "52:54:00:aa:00:01", arch = "x64", firmware = "bios" }
  expect  = { rule = "installer", boot = "installer", cmdline_contains = "hostname=db1" }
}

test "a door starts its image" {
  machine = { mac = "52:54:00:aa:00:02", arch = "x64" }
  expect  = { rule = "doors", kernel = "https://images.example.org/appliance-x64.efi" }
}

test "nobody else is answered" {
  machine = { mac = "52:54:00:aa:00:99" }
  expect  = { action = "ignore" }
}
