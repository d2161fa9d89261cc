listener "http" {}
boot "a" { kernel = "../srv/vmlinuz" }

rule "lab" {
  match {
    mac      = ["52:54:00:*", "b8:27:eb:*"]
    arch     = ["x64", "arm64"]
    firmware = ["bios", "uefi", "efi64"]
  }
  boot  = boot.a
  offer = "bypass+prompt"
}
rule "one of each" {
  match {
    arch     = "riscv64"
    firmware = "efi-riscv64"
  }
  local = true
}
rule "printers" {
  match { mac = ["00:80:77:*"] }
  ignore = true
}
rule "everything else" { local = true }
