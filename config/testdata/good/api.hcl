# An API says what machines boot.
listener "http" {}
locals { inventory = "http://inventory.lan" }
boot "inventory" { api = "${local.inventory}/netboot" }
boot "patient" {
  extends = boot.inventory
  timeout = "1.8s"
  stale   = "720h"
}
boot "row" {
  for_each = toset(["a", "b"])
  api      = "${local.inventory}/rows/${each.key}/"
}
rule "lab" {
  match { mac = "52:*" }
  boot = boot.patient
}
rule "a" {
  match { subnet = "10.1.0.0/16" }
  boot = boot.row["a"]
}
rule "b" {
  match { subnet = "10.2.0.0/16" }
  boot = boot.row["b"]
}
rule "rest" { boot = boot.inventory }
test "an API decides about the rest" {
  machine = { mac = "02:00:00:00:00:01" }
  expect  = { rule = "rest", boot = "inventory", action = "boot" }
}
