listener "http" {}
locals {
  hosts = { for m in csvdecode(file("data/hosts.csv")) : m.name => m }
}
machine "hosts" {
  for_each = local.hosts
  mac      = each.value.mac
  labels   = { role = each.value.role }
}
machine "big" {
  name   = "big.example.org"
  uuid   = "4C4C4544-0042-3510-8053-B4C04F463433"
  labels = {}
}
rule "all of it" {
  match {
    mac          = "52:*"
    arch         = ["x64", "arm64"]
    firmware     = "uefi"
    transport    = ["pxe", "http"]
    ipxe         = false
    uuid         = ["4c4c4544-*"]
    machine      = ["db1", "big.example.org"]
    labels       = { role = "db" }
    interface    = "eth*"
    listener     = "0.0.0.0:67"
    subnet       = ["192.0.2.0/24", "2001:db8::/32"]
    relay        = "192.0.2.1"
    vendor_class = "PXEClient*"
    user_class   = "iPXE"
    circuit_id   = "port-?"
    remote_id    = "0x00*"
    serial       = "S*"
    manufacturer = "Dell*"
    product      = "R6*"
    asset        = "A*"
    hostname     = "h*"
    when         = machine.labels.role != "web" && (machine.arch == "x64" || machine.serial == "7")
    not { mac = "52:54:*" }
    not {
      any {
        serial = "X"
        not { product = "Y" }
      }
    }
    any {
      asset    = "1"
      hostname = "2"
    }
  }
  local = true
}
rule "probing" {
  match { serial = "X*" }
  probe = true
  local = true
}
rule "when" {
  match { when = try(machine.labels.role, "none") == "web" }
  local = true
}
