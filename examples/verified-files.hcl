# Machines without disks are given Debian's installer as a rescue system, in files that are
# verified by Debian's own checksums, fetched once and kept. Each gets a small initrd of
# its own beside them, and sends the log of its hardware back.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

cache {
  max_size = "2GiB"
  prefetch = true
}

uploads {
  max_size  = "4MiB"
  max_total = "256MiB"
}

machine "db1" {
  mac    = "52:54:00:aa:00:11"
  labels = { site = "north" }
}

locals {
  base = "https://deb.debian.org/debian/dists/trixie/main/installer-amd64/current/images"
  sums = { checksums = "${local.base}/SHA256SUMS" }
}

boot "rescue" {
  kernel = merge(local.sums, { url = "${local.base}/netboot/debian-installer/amd64/linux" })
  initrd = [
    merge(local.sums, { url = "${local.base}/netboot/debian-installer/amd64/initrd.gz" }),
    cpio({
      "/etc/rescue.conf" = "name=${machine.name}\nsite=${machine.labels.site}\n"
      "/usr/bin/report"  = { content = "#!/bin/sh\ndmesg >/tmp/dmesg && wget --post-file=/tmp/dmesg -O /dev/null ${upload("dmesg.txt")}\n", mode = "0755" }
    }),
  ]
  cmdline = "rescue/enable=true priority=critical hostname=${machine.name}"
}

rule "north" {
  match { labels = { site = "north" } }
  boot = boot.rescue
}

rule "everybody else" { local = true }

test "db1 is given its own initrd" {
  machine = { mac = "52:54:00:aa:00:11" }
  expect = {
    boot             = "rescue"
    cmdline_contains = ["hostname=db1"]
    files = {
      "initrd[1]/etc/rescue.conf" = ["name=db1", "site=north"]
      "initrd[1]/usr/bin/report"  = ["http://SERVER/"]
    }
  }
}
test "a stranger boots its own disk" {
  machine = { mac = "52:54:00:aa:00:99" }
  expect  = { action = "local" }
}
