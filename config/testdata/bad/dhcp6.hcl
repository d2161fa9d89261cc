listener "http" {}
listener "tftp" {}
listener "dhcp6" { address = "0.0.0.0:547" }
listener "dhcp6" { address = "[2001:db8::1]:547" }
listener "dhcp6" {
  advertise  = "192.0.2.1"
  preference = 256
  dns        = ["192.0.2.53", "2001:db8::53", "2001:db8::53"]
  pool {}
  pool { start = "2001:db8::100" }
}
listener "dhcp6" {
  address = "[::]:1547"
  pool {
    start    = "fe80::1"
    size     = 0
    lifetime = "10s"
  }
}
listener "dhcp6" {
  address = "[::]:2547"
  pool "x" {
    start    = "2001:db8::"
    size     = 65537
    lifetime = "long"
  }
  pool {
    start = "2001:db8::200"
    size  = 5
  }
}
listener "dhcp" {
  preference = 1
  pool {
    start = "2001:db8::"
    size  = 5
  }
}
# want: 3:30 error: unusable address | Write "[::]:547", and choose by interfaces and
# want: 4:30 error: unusable address | Write "[::]:547", and choose by interfaces and
# want: 6:16 error: unusable address to advertise | Write the address under which machines reach this host,
# want: 7:16 error: unusable number | Write a number from 0 to 255, with which clients take this
# want: 8:17 error: unusable address | Write one like
# want: 8:47 error: name used twice | Name it
# want: 9:3 error: setting is missing | write start = "2001:db8::100" and size = 50, with addresses
# want: 10:3 error: block written twice | Make it larger, or leave one of the two
# want: 15:16 error: unusable address | Write the first address of the pool, like
# want: 16:16 error: unusable number | A pool has 1 to 65536
# want: 17:16 error: unusable duration | Write at least
# want: 22:8 error: wrong number of labels | write pool { …
# want: 24:16 error: unusable number | A pool has 1 to 65536
# want: 25:16 error: unusable duration | Write a number with a unit
# want: 27:3 error: block written twice | Make it larger, or leave one of the two
# want: 33:3 error: setting has no effect here | It belongs to dhcp6; leave it out
# want: 34:3 error: setting has no effect here | Write mode = "server" into the listener
# want: 35:13 error: unusable address | Write the first address of the pool, like
