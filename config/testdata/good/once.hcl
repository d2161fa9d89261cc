# What happens once.
listener "http" {}

machine "db1" { mac = ["52:54:00:aa:00:01"] }

boot "debian" {
  installs = true
  kernel   = "https://example.org/linux"
  cmdline  = "auto=true done=${phone_home()}"
}

boot "memtest" { kernel = "https://example.org/memtest" }

boot "inventory" {
  installs = true
  api      = "http://inventory.lan/netboot"
}

boot "autoinstalls" {
  installs = false # it is booted only to look at the disks
  extends  = boot.debian
}

rule "all that can be said" {
  match { machine = "db1" }
  boot = boot.debian
  once {
    attempts   = 2
    timeout    = "90m"
    on_timeout = "rearm"
    done_by    = "phone-home"
    spent      = "ignore"
    start      = "armed"
  }
}

rule "nothing" {
  match { mac = "52:54:00:aa:00:01" }
  boot = boot.debian
  once {}
}

rule "an api" {
  match { when = machine.labels.role == "db" }
  boot = boot.inventory
  once { done_by = "booting" }
}

rule "strangers" {
  match { subnet = "192.0.2.0/24" }
  any_machine = true
  boot        = boot.debian
  once {}
}

rule "no disk" {
  match { subnet = "198.51.100.0/24" }
  boot = boot.memtest
  once {
    timeout    = "1h"
    on_timeout = "local"
  }
}

rule "looks" { boot = boot.autoinstalls }

test "armed" {
  machine = { mac = "52:54:00:aa:00:01", armed = true }
  expect  = { boot = "debian", cmdline_contains = "phone-home" }
}
test "as it starts" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { boot = "debian" }
}
test "not armed" {
  machine = { mac = "52:54:00:aa:00:01", armed = false }
  expect  = { rule = "all that can be said", action = "ignore", boot = "" }
}
test "a stranger" {
  machine = { mac = "52:54:00:aa:00:02", subnet = "192.0.2.0/24", armed = true }
  expect  = { rule = "strangers", boot = "debian" }
}
test "nobody has armed it" {
  machine = { mac = "52:54:00:aa:00:02", subnet = "198.51.100.0/24" }
  expect  = { rule = "no disk", action = "local" }
}
