listener "http" {}
listener "dhcp" {
  mode   = "serve"
  router = "192.0.2.1"
  pool {
    start = "192.0.2.100"
    size  = 1
  }
}
listener "dhcp" {
  address   = "0.0.0.0:1067"
  mode      = "server"
  share     = true
  mask      = "255.0.255.0"
  router    = ["192.0.2.1", "192.0.2.1", "2001:db8::1", "0.0.0.0"]
  dns       = "router.lan"
  domain    = "-"
  preference = 1
  pool {
    start = "192.0.2.100"
    size  = 5
    end   = "192.0.2.104"
  }
  pool {}
}
listener "dhcp" {
  address   = "0.0.0.0:2067"
  mode      = "server"
  broadcast = false
  pool {
    start = "192.0.2.100"
    end   = "192.0.2.99"
  }
}
listener "dhcp" {
  address   = "0.0.0.0:3067"
  mode      = "server"
  broadcast = false
  pool {
    start    = "223.255.255.250"
    size     = 10
    lifetime = "20000h"
  }
}
listener "dhcp" {
  address = "0.0.0.0:4067"
  mode    = "server"
  dns     = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9"]
  pool {
    start = "2001:db8::1"
    size  = 5
  }
}
listener "tftp" {
  mode = "server"
  dns  = "192.0.2.1"
}
machine "a" {
  mac = "52:54:00:aa:00:01"
  ip  = "192.0.2.10"
}
machine "b" {
  mac = "52:54:00:aa:00:02"
  ip  = "192.0.2.10"
}
machine "c" {
  uuid = "4c4c4544-0042-3510-8053-b4c04f463433"
  ip   = "192.0.2.11"
}
machine "d" {
  mac = "52:54:00:aa:00:04"
  ip  = "192.0.2.0/24"
}
# want: 3:12 error: unknown word | Did you mean "server"?
# want: 4:3 error: setting has no effect here | Write mode = "server" into the listener, or leave
# want: 5:3 error: setting has no effect here | Write mode = "server" into the listener, or leave
# want: 12:15 error: server beside another on this host | Leave out share, and give that server's addresses to
# want: 14:15 error: unusable address | Write it like "255.255.255.0", from 255.0.0.0 to 255.255.255.252
# want: 15:29 error: name used twice | Name it once
# want: 15:42 error: unusable address | Write one like "192.0.2.1"
# want: 15:57 error: unusable address | Write one like "192.0.2.1"
# want: 16:15 error: unusable address | Write one like "192.0.2.53"
# want: 17:15 error: unusable name | Write one like "example.org"
# want: 18:3 error: setting has no effect here | It belongs to dhcp6; leave it out here
# want: 22:5 error: pool with two ends | Write one of the two
# want: 24:3 error: block written twice | Make it larger, or leave one of the two
# want: 32:13 error: unusable number | Write as end the last address, after start
# want: 35:1 error: setting is missing | Write mask = "255.255.255.0" into the listener
# want: 39:3 error: unusable number | Write fewer
# want: 42:16 error: unusable duration | Write at most "8760h"
# want: 48:118 error: unusable number | Name 8 at most
# want: 50:13 error: unusable address | Write the first address of the pool, like "192.0.2.100"
# want: 55:3 error: setting has no effect here | It belongs to dhcp; leave it out here
# want: 56:3 error: setting has no effect here | It belongs to dhcp, dhcp6; leave it out here
# want: 64:9 error: name used twice | Correct one of them
# want: 68:10 error: machine without MAC and UUID | Write mac = "…" beside it
# want: 72:9 error: unusable address | Write the one that the machine is to have,
