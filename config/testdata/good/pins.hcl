listener "http" {}
locals {
  empty = { url = "../srv/initrd", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  sums  = { x64 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", arm64 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855" }
  files = { for arch, sum in local.sums : arch => { url = "https://example.org/${arch}/linux", sha256 = sum } }
}
boot "constant" {
  kernel = { url = "https://example.org/linux", sha256 = local.sums.x64 }
  initrd = ["../srv/initrd", local.empty, { url = "../srv/initrd", sha256 = local.sums.x64 }]
}
boot "one" {
  kernel = local.files["x64"]
  initrd = local.empty
}
boot "list" {
  kernel = "../srv/vmlinuz"
  initrd = [for arch in ["arm64", "x64"] : local.files[arch]]
}
boot "by-machine" {
  kernel = local.files[machine.arch]
  initrd = { url = "https://example.org/${machine.arch}/initrd", sha256 = local.sums[machine.arch] }
}
rule "constant" {
  match { arch = "arm32" }
  boot = boot.constant
}
rule "one" {
  match { arch = "riscv64" }
  boot = boot.one
}
rule "list" {
  match { arch = "loongarch64" }
  boot = boot.list
}
rule "all" { boot = boot.by-machine }
test "the digest is that of the machine's architecture" {
  machine = { mac = "52:54:00:00:00:01", arch = "arm64", firmware = "efi-arm64" }
  expect  = { kernel = "https://example.org/arm64/linux" }
}
