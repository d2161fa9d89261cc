listener "http" {}
listener "status" {
  address = "192.0.2.1:8067"
  token   = "0123456789abcdef"
}
rule "all" { local = true }
# want: 2:1 warning: token goes in the clear | the listener speaks https
