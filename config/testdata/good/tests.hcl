listener "http" {}
machine "db1" { uuid = "4c4c4544-0042-3510-8053-b4c04f463433" }
boot "a" {
  kernel  = "http://192.0.2.1/${machine.arch}/linux"
  cmdline = "hostname=${machine.name} quiet"
}
rule "servers" {
  match { machine = "db1" }
  boot = boot.a
}
rule "by iPXE" {
  match {
    firmware = "bios"
    arch     = "x64"
    product  = "Server*"
  }
  boot = boot.a
}
rule "phones" {
  match {
    subnet = "192.0.2.0/24"
    relay  = "192.0.2.1"
  }
  ignore = true
}
rule "rest" { local = true }
test "db1 is known by its UUID" {
  machine = { mac = "52:54:00:aa:00:01", uuid = "4C4C4544-0042-3510-8053-B4C04F463433" }
  expect  = { rule = "servers", boot = "a", kernel = "http://192.0.2.1/x64/linux", cmdline_contains = ["hostname=db1", "quiet"] }
}
test "a model" {
  machine = { mac = "52:54:00:aa:00:02", firmware = "bios", arch = "x64", product = "Server 7", ipxe = true }
  expect  = { rule = "by iPXE", action = "boot", cmdline_contains = "hostname=52-54-00-aa-00-02" }
}
test "a stranger" {
  machine = { mac = "52:54:00:aa:00:03" }
  expect  = { rule = "rest", action = "local" }
}
test "a phone" {
  machine = { mac = "52:54:00:aa:00:04", subnet = "192.0.2.0/25", relay = "192.0.2.1" }
  expect  = { rule = "phones", action = "ignore" }
}
