# A live system with cloud-init, and the user-data, meta-data and network-config of each
# machine: what differs comes from its labels.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}

machine "web1" {
  mac    = "52:54:00:aa:00:31"
  labels = { role = "web", address = "192.0.2.31/24" }
}

boot "ubuntu" {
  kernel  = "http://192.0.2.10/ubuntu/vmlinuz"
  initrd  = "http://192.0.2.10/ubuntu/initrd"
  cmdline = "ip=dhcp ds=nocloud;s=${url(file.seed)}"

  # cloud-init adds user-data, meta-data and so on to the address.
  file "seed" {
    tree = {
      "user-data"      = "#cloud-config\n${yamlencode({ hostname = machine.name, packages = machine.labels.role == "web" ? ["nginx"] : [] })}"
      "meta-data"      = yamlencode({ "instance-id" = machine.name })
      "network-config" = yamlencode({ version = 2, ethernets = { lan = { match = { macaddress = machine.mac }, addresses = [machine.labels.address] } } })
    }
  }
}

rule "named" {
  match { machine = "web1" }
  boot = boot.ubuntu
}

test "web1 has its seed" {
  machine = { mac = "52:54:00:aa:00:31" }
  expect  = { boot = "ubuntu", cmdline_contains = "/file.seed/" }
}
