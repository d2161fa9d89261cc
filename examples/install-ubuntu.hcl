# Ubuntu's server installer, by autoinstall: on web1, when it is armed (`pixiecore arm
# web1`), and once. An installation that breaks off may be tried a second time.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

machine "web1" {
  mac    = "52:54:00:aa:00:21"
  labels = { role = "web", bmc = "192.0.2.121" }
}

locals {
  # As it was downloaded to this host; the installer loads all of it into memory.
  image = "/srv/iso/ubuntu-24.04-live-server-amd64.iso"
}

boot "ubuntu" {
  installs = true
  kernel   = iso(local.image, "/casper/vmlinuz")
  initrd   = iso(local.image, "/casper/initrd")
  cmdline  = "ip=dhcp url=${url(local.image)} autoinstall ds=nocloud;s=${url(file.seed)}"
  message  = "Installing Ubuntu on ${machine.name}"

  file "seed" {
    secret = true
    tree = {
      "meta-data" = yamlencode({ "instance-id" = machine.name })
      "user-data" = "#cloud-config\n${yamlencode({
        autoinstall = {
          version  = 1
          identity = { hostname = machine.name, username = "admin", password = "!" }
          ssh      = { install-server = true, allow-pw = false }
          storage  = { layout = { name = "lvm" } }
          packages = machine.labels.role == "web" ? ["nginx"] : []
          # The last thing that the installer does: web1 is spent from then on.
          late-commands = ["curl -fsS --retry 5 -X POST ${phone_home()}"]
        }
      })}"
    }
  }
}

rule "web servers" {
  match { machine = "web1" }
  boot = boot.ubuntu
  once {
    attempts   = 2
    timeout    = "1h"
    on_timeout = "park"
  }
}

test "web1 is installed when it is armed" {
  machine = { mac = "52:54:00:aa:00:21", armed = true }
  expect = {
    boot             = "ubuntu"
    cmdline_contains = ["autoinstall", "ds=nocloud;s=http://SERVER/file.seed/"]
    files            = { "seed/user-data" = ["hostname", "nginx", "phone-home"] }
  }
}
test "and boots its disk when it is not" {
  machine = { mac = "52:54:00:aa:00:21" }
  expect  = { rule = "web servers", action = "local" }
}
