listener "http" {}
boot "x" {
  kernel = "../srv/vmlinuz"
  initrd = cpio({ "/lib/firmware/x" = "y", "/sbin" = "z" })
}
rule "all" { boot = boot.x }
# want: 4:19 warning: a link would be replaced | /lib is a link to usr/lib in the initial RAM disks of most distributions, which the directory lib of this archive replaces. Write "/usr/lib/firmware/x", unless this one h
