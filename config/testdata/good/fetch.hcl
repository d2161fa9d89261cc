listener "http" {}
fetch {
  ca   = "../srv/vmlinuz" # any file will do, until it is read
  cert = "../srv/vmlinuz"
  key  = "../srv/vmlinuz"
}
rule "all" { local = true }
