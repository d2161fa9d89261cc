listener "http" {}
uploads {
  dir       = "../srv/uploads"
  max_size  = "64MiB"
  max_total = "5GiB"
}
boot "inspect" {
  kernel  = "../srv/vmlinuz"
  cmdline = "report=${upload("hardware.json")} seed=${url(file.seed)}"
  file "seed" { content = "curl -T /var/log/install.log ${upload("install.log")}" }
}
rule "all" { boot = boot.inspect }
test "the address of an upload" {
  machine = { mac = "02:00:00:00:00:01", arch = "x64" }
  expect  = { cmdline_contains = "report=http://SERVER/upload/hardware.json", files = { "seed" = "/upload/install.log" } }
}
