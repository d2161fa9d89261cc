listener "http" {}
machine "db1" { mac = "52:54:00:aa:00:01" }
machine "db1" { mac = "52:54:00:aa:00:02" }
machine "db2" { mac = ["52:54:00:aa:00:03", "52-54-00-AA-00-01"] }
machine "none" {}
machine "typo" { maac = "52:54:00:aa:00:04" }
machine "12" { mac = "52:54:00:aa:00:05" }
machine {}
machine "words" {
  name   = "../etc"
  mac    = ["52:54:00:*", "", 7, "52:54"]
  uuid   = "4c4c4544"
  labels = { role = null, rack = 7 }
}
machine "more" {
  mac    = []
  uuid   = null
  labels = "db"
}
machine "uuid" { uuid = "4c4c4544-0042-3510-8053-b4c04f463433" }
machine "uuid2" { uuid = "4C4C45440042351080 53b4c04f463433" }
machine "uuid3" { uuid = "4C4C4544004235108053b4c04f463433" }
machine "rows" {
  for_each = { a = "52:54:00:aa:00:06", b = "52:54:00:aa:00:06", db1 = "52:54:00:aa:00:07" }
  mac      = each.value
}
rule "r" {
  match { machine = ["db1", "db9"] }
  local = true
}
boot "a" {
  kernel = "/srv/linux"
  extends = machine.name
}
# want: 3:9 error: name used twice | There are two machine blocks "db1". Rename one of them. The first one stands at machines.hcl:2.
# want: 4:45 error: name used twice | Two machines have the MAC address 52:54:00:aa:00:01: "db2", and before it "db1" at machines.hcl:2. Correct
# want: 5:1 error: machine without MAC and UUID | A machine is known by its MAC addresses or its UUID. Write mac = "…" or uuid = "…".
# want: 6:18 error: unknown setting | There is no setting "maac" in a machine block. Did you mean "mac"?
# want: 7:9 error: unusable name | The label of a machine is an identifier: letters, digits, "-" and "_", beginning with a letter. "12" is none;
# want: 8:1 error: wrong number of labels | A machine block has one label, its name: write machine "NAME" { … }.
# want: 10:12 error: unusable name | A machine's name has letters, digits, ".", "_" and "-", and begins with a letter or a digit: it can stand in
# want: 11:13 error: unusable MAC address pattern | "52:54:00:*" is a pattern, and stands for many machines. Write the whole MAC address of this one.
# want: 11:27 error: empty value | mac is empty. Write the machine's MAC address; leave a row of a table out with: if m.mac != "".
# want: 11:31 error: wrong kind of value | mac is a number. Write MAC addresses in quotes.
# want: 11:34 error: unusable MAC address pattern | MAC pattern "52:54": it has fewer than the six octets of a MAC; write "52:54:*" for all that begin like this.
# want: 12:12 error: unusable UUID | UUID "4c4c4544": not 32 hexadecimal digits, like 4c4c4544-0042-3510-8053-b4c04f463433.
# want: 13:12 error: wrong kind of value | labels.rack is a number. Write a text in quotes.
# want: 13:12 error: value is null | labels.role is null. Write a text in quotes, or leave the line out.
# want: 16:12 error: empty value | mac is an empty list. Write the machine's MAC addresses, or leave the line out.
# want: 17:12 error: value is null | uuid is null. Write a UUID in quotes, or leave the line out.
# want: 18:12 error: wrong kind of value | labels is a text. Write labels in braces, like { role = "db" }.
# want: 21:26 error: unusable UUID | UUID "4C4C45440042351080 53b4c04f463433": not 32 hexadecimal digits, like
# want: 22:26 error: name used twice | Two machines have the UUID 4c4c4544-0042-3510-8053-b4c04f463433: "uuid3", and before it "uuid" at
# want: 23:9 error: name used twice | Two machines have the name db1: "db1", and before it "db1" at machines.hcl:2. Correct one of them. This is so
# want: 25:14 error: name used twice | Two machines have the MAC address 52:54:00:aa:00:06: "b", and before it "a" at machines.hcl:25. Correct one
# want: 33:13 error: unknown variable | machine.* is known when a machine boots, not when the file is loaded. It can stand in cmdline, message,
