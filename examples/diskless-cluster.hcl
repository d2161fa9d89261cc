# A cluster without disks: every node loads the same kernel and initrd, and the
# root file system of its role into memory. A node is one line of the table.

listener "dhcp" {}
listener "pxe" {}
listener "tftp" {}
listener "http" {}
listener "status" {}

locals {
  images = "http://192.0.2.10/cluster" # any web server; paths of this host do as well

  nodes = {
    head  = { mac = "52:54:00:aa:00:01", role = "head", numa = "disable" }
    node1 = { mac = "52:54:00:aa:00:11", role = "compute", numa = "enable" }
    node2 = { mac = "52:54:00:aa:00:12", role = "compute", numa = "enable" }
  }
}

machine "nodes" {
  for_each = local.nodes
  mac      = each.value.mac
  labels   = { role = each.value.role, numa = each.value.numa }
}

# url() is where a node fetches that file from this host, which fetches it
# from the web server: the nodes need no route there. root=live: is the word of
# dracut's live images (Fedora, openSUSE); Debian's live images call it fetch=.
boot "node" {
  kernel         = "${local.images}/vmlinuz"
  initrd         = "${local.images}/initrd.img"
  cmdline        = "root=live:${url("${local.images}/${machine.labels.role}.squashfs")} rd.live.ram=1"
  cmdline_append = "ip=dhcp hostname=${machine.name} numa_balancing=${machine.labels.numa}"
  message        = "${machine.name}, a ${machine.labels.role} node"
}

# All that stand in the table, whatever their role.
rule "nodes" {
  match { machine = keys(local.nodes) }
  boot = boot.node
}

# A new node shows its address, for a minute, to be copied into the table.
boot "stranger" {
  script = <<-EOT
    #!ipxe
    echo This machine is no node of the cluster. Its address is $${net0/mac}
    sleep 60
    exit 1
  EOT
}

# For a network of the cluster's own; elsewhere, write local = true.
rule "strangers" { boot = boot.stranger }

test "a compute node has its role's root file system, and its name" {
  machine = { mac = "52:54:00:aa:00:12" }
  expect  = { rule = "nodes", cmdline_contains = ["compute.squashfs", "hostname=node2", "numa_balancing=enable"] }
}

test "a new node is not taken for one of the table" {
  machine = { mac = "52:54:00:aa:00:99" }
  expect  = { boot = "stranger" }
}
