# A menu on the machine's screen. Who does not choose in ten seconds boots the
# local disk, so a machine that nobody watches comes up after a power cut.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

locals {
  port   = { x64 = "amd64", arm64 = "arm64" } # Debian's words for architectures
  mirror = "https://deb.debian.org/debian/dists/%s/main/installer-%s/current/images/netboot/debian-installer/%s"
}

# ${…} is filled in by pixiecore for each machine, $${…} by iPXE when the script
# runs. The first word of an item is the label where the script goes on; the time
# limit is in milliseconds. url() is where the machine fetches a file of the
# mirror from this host, so that it needs no route there, nor iPXE https.
boot "menu" {
  script = <<-EOT
    #!ipxe
    menu ${machine.name}: what shall it boot?
    item disk Local disk
    item --gap -- Installers, which ask before they write to a disk
    item trixie Debian 13
    item bookworm Debian 12
    item --gap -- Tools
    item --key s shell A shell of iPXE
    choose --timeout 10000 --default disk choice || goto disk
    goto $${choice}

    :trixie
    kernel ${url("${format(local.mirror, "trixie", local.port[machine.arch], local.port[machine.arch])}/linux")} initrd=initrd.gz priority=low || goto failed
    initrd ${url("${format(local.mirror, "trixie", local.port[machine.arch], local.port[machine.arch])}/initrd.gz")} || goto failed
    boot || goto failed

    :bookworm
    kernel ${url("${format(local.mirror, "bookworm", local.port[machine.arch], local.port[machine.arch])}/linux")} initrd=initrd.gz priority=low || goto failed
    initrd ${url("${format(local.mirror, "bookworm", local.port[machine.arch], local.port[machine.arch])}/initrd.gz")} || goto failed
    boot || goto failed

    :shell
    shell
    goto disk

    :failed
    prompt --timeout 10000 That did not start. After a key, or ten seconds, the local disk boots. ||

    :disk
    iseq $${platform} pcbios && sanboot --no-describe --drive 0x80 ||
    exit 1
  EOT
}

# Machines that Debian has an installer for; no others are answered.
rule "everybody" {
  match { arch = keys(local.port) }
  boot = boot.menu
}

test "a machine with a BIOS has the menu" {
  machine = { mac = "52:54:00:aa:00:01", firmware = "bios" }
  expect  = { boot = "menu" }
}

test "an old one of 32 bits is left alone" {
  machine = { mac = "52:54:00:aa:00:02", firmware = "bios", arch = "ia32" }
  expect  = { action = "ignore" }
}
