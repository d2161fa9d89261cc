listener "dhcp" { mode = "server" }
listener "pxe" {}
listener "tftp" {}
listener "http" {}
rule "all" { local = true }
# want: 1:1 warning: server that answers nobody | Write a pool, or ip = "192.0.2.10" into a machine
