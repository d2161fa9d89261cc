listener "http" {}
cache {
  dir      = "cache"
  max_size = "1.5GiB"
  prefetch = true
}
rule "all" { local = true }
