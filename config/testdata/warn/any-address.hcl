# Only a secret is bound to an address.
listener "http" {}
boot "a" {
  kernel  = "../srv/vmlinuz"
  cmdline = "${url(file.seed)}"
  file "seed" {
    content     = "x"
    any_address = true
  }
}
rule "r" { boot = boot.a }
# want: 8:5 warning: setting has no effect here | any_address is for a secret file: others are served to any address. Leave the line out, or write secret = true.
