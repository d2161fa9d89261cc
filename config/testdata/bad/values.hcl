listener "http" { address = 80 }
listener "dhcp" { share = "yes" }
listener "pxe" { address = null }
boot "a" {
  kernel  = ["/srv/linux"]
  initrd  = ["/srv/initrd", null, 1, ""]
  cmdline = null
  message = true
}
boot "b" { kernel = "" }
boot "c" { kernel = linux }
boot "d" { kernel = boot.a }
boot "e" { kernel = "x${null}" }
log {
  level  = "verbose"
  format = "jsn"
}
ipxe {
  bios  = ""
  efi64 = "https://example.org/snponly.efi"
  arm64 = 7
}
rule "r" { ignore = null }
rule "s" { local = "true" }
# want: 1:29 error: wrong kind of value | address is a number. Write an IP address and a port in quotes, like "[::]:80".
# want: 2:27 error: wrong kind of value | Write true or false, without quotes
# want: 3:28 error: value is null | leave the line out
# want: 5:13 error: wrong kind of value | kernel is a list
# want: 6:29 error: value is null | initrd is null
# want: 6:35 error: wrong kind of value | initrd is a number
# want: 6:38 error: empty value | initrd is empty
# want: 7:13 error: value is null | cmdline is null
# want: 8:13 error: wrong kind of value | message is a truth value
# want: 10:21 error: empty value | Write the path or URL of a file
# want: 11:21 error: unknown variable | A text needs quotes: "linux"
# want: 12:21 error: unknown variable | only in a rule
# want: 13:25 error: invalid template interpolation value | null
# want: 15:12 error: unknown word | There is "debug", "info", "warn", "error".
# want: 16:12 error: unknown word | Did you mean "json"?
# want: 19:11 error: empty value | leave the line out for the built-in one
# want: 20:11 error: unusable URL | Download it
# want: 21:11 error: wrong kind of value | Write the path of a loader
# want: 23:21 error: value is null | Write true or false
# want: 24:20 error: wrong kind of value | without quotes
