lisener "http" {}
foo "bar" {}
setting = 1
listener = "http"
listener "http" {
  adress = "127.0.0.1:80"
  share { }
  tls { }
}
boot {
  kernel = "/srv/linux"
}
boot "a" "b" { kernel = "/srv/linux" }
log "x" { level = "info" }
ipxe "x" {}
log {}
listener {}
boot "12-debian" { kernel = "/srv/linux" }
boot "debian" { kernel = "/srv/linux" }
boot "debian" { kernel = "/srv/linux" }
rule "" { local = true }
rule {
  local = true
  match "x" { mac = "*" }
}
rule "twice" { local = true }
rule "twice" { ignore = true }
rule "named" {
  local = true
  match { mac = "52:*" }
  match { mac = "53:*" }
  macth { arch = "x64" }
}
boot "x" { krenel = "/srv/linux" }
# want: 1:1 error: unknown block | Did you mean "listener"?
# want: 2:1 error: unknown block | There is "include", "listener", "boot"
# want: 3:1 error: unknown setting | There is no setting "setting" at the top of a file.
# want: 4:1 error: a block, written as a setting | write listener { … } without the equals sign
# want: 6:3 error: unknown setting | Did you mean "address"?
# want: 7:3 error: a setting, written as a block | write share = … with an equals sign
# want: 8:3 error: unknown block | There is no block "tls" in a listener block.
# want: 10:1 error: wrong number of labels | write boot "NAME" { … }
# want: 13:1 error: wrong number of labels | its name
# want: 14:5 error: wrong number of labels | write log { … }
# want: 15:6 error: wrong number of labels | write ipxe { … }
# want: 16:1 error: block written twice | The first one stands at names.hcl:14
# want: 17:1 error: wrong number of labels | what it serves
# want: 18:6 error: unusable name | "boot-12-debian" would be one
# want: 20:6 error: name used twice | The first one stands at names.hcl:19
# want: 21:6 error: unusable name | Give it one
# want: 22:1 error: wrong number of labels | write rule "NAME" { … }
# want: 24:9 error: wrong number of labels | write match { … }
# want: 27:1 error: name used twice | two rules "twice"
# want: 31:3 error: block written twice | write a second rule
# want: 32:3 error: unknown block | Did you mean "match"?
# want: 34:12 error: unknown setting | Did you mean "kernel"?
