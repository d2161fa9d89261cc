# Answers known machines and nobody else. To have one boot, name it.

# Only on the network of the machines: requests from elsewhere are not heard.
listener "dhcp" { interfaces = "eth1" }
listener "pxe" { interfaces = "eth1" }
listener "tftp" { interfaces = "eth1" }
listener "http" { address = "192.0.2.10:80" } # this host's address on eth1

# What each machine boots is told to this host only. From elsewhere:
# ssh -L 8067:127.0.0.1:8067 this-host
listener "status" { address = "127.0.0.1:8067" }

# Anyone on the network can claim a MAC address, so whatever is served here is for
# all of it to read: no secrets in a command line or an initrd.
machine "build" {
  for_each = { build1 = "52:54:00:aa:00:01", build2 = "52:54:00:aa:00:02" }
  mac      = each.value
  labels   = { role = "build" }
}

# Fetched over TLS, once, and passed on over HTTP. What is not the file that was
# tested is not served: `sha256sum` prints the digests.
cache {}
boot "build" {
  kernel  = { url = "https://images.example.org/build/vmlinuz", sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
  initrd  = { url = "https://images.example.org/build/initrd.img", sha256 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752" }
  cmdline = "ip=dhcp hostname=${machine.name}"
}

# First, so that no wider rule which is added below can reach them.
rule "printers and telephones" {
  match {
    any {
      mac          = ["00:80:77:*", "00:1b:a9:*"]
      vendor_class = ["*Printer*", "*Phone*"]
    }
  }
  ignore = true
}

rule "build" {
  match {
    labels   = { role = "build" }
    arch     = "x64"
    firmware = "uefi"
  }
  boot = boot.build
}

# Without this rule they are not answered either. It says so to whoever reads this
# file, and gives it a name in the log and in `pixiecore status`.
rule "everybody else" { ignore = true }

test "a known machine boots" {
  machine = { mac = "52:54:00:aa:00:02" }
  expect  = { boot = "build", cmdline_contains = "hostname=build2" }
}

test "one that says it is another kind of machine is not answered" {
  machine = { mac = "52:54:00:aa:00:02", firmware = "bios" }
  expect  = { rule = "everybody else", action = "ignore" }
}

test "a stranger is not answered" {
  machine = { mac = "52:54:00:bb:00:01" }
  expect  = { action = "ignore" }
}
