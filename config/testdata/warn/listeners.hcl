listener "dhcp" {}
listener "http" {}
rule "all" { local = true }
# want: 1:1 warning: no tftp listener | listener "tftp" {}
# want: 1:1 warning: no pxe listener | port 4011
