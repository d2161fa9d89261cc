listener "tftp" {}
boot "a" {
  kernel = "/srv/linux
  initrd = "/srv/initrd"
}
rule "r" { boot = boot.a }
# want: 3:23 error: invalid multi-line string | may not be split over multiple lines
