listener "http" {}
boot "a" {
  kernel = "../srv/vmlinuz"
  rpi    = "/"
}
boot "b" {
  kernel = "../srv/vmlinuz"
  rpi    = "https://example.org/rpi"
}
boot "c" {
  kernel = "../srv/vmlinuz"
  rpi    = ""
}
boot "d" {
  kernel = "../srv/vmlinuz"
  rpi    = "/srv/${machine.serial}"
}
boot "e" {
  script = "#!ipxe\nshell\n"
  rpi    = "../srv"
}
# want: 4:12 error: directory of everything | Every file of this host
# want: 8:12 error: unusable URL | directory of another server
# want: 12:12 error: empty value | empty
# want: 16:28 error: fact that cannot choose files | machine.serial
# want: 20:3 error: setting beside a script | rpi beside it
