# A test asks no API.
listener "http" {}
boot "inventory" { api = "http://inventory.lan/netboot" }
rule "lab" { boot = boot.inventory }
test "what the API decides" {
  machine = { mac = "52:54:00:aa:00:01" }
  expect  = { boot = "inventory", kernel = "/srv/linux", cmdline_contains = "quiet" }
}
# want: 7:44 error: test failed | Test "what the API decides": what boot inventory starts is said by its API, which no test asks. Expect boot = "inventory", without kernel.
# want: 7:77 error: test failed | Test "what the API decides": what boot inventory starts is said by its API, which no test asks. Expect boot = "inventory", without cmdline_contains.
