listener "http" {}
locals {
  base = "https://example.org/${"releases"}"
}
boot "constant" {
  kernel = { url = "${local.base}/linux", checksums = "${local.base}/SHA256SUMS" }
  initrd = [{ url = "../srv/initrd", checksums = "../srv/initrd" }]
}
boot "by-machine" {
  kernel = { url = "${local.base}/${machine.arch}/linux", checksums = "${local.base}/${machine.arch}/SHA256SUMS", signature = "${local.base}/${machine.arch}/SHA256SUMS.gpg", key = "../srv/initrd" }
}
rule "constant" {
  match { arch = "arm32" }
  boot = boot.constant
}
rule "all" { boot = boot.by-machine }
test "the kernel is shown by its place" {
  machine = { mac = "52:54:00:00:00:01", arch = "arm64", firmware = "efi-arm64" }
  expect  = { kernel = "https://example.org/releases/arm64/linux" }
}
