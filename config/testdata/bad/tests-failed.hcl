listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "a" {
  kernel  = "/srv/${machine.arch}/linux"
  cmdline = "hostname=${machine.name} serial=${machine.serial}"
}
boot "b" { kernel = "/srv/b" }
rule "servers" {
  match { machine = "db1" }
  boot = boot.a
}
rule "printers" {
  match { vendor_class = "*Printer*" }
  ignore = true
}
rule "rest" { boot = boot.b }
test "db1" {
  machine = { mac = "52-54-00-AA-00-01", serial = "X7", arch = "arm64", firmware = "efi-arm64" }
  expect = {
    rule             = "rest"
    boot             = "b"
    action           = "local"
    kernel           = "/srv/x64/linux"
    cmdline_contains = ["hostname=db1", "serial=X8"]
  }
}
test "no serial" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { rule = "servers" }
}
test "passes" {
  machine = { mac = "52:54:00:aa:00:09", vendor_class = "Big Printer 7" }
  expect  = { rule = "printers", action = "ignore", boot = "" }
}
# want: 20:24 error: test failed | Test "db1": rule is "servers", not "rest". Correct the test, or what it tests.
# want: 21:24 error: test failed | Test "db1": boot is "a", not "b". Correct the test, or what it tests.
# want: 22:24 error: test failed | Test "db1": action is "boot", not "local". Correct the test, or what it tests.
# want: 23:24 error: test failed | Test "db1": kernel is "/srv/arm64/linux", not "/srv/x64/linux". Correct the test, or what it tests.
# want: 24:24 error: test failed | Test "db1": "serial=X8" is not in the command line "hostname=db1 serial=X7". Correct the test, or what it
# want: 29:13 error: test failed | Test "no serial": boot a: cmdline: this machine has said nothing that could be machine.serial.
