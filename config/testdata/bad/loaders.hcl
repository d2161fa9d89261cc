listener "http" {}
boot "a" {
  kernel = "../srv/vmlinuz"
  loader = "lilo"
}
boot "b" {
  script = "#!ipxe\nshell\n"
  loader = "shim"
  secure_boot { grub = "../srv/snponly.efi" }
}
boot "c" {
  kernel = "../srv/vmlinuz"
  loader = "native"
}
boot "d" {
  efi     = "../srv/snponly.efi"
  kernel  = "../srv/vmlinuz"
  initrd  = ["../srv/initrd"]
  cmdline = "quiet"
  message = "hello"
}
boot "e" {
  efi    = "../srv/snponly.efi"
  loader = "grub"
  secure_boot { grub = "../srv/snponly.efi" }
}
boot "f" {
  kernel = "../srv/vmlinuz"
  loader = "shim"
}
boot "g" {
  kernel = "../srv/vmlinuz"
  secure_boot { shim = "../srv/snponly.efi" }
}
boot "h" {
  kernel = "../srv/vmlinuz"
  loader = "snponly"
  secure_boot { grub = "../srv/${machine.serial}" }
}
boot "i" {
  api = "http://inventory.lan/"
  secure_boot { grub = "../srv/snponly.efi" }
}
boot "j" {
  kernel = "../srv/vmlinuz"
  secure_boot "x" { grub = "../srv/snponly.efi" }
  secure_boot {
    shim = "../srv/snponly.efi"
    gurb = "../srv/snponly.efi"
  }
}
rule "r" {
  boot = boot.a
}
# want: 4:12 error: unknown word | loader cannot be "lilo". There is "auto", "ipxe", "snponly", "grub", "shim", "native".
# want: 8:12 error: loader does not fit the boot | Only iPXE can run a script, and loader = "shim" loads none. Leave one of the two out.
# want: 9:3 error: loader does not fit the boot | Only iPXE can run a script, which a shim and GRUB do not load. Leave the secure_boot block out; a script can load a shim itself.
# want: 13:12 error: loader does not fit the boot | loader = "native" is for a boot with efi, an EFI program that the firmware starts itself. Write efi = "…" in place of kernel.
# want: 16:3 error: loader does not fit the boot | The boot already has a kernel, and a machine starts one of the two. Leave one out, or write a second boot.
# want: 18:3 error: loader does not fit the boot | Firmware that starts a program gives it no initrd. Build it into the program, a unified kernel image, or write loader = "ipxe", which can give it.
# want: 19:3 error: loader does not fit the boot | Firmware that starts a program gives it no cmdline. Build it into the program, a unified kernel image, or write loader = "ipxe", which can give it.
# want: 20:3 error: loader does not fit the boot | Firmware that starts a program gives it no message. Build it into the program, a unified kernel image, or write loader = "ipxe", which can give it.
# want: 24:12 error: loader does not fit the boot | efi is started by the firmware, or by iPXE. Write loader = "native" or "ipxe", or leave the line out.
# want: 25:3 error: loader does not fit the boot | efi is started by the firmware itself, without a shim: under Secure Boot it must be signed for that. Leave the secure_boot block out.
# want: 29:12 error: loader does not fit the boot | loader "shim" needs a shim. Write secure_boot { shim = "…" } into the boot, or for all boots, with its path or URL.
# want: 29:12 error: loader does not fit the boot | loader "shim" needs a grub. Write secure_boot { grub = "…" } into the boot, or for all boots, with its path or URL.
# want: 31:1 error: loader does not fit the boot | loader "shim" needs a grub. Write secure_boot { grub = "…" } into the boot, or for all boots, with its path or URL.
# want: 33:3 error: setting is missing | A secure_boot block names the shim, and the GRUB that the shim trusts. Write shim = "…" and grub = "…", paths or URLs of files like shimx64.efi.signed and grubnetx64.efi.signed of Debian.
# want: 38:3 error: loader does not fit the boot | loader = "snponly" loads no shim, so this has no effect. Leave one of the two out.
# want: 38:42 error: fact that cannot choose files | machine.serial cannot choose which file is grub: a machine may say what it likes of itself. A path can have machine.name, machine.arch, machine.firmware, machine.labels.
# want: 42:3 error: loader does not fit the boot | Only iPXE can run what an API says, which a shim and GRUB do not load. Leave the secure_boot block out; a script can load a shim itself.
# want: 44:1 error: loader does not fit the boot | loader "shim" needs a shim. Write secure_boot { shim = "…" } into the boot, or for all boots, with its path or URL.
# want: 46:15 error: wrong number of labels | A secure_boot block has no label: write secure_boot { … }.
# want: 47:3 error: block written twice | A boot has one secure_boot block. Put the settings of both into one.
