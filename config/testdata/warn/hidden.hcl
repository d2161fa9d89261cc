listener "http" {}
rule "early" {
  match { mac = "52:54:00:*" }
  local = true
}
rule "late" {
  match {
    mac  = "52:54:00:aa:*"
    arch = ["x64"]
  }
  ignore = true
}
rule "all" { local = true }
rule "last" { ignore = true }
# want: 6:1 warning: rule is never reached | already matches rule "early" at hidden.hcl:2
# want: 14:1 warning: rule is never reached | Move "last" before it
