listener "http" {}
boot "a" {
  kernel = { url = "https://m/linux", checksums = "https://m/SHA256SUMS", key = "checksums.hcl" }
  initrd = { url = "https://m/initrd", checksums = "./SHA256SUMS", key = "gone.asc" }
}
rule "r" { boot = boot.a }
# want: 3:12 warning: unusable key | checksums.hcl" verifies is not served: it has no OpenPGP public key
# want: 4:12 warning: no such file | gone.asc
# want: 4:12 warning: no such file | SHA256SUMS
