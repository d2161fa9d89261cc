# Made of boot-line_quick.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   The original's mirror of debian, mirrors.kernel.org: the files come from the distribution's own server.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

boot "debian" {
  kernel  = "https://archive.debian.org/debian/dists/buster/main/installer-i386/current/images/netboot/debian-installer/i386/linux"
  initrd  = ["https://archive.debian.org/debian/dists/buster/main/installer-i386/current/images/netboot/debian-installer/i386/initrd.gz"]
  cmdline = "priority=low"
}

rule "everybody" {
  boot = boot.debian
}
