listener "http" {
  address = "[::]:443"
  cert    = "../srv/vmlinuz"
  key     = "../srv/key.pem"
}
rule "all" { local = true }
# want: 1:1 warning: machines must trust the certificate | write a listener "http" without cert
# want: 4:13 warning: no such file | pixiecore will not start until it is there
