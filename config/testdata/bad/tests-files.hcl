# What stands in files is compared; what is in a secret is not shown.
listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "a" {
  kernel  = "/srv/linux"
  cmdline = "${url(file.seed)} ${url(file.key)} ${url(file.disk)}"
  file "seed" {
    tree = { "user-data" = "on ${machine.name}", "meta-data" = machine.asset }
  }
  file "key" {
    content = "hunter2 of ${machine.name}"
    secret  = true
  }
  file "disk" { source = "/srv/${machine.arch}" }
}
rule "all" { boot = boot.a }
test "all" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect = {
    files = { "seed/user-data" = ["on db1", "on db2"], "seed/meta-data" = "x", key = ["of db1", "db2"], keys = "x", disk = ["x64", "arm64"] }
  }
}
# want: 20:13 error: test failed | Test "all": files["keys"]: the machine is given no such file. Did you mean "key"?
# want: 20:13 error: test failed | Test "all": "arm64" is not in file disk, which is "/srv/x64". Correct the test, or what it tests.
# want: 20:13 error: test failed | Test "all": "on db2" is not in file seed/user-data, which is "on db1". Correct the test, or what it tests.
# want: 20:13 error: test failed | Test "all": boot a: file seed/meta-data: this machine has said nothing that could be machine.asset.
# want: 20:13 error: test failed | Test "all": what is expected is not in file key, which is a secret and so not shown. Correct the test, or what it tests.
