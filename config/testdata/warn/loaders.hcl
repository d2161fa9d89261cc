listener "http" {}
boot "debian" {
  kernel  = "../srv/vmlinuz"
  cmdline = "BOOTIF=01-$${net0/mac}"
  secure_boot {
    shim = "../srv/snponly.efi"
    grub = "../srv/snponly.efi"
  }
}
boot "ubuntu" {
  extends        = boot.debian
  cmdline        = "ds='nocloud' name=${machine.name}"
  cmdline_append = "path=C:\\x"
}
boot "uki" { efi = "../srv/snponly.efi" }
rule "old" {
  match { firmware = "bios" }
  boot = boot.uki
}
rule "asks" {
  match { serial = "X*" }
  probe = true
  boot  = boot.debian
}
rule "rest" { boot = boot.ubuntu }
# want: 4:13 warning: loader does not fit the boot | ${…} is iPXE's, and GRUB, by which UEFI loads this boot, hands it to the kernel as it stands. Write machine.mac or machine.bootif, as ${machine.bootif}, in place of cmdline.
# want: 12:20 warning: loader does not fit the boot | GRUB, by which UEFI loads this boot, cannot hand a ' to a kernel, and machines would show that in place of booting. Leave it out of cmdline, or write loader = "ipxe".
# want: 13:20 warning: loader does not fit the boot | GRUB, by which UEFI loads this boot, cannot hand a \ to a kernel, and machines would show that in place of booting. Leave it out of cmdline_append, or write loader = "ipxe".
# want: 16:1 warning: loader does not fit the boot | Boot uki is an EFI program, and none of the machines of rule "old" has UEFI: their screens say so, and they boot nothing.
# want: 20:1 warning: loader does not fit the boot | Rule "asks" asks for what only iPXE knows, so its machines load iPXE, and never the shim of boot debian: under Secure Boot they do not boot. Ask for what DHCP tells, or for names and labels of machine blocks.
