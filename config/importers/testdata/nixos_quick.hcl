# Made of nixos_quick.in (nixos). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   The original's mirror of netboot.xyz, mirrors.kernel.org: the files come from the distribution's own server.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {
  address = "[::]:8080"
}
listener "status" { address = "127.0.0.1:8081" } # this host only

boot "netboot_xyz" {
  kernel = machine.firmware == "bios" ? "https://boot.netboot.xyz/ipxe/netboot.xyz.lkrn" : "https://boot.netboot.xyz/ipxe/netboot.xyz.efi"
}

rule "everybody" {
  boot = boot.netboot_xyz
}
