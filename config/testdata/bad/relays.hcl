listener "http" {}
listener "dhcp" { relays = [] }
listener "dhcp" {
  address   = "192.0.2.1:1067"
  relays    = ["10.1.0.1", "10.1.0.1/32", "10.2.0.1/16", "2001:db8::/32", "0.0.0.0", "", "core-router"]
  broadcast = "no"
}
listener "dhcp" {
  address   = "192.0.2.2:2067"
  relays    = null
  broadcast = null
}
listener "dhcp" {
  address = "192.0.2.3:3067"
  relays  = [1, "10.2.0.0/33"]
}
listener "pxe" {
  relays    = ["10.1.0.1"]
  broadcast = false
}
# want: 2:28 error: empty value | leave the line out to answer all
# want: 5:28 error: name used twice | Relay "10.1.0.1/32" stands in the list twice
# want: 5:43 error: unusable network | Write "10.2.0.0/16" for the network
# want: 5:58 error: address must be IPv4 | so are the addresses of its relays
# want: 5:75 error: unusable address of a relay | a request with this address has not been relayed
# want: 5:86 error: unusable network | "" is no network. Write addresses or networks of relays in quotes
# want: 5:90 error: unusable network | "core-router" is no network
# want: 6:15 error: wrong kind of value | broadcast is a text. Write true or false, without quotes
# want: 10:15 error: value is null | relays is null. Write addresses or networks of relays
# want: 11:15 error: value is null | Write true or false, or leave the line out
# want: 15:14 error: wrong kind of value | relays is a number
# want: 15:17 error: unusable network | "10.2.0.0/33" is no network
# want: 18:3 error: setting has no effect here | It belongs to dhcp
# want: 19:3 error: setting has no effect here | It belongs to dhcp
