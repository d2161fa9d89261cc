# What iso() is not.
listener "http" {}
assets "two" {
  dir = "/srv/images"
  iso = "/srv/debian.iso"
}
assets "scheme" { iso = "ftp://192.0.2.1/x.iso" }
assets "empty" { iso = "" }
boot "arguments" {
  kernel  = iso("/srv/debian.iso")
  initrd  = [iso("", "/x"), iso("/srv/debian.iso", "/"), iso("ftp://192.0.2.1/x.iso", "/x"), iso("/srv/debian.iso", "/${machine.serial}")]
  cmdline = iso("/srv/debian.iso", "/x")
}
boot "checksums" { kernel = { url = iso("/srv/debian.iso", "/x"), sha256 = "9c1d2dfd45d71dc1d70802a92d214537df71f9a167c9d42df18f1f88342e8cfb", checksums = "/srv/SHA256SUMS" } }
boot "texts" {
  kernel  = "x-${iso("/srv/debian.iso", "/x")}"
  message = "${url(assets.two)} ${url(iso("/srv/debian.iso", "x/"))}"
}
rule "all" { boot = boot.texts }
# want: 5:3 error: file with two contents | The block already has dir. Keep one of the two, or write a second block.
# want: 7:25 error: unusable URL | The URL begins with ftp://, which is not fetched. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 8:24 error: empty value | The name of a file is empty. Write its path or URL.
# want: 10:34 error: not enough function arguments | Function "iso" expects 2 argument(s). Missing value for "path".
# want: 11:14 error: error in function call | Call to function "iso" failed: an image and a file in it are named: iso("PATH or URL", "/images/pxeboot/vmlinuz").
# want: 11:29 error: nothing that has an address | No machine could fetch this: no file in the image is named. Write iso("PATH or URL", "/images/pxeboot/vmlinuz").
# want: 11:58 error: unusable URL | The URL begins with ftp://, which is not fetched. Write http://HOST/PATH or https://HOST/PATH, or the path of a local file.
# want: 11:129 error: fact that cannot choose files | machine.serial cannot choose which file is initrd: a machine may say what it likes of itself. A path can have machine.name, machine.arch, machine.firmware, machine.labels
# want: 12:13 error: wrong kind of value | cmdline is a file in an image. Write a text in quotes.
# want: 14:156 error: digest said in two ways | sha256 says already what the file must be. Write one of the two.
# want: 16:18 error: invalid template interpolation value | Cannot include the given value in a string template: string required, but have file in an image.
