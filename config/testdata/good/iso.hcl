listener "http" {}
assets "small" { iso = "../srv/small.iso" }
assets "far" { iso = "https://192.0.2.1/debian.iso" }
locals { small = "../srv/small.iso" }
boot "local" {
  kernel  = iso(local.small, "/vmlinuz")
  initrd  = [{ url = iso("../srv/small.iso", "pool/package"), sha256 = "9c1d2dfd45d71dc1d70802a92d214537df71f9a167c9d42df18f1f88342e8cfb" }, "../srv/initrd"]
  cmdline = "fetch=${url(iso("../srv/small.iso", "/pool/package"))} mirror=${url(assets.small)} one=${url(assets.small, "pool/package")}"
}
boot "far" {
  kernel  = iso("https://192.0.2.1/debian-${machine.arch}.iso", "/install.${machine.arch == "x64" ? "amd" : "a64"}/vmlinuz")
  initrd  = { url = iso("https://192.0.2.1/debian.iso", "/initrd"), sha256 = "9c1d2dfd45d71dc1d70802a92d214537df71f9a167c9d42df18f1f88342e8cfb" }
  cmdline = "mirror=${url(assets.far, "dists/")} ${url(file.release)}"
  file "release" { source = iso("https://192.0.2.1/debian.iso", "/dists/${machine.arch}/Release") }
}
boot "verified" {
  kernel = { url = iso("https://192.0.2.1/13/debian.iso", "/vmlinuz"), checksums = "https://192.0.2.1/13/SHA256SUMS" }
  initrd = [{ url = iso(local.small, "/vmlinuz"), checksums = "../srv/initrd", signature = "../srv/vmlinuz", key = "../srv/initrd" }]
}
boot "program" { efi = iso("https://192.0.2.1/debian.iso", "/EFI/boot/bootx64.efi") }
rule "program" {
  match { mac = "52:54:00:*" }
  boot = boot.program
}
rule "verified" {
  match { mac = "52:55:00:*" }
  boot = boot.verified
}
rule "bios" {
  match { firmware = "bios" }
  boot = boot.local
}
rule "all" { boot = boot.far }
test "a kernel in an image" {
  machine = { mac = "02:00:00:00:00:01", arch = "x64" }
  expect = {
    boot  = "far"
    files = { "release" = "iso:https://192.0.2.1/debian.iso!/dists/x64/Release" }
    cmdline_contains = "mirror=http://SERVER/https://192.0.2.1/debian.iso/dists/"
  }
}
