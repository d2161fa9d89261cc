# The language on one screen.

listener "dhcp" { # beside the network's own DHCP server
  address    = "0.0.0.0:67"
  interfaces = ["eth0"]
}
listener "pxe" { address = "0.0.0.0:4011" }
listener "tftp" { address = "[::]:69" } # both families
listener "http" { address = "[::]:80" }
listener "status" { address = "127.0.0.1:8067" }

locals {
  debian = "https://deb.debian.org/debian/dists/trixie/main/installer-%s/current/images/netboot/debian-installer/%s"
  port   = { x64 = "amd64", arm64 = "arm64" }
}

boot "debian" {
  installs = true # it writes a disk, so it wants a rule with once
  kernel   = "${format(local.debian, local.port[machine.arch], local.port[machine.arch])}/linux"
  initrd   = ["${format(local.debian, local.port[machine.arch], local.port[machine.arch])}/initrd.gz"]
  cmdline  = "auto=true priority=critical hostname=${machine.name} url=${url(file.preseed)}"
  message  = "Installing Debian on ${machine.mac}"

  file "preseed" { # made for each machine when it asks
    content = templatefile("preseed.cfg.tmpl", { role = machine.labels.role, done = phone_home() })
    secret  = true
  }
}

boot "live" {
  kernel  = { url = "/srv/live/vmlinuz", sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
  initrd  = ["/srv/live/initrd"]
  cmdline = "root=live:${url(assets.images, "nodes/${machine.name}.squashfs")} ip=dhcp"
}

boot "inventory" { # another program decides
  api     = "http://inventory.lan/netboot"
  timeout = "1500ms"
}

boot "rescue" {
  script = <<-EOT
    #!ipxe
    echo Rescue on $${net0/mac}
    shell
  EOT
}

assets "images" { dir = "/srv/images" } # a folder as it is

machine "db1" {
  mac    = ["52:54:00:aa:00:01"]
  uuid   = "4c4c4544-0042-3510-8053-b4c04f463433"
  labels = { role = "db", rack = "a1" }
}

rule "databases" {
  match { labels = { role = "db" } }
  boot = boot.debian
  once { spent = "local" } # only when armed, and from its disk ever after
}

rule "lab" {
  match {
    mac      = ["52:54:00:*", "b8:27:eb:*"]
    arch     = ["x64", "arm64"]
    firmware = ["bios", "uefi"]
  }
  boot = boot.inventory
}

rule "printers" {
  match { mac = ["00:80:77:*"] }
  ignore = true
}

rule "everything-else" { local = true }

test "db1 installs Debian when it is armed" {
  machine = { mac = "52:54:00:aa:00:01", arch = "x64", firmware = "efi64", armed = true }
  expect  = { rule = "databases", boot = "debian", cmdline_contains = ["hostname=db1"] }
}
# want: 30:1 warning: boot is never used | No rule boots "live", only `pixiecore next` could. Write boot = boot.live into a rule, or leave the block out.
# want: 31:13 warning: no such file | There is no file "/srv/live/vmlinuz". Machines that need it will not boot until it is there.
# want: 32:14 warning: no such file | There is no file "/srv/live/initrd". Machines that need it will not boot until it is there.
# want: 41:1 warning: boot is never used | No rule boots "rescue", only `pixiecore next` could. Write boot = boot.rescue into a rule, or leave the block out.
# want: 49:25 warning: no such file | There is no directory "/srv/images". Machines that need it will not boot until it is there.
