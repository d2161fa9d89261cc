listener "http" {}
cache {
  dir      = ""
  max_size = "20"
}
cache { dir = "/srv/cache" }
cache "big" {}
# want: 3:14 error: empty value | leave the line out for the usual one
# want: 4:14 error: unusable size | max_size cannot be "20": it has no unit. Write a number with its unit, like "20GiB"
# want: 6:1 error: block written twice | There can be one cache block in a file
# want: 7:7 error: wrong number of labels | write cache { … }
# want: 7:1 error: block written twice | There can be one cache block in a file
