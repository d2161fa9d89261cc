listener "dhcp6" {}
listener "tftp" { address = "0.0.0.0:69" }
listener "http" { address = "0.0.0.0:80" }
rule "all" { local = true }
# want: 1:1 warning: nothing there over IPv6 | Write listener "http" { address = "[::]:80"
# want: 1:1 warning: nothing there over IPv6 | Write listener "tftp" { address = "[::]:69"
