# Made of boot-line_unit.in (boot-line). Look it over: `pixiecore check` and `pixiecore explain`
# say what it means.
#
# Not carried over:
#   Variables ($NAME) of a shell or of systemd stand as they are: replace them.
#   --status-port 80 is the port of HTTP: the status is on 127.0.0.1:8067.

listener "dhcp" {
  share = true
}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {} # this host only

ipxe {
  bios      = "/srv/undionly.kpxe"
  bios_ipxe = "/srv/ipxe.pxe"
}

log { level = "debug" }

boot "imported" {
  kernel  = "/srv/vmlinuz"
  initrd  = ["/srv/initrd", "http://mirror.lan/firmware.cpio"]
  cmdline = "root=live:{{ ID \"/srv/root.squashfs\" }} x=100%"
  message = "Hello $${there}"
}

rule "everybody" {
  boot = boot.imported
}
