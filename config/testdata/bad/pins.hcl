listener "http" {}
locals {
  half = { sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
}
boot "a" {
  kernel = { url = "/srv/linux", sha256 = "0" }
  initrd = ["a", { path = "/srv/initrd", sha256 = "0" }, { url = "a" }, local.half, { url = "", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }]
}
boot "b" {
  kernel = { url = null, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  initrd = { url = "ftp://${machine.arch}/x", sha256 = 1 }
}
boot "c" {
  kernel = { url = machine.serial, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  initrd = { url = "ftp://example.org/x", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
}
boot "d" {
  kernel  = { url = "/srv/${machine.arch}", sha256 = "${machine.arch}", size = 1 }
  message = { url = "a", sha256 = "b" }
}
rule "r" { boot = boot.a }
# want: 6:43 error: unusable digest | a SHA-256 has 64 hexadecimal digits, and this has 1 characters. `sha256sum FILE` prints it
# want: 7:27 error: unknown setting | There is no path in initrd. There is "url", "sha256"
# want: 7:58 error: setting is missing | Write initrd = { url = "…", sha256 = "…" } or { url = "…", checksums = "…/SHA256SUMS" }, or the path or URL alone in quotes
# want: 7:73 error: setting is missing | The file has a digest and no place
# want: 7:93 error: empty value | url is empty
# want: 10:20 error: value is null | url is null
# want: 11:56 error: wrong kind of value | sha256 is a number. Write a text in quotes
# want: 14:28 error: fact that cannot choose files | machine.serial cannot choose which file is kernel
# want: 15:12 error: unusable URL | begins with ftp://
# want: 18:80 error: unknown setting | There is no size in kernel
# want: 19:13 error: wrong kind of value | message is a map. Write a text in quotes
