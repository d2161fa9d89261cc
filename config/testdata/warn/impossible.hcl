listener "http" {}
rule "pi" {
  match {
    arch     = ["arm64", "riscv64"]
    firmware = ["bios", "efi64"]
  }
  local = true
}
# want: 5:5 warning: no machine can match | Correct one of the two
