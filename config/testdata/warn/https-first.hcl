listener "http" {
  address = "[::]:443"
  cert    = "../srv/vmlinuz"
  key     = "../srv/vmlinuz"
}
listener "http" {}
rule "all" { local = true }
# want: 1:1 warning: machines must trust the certificate | Firmware finds its loader at the listener without cert
