# /etc/pixiecore.hcl: what this host serves to machines that boot from the
# network, and what they boot.
#
#   pixiecore check                 every error in here, with the way out
#   pixiecore plan                  what would change
#   systemctl reload pixiecore      apply it; a file with errors changes nothing
#
# pixiecore.hcl(5) has the whole language; examples are in /usr/share/doc/pixiecore.

# More files, in the order of their names. Machines may well have one of their own.
include = ["pixiecore.d/*.hcl"]

# The network's own DHCP server goes on giving out addresses. To answer on some
# networks only, write interfaces = ["eth0"] into the first three. Does a DHCP
# server run on this very host? Then write share = true into the first.
listener "dhcp" { address = "0.0.0.0:67" }
listener "pxe" { address = "0.0.0.0:4011" } # much UEFI firmware asks here once more
listener "tftp" { address = "[::]:69" }     # the loader; [::] serves IPv4 as well
listener "http" { address = "[::]:80" }     # scripts, kernels and initrds
listener "status" {}                        # health and what each machine did, for this host only
# listener "dhcp6" {}                       # for machines that boot over IPv6; their addresses stay with the DHCPv6 server

# Nothing is booted yet: a machine that no rule matches gets no answer. What
# follows is an example. Take the "# " away and put your own in.

# machine "db1" {
#   mac    = "52:54:00:aa:00:01"
#   labels = { role = "database" }
# }
#
# boot "live" {
#   kernel  = "/srv/live/vmlinuz" # a path or a URL
#   initrd  = ["/srv/live/initrd"]
#   cmdline = "ip=dhcp hostname=${machine.name}"
#   message = "Starting the live system"
# }
#
# rule "databases" { # the first rule that matches decides
#   match {
#     labels = { role = "database" }
#   }
#   boot = boot.live
# }
#
# rule "everything-else" {
#   local = true # boots its own disk
# }
