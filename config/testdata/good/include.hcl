rule "first" {
  match { mac = "52:54:00:*" }
  boot = boot.debian
}
include = ["include/*.hcl", "include/a.hcl"]
rule "last" { local = true }
listener "http" {}
