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
# want: 2:27 error: wrong kind of value | share is a text. Write true or false, without quotes.
# want: 3:28 error: value is null | address is null. Write an IP address and a port in quotes, like "0.0.0.0:4011", or leave the line out.
# want: 5:13 error: wrong kind of value | kernel is a list. Write a path or a URL in quotes.
# want: 6:29 error: value is null | initrd is null. Write paths or URLs in quotes, or leave the line out.
# want: 6:35 error: wrong kind of value | initrd is a number. Write paths or URLs in quotes.
# want: 6:38 error: empty value | The name of a file is empty. Write its path or URL.
# want: 7:13 error: value is null | cmdline is null. Write a text in quotes, or leave the line out.
# want: 8:13 error: wrong kind of value | message is a truth value. Write a text in quotes.
# want: 10:21 error: empty value | The name of a file is empty. Write its path or URL.
# want: 11:21 error: unknown variable | There is no variable "linux". A text needs quotes: "linux".
# want: 12:21 error: unknown variable | A reference to a boot can stand only in a rule, as boot = boot.NAME, or as extends = boot.NAME in a boot.
# want: 13:25 error: invalid template interpolation value | The expression result is null. Cannot include a null value in a string template.
# want: 15:12 error: unknown word | level cannot be "verbose". There is "debug", "info", "warn", "error".
# want: 16:12 error: unknown word | format cannot be "jsn". Did you mean "json"?
# want: 19:11 error: empty value | bios is empty. Write the path of a loader, or leave the line out for the built-in one.
# want: 20:11 error: unusable URL | A loader is read when the file is loaded, from this host. Download it, and write its path.
# want: 21:11 error: wrong kind of value | arm64 is a number. Write the path of a loader in quotes.
# want: 23:21 error: value is null | ignore is null. Write true or false, or leave the line out.
# want: 24:20 error: wrong kind of value | local is a text. Write true or false, without quotes.
