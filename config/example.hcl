# /etc/pixiecore.hcl
#
# What this host serves to booting machines, and what they boot.
# After a change, `pixiecore check` says whether it is right.

# The network's own DHCP server goes on giving out addresses; this one only adds
# where to boot from. To answer on some networks only, write
# interfaces = ["eth0"] into the first three.
listener "dhcp" { address = "0.0.0.0:67" }
listener "pxe"  { address = "0.0.0.0:4011" } # much UEFI firmware asks here once more
listener "tftp" { address = "[::]:69" }      # the loader; [::] serves IPv4 as well
listener "http" { address = "[::]:80" }      # scripts, kernels and initrds

# Status page and metrics, for this host only.
listener "status" { address = "127.0.0.1:8067" }

# What can be booted. A path counts from the folder of this file; a URL is
# fetched when a machine asks for it.
boot "debian" {
  kernel  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux"
  initrd  = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz"
  cmdline = "priority=low"
  message = "Starting the Debian installer, which asks before it writes to a disk."
}

boot "shell" {
  # iPXE's own variables are written with two dollar signs.
  script = <<-EOT
    #!ipxe
    echo A shell on $${net0/mac}
    shell
  EOT
}

# Who boots what: the first rule that matches decides.
rule "lab" {
  match {
    mac  = ["52:54:00:*"] # of a virtual machine; list those of your own
    arch = ["x64"]
  }
  boot = boot.debian
}

rule "other virtual machines" {
  match { mac = "52:54:00:*" }
  boot = boot.shell
}

# A machine that no rule matches gets no answer. To have all others boot their
# own disk without a wait for the network:
#
# rule "everything else" { local = true }
