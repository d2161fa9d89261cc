# Made of matchbox_data.in (matchbox). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   profiles/install: its Ignition, cloud or generic configuration: matchbox goes on serving it, where the command line asks for it.
#   The address of matchbox, which is not in its files: see locals.
#   groups/installed: selector os: machines are told apart by mac, uuid, serial and hostname, or by labels of machine blocks. Its machines are left to the rules of other groups.
#   groups/node1: its metadata, which are for matchbox's templates.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

# Where matchbox serves its assets: put its own address here.
locals {
  matchbox = "http://matchbox.example.com:8080"
}

boot "flatcar" {
  kernel  = "https://stable.release.flatcar-linux.net/amd64-usr/current/flatcar_production_pxe.vmlinuz"
  initrd  = ["https://stable.release.flatcar-linux.net/amd64-usr/current/flatcar_production_pxe_image.cpio.gz"]
  cmdline = "flatcar.first_boot=yes"
}

boot "install" {
  kernel  = "${local.matchbox}/assets/flatcar/vmlinuz"
  initrd  = ["${local.matchbox}/assets/flatcar/image.cpio.gz"]
  cmdline = "flatcar.config.url=http://matchbox.lan:8080/ignition?uuid=$${uuid}&mac=$${mac:hexhyp}"
}

rule "node 1" {
  match {
    mac = "52:54:00:a1:9c:ae"
  }
  boot = boot.install
}

rule "serial" {
  match {
    serial = "7XK2PL2"
  }
  boot  = boot.install
  probe = true
}

rule "everybody" {
  boot = boot.flatcar
}
