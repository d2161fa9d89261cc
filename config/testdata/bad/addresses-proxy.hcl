listener "dhcp" {}
listener "http" {}
machine "a" {
  mac = "52:54:00:aa:00:01"
  ip  = "192.0.2.10"
}
# want: 5:9 error: setting has no effect here | Write mode = "server" into listener "dhcp": without a pool
