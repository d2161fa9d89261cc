listener "http" {}
cache {
  dir      = "cache"
  max_size = "1.5GiB"
}
rule "all" { local = true }
