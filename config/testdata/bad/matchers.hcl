listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
rule "empty" {
  match {
    not {}
    any {}
    labels    = {}
    uuid      = [""]
    subnet    = null
    relay     = []
    ipxe      = null
    transport = "tftp"
  }
  local = true
}
rule "values" {
  match {
    labels    = { role = "" }
    uuid      = "zz"
    subnet    = ["192.0.2.1/24", "lab"]
    ipxe      = "yes"
    serial    = 7
    machine   = "db2"
    interface = each.key
  }
  local = true
}
rule "labels" {
  match { labels = ["db"] }
  local = true
}
rule "negative" {
  match {
    not { mac = "52:*" }
  }
  local = true
}
rule "strangers" {
  match { serial = "X*" }
  local = true
}
rule "strangers when" {
  match { when = machine.product == "X" }
  local = true
}
rule "strangers any" {
  match {
    any {
      mac    = "52:*"
      serial = "X"
    }
  }
  local = true
}
rule "when" {
  match {
    when = machine.hostnmae == "x"
    any {
      when = machine.arch == "amd64" || contains(["x64", "arm"], machine.arch)
    }
    any {
      when = machine.name
    }
    any {
      when = "yes"
    }
    any {
      when = 3 > machine.labels.role && upper(machine.ipxe) == "TRUE"
    }
    any {
      when = machine.firmware != "uefi" || machine == null
    }
    any "x" {
      when = machine.labels.role.x == "y"
    }
  }
  local = true
}
rule "place" {
  match { mac = machine.mac }
  local = true
}
rule "probe" {
  match { serial = "X" }
  probe = 1
  local = true
}
# want: 5:5 error: match without a condition | The not block has no condition, which could be a forgotten one. Write a condition, or leave the block out.
# want: 6:5 error: match without a condition | The any block has no condition, which could be a forgotten one. Write a condition, or leave the block out.
# want: 7:17 error: empty condition | labels is empty, which could mean every machine or none. Write labels in braces, like { role = "db" }, or
# want: 8:18 error: empty condition | uuid is an empty text, which could mean every machine or none. Write UUIDs in quotes, or leave the line out.
# want: 9:17 error: value is null | subnet is null. Write networks in quotes, like "192.0.2.0/24", or leave the line out.
# want: 10:17 error: empty condition | relay is an empty list, which could mean every machine or none. Write addresses of relays in quotes, like
# want: 11:17 error: value is null | ipxe is null. Write true or false, or leave the line out.
# want: 12:17 error: unknown word | transport cannot be "tftp". Did you mean "http"?
# want: 18:17 error: empty condition | The label role is an empty text, which could mean every machine or none. Write its value, or leave it out.
# want: 19:17 error: unusable pattern | UUID "zz": not 32 hexadecimal digits, like 4c4c4544-0042-3510-8053-b4c04f463433.
# want: 20:18 error: unusable network | "192.0.2.1/24" is the address of a host in a network. Write "192.0.2.0/24" for the network.
# want: 20:34 error: unusable network | "lab" is no network. Write networks in quotes, like "192.0.2.0/24".
# want: 21:17 error: wrong kind of value | ipxe is a text. Write true or false, without quotes.
# want: 22:17 error: wrong kind of value | serial is a number. Write texts or patterns in quotes, like "rack-*".
# want: 23:17 error: no such machine | There is no machine "db2". Did you mean "db1"?
# want: 24:17 error: unknown variable | each.key and each.value are those of one instance. Write for_each = … into the block, and use them there.
# want: 29:20 error: wrong kind of value | labels is a list. Write labels in braces, like { role = "db" }.
# want: 33:3 error: match without a condition | The match block says only which machines it is not for, so every stranger matches. Say which ones it is for
# want: 39:3 error: every machine would load iPXE | Whether this rule matches is known from inside of iPXE only, so every machine of the network would have to
# want: 43:3 error: every machine would load iPXE | Whether this rule matches is known from inside of iPXE only, so every machine of the network would have to
# want: 47:3 error: every machine would load iPXE | Whether this rule matches is known from inside of iPXE only, so every machine of the network would have to
# want: 57:20 error: unknown variable | There is no machine.hostnmae. Did you mean "hostname"?
# want: 59:30 error: unknown word | machine.arch is never "amd64". Did you mean "x64"?
# want: 59:58 error: unknown word | machine.arch is never "arm". Did you mean "arm32"?
# want: 62:14 error: wrong kind of value | when is a text. Write a condition, like machine.arch == "x64".
# want: 65:14 error: condition without machine | The condition says nothing about the machine, so it holds for all or for none. Write one over machine.*, like
# want: 71:34 error: unknown word | machine.firmware is never "uefi". There is "bios", "efi32", "efi64", "efibc", "efi-arm32", "efi-arm64",
# want: 71:44 error: unknown variable | Say which of its members is meant, like machine.arch.
# want: 73:9 error: wrong number of labels | The any block takes no label: write any { … }.
# want: 74:33 error: unsupported attribute | Can't access attributes on a primitive-typed value (string).
# want: 80:17 error: unknown variable | machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message,
# want: 84:3 error: every machine would load iPXE | Whether this rule matches is known from inside of iPXE only, so every machine of the network would have to
# want: 85:11 error: wrong kind of value | probe is a number. Write true or false, without quotes.
