listener "http" {}
boot "debian" { kernel = "/srv/linux" }
rule "nothing" {}
rule "two" {
  local = true
  boot  = boot.debian
}
rule "three" {
  boot   = boot.debian
  ignore = true
  local  = true
}
rule "false" { ignore = false }
rule "typo" { boot = boot.debain }
rule "typo2" { boot = boot["debain"] }
rule "typo3" { boot = "${boot.debain}" }
rule "typo4" { boot = (boot["deb${"ain"}"]) }
rule "quoted" { boot = "debian" }
rule "all boots" { boot = boot }
rule "inside" { boot = boot.debian.kernel }
rule "number" { boot = boot[0] }
rule "null" { boot = null }
rule "empty match" {
  match {}
  local = true
}
rule "empty conditions" {
  match {
    mac      = []
    arch     = ""
    firmware = ["bios", ""]
  }
  local = true
}
rule "null conditions" {
  match {
    mac      = null
    arch     = 0
    firmware = ["uefi", null]
  }
  local = true
}
rule "words" {
  match {
    mac      = ["52:54:00", "52:54:00:zz:*"]
    arch     = ["amd64"]
    firmware = ["ueif"]
  }
  local = true
}
# want: 3:1 error: rule does nothing | Write one of boot = boot.NAME, ignore = true and local = true.
# want: 6:3 error: rule does two things | already has local
# want: 10:3 error: rule does two things | already has boot
# want: 11:3 error: rule does two things | already has boot
# want: 13:25 error: only true has a meaning | ignore = false says nothing
# want: 14:27 error: no such boot | Did you mean "debian"?
# want: 15:27 error: no such boot | Did you mean "debian"?
# want: 16:31 error: no such boot | Did you mean "debian"?
# want: 17:29 error: no such boot | Did you mean "debian"?
# want: 18:24 error: not a reference to a boot | Write boot = boot.debian, without quotes.
# want: 19:27 error: not a reference to a boot | Write boot = boot.NAME.
# want: 20:24 error: not a reference to a boot | Write boot = boot.debian.
# want: 21:24 error: not a reference to a boot | This is not a reference
# want: 22:22 error: not a reference to a boot | Write boot = boot.NAME.
# want: 24:3 error: match without a condition | leave the block out to match every machine
# want: 29:16 error: empty condition | mac is an empty list
# want: 30:16 error: empty condition | arch is an empty text
# want: 31:25 error: empty condition | firmware is an empty text
# want: 37:16 error: value is null | mac is null
# want: 38:16 error: wrong kind of value | arch is a number
# want: 39:25 error: value is null | firmware is null
# want: 45:17 error: unusable MAC address pattern | "52:54:00:*"
# want: 45:29 error: unusable MAC address pattern | hexadecimal
# want: 46:17 error: unknown word | Did you mean "x64"?
# want: 47:17 error: unknown word | Did you mean "uefi"?
