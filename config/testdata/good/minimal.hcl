listener "http" {}
rule "everything" { local = true }
