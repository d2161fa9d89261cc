listener "http" {}
test "half" {
  machine = { mac = "52:54:00:aa:00:01" }
}
test "nothing" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = {}
}
test "words" {
  machine = { mac = "52:*", arch = "amd64", firmware = "uefi", serail = "7", ipxe = "yes", asset = 7, uuid = "x", relay = "x", subnet = "192.0.2.0", armed = "yes", ip = "fe80::1%eth0" }
  expect  = { rulle = "r" }
}
test "no mac" {
  machine = {}
  expect  = "r"
}
test "no mac" {
  machine = machine.name
  expect  = null
}
test "kinds" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { cmdline_contains = ["quiet", 7], kernel = true }
}
test "empty" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { cmdline_contains = [] }
}
# want: 2:1 error: test without machine or expectation | A test says which machine, and what it expects of it. Write expect = { … }.
# want: 7:13 error: test without machine or expectation | The test expects nothing. Write one or more of action, boot, cmdline_contains, files, kernel, rule.
# want: 10:21 error: unusable MAC address pattern | "52:*" is a pattern, and stands for many machines. Write the whole MAC address of this one.
# want: 10:36 error: unknown word | arch cannot be "amd64". Did you mean "x64"?
# want: 10:56 error: unknown word | firmware cannot be "uefi". There is "bios", "efi32", "efi64", "efibc", "efi-arm32", "efi-arm64",
# want: 10:73 error: unknown setting | There is no serail in machine. Did you mean "serial"?
# want: 10:85 error: wrong kind of value | ipxe is a text. Write true or false, without quotes.
# want: 10:100 error: wrong kind of value | asset is a number. Write a text in quotes.
# want: 10:110 error: unusable UUID | UUID "x": not 32 hexadecimal digits, like 4c4c4544-0042-3510-8053-b4c04f463433.
# want: 10:123 error: unusable address | "x" is not an IP address. Write the relay's, like "192.0.2.1".
# want: 10:137 error: unusable network | "192.0.2.0" is no network. Write it like "192.0.2.0/24".
# want: 10:158 error: wrong kind of value | armed is a text. Write true or false, without quotes.
# want: 10:170 error: unusable address | "fe80::1%eth0" is not an IP address. Write the machine's own, like "192.0.2.50".
# want: 11:23 error: unknown setting | There is no rulle in expect. Did you mean "rule"?
# want: 14:13 error: machine without MAC and UUID | The machine of a test has a MAC address. Write mac = "…".
# want: 15:13 error: wrong kind of value | expect is no object. Write expect = { action = … }.
# want: 17:6 error: name used twice | There are two tests "no mac". Rename one of them. The first one stands at tests.hcl:13.
# want: 18:13 error: unknown variable | machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message,
# want: 19:13 error: wrong kind of value | expect is no object. Write expect = { action = … }.
# want: 23:34 error: wrong kind of value | cmdline_contains is a number. Write texts in quotes.
# want: 23:57 error: wrong kind of value | kernel is a truth value. Write a text in quotes.
# want: 27:34 error: test without machine or expectation | cmdline_contains is empty, and so expects nothing. Write texts in quotes, or leave it out.
