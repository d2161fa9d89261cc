listener "http" {}
rule "all" {
  local = true
}
