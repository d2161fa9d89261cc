listener "http" {}
rule "all" { local = true }
reload { mode = "manual" }
