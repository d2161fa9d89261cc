listener "htpp" {}
listener "https" {}
listener "dhcp" { address = "[::]:67" }
listener "pxe" { address = "[::1]:4011" }
listener "dhcp" { address = ":67" }
listener "status" { address = ":8067" }
listener "http" { address = "0.0.0.0" }
listener "http" { address = "::1" }
listener "tftp" { address = "2001:db8::1:2:3:4:5:6:69" }
listener "tftp" { address = "localhost:69" }
listener "tftp" { address = "192.0.2.1:99999" }
listener "http" { address = "192.0.2.1:80" }
listener "status" { address = "127.0.0.1:8080" }
listener "http" { address = "192.0.2.1:80" }
listener "dhcp" { address = "192.0.2.1:67" }
listener "dhcp" {
  address    = "192.0.2.1:67"
  interfaces = []
  advertise  = "0.0.0.0"
}
listener "tftp" {
  interfaces = ["eth0", "eth0", "", "much-too-long-for-linux", "a/b"]
  advertise  = "192.0.2.1:69"
  share      = true
}
listener "http" {
  interfaces = ["eth0"]
  advertise  = "fe80::1%eth0"
}
listener "status" { advertise = "192.0.2.1" }
listener "pxe" { advertise = "2001:db8::1" }
listener "tftp" {
  address   = "192.0.2.2:69"
  advertise = "224.0.0.1"
}
listener "dhcp" { address = "192.0.2.9:67" }
# want: 1:10 error: unknown kind of listener | Did you mean "http"?
# want: 2:10 error: unknown kind of listener | Did you mean "http"?
# want: 3:29 error: address must be IPv4 | like "0.0.0.0:67"
# want: 4:28 error: address must be IPv4 | like "0.0.0.0:4011"
# want: 5:29 error: unusable address | Write "0.0.0.0:67" for all addresses
# want: 6:31 error: unusable address | Write "[::]:8067" for all addresses
# want: 7:29 error: unusable address | Add the port: "0.0.0.0:80"
# want: 8:29 error: unusable address | Add the port: "[::1]:80"
# want: 9:29 error: unusable address | An IPv6 address stands in brackets: "[2001:db8::1:2:3:4:5:6]:69"
# want: 10:29 error: unusable address | a host name will not do
# want: 11:29 error: unusable address | Write it like "[::]:69"
# want: 14:29 error: address used twice | The first one stands at listeners.hcl:12
# want: 17:16 error: address used twice | Only one listener can have UDP address 192.0.2.1:67
# want: 18:16 error: empty value | leave the line out to serve all
# want: 19:16 error: unusable address to advertise | means any address
# want: 22:25 error: name used twice | Name it once
# want: 22:33 error: unusable interface name | 1 to 15 characters
# want: 22:37 error: unusable interface name | much-too-long-for-linux
# want: 22:64 error: unusable interface name | "a/b"
# want: 23:16 error: unusable address to advertise | without a port
# want: 24:3 error: setting has no effect here | It belongs to dhcp
# want: 27:3 error: setting has no effect here | It belongs to dhcp, pxe, tftp
# want: 28:16 error: unusable address to advertise | has a zone
# want: 30:21 error: setting has no effect here | It belongs to dhcp, pxe, tftp, http
# want: 31:30 error: unusable address to advertise | is not IPv4
# want: 34:15 error: unusable address to advertise | is not the address of one host
# want: 26:1 error: address used twice | TCP address [::]:80 cannot be served beside 192.0.2.1:80, since one of them is every address of this host. Leave one listener out, or give it another port. The first one stands at listeners.hcl:12.
# want: 33:15 error: address used twice | UDP address 192.0.2.2:69 cannot be served beside [::]:69
# want: 36:29 error: address used twice | Only one listener "dhcp" can have port 67 of this host, whatever the address
