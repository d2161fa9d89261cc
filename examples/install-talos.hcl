# Talos Linux on a cluster's machines, when they are armed: `pixiecore arm --all-of
# cluster=lab --limit 1`, one after the other. Talos tells nobody when it has installed
# itself, so a machine is done when its kernel starts, and boots its disk from then on.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

machine "cp1" {
  mac    = "52:54:00:aa:00:31"
  labels = { cluster = "lab", role = "controlplane" }
}
machine "worker1" {
  mac    = "52:54:00:aa:00:32"
  labels = { cluster = "lab", role = "worker" }
}

locals {
  talos = "https://github.com/siderolabs/talos/releases/download/v1.9.0"
  port  = { x64 = "amd64", arm64 = "arm64" }
}

boot "talos" {
  installs = true
  kernel   = "${local.talos}/vmlinuz-${local.port[machine.arch]}"
  initrd   = "${local.talos}/initramfs-${local.port[machine.arch]}.xz"
  cmdline  = "init_on_alloc=1 slab_nomerge pti=on console=tty0 talos.platform=metal talos.experimental.wipe=system talos.config=${url(file.config)}"
  message  = "Installing Talos on ${machine.name}"

  # Of talosctl gen config: it holds the cluster's keys.
  file "config" {
    source = "http://192.0.2.10/talos/${machine.labels.role}.yaml"
    secret = true
  }
}

rule "cluster" {
  match { labels = { cluster = "lab" } }
  boot = boot.talos
  once { done_by = "booting" }
}

test "a worker is installed when it is armed" {
  machine = { mac = "52:54:00:aa:00:32", armed = true }
  expect = {
    boot             = "talos"
    cmdline_contains = "talos.config=http://SERVER/file.config"
    files            = { config = "http://192.0.2.10/talos/worker.yaml" }
  }
}
test "and boots its disk when it is not" {
  machine = { mac = "52:54:00:aa:00:32" }
  expect  = { rule = "cluster", action = "local" }
}
