listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
boot "debian" {
  installs = true
  kernel   = "https://example.org/linux"
  message  = phone_home()
}
rule "r" {
  boot = boot.debian
  once {}
}
test "a stranger" {
  machine = { mac = "52:54:00:aa:00:02", armed = true }
  expect  = { action = "boot" }
}
test "disarmed" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { boot = "debian" }
}
# want: 14:24 error: test failed | Test "a stranger": action is "local", not "boot", since it installs, and the machine is in no machine block. Correct the test, or what it tests.
# want: 18:22 error: test failed | Test "disarmed": boot is "", not "debian", since the machine is not armed. Correct the test, or what it tests.
