listener "http" {}
cache {}
rule "all" { local = true }
