listener "http" {}
boot "pi" {
  kernel  = "../srv/vmlinuz"
  initrd  = ["../srv/initrd"]
  cmdline = "console=serial0,115200 host=${machine.name}"
  rpi     = "../srv/rpi"
}
boot "by-model" {
  extends = boot.pi
  rpi     = "../srv/${machine.labels.model}"
}
machine "pi5" {
  mac    = "2c:cf:67:00:00:01"
  labels = { model = "rpi" }
}
rule "the new one" {
  match { machine = "pi5" }
  boot = boot.by-model
}
rule "boards" {
  match { firmware = ["rpi", "uboot"] }
  boot = boot.pi
}
test "a board boots its kernel" {
  machine = { mac = "dc:a6:32:00:00:01", arch = "arm64", firmware = "rpi", serial = "10000001" }
  expect  = { rule = "boards", cmdline_contains = "host=dc-a6-32-00-00-01" }
}
